//! The validation and conversion of a prediction batch, which is not kept.

use std::ops::Range;

use arrow::array::RecordBatch;
use firesteel_core::spec::{DataSpec, ElementType, InputFormat, InputSpec};
use ndarray::{ArrayView2, ArrayViewMut2};

use crate::column_context::ColumnContext;
use crate::dense::{self, Dense, DenseSlice};
use crate::error::{DataError, Scope};
use crate::input::{self, Input};
use crate::rows::Rows;
use crate::schema;
use crate::sparse::{Sparse, SparseSlices};
use crate::stored_value::StoredValue;

/// A prediction batch with validated inputs. Errors name the row in the batch.
#[derive(Debug)]
pub struct Batch<'a> {
    rows: usize,
    spec: &'a DataSpec,
    inputs: Vec<Box<dyn Input + 'a>>,
}

impl<'a> Batch<'a> {
    /// Validates the inputs of `batch`; labels and weights are ignored.
    ///
    /// # Errors
    /// [`DataError::Schema`] if the columns are not those of `spec`, [`DataError::Value`] at the first null, NaN or infinity.
    pub fn new(batch: &'a RecordBatch, spec: &'a DataSpec) -> Result<Self, DataError> {
        schema::check_spec(spec)?;
        schema::check(&batch.schema(), spec)?;
        let mut column = 0;
        let mut inputs = Vec::with_capacity(spec.inputs.len());
        for input in &spec.inputs {
            inputs.push(match input.format {
                InputFormat::Dense => match input.element {
                    ElementType::U8 => view::<u8>(batch, column, input)?,
                    ElementType::I8 => view::<i8>(batch, column, input)?,
                    ElementType::I16 => view::<i16>(batch, column, input)?,
                    ElementType::I32 => view::<i32>(batch, column, input)?,
                    ElementType::I64 => view::<i64>(batch, column, input)?,
                    ElementType::F32 => view::<f32>(batch, column, input)?,
                },
                InputFormat::Sparse => {
                    let (indices, values) = (batch.column(column), batch.column(column + 1));
                    let slices = SparseSlices::new(
                        &context(input),
                        indices,
                        values,
                        input.size(),
                        input.scale,
                    )?;
                    Box::new(Sparse::new(slices, input.size(), input.scale))
                }
            });
            column += schema::columns_of(input);
        }
        Ok(Self { rows: batch.num_rows(), spec, inputs })
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The values of consecutive rows of an input, scaled: `out` has a row of `size` values for each of `rows`, in
    /// row-major order.
    ///
    /// # Errors
    /// [`DataError::Internal`] if there is no such input or row or `out` has another shape or order.
    pub fn gather_f32(
        &self,
        input: usize,
        rows: Range<usize>,
        out: ArrayViewMut2<'_, f32>,
    ) -> Result<(), DataError> {
        let (rows, spec, input) = (consecutive(&rows), self.spec(input)?, &self.inputs[input]);
        input.gather_f32(rows, rows.destination(self.rows, spec.size(), out)?);
        Ok(())
    }

    /// The values of consecutive rows of an input as integers (token ids), unscaled.
    ///
    /// # Errors
    /// [`DataError::Value`] at a fractional value or one outside of i64; otherwise as [`Self::gather_f32`].
    pub fn gather_i64(
        &self,
        input: usize,
        rows: Range<usize>,
        out: ArrayViewMut2<'_, i64>,
    ) -> Result<(), DataError> {
        let (rows, spec, input) = (consecutive(&rows), self.spec(input)?, &self.inputs[input]);
        let out = rows.destination(self.rows, spec.size(), out)?;
        input.gather_i64(rows, out).map_err(|fault| fault.error(&context(spec)))
    }

    /// Returns the values of consecutive rows of an input without a copy, if they are dense f32 with scale 1.
    #[must_use]
    pub fn contiguous_f32(&self, input: usize, rows: Range<usize>) -> Option<ArrayView2<'_, f32>> {
        if rows.end > self.rows {
            return None;
        }
        self.inputs.get(input)?.contiguous_f32(rows)
    }

