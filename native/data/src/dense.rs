//! Dense inputs: `size` values a row.

use std::convert::Infallible;
use std::fmt::Debug;
use std::hint::black_box;
use std::marker::PhantomData;
use std::ops::Range;

use arrow::array::ArrayRef;
use ndarray::ArrayView2;

use crate::blocks::{BlockStore, BlockUsage};
use crate::column_context::ColumnContext;
use crate::error::DataError;
use crate::hash::combine_bytes;
use crate::input::{Input, InputWriter, NotAnInteger};
use crate::rows::Rows;
use crate::stored_value::StoredValue;
use crate::table::{Table, TableWriter};

/// The number of bytes that are checked, copied and hashed together, to stay in the first-level cache.
const HOT_BYTES: usize = 16 << 10;

/// Rows of equal width in any storage.
pub(crate) trait RowStore<T>: Debug + Send + Sync {
    /// Consecutive rows from `row` on, at most `count` and at least one.
    fn run(&self, row: usize, count: usize) -> &[T];
}

impl<T: StoredValue> RowStore<T> for Table<T> {
    fn run(&self, row: usize, count: usize) -> &[T] {
        self.run(row, count)
    }
}

/// The rows of a record batch.
#[derive(Debug)]
pub(crate) struct DenseSlice<'a, T> {
    pub(crate) values: &'a [T],
    pub(crate) size: usize,
}

impl<T: StoredValue> RowStore<T> for DenseSlice<'_, T> {
    fn run(&self, row: usize, count: usize) -> &[T] {
        &self.values[row * self.size..(row + count) * self.size]
    }
}

/// A dense input.
#[derive(Debug)]
pub(crate) struct Dense<T, L> {
    rows: L,
    size: usize,
    scale: f32,
    element: PhantomData<T>,
}

impl<T: StoredValue, L: RowStore<T>> Dense<T, L> {
    pub(crate) fn new(rows: L, size: usize, scale: f32) -> Self {
        Self { rows, size, scale, element: PhantomData }
    }

    /// Calls `convert` with every run of contiguous values, the number of its first row and its part of `out`.
    fn walk<O, E>(
        &self,
        rows: Rows<'_>,
        mut out: &mut [O],
        convert: impl Fn(usize, &[T], &mut [O]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut runs = rows.runs().peekable();
        while let Some(mut run) = runs.next() {
            if let Some(next) = runs.peek() {
                // The next row may be anywhere in memory: reading its first value now lets the processor fetch it
                // during this copy.
                black_box(self.rows.run(next.start, 1).first().copied());
            }
            while !run.is_empty() {
                let values = self.rows.run(run.start, run.len());
                let (now, later) = out.split_at_mut(values.len());
                convert(run.start, values, now)?;
                out = later;
                run.start += values.len() / self.size;
            }
        }
        Ok(())
    }
}

impl<T: StoredValue, L: RowStore<T>> Input for Dense<T, L> {
    fn gather_f32(&self, rows: Rows<'_>, out: &mut [f32]) {
        let copied: Result<(), Infallible> = self.walk(rows, out, |_, values, out| {
            T::convert(values, self.scale, out);
            Ok(())
        });
        let Ok(()) = copied;
    }

    fn gather_i64(&self, rows: Rows<'_>, out: &mut [i64]) -> Result<(), NotAnInteger> {
        self.walk(rows, out, |row, values, out| {
            T::to_integers(values, out).map_err(|index| NotAnInteger {
                row: row + index / self.size,
                position: index % self.size,
                value: values[index].shown(),
            })
        })
    }

    fn contiguous_f32(&self, rows: Range<usize>) -> Option<ArrayView2<'_, f32>> {
        if self.scale != 1.0 || rows.is_empty() {
            return None;
        }
        let values = T::as_f32(self.rows.run(rows.start, rows.len()))?;
        // The run is shorter where the rows are not in one block.
        let whole = values.len() == rows.len() * self.size;
        ArrayView2::from_shape((rows.len(), self.size), values).ok().filter(|_| whole)
    }
}

/// Refuses values that are not finite once scaled; `first` is the number of the first row.
pub(crate) fn check<T: StoredValue>(
    context: &ColumnContext<'_>,
    values: &[T],
    size: usize,
    scale: f32,
    first: usize,
) -> Result<(), DataError> {
    if T::all_finite(values, scale) {
        return Ok(());
    }
    match values.iter().position(|value| !value.stays_finite(scale)) {
        Some(index) => {
            Err(context.not_finite(first + index / size, index % size, values[index], scale))
        }
        None => Ok(()),
    }
}

