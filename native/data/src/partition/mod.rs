//! The validated rows of one task.

mod loader;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatchReader;
use firesteel_core::CancelFlag;
use firesteel_core::spec::DataSpec;
use ndarray::{ArrayView2, ArrayViewMut2, Axis, aview_mut1};

pub(crate) use self::loader::Loader;
use crate::blocks::{BlockStore, BlockUsage};
use crate::budget::{CacheBudget, Reservation};
use crate::column_context::ColumnContext;
use crate::error::{DataError, Scope};
use crate::import::stream_error;
use crate::input::{Input, at};
use crate::label::{Label, gather};
use crate::order::{RowKeys, WorkerRows};
use crate::rows::Rows;
use crate::schema;
use crate::sparse_rows::SparseRows;
use crate::table::Table;

/// The validated rows of one task in compact blocks, immutable once loaded. Dropping a partition returns its memory,
/// budget and files.
#[derive(Debug)]
pub struct Partition {
    pub(crate) spec: DataSpec,
    pub(crate) rows: usize,
    pub(crate) inputs: Vec<Box<dyn Input>>,
    pub(crate) labels: Vec<Label>,
    pub(crate) weights: Option<Table<f32>>,
    pub(crate) keys: RowKeys,
    /// The memory of inputs, labels and weights.
    pub(crate) usage: BlockUsage,
    /// The keys' share of the budget.
    pub(crate) keys_reservation: Reservation,
}

impl Partition {
    /// Pulls the whole of `reader` on the calling thread and drops it.
    ///
    /// # Errors
    /// [`DataError::Schema`] if the stream's columns are not those of `spec`; [`DataError::Value`] at the first null, NaN,
    /// infinity, label or weight out of range, with its column and its row in the partition; [`DataError::Stream`] if the
    /// producer fails; [`DataError::Spill`] or [`DataError::Memory`] if blocks cannot be kept; [`DataError::Cancelled`].
    pub fn load(
        reader: Box<dyn RecordBatchReader + '_>,
        spec: &DataSpec,
        budget: Arc<CacheBudget>,
        spill_directories: &[PathBuf],
        cancel: &CancelFlag,
    ) -> Result<Self, DataError> {
        schema::check_spec(spec)?;
        schema::check(&reader.schema(), spec)?;
        let mut loader =
            Loader::new(spec, BlockStore { budget, directories: spill_directories.to_vec() });
        for batch in reader {
            if cancel.is_cancelled() {
                return Err(DataError::Cancelled);
            }
            loader.append(&batch.map_err(stream_error)?)?;
        }
        loader.finish()
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
        self.keys.content()
    }

    /// The bytes that this partition takes of the budget.
    #[must_use]
    pub fn bytes_in_memory(&self) -> u64 {
        self.usage.memory + self.keys_reservation.bytes()
    }

    /// The bytes in mapped temporary files.
    #[must_use]
    pub fn bytes_spilled(&self) -> u64 {
        self.usage.spilled
    }

    /// The number of rows to train, those held out for validation not counted.
    #[must_use]
    pub fn rows_to_train(&self) -> usize {
        self.keys.trained()
    }

    /// Returns the rows that worker `index` of the `of` workers of this partition trains: every `of`-th one in an order
    /// of contents, without those held out for validation.
    ///
    /// # Errors
    /// [`DataError::Internal`] if `index` is not below `of`.
    pub fn worker_rows(&self, index: u32, of: u32) -> Result<WorkerRows, DataError> {
        check_worker(index, of)?;
        Ok(self.keys.worker_rows(index as usize, of as usize))
    }

    /// The rows held out for validation that worker `index` of `of` scores, by their numbers in the partition, in an order
    /// of contents.
    ///
    /// # Errors
    /// As [`Self::worker_rows`].
    pub fn held_out(&self, index: u32, of: u32) -> Result<Vec<u32>, DataError> {
        check_worker(index, of)?;
        Ok(self.keys.held_out(index as usize, of as usize))
    }

    /// The rows' values of an input, scaled: `out` has a row of `size` values for each of `rows`, in row-major order.
    ///
    /// # Errors
    /// [`DataError::Internal`] if there is no such input or row or `out` has another shape or order.
    pub fn gather_f32(
        &self,
        input: usize,
        rows: &[u32],
        out: ArrayViewMut2<'_, f32>,
    ) -> Result<(), DataError> {
        let (rows, spec) = (Rows::Listed(rows), at(&self.spec.inputs, input, "input")?);
        self.inputs[input].gather_f32(rows, rows.destination(self.rows, spec.size(), out)?);
        Ok(())
    }

