//! The validated rows of one task.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatchReader;
use firesteel_core::CancelFlag;
use firesteel_core::spec::DataSpec;

use crate::budget::CacheBudget;
use crate::error::DataError;
use crate::order::Shard;

/// The validated rows of one task in compact blocks, immutable once loaded. Dropping it gives memory, budget and files back.
#[derive(Debug)]
pub struct Partition {
    spec: DataSpec,
    rows: usize,
}

impl Partition {
    /// Pulls the whole of `reader` on the calling thread and drops it.
    ///
    /// # Errors
    /// [`DataError::Schema`] if the stream's columns are not those of `spec`; [`DataError::Value`] at the first null, NaN,
    /// infinity, label or weight out of range, with its column and its row in the partition; [`DataError::Stream`] if the
    /// producer fails; [`DataError::Spill`] or [`DataError::Memory`] if blocks cannot be kept; [`DataError::Cancelled`].
    pub fn load(
        reader: Box<dyn RecordBatchReader>,
        spec: &DataSpec,
        _budget: &Arc<CacheBudget>,
        _spill_directories: &[PathBuf],
        _cancel: &CancelFlag,
    ) -> Result<Self, DataError> {
        drop(reader);
        Ok(Self { spec: spec.clone(), rows: 0 })
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns.
    #[must_use]
    pub fn spec(&self) -> &DataSpec {
        &self.spec
    }

    /// A hash of the rows' contents (features, labels and weight) that does not depend on their order.
    #[must_use]
    pub fn content(&self) -> u64 {
        0
    }

    /// The bytes that this partition takes of the budget.
    #[must_use]
    pub fn bytes_in_memory(&self) -> u64 {
        0
    }

    /// The bytes in mapped temporary files.
    #[must_use]
    pub fn bytes_spilled(&self) -> u64 {
        0
    }

    /// The rows of worker `index` of the `of` workers that share this partition: every `of`-th row in the order of contents.
    ///
    /// # Errors
    /// [`DataError::Internal`] if `index` is not below `of`.
    pub fn shard(&self, index: u32, of: u32) -> Result<Shard, DataError> {
        Err(DataError::Internal(format!("{index} of {of}")))
    }

    /// The rows' values of an input, scaled, row after row: `out` holds `rows.len() * size` values.
    ///
    /// # Errors
    /// [`DataError::Internal`] if there is no such input or row or `out` has another length.
    pub fn gather_f32(&self, _input: usize, _rows: &[u32], _out: &mut [f32]) -> Result<(), DataError> {
        Ok(())
    }

    /// The rows' values of an input as integers (token ids), unscaled.
    ///
    /// # Errors
    /// [`DataError::Value`] at a fractional value or one outside of i64; otherwise as [`Self::gather_f32`].
    pub fn gather_i64(&self, _input: usize, _rows: &[u32], _out: &mut [i64]) -> Result<(), DataError> {
        Ok(())
    }

    /// The rows' class indices of a label of kind `class`: `out` holds `rows.len()` values.
    ///
    /// # Errors
    /// [`DataError::Internal`] if there is no such label or row or `out` has another length.
    pub fn gather_classes(&self, _label: usize, _rows: &[u32], _out: &mut [i64]) -> Result<(), DataError> {
        Ok(())
    }

    /// The rows' numbers of a label of kind `values`: `out` holds `rows.len() * size` values.
    ///
    /// # Errors
    /// As [`Self::gather_classes`].
    pub fn gather_values(&self, _label: usize, _rows: &[u32], _out: &mut [f32]) -> Result<(), DataError> {
        Ok(())
    }

    /// The rows' weights, 1 where there is no weight column: `out` holds `rows.len()` values.
    ///
    /// # Errors
    /// As [`Self::gather_classes`].
    pub fn gather_weights(&self, _rows: &[u32], _out: &mut [f32]) -> Result<(), DataError> {
        Ok(())
    }

    /// The values of consecutive rows where they lie, if they are dense f32 with scale 1 in one block.
    #[must_use]
    pub fn contiguous_f32(&self, _input: usize, _rows: Range<usize>) -> Option<&[f32]> {
        None
    }
}
