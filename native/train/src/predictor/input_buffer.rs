//! The buffer for the values of one predictor input.

use std::ops::Range;

use firesteel_data::{Batch, Scope};
use tch::Tensor;

use crate::error::TrainError;
use crate::input_column::InputColumn;
use crate::model::InputShape;
use crate::network::{Block, Column};
use crate::raw::{Borrowed, dimension, lengths};

/// The memory for some rows of one input, reused from batch to batch.
pub(super) struct InputBuffer {
    shape: Vec<usize>,
    integers: bool,
    capacity: usize,
    column: Option<Column>,
}

/// An input of some rows.
pub(super) enum Input<'a> {
    /// In the buffer's memory.
    Copied(&'a Tensor),
    /// In Arrow's memory.
    InPlace(Borrowed<'a>),
}

impl Input<'_> {
    pub(super) fn tensor(&self) -> &Tensor {
        match self {
            Self::Copied(tensor) => tensor,
            Self::InPlace(tensor) => tensor,
        }
    }
}

impl InputBuffer {
    pub(super) fn new(input: &InputShape) -> Self {
        let (shape, integers) = (input.shape.clone(), input.integer);
        Self { shape, integers, capacity: 0, column: None }
    }

    /// Returns the input's values of rows of a batch, without a copy if they have the network's format.
    pub(super) fn input<'a>(
        &'a mut self,
        batch: &'a Batch<'_>,
        source: &InputColumn,
        of_batch: Range<usize>,
    ) -> Result<Input<'a>, TrainError> {
        let rows = of_batch.len();
        let contiguous =
            batch.contiguous_f32(source.index, of_batch.clone()).filter(|_| !self.integers);
        if let Some(values) = contiguous.and_then(|values| values.to_slice()) {
            let mut shape = vec![dimension(rows)?];
            shape.extend(lengths(&self.shape)?);
            return Ok(Input::InPlace(Borrowed::new(values, &shape)?));
        }
        let current = self.column.take().filter(|_| rows <= self.capacity);
        let column = match current {
            Some(column) => column,
            None if self.integers => Column::Integers(Block::new(rows, &self.shape)?),
            None => Column::Values(Block::new(rows, &self.shape)?),
        };
        self.capacity = self.capacity.max(rows);
        let column = self.column.insert(column);
        column.set_rows(rows)?;
        match column {
            Column::Values(block) => {
                batch.gather_f32(source.index, of_batch, block.matrix_mut(rows)?)?;
            }
            Column::Integers(block) => {
                let mut ids = block.matrix_mut(rows)?;
                let first = of_batch.start;
                batch.gather_i64(source.index, of_batch, ids.view_mut())?;
                source.check_tokens(ids.view(), Scope::Batch, |row| first + row)?;
            }
        }
        Ok(Input::Copied(column.tensor()))
    }
}