    /// The rows' values of an input as integers (token ids), unscaled.
    ///
    /// # Errors
    /// [`DataError::Value`] at a fractional value or one outside of i64; otherwise as [`Self::gather_f32`].
    pub fn gather_i64(
        &self,
        input: usize,
        rows: &[u32],
        out: ArrayViewMut2<'_, i64>,
    ) -> Result<(), DataError> {
        let (rows, spec) = (Rows::Listed(rows), at(&self.spec.inputs, input, "input")?);
        let out = rows.destination(self.rows, spec.size(), out)?;
        let context = ColumnContext { column: &spec.column, scope: Scope::Partition, first_row: 0 };
        self.inputs[input].gather_i64(rows, out).map_err(|fault| fault.error(&context))
    }

    /// The rows' entries of a sparse input, scaled, in place of what `out` holds.
    ///
    /// # Errors
    /// [`DataError::Internal`] if there is no such input or row or the input is dense.
    pub fn gather_sparse(
        &self,
        input: usize,
        rows: &[u32],
        out: &mut SparseRows,
    ) -> Result<(), DataError> {
        let (rows, spec) = (Rows::Listed(rows), at(&self.spec.inputs, input, "input")?);
        rows.check(self.rows)?;
        out.clear();
        match self.inputs[input].gather_sparse(rows, out) {
            true => Ok(()),
            false => Err(DataError::Internal(format!("column '{}' is not sparse", spec.column))),
        }
    }

    /// The rows' class indices of a label of kind `class`: `out` has a value for each of `rows`.
    ///
    /// # Errors
    /// [`DataError::Internal`] if there is no such label or row or `out` has another length.
    pub fn gather_classes(
        &self,
        label: usize,
        rows: &[u32],
        out: &mut [i64],
    ) -> Result<(), DataError> {
        let rows = Rows::Listed(rows);
        let Label::Classes(table) = at(&self.labels, label, "label")? else {
            return Err(DataError::Internal(format!("label {label} holds no classes")));
        };
        gather(table, 1, rows, rows.destination(self.rows, 1, column(out))?, i64::from);
        Ok(())
    }

    /// The rows' numbers of a label of kind `values`: `out` has a row of `size` values for each of `rows`, in row-major
    /// order.
    ///
    /// # Errors
    /// [`DataError::Internal`] if there is no such label or row or `out` has another shape or order.
    pub fn gather_values(
        &self,
        label: usize,
        rows: &[u32],
        out: ArrayViewMut2<'_, f32>,
    ) -> Result<(), DataError> {
        let rows = Rows::Listed(rows);
        let Label::Values(table, size) = at(&self.labels, label, "label")? else {
            return Err(DataError::Internal(format!("label {label} holds classes")));
        };
        gather(table, *size, rows, rows.destination(self.rows, *size, out)?, |value| value);
        Ok(())
    }

    /// The rows' weights, 1 without a weight column: `out` has a value for each of `rows`.
    ///
    /// # Errors
    /// As [`Self::gather_classes`].
    pub fn gather_weights(&self, rows: &[u32], out: &mut [f32]) -> Result<(), DataError> {
        let rows = Rows::Listed(rows);
        let out = rows.destination(self.rows, 1, column(out))?;
        match &self.weights {
            Some(table) => gather(table, 1, rows, out, |weight| weight),
            None => out.fill(1.0),
        }
        Ok(())
    }

    /// Returns the values of consecutive rows without a copy, if they are dense f32 with scale 1 in one block.
    #[must_use]
    pub fn contiguous_f32(&self, input: usize, rows: Range<usize>) -> Option<ArrayView2<'_, f32>> {
        if rows.end > self.rows {
            return None;
        }
        self.inputs.get(input)?.contiguous_f32(rows)
    }
}

/// Values as rows of one.
fn column<T>(values: &mut [T]) -> ArrayViewMut2<'_, T> {
    aview_mut1(values).insert_axis(Axis(1))
}

fn check_worker(index: u32, of: u32) -> Result<(), DataError> {
    if index < of {
        return Ok(());
    }
    Err(DataError::Internal(format!("worker {index} of {of} in a task was asked for")))
}

#[cfg(test)]
mod tests;