/// Writes a dense column of a stream.
#[derive(Debug)]
pub(crate) struct DenseWriter<T> {
    table: TableWriter<T>,
    size: usize,
    scale: f32,
}

impl<T: StoredValue> DenseWriter<T> {
    pub(crate) fn new(size: usize, scale: f32) -> Self {
        Self { table: TableWriter::new(size), size, scale }
    }
}

impl<T: StoredValue> InputWriter for DenseWriter<T> {
    fn append(
        &mut self,
        context: &ColumnContext<'_>,
        columns: &[ArrayRef],
        hashes: &mut [u64],
        store: &BlockStore,
    ) -> Result<(), DataError> {
        let values = context.rows::<T::Arrow>(&columns[0], self.size)?;
        let hot_rows = (HOT_BYTES / (self.size * size_of::<T>())).max(1);
        let chunks = values.chunks(hot_rows * self.size).zip(hashes.chunks_mut(hot_rows));
        for (index, (values, hashes)) in chunks.enumerate() {
            check(context, values, self.size, self.scale, index * hot_rows)?;
            self.table.extend(values, store)?;
            for (hash, row) in hashes.iter_mut().zip(values.chunks_exact(self.size)) {
                *hash = combine_bytes(*hash, bytemuck::cast_slice(row));
            }
        }
        Ok(())
    }

    fn finish(
        self: Box<Self>,
        store: &BlockStore,
    ) -> Result<(Box<dyn Input>, BlockUsage), DataError> {
        let table = self.table.finish(store)?;
        let usage = table.usage();
        Ok((Box::new(Dense::<T, _>::new(table, self.size, self.scale)), usage))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float32Array, Int64Array};
    use arrow::buffer::NullBuffer;
    use arrow::datatypes::{Float32Type, Int64Type, UInt8Type};
    use firesteel_core::spec::{DataSpec, ElementType};
    use firesteel_core::{Coded, ErrorCode};
    use ndarray::{Array2, aview2};

    use crate::testing::{all, batch, dense, fixed, lists, load, spec};
    use crate::{Batch, DataError};

    fn images() -> DataSpec {
        spec(vec![dense("image", ElementType::F32, 3)], vec![], None)
    }

    fn refused(error: DataError) -> String {
        assert_eq!(error.code(), ErrorCode::InvalidData);
        error.to_string()
    }

    #[test]
    fn a_feature_that_is_not_finite_is_named_by_column_row_and_position() {
        let good = batch(vec![lists::<Float32Type>(3, vec![1.0; 6])]);
        for (bad, name) in
            [(f32::NAN, "NaN"), (f32::INFINITY, "Infinity"), (f32::NEG_INFINITY, "-Infinity")]
        {
            let bad = batch(vec![lists::<Float32Type>(3, vec![0.0, 0.0, 0.0, 0.0, bad, 0.0])]);
            let error = refused(load(vec![good.clone(), bad.clone()], &images()).unwrap_err());
            let expected = format!(
                "row 3 of the partition, position 1: found {name}, expected finite numbers"
            );
            assert_eq!(error, format!("column 'image', {expected}"));
            let error = refused(Batch::new(&bad, &images()).unwrap_err());
            assert!(error.contains("column 'image', row 1 of the batch, position 1"), "{error}");
        }
    }

    #[test]
    fn a_row_far_into_a_batch_is_named_rightly() {
        let mut values = vec![0.5; 3 * 100_000];
        values[3 * 77_777 + 2] = f32::NAN;
        let error = refused(
            load(vec![batch(vec![lists::<Float32Type>(3, values)])], &images()).unwrap_err(),
        );
        assert!(error.contains("row 77777 of the partition, position 2"), "{error}");
    }

    #[test]
    fn a_value_that_overflows_with_its_scale_is_refused() {
        let mut spec = images();
        spec.inputs[0].scale = 100.0;
        let batch = batch(vec![lists::<Float32Type>(3, vec![0.0, 1e38, 0.0])]);
        let error = refused(load(vec![batch], &spec).unwrap_err());
        assert!(error.contains("position 1: found 1e38,"), "{error}");
        assert!(
            error.ends_with("numbers that stay finite when multiplied with the scale 100"),
            "{error}"
        );
    }