    fn spec(&self, input: usize) -> Result<&'a InputSpec, DataError> {
        input::at(&self.spec.inputs, input, "input")
    }
}

fn consecutive(rows: &Range<usize>) -> Rows<'static> {
    Rows::Consecutive { first: rows.start, count: rows.len() }
}

fn context(input: &InputSpec) -> ColumnContext<'_> {
    ColumnContext { column: &input.column, scope: Scope::Batch, first_row: 0 }
}

fn view<'a, T: StoredValue>(
    batch: &'a RecordBatch,
    column: usize,
    input: &InputSpec,
) -> Result<Box<dyn Input + 'a>, DataError> {
    let (context, size) = (context(input), input.size());
    let values = context.rows::<T::Arrow>(batch.column(column), size)?;
    dense::check::<T>(&context, values, size, input.scale, 0)?;
    Ok(Box::new(Dense::new(DenseSlice { values, size }, size, input.scale)))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Float32Type, UInt8Type};
    use firesteel_core::spec::ElementType;
    use ndarray::Array2;

    use super::*;
    use crate::testing::{batch, csr, dense, lists, load, sparse, spec};

    #[test]
    fn a_batch_converts_as_a_partition_does() {
        let inputs = vec![
            dense("wave", ElementType::F32, 4),
            InputSpec { scale: 0.5, ..dense("image", ElementType::U8, 3) },
            sparse("words", 6),
        ];
        let spec = spec(inputs, vec![], None);
        let [indices, values] = csr(&[vec![(5, 1.5)], vec![(0, 2.0), (3, 1.0)]]);
        let columns = batch(vec![
            lists::<Float32Type>(4, (0..8).map(|i| i as f32).collect()),
            lists::<UInt8Type>(3, vec![255, 0, 1, 2, 3, 4]),
            indices,
            values,
        ]);
        let partition = load(vec![columns.clone()], &spec).unwrap();
        let view = Batch::new(&columns, &spec).unwrap();
        assert_eq!(view.rows(), 2);
        for (input, size) in [4, 3, 6].into_iter().enumerate() {
            let (mut one, mut other) =
                (Array2::from_elem((2, size), 9.0), Array2::from_elem((2, size), 8.0));
            view.gather_f32(input, 0..2, one.view_mut()).unwrap();
            partition.gather_f32(input, &[0, 1], other.view_mut()).unwrap();
            assert_eq!(one, other);
            let mut second = Array2::from_elem((1, size), 7.0);
            view.gather_f32(input, 1..2, second.view_mut()).unwrap();
            assert_eq!(second.row(0), one.row(1));
            assert!(view.gather_f32(input, 2..3, second.view_mut()).is_err());
        }
        assert_eq!(view.contiguous_f32(0, 0..2).map(|values| values.dim()), Some((2, 4)));
        assert_eq!(view.contiguous_f32(0, 1..2).map(|values| values[[0, 0]]), Some(4.0));
        assert!(view.contiguous_f32(0, 1..3).is_none());
        assert!(view.contiguous_f32(1, 0..2).is_none());
    }

    #[test]
    fn a_batch_without_rows_is_no_error() {
        let spec = spec(vec![dense("wave", ElementType::F32, 4)], vec![], None);
        let columns = batch(vec![lists::<Float32Type>(4, vec![])]);
        let view = Batch::new(&columns, &spec).unwrap();
        view.gather_f32(0, 0..0, Array2::zeros((0, 4)).view_mut()).unwrap();
        assert!(view.gather_f32(1, 0..0, Array2::zeros((0, 4)).view_mut()).is_err());
        assert!(view.gather_f32(0, 0..1, Array2::zeros((1, 1)).view_mut()).is_err());
    }
}
