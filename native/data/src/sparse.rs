//! Sparse inputs: ascending indices and their values.

use std::fmt::Debug;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray};
use arrow::datatypes::{Float32Type, Int32Type};
use ndarray::ArrayView2;

use crate::blocks::{BlockStore, BlockUsage, Blocks, Writer};
use crate::column_context::{ColumnContext, first_null};
use crate::error::DataError;
use crate::hash::combine_bytes;
use crate::input::{Input, InputWriter, NotAnInteger};
use crate::rows::Rows;
use crate::sparse_rows::SparseRows;
use crate::stored_value::StoredValue;
use crate::table::{Table, TableWriter};

/// Sparse rows in any storage.
pub(crate) trait Entries: Debug + Send + Sync {
    /// The indices and values of a row, equally many, the indices ascending and below the input's size.
    fn row(&self, row: usize) -> (&[i32], &[f32]);
}

/// A sparse input.
#[derive(Debug)]
pub(crate) struct Sparse<E> {
    entries: E,
    size: usize,
    scale: f32,
}

impl<E: Entries> Sparse<E> {
    pub(crate) fn new(entries: E, size: usize, scale: f32) -> Self {
        Self { entries, size, scale }
    }
}

impl<E: Entries> Input for Sparse<E> {
    fn gather_f32(&self, rows: Rows<'_>, out: &mut [f32]) {
        out.fill(0.0);
        for (row, out) in rows.runs().flatten().zip(out.chunks_exact_mut(self.size)) {
            let (indices, values) = self.entries.row(row);
            for (&index, &value) in indices.iter().zip(values) {
                out[index as usize] = value * self.scale;
            }
        }
    }

    fn gather_i64(&self, rows: Rows<'_>, out: &mut [i64]) -> Result<(), NotAnInteger> {
        out.fill(0);
        for (row, out) in rows.runs().flatten().zip(out.chunks_exact_mut(self.size)) {
            let (indices, values) = self.entries.row(row);
            for (&index, &value) in indices.iter().zip(values) {
                let place = std::slice::from_mut(&mut out[index as usize]);
                f32::to_integers(&[value], place).map_err(|_| NotAnInteger {
                    row,
                    position: index as usize,
                    value: value.shown(),
                })?;
            }
        }
        Ok(())
    }

    fn gather_sparse(&self, rows: Rows<'_>, out: &mut SparseRows) -> bool {
        for row in rows.runs().flatten() {
            let (indices, values) = self.entries.row(row);
            out.push(indices, values, self.scale);
        }
        true
    }

    fn contiguous_f32(&self, _: Range<usize>) -> Option<ArrayView2<'_, f32>> {
        None
    }
}

/// The two columns of a sparse input in a record batch, checked.
#[derive(Debug)]
pub(crate) struct SparseSlices<'a> {
    indices: &'a [i32],
    index_offsets: &'a [i32],
    values: &'a [f32],
    value_offsets: &'a [i32],
}

impl<'a> SparseSlices<'a> {
    /// Checks nulls, lengths, the order and range of indices, and that values stay finite when scaled.
    pub(crate) fn new(
        context: &ColumnContext<'_>,
        indices: &'a dyn Array,
        values: &'a dyn Array,
        size: usize,
        scale: f32,
    ) -> Result<Self, DataError> {
        let (index_list, value_list) = (list(context, indices)?, list(context, values)?);
        let index_child: &Int32Array =
            context.primitive::<Int32Type>(index_list.values().as_ref())?;
        let value_child = context.primitive::<Float32Type>(value_list.values().as_ref())?;
        no_null_entries(context, index_list)?;
        no_null_entries(context, value_list)?;
        let slices = Self {
            indices: index_child.values(),
            index_offsets: index_list.value_offsets(),
            values: value_child.values(),
            value_offsets: value_list.value_offsets(),
        };
        for row in 0..index_list.len() {
            slices.check_row(context, row, size, scale)?;
        }
        Ok(slices)
    }

    fn check_row(
        &self,
        context: &ColumnContext<'_>,
        row: usize,
        size: usize,
        scale: f32,
    ) -> Result<(), DataError> {
        let (Some(indices), Some(values)) = (
            entries(self.indices, self.index_offsets, row),
            entries(self.values, self.value_offsets, row),
        ) else {
            return Err(context.malformed(format!(
                "the list of row {row} of a batch lies outside of its entries"
            )));
        };
        if indices.len() != values.len() {
            let found = format!("{} indices and {} values", indices.len(), values.len());
            return Err(context.value_error(row, None, found, "as many indices as values"));
        }
        // Without an early exit the loop is vectorised.
        let descents = indices.windows(2).filter(|pair| pair[0] >= pair[1]).count();
        let outside = |index: i32| usize::try_from(index).map_or(true, |index| index >= size);
        if descents > 0
            || indices.first().is_some_and(|&i| outside(i))
            || indices.last().is_some_and(|&i| outside(i))
        {
            let wrong = (0..indices.len())
                .find(|&i| outside(indices[i]) || (i > 0 && indices[i - 1] >= indices[i]));
            let position = wrong.unwrap_or_default();
            let allowed = format!("ascending indices from 0 to {}", size - 1);
            return Err(context.value_error(
                row,
                Some(position),
                format!("index {}", indices[position]),
                allowed,
            ));
        }
        if !f32::all_finite(values, scale)
            && let Some(entry) = values.iter().position(|value| !value.stays_finite(scale))
        {
            return Err(context.not_finite(row, indices[entry] as usize, values[entry], scale));
        }
        Ok(())
    }
}