    #[test]
    fn a_null_row_and_a_null_value_are_refused() {
        let values = Arc::new(Float32Array::from(vec![1.0; 9]));
        let rows = batch(vec![fixed(3, values, Some(NullBuffer::from(vec![true, true, false])))]);
        let error = refused(load(vec![rows], &images()).unwrap_err());
        assert!(error.starts_with("column 'image', row 2 of the partition: found null"), "{error}");
        let values = Arc::new(Float32Array::from_iter((0..9).map(|i| (i != 5).then_some(1.0))));
        let error =
            refused(load(vec![batch(vec![fixed(3, values, None)])], &images()).unwrap_err());
        assert!(
            error.starts_with("column 'image', row 1 of the partition, position 2: found null"),
            "{error}"
        );
    }

    #[test]
    fn a_slice_of_a_batch_is_read_from_its_own_rows() {
        let values =
            Arc::new(Float32Array::from_iter((0..12).map(|i| (i != 1).then_some(i as f32))));
        let slice = batch(vec![fixed(3, values, None)]).slice(1, 2);
        let partition = load(vec![slice.clone()], &images()).unwrap();
        let mut out = Array2::zeros((2, 3));
        partition.gather_f32(0, &[1, 0], out.view_mut()).unwrap();
        assert_eq!(out, aview2(&[[6.0, 7.0, 8.0], [3.0, 4.0, 5.0]]));
        Batch::new(&slice, &images()).unwrap().gather_f32(0, 0..2, out.view_mut()).unwrap();
        assert_eq!(out, aview2(&[[3.0, 4.0, 5.0], [6.0, 7.0, 8.0]]));
    }

    #[test]
    fn bytes_stay_bytes_and_are_scaled_on_their_way_out() {
        let mut spec = spec(vec![dense("image", ElementType::U8, 784)], vec![], None);
        spec.inputs[0].scale = 1.0 / 255.0;
        let batch =
            batch(vec![lists::<UInt8Type>(784, (0..784 * 1000).map(|i| i as u8).collect())]);
        let partition = load(vec![batch], &spec).unwrap();
        assert_eq!(partition.bytes_in_memory(), 1000 * (784 + 12));
        let mut out = Array2::zeros((1, 784));
        partition.gather_f32(0, &[1], out.view_mut()).unwrap();
        assert_eq!(out[[0, 5]], f32::from((784 + 5) as u8) * (1.0 / 255.0));
        assert!(partition.contiguous_f32(0, 0..1).is_none());
    }

    #[test]
    fn rows_that_lie_together_are_lent_where_they_lie() {
        let batch = batch(vec![lists::<Float32Type>(3, (0..30).map(|i| i as f32).collect())]);
        let partition = load(vec![batch], &images()).unwrap();
        let lent = aview2(&[[6.0, 7.0, 8.0], [9.0, 10.0, 11.0]]);
        assert_eq!(partition.contiguous_f32(0, 2..4), Some(lent));
        assert!(partition.contiguous_f32(0, 9..11).is_none());
        assert!(partition.contiguous_f32(1, 0..1).is_none());
    }

    #[test]
    fn ids_are_exact_and_a_fraction_is_named() {
        let big = i64::MAX - 1;
        let ids = spec(vec![dense("ids", ElementType::I64, 2)], vec![], None);
        let partition =
            load(vec![batch(vec![lists::<Int64Type>(2, vec![1, big, 3, 4])])], &ids).unwrap();
        let mut out = Array2::zeros((2, 2));
        partition.gather_i64(0, &[1, 0], out.view_mut()).unwrap();
        assert_eq!(out, aview2(&[[3, 4], [1, big]]));
        let values = batch(vec![lists::<Float32Type>(3, vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.5])]);
        let partition = load(vec![values.clone()], &images()).unwrap();
        let mut out = Array2::zeros((2, 3));
        let gathered = partition.gather_i64(0, &all(&partition), out.view_mut());
        let error = refused(gathered.unwrap_err());
        assert!(
            error.starts_with("column 'image', row 1 of the partition, position 2: found 5.5"),
            "{error}"
        );
        let images = images();
        let view = Batch::new(&values, &images).unwrap();
        let error = refused(view.gather_i64(0, 0..2, out.view_mut()).unwrap_err());
        assert!(error.contains("row 1 of the batch"), "{error}");
    }

    #[test]
    fn a_column_of_another_type_or_size_is_a_schema_error_that_names_both() {
        for column in [lists::<Float32Type>(4, vec![0.0; 4]), Arc::new(Int64Array::from(vec![1]))] {
            let found = column.data_type().to_string();
            let error = load(vec![batch(vec![column])], &images()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Internal);
            let text = error.to_string();
            assert!(text.contains("column 'image'") && text.contains(&found), "{text}");
            assert!(text.contains("a fixed-size list of 3 Float32"), "{text}");
        }
    }
}
