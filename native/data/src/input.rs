//! The operations on the rows of an input in any storage.

use std::fmt::Debug;
use std::ops::Range;

use arrow::array::ArrayRef;
use ndarray::ArrayView2;

use crate::blocks::{BlockStore, BlockUsage};
use crate::column_context::ColumnContext;
use crate::error::DataError;
use crate::rows::Rows;
use crate::sparse_rows::SparseRows;

/// A value that should be an integer and is not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NotAnInteger {
    pub(crate) row: usize,
    pub(crate) position: usize,
    pub(crate) value: String,
}

impl NotAnInteger {
    pub(crate) fn error(&self, context: &ColumnContext<'_>) -> DataError {
        context.value_error(
            self.row,
            Some(self.position),
            self.value.as_str(),
            "whole numbers of 64 bits",
        )
    }
}

/// The rows of an input. Buffers are row after row; the caller has checked them and the row numbers, see
/// [`Rows::destination`].
pub(crate) trait Input: Debug + Send + Sync {
    /// Writes the rows' values, scaled.
    fn gather_f32(&self, rows: Rows<'_>, out: &mut [f32]);

    /// Writes the rows' values as integers.
    fn gather_i64(&self, rows: Rows<'_>, out: &mut [i64]) -> Result<(), NotAnInteger>;

    /// Appends the rows' entries, scaled. Returns false if the input is dense.
    fn gather_sparse(&self, _rows: Rows<'_>, _out: &mut SparseRows) -> bool {
        false
    }

    /// Returns the values without a copy, if that is possible.
    fn contiguous_f32(&self, rows: Range<usize>) -> Option<ArrayView2<'_, f32>>;
}

/// Writes an input of a stream.
pub(crate) trait InputWriter {
    /// Checks and copies the rows of a record batch, whose columns from this input's on are given, and adds them to the
    /// hashes of their rows.
    fn append(
        &mut self,
        context: &ColumnContext<'_>,
        columns: &[ArrayRef],
        hashes: &mut [u64],
        store: &BlockStore,
    ) -> Result<(), DataError>;

    /// The input, and the bytes it takes.
    fn finish(
        self: Box<Self>,
        store: &BlockStore,
    ) -> Result<(Box<dyn Input>, BlockUsage), DataError>;
}

/// Returns an input or label by its number.
pub(crate) fn at<'a, T>(all: &'a [T], index: usize, what: &str) -> Result<&'a T, DataError> {
    all.get(index).ok_or_else(|| {
        DataError::Internal(format!("{what} {index} of {} was asked for", all.len()))
    })
}
