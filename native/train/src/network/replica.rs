//! The flat buffers of one replica with the tensors that lie in them.

use firesteel_core::{BufferKind, Buffers};
use tch::Tensor;

use crate::error::TrainError;
use crate::model::Definition;
use crate::random::Generator;
use crate::raw::{Memory, dimension, lengths, view};

/// A worker's copy of the model: parameters and buffers, each one flat buffer.
pub(crate) struct Replica {
    parameters: Memory<f32>,
    floats: Memory<f32>,
    pub(super) integers: Memory<i64>,
    pub(super) views: Views,
    /// Draws the dropout masks.
    pub(super) random: Generator,
}

/// The tensors of the layout over flat buffers, in the order of these.
pub(crate) struct Views(pub(super) Vec<Tensor>);

/// The flat tensors that views lie in.
pub(crate) struct FlatTensors<'a> {
    pub(crate) parameters: &'a Tensor,
    pub(crate) floats: &'a Tensor,
    pub(crate) integers: &'a Tensor,
}

impl Replica {
    /// A replica of zeros.
    pub(crate) fn new(definition: &dyn Definition) -> Result<Self, TrainError> {
        let layout = definition.layout();
        let parameters = Memory::zeros(layout.parameters())?;
        let floats = Memory::zeros(layout.len_of(BufferKind::FloatBuffer))?;
        let integers = Memory::zeros(layout.len_of(BufferKind::IntegerBuffer))?;
        let flats = FlatTensors {
            parameters: &parameters.view(0, &[dimension(layout.parameters())?])?,
            floats: &floats.view(0, &[dimension(layout.len_of(BufferKind::FloatBuffer))?])?,
            integers: &integers.view(0, &[dimension(layout.len_of(BufferKind::IntegerBuffer))?])?,
        };
        let views = Views::new(definition, &flats)?;
        Ok(Self { parameters, floats, integers, views, random: Generator::new(0) })
    }

    /// The flat parameters.
    pub(crate) fn parameters(&self) -> &[f32] {
        self.parameters.slice()
    }

    /// The flat parameters.
    pub(crate) fn parameters_mut(&mut self) -> &mut [f32] {
        self.parameters.slice_mut()
    }

    /// The flat parameters, and what a forward pass changes: floating buffers, integer buffers and the generator of
    /// dropout masks.
    pub(crate) fn parts_mut(&mut self) -> (&mut [f32], &mut [f32], &mut [i64], &mut Generator) {
        let (floats, integers) = (self.floats.slice_mut(), self.integers.slice_mut());
        (self.parameters.slice_mut(), floats, integers, &mut self.random)
    }

    /// The tensors.
    pub(crate) fn views(&self) -> &Views {
        &self.views
    }

    /// The flat floating buffers.
    pub(crate) fn floats(&self) -> &[f32] {
        self.floats.slice()
    }

    /// Sets the buffers.
    pub(crate) fn set_buffers(&mut self, buffers: &Buffers) {
        self.floats.slice_mut().copy_from_slice(&buffers.floats);
        self.integers.slice_mut().copy_from_slice(&buffers.integers);
    }

    /// Copies the buffers out.
    pub(crate) fn copy_buffers(&self, buffers: &mut Buffers) {
        buffers.floats.copy_from_slice(self.floats.slice());
        buffers.integers.copy_from_slice(self.integers.slice());
    }

    /// Restarts the stream of dropout masks.
    pub(crate) fn seed(&mut self, seed: u64) {
        self.random = Generator::new(seed);
    }

    /// The next number of the stream of dropout masks.
    pub(crate) fn draw(&mut self) -> u64 {
        self.random.next()
    }
}

impl Views {
    /// Creates views of flat buffers. Autograd tracks the parameters whose gradient it computes.
    pub(crate) fn new(
        definition: &dyn Definition,
        flats: &FlatTensors<'_>,
    ) -> Result<Self, TrainError> {
        let entries = definition.layout().entries().iter();
        let views = entries.zip(definition.requires_grad()).map(|(entry, followed)| {
            let flat = match entry.kind {
                BufferKind::Parameter => flats.parameters,
                BufferKind::FloatBuffer => flats.floats,
                BufferKind::IntegerBuffer => flats.integers,
            };
            // Autograd counts the changes of a tensor and all its views together. Each of these views is detached, so
            // that a change of one buffer in place does not invalidate what autograd has saved of the others.
            let own = view(flat, entry.offset, &lengths(&entry.shape_in_buffer())?)?.f_data()?;
            Ok(own.f_set_requires_grad(followed)?)
        });
        Ok(Self(views.collect::<Result<_, TrainError>>()?))
    }

    /// The tensor of an entry of the layout.
    pub(crate) fn get(&self, entry: usize) -> &Tensor {
        &self.0[entry]
    }
}