impl Entries for SparseSlices<'_> {
    fn row(&self, row: usize) -> (&[i32], &[f32]) {
        let indices = entries(self.indices, self.index_offsets, row).unwrap_or_default();
        (indices, entries(self.values, self.value_offsets, row).unwrap_or_default())
    }
}

fn list<'a>(context: &ColumnContext<'_>, array: &'a dyn Array) -> Result<&'a ListArray, DataError> {
    context.no_nulls(array)?;
    array.as_list_opt::<i32>().ok_or_else(|| context.wrong_type(array))
}

/// The entries of a row, if they lie within `all`.
fn entries<'a, T>(all: &'a [T], offsets: &[i32], row: usize) -> Option<&'a [T]> {
    let start = usize::try_from(*offsets.get(row)?).ok()?;
    let end = usize::try_from(*offsets.get(row + 1)?).ok()?;
    all.get(start..end)
}

fn no_null_entries(context: &ColumnContext<'_>, list: &ListArray) -> Result<(), DataError> {
    let nulls = list.values().nulls().filter(|nulls| nulls.null_count() > 0);
    for row in 0..nulls.map_or(0, |_| list.len()) {
        let offsets = &list.value_offsets()[row..row + 2];
        let start = usize::try_from(offsets[0]).unwrap_or_default();
        let length = usize::try_from(offsets[1]).unwrap_or_default().saturating_sub(start);
        if let Some(position) = first_null(nulls, start, length) {
            return Err(context.value_error(
                row,
                Some(position),
                "null",
                "values that are not null",
            ));
        }
    }
    Ok(())
}

/// The location of a row's entries: block, start, length.
type Location = [u32; 3];

/// Sparse rows in blocks. The indices and values of a row have the same position in their blocks.
#[derive(Debug)]
pub(crate) struct Csr {
    indices: Blocks<i32>,
    values: Blocks<f32>,
    locations: Table<u32>,
}

impl Entries for Csr {
    fn row(&self, row: usize) -> (&[i32], &[f32]) {
        let location = self.locations.run(row, 1);
        let (block, start, length) =
            (location[0] as usize, location[1] as usize, location[2] as usize);
        let place = start..start + length;
        (&self.indices.items(block)[place.clone()], &self.values.items(block)[place])
    }
}

/// Writes the two columns of a sparse input of a stream.
#[derive(Debug)]
pub(crate) struct SparseWriter {
    indices: Writer<i32>,
    values: Writer<f32>,
    locations: TableWriter<u32>,
    size: usize,
    scale: f32,
}

impl SparseWriter {
    pub(crate) fn new(size: usize, scale: f32) -> Self {
        let items = Writer::<f32>::rows_per_block(1);
        let locations = TableWriter::new(size_of::<Location>() / size_of::<u32>());
        Self { indices: Writer::new(items), values: Writer::new(items), locations, size, scale }
    }
}

impl InputWriter for SparseWriter {
    fn append(
        &mut self,
        context: &ColumnContext<'_>,
        columns: &[ArrayRef],
        hashes: &mut [u64],
        store: &BlockStore,
    ) -> Result<(), DataError> {
        let slices = SparseSlices::new(context, &columns[0], &columns[1], self.size, self.scale)?;
        for (row, hash) in hashes.iter_mut().enumerate() {
            let (indices, values) = slices.row(row);
            let place = self.indices.push(indices, store)?;
            self.values.push(values, store)?;
            let location: Location = [place.block as u32, place.start as u32, indices.len() as u32];
            self.locations.extend(&location, store)?;
            *hash = combine_bytes(
                combine_bytes(*hash, bytemuck::cast_slice(indices)),
                bytemuck::cast_slice(values),
            );
        }
        Ok(())
    }

    fn finish(
        self: Box<Self>,
        store: &BlockStore,
    ) -> Result<(Box<dyn Input>, BlockUsage), DataError> {
        let csr = Csr {
            indices: self.indices.finish(store)?,
            values: self.values.finish(store)?,
            locations: self.locations.finish(store)?,
        };
        let usage = csr.indices.usage() + csr.values.usage() + csr.locations.usage();
        Ok((Box::new(Sparse::new(csr, self.size, self.scale)), usage))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float32Array, Int32Array};
    use firesteel_core::spec::DataSpec;
    use firesteel_core::{Coded, ErrorCode};
    use ndarray::{Array2, Axis, aview2};

    use super::*;
    use crate::testing::{batch, csr, list, load, sparse, spec};
    use crate::{Batch, DataError};

    fn words() -> DataSpec {
        spec(vec![sparse("words", 10)], vec![], None)
    }

    fn refused(columns: [ArrayRef; 2]) -> String {
        let error: DataError = load(vec![batch(columns.to_vec())], &words()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidData, "{error}");
        error.to_string()
    }

