//! The gradient of a mini-batch in one flat buffer.

use firesteel_core::BufferKind;
use tch::Tensor;

use super::used_rows::UsedRows;
use crate::error::TrainError;
use crate::model::Definition;
use crate::raw::{Memory, lengths};

/// The gradient of every parameter, in the layout's order, with the tensors that lie in it.
pub(crate) struct Gradient {
    memory: Memory<f32>,
    /// The tensors by the layout's entries; an empty one for each buffer.
    pub(crate) views: Vec<Tensor>,
    /// For each entry of the layout that is a table whose mini-batches use few rows, those rows; empty for the others.
    used_rows: Vec<UsedRows>,
    /// For each entry of the layout, true once the loss has depended on it.
    reached: Vec<bool>,
}

impl Gradient {
    /// A gradient of zeros.
    pub(crate) fn new(definition: &dyn Definition) -> Result<Self, TrainError> {
        let layout = definition.layout();
        let memory = Memory::zeros(layout.parameters())?;
        let view = |entry: &firesteel_core::TensorEntry| match entry.kind {
            BufferKind::Parameter => memory.view(entry.offset, &lengths(&entry.shape_in_buffer())?),
            _ => Ok(Tensor::new()),
        };
        let views = layout.entries().iter().map(view).collect::<Result<_, _>>()?;
        let entries = layout.entries().len();
        let used_rows = (0..entries).map(|_| UsedRows::default()).collect();
        Ok(Self { memory, views, used_rows, reached: vec![false; entries] })
    }

    /// Records that the loss depends on an entry of the layout.
    pub(crate) fn mark_reached(&mut self, entry: usize) {
        self.reached[entry] = true;
    }

    /// Returns true if the loss has depended on an entry of the layout in any mini-batch.
    pub(crate) fn is_reached(&self, entry: usize) -> bool {
        self.reached[entry]
    }

    /// The flat gradient.
    pub(crate) fn flat_mut(&mut self) -> &mut [f32] {
        self.memory.slice_mut()
    }

    /// The flat gradient, and the used rows of a table that is an entry of the layout.
    pub(crate) fn flat_and_rows(&mut self, entry: usize) -> (&mut [f32], &mut UsedRows) {
        (self.memory.slice_mut(), &mut self.used_rows[entry])
    }

    /// The flat gradient.
    pub(crate) fn flat(&self) -> &[f32] {
        self.memory.slice()
    }
}
