//! The same validation and conversion for a batch of prediction, which is not kept.

use arrow::array::RecordBatch;
use firesteel_core::spec::DataSpec;

use crate::error::DataError;

/// A validated batch of prediction. Errors name the row in the batch.
#[derive(Debug)]
pub struct Batch<'a> {
    rows: usize,
    spec: &'a DataSpec,
}

impl<'a> Batch<'a> {
    /// Validates all columns of `batch`.
    ///
    /// # Errors
    /// As [`crate::Partition::load`].
    pub fn new(batch: &'a RecordBatch, spec: &'a DataSpec) -> Result<Self, DataError> {
        Ok(Self { rows: batch.num_rows(), spec })
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// All values of an input, scaled, row after row: `out` holds `rows * size` values.
    ///
    /// # Errors
    /// [`DataError::Internal`] if there is no such input or `out` has another length.
    pub fn gather_f32(&self, _input: usize, _out: &mut [f32]) -> Result<(), DataError> {
        Err(DataError::Internal(format!("{} inputs", self.spec.inputs.len())))
    }

    /// All values of an input as integers, unscaled.
    ///
    /// # Errors
    /// [`DataError::Value`] at a fractional value or one outside of i64.
    pub fn gather_i64(&self, _input: usize, _out: &mut [i64]) -> Result<(), DataError> {
        Err(DataError::Internal(format!("{} inputs", self.spec.inputs.len())))
    }

    /// All values of an input where they lie, if they are dense f32 with scale 1.
    #[must_use]
    pub fn contiguous_f32(&self, _input: usize) -> Option<&'a [f32]> {
        None
    }
}