    #[test]
    fn entries_are_gathered_as_they_are_and_scaled() {
        let columns = batch(csr(&[vec![(0, 1.0), (9, 2.0)], vec![], vec![(4, -3.0)]]).to_vec());
        let mut spec = words();
        spec.inputs[0].scale = 0.5;
        let partition = load(vec![columns], &spec).unwrap();
        let mut rows = SparseRows::default();
        for _ in 0..2 {
            partition.gather_sparse(0, &[2, 1, 0, 2], &mut rows).unwrap();
            assert_eq!(rows.ends(), [1, 1, 3, 4]);
            assert_eq!(rows.indices(), [4, 0, 9, 4]);
            assert_eq!(rows.values(), [-1.5, 0.5, 1.0, -1.5]);
        }
        assert!(partition.gather_sparse(0, &[3], &mut rows).is_err());
        assert!(partition.gather_sparse(1, &[0], &mut rows).is_err());
    }

    #[test]
    fn rows_are_spread_out_with_zeros_between_and_scaled() {
        let columns = batch(csr(&[vec![(0, 1.0), (9, 2.0)], vec![], vec![(4, -3.0)]]).to_vec());
        let mut spec = words();
        spec.inputs[0].scale = 2.0;
        let partition = load(vec![columns.clone(), columns.slice(2, 1)], &spec).unwrap();
        let mut out = Array2::from_elem((4, 10), 9.0);
        partition.gather_f32(0, &[3, 1, 0, 2], out.view_mut()).unwrap();
        let mut expected = Array2::zeros((4, 10));
        for (at, value) in [([0, 4], -6.0), ([2, 0], 2.0), ([2, 9], 4.0), ([3, 4], -6.0)] {
            expected[at] = value;
        }
        assert_eq!(out, expected);
        let slice = columns.slice(1, 2);
        let mut out = Array2::from_elem((2, 10), 9.0);
        Batch::new(&slice, &spec).unwrap().gather_f32(0, 0..2, out.view_mut()).unwrap();
        assert_eq!(out, expected.select(Axis(0), &[1, 3]));
        let mut ids = Array2::from_elem((1, 10), 9);
        partition.gather_i64(0, &[2], ids.view_mut()).unwrap();
        assert_eq!(ids, aview2(&[[0, 0, 0, 0, -3, 0, 0, 0, 0, 0]]));
    }

    #[test]
    fn rows_without_any_entry_are_zeros() {
        let partition = load(vec![batch(csr(&[vec![], vec![]]).to_vec())], &words()).unwrap();
        let mut out = Array2::ones((2, 10));
        partition.gather_f32(0, &[0, 1], out.view_mut()).unwrap();
        assert_eq!(out, Array2::<f32>::zeros((2, 10)));
    }

    #[test]
    fn an_index_outside_or_out_of_order_is_named() {
        for (row, position, index) in [
            (vec![(0, 1.0), (10, 1.0)], 1, 10),
            (vec![(-1, 1.0), (3, 1.0)], 0, -1),
            (vec![(3, 1.0), (3, 1.0), (4, 1.0)], 1, 3),
            (vec![(3, 1.0), (5, 1.0), (4, 1.0)], 2, 4),
            (vec![(3, 1.0), (100, 1.0), (4, 1.0)], 1, 100),
        ] {
            let error = refused(csr(&[vec![(1, 1.0)], row]));
            let place = format!(
                "column 'words', row 1 of the partition, position {position}: found index {index},"
            );
            assert!(error.starts_with(&place), "{error}");
            assert!(error.ends_with("ascending indices from 0 to 9"), "{error}");
        }
    }

    #[test]
    fn values_that_are_not_finite_are_named_by_their_index() {
        let error = refused(csr(&[vec![], vec![(2, 1.0), (7, f32::NAN)]]));
        assert!(
            error.starts_with("column 'words', row 1 of the partition, position 7: found NaN"),
            "{error}"
        );
    }

    #[test]
    fn rows_with_more_indices_than_values_and_nulls_are_refused() {
        let indices = list(&[2], Arc::new(Int32Array::from(vec![1, 2])));
        let error =
            refused([Arc::clone(&indices), list(&[1], Arc::new(Float32Array::from(vec![1.0])))]);
        assert!(error.contains("found 2 indices and 1 values"), "{error}");
        let nulls = list(&[2], Arc::new(Float32Array::from(vec![Some(1.0), None])));
        let error = refused([indices, nulls]);
        assert!(error.contains("row 0 of the partition, position 1: found null"), "{error}");
    }

    #[test]
    fn the_same_entries_in_rows_of_other_lengths_have_another_content() {
        let rows = |rows: &[Vec<(i32, f32)>]| {
            load(vec![batch(csr(rows).to_vec())], &words()).unwrap().content()
        };
        let (a, b) = ((1, 1.0), (2, 2.0));
        assert_ne!(rows(&[vec![a], vec![b]]), rows(&[vec![a, b], vec![]]));
        assert_eq!(rows(&[vec![a], vec![b]]), rows(&[vec![b], vec![a]]));
    }
}
