//! Sparse inputs: ascending indices and their values.

use std::fmt::Debug;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray};
use arrow::datatypes::{Float32Type, Int32Type};

use crate::blocks::{Blocks, Footprint, Keeper, Table, TableWriter, Writer};
use crate::element::Element;
use crate::error::DataError;
use crate::hash::combine_bytes;
use crate::input::{Input, InputWriter, NotAnInteger};
use crate::rows::Rows;
use crate::source::{Source, first_null};

/// Sparse rows, wherever they lie.
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
                    value: f64::from(value),
                })?;
            }
        }
        Ok(())
    }

    fn contiguous_f32(&self, _: Range<usize>) -> Option<&[f32]> {
        None
    }
}

/// The two columns of a sparse input in a record batch, checked.
#[derive(Debug)]
pub(crate) struct Slices<'a> {
    indices: &'a [i32],
    index_offsets: &'a [i32],
    values: &'a [f32],
    value_offsets: &'a [i32],
}

impl<'a> Slices<'a> {
    /// Checks nulls, lengths, the order and range of indices, and that values stay finite when scaled.
    pub(crate) fn new(
        source: &Source<'_>,
        indices: &'a dyn Array,
        values: &'a dyn Array,
        size: usize,
        scale: f32,
    ) -> Result<Self, DataError> {
        let (index_list, value_list) = (list(source, indices)?, list(source, values)?);
        let index_child: &Int32Array = source.primitive::<Int32Type>(index_list.values().as_ref())?;
        let value_child = source.primitive::<Float32Type>(value_list.values().as_ref())?;
        no_null_entries(source, index_list)?;
        no_null_entries(source, value_list)?;
        let slices = Self {
            indices: index_child.values(),
            index_offsets: index_list.value_offsets(),
            values: value_child.values(),
            value_offsets: value_list.value_offsets(),
        };
        for row in 0..index_list.len() {
            slices.check_row(source, row, size, scale)?;
        }
        Ok(slices)
    }

    fn check_row(&self, source: &Source<'_>, row: usize, size: usize, scale: f32) -> Result<(), DataError> {
        let (Some(indices), Some(values)) =
            (entries(self.indices, self.index_offsets, row), entries(self.values, self.value_offsets, row))
        else {
            return Err(source.malformed(format!("the list of row {row} of a batch lies outside of its entries")));
        };
        if indices.len() != values.len() {
            let found = format!("{} indices and {} values", indices.len(), values.len());
            return Err(source.fault(row, None, found, "as many indices as values"));
        }
        // Without an early exit the loop is vectorised.
        let descents = indices.windows(2).filter(|pair| pair[0] >= pair[1]).count();
        let outside = |index: i32| usize::try_from(index).map_or(true, |index| index >= size);
        if descents > 0 || indices.first().is_some_and(|&i| outside(i)) || indices.last().is_some_and(|&i| outside(i)) {
            let wrong = (0..indices.len()).find(|&i| outside(indices[i]) || (i > 0 && indices[i - 1] >= indices[i]));
            let position = wrong.unwrap_or_default();
            let allowed = format!("ascending indices from 0 to {}", size - 1);
            return Err(source.fault(row, Some(position), format!("index {}", indices[position]), allowed));
        }
        if !f32::all_finite(values, scale)
            && let Some(entry) = values.iter().position(|value| !value.stays_finite(scale))
        {
            return Err(source.not_finite(row, indices[entry] as usize, f64::from(values[entry]), scale));
        }
        Ok(())
    }
}

impl Entries for Slices<'_> {
    fn row(&self, row: usize) -> (&[i32], &[f32]) {
        let indices = entries(self.indices, self.index_offsets, row).unwrap_or_default();
        (indices, entries(self.values, self.value_offsets, row).unwrap_or_default())
    }
}

fn list<'a>(source: &Source<'_>, array: &'a dyn Array) -> Result<&'a ListArray, DataError> {
    source.no_nulls(array)?;
    array.as_list_opt::<i32>().ok_or_else(|| source.wrong_type(array))
}

/// The entries of a row, if they lie within `all`.
fn entries<'a, T>(all: &'a [T], offsets: &[i32], row: usize) -> Option<&'a [T]> {
    let start = usize::try_from(*offsets.get(row)?).ok()?;
    let end = usize::try_from(*offsets.get(row + 1)?).ok()?;
    all.get(start..end)
}

fn no_null_entries(source: &Source<'_>, list: &ListArray) -> Result<(), DataError> {
    let nulls = list.values().nulls().filter(|nulls| nulls.null_count() > 0);
    for row in 0..nulls.map_or(0, |_| list.len()) {
        let offsets = &list.value_offsets()[row..row + 2];
        let start = usize::try_from(offsets[0]).unwrap_or_default();
        let length = usize::try_from(offsets[1]).unwrap_or_default().saturating_sub(start);
        if let Some(position) = first_null(nulls, start, length) {
            return Err(source.fault(row, Some(position), "null", "values that are not null"));
        }
    }
    Ok(())
}

/// Where a row's entries lie: block, start, length.
type Location = [u32; 3];

/// Sparse rows in blocks. Indices and values lie at the same places of equal blocks.
#[derive(Debug)]
pub(crate) struct Csr {
    indices: Blocks<i32>,
    values: Blocks<f32>,
    locations: Table<u32>,
}

impl Entries for Csr {
    fn row(&self, row: usize) -> (&[i32], &[f32]) {
        let location = self.locations.run(row, 1);
        let (block, start, length) = (location[0] as usize, location[1] as usize, location[2] as usize);
        let place = start..start + length;
        (&self.indices.items(block)[place.clone()], &self.values.items(block)[place])
    }
}

/// Takes the two columns of a sparse input of a stream.
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
        source: &Source<'_>,
        columns: &[ArrayRef],
        hashes: &mut [u64],
        keeper: &Keeper,
    ) -> Result<(), DataError> {
        let slices = Slices::new(source, &columns[0], &columns[1], self.size, self.scale)?;
        for (row, hash) in hashes.iter_mut().enumerate() {
            let (indices, values) = slices.row(row);
            let place = self.indices.push(indices, keeper)?;
            self.values.push(values, keeper)?;
            let location: Location = [place.block as u32, place.start as u32, indices.len() as u32];
            self.locations.extend(&location, keeper)?;
            *hash = combine_bytes(combine_bytes(*hash, bytemuck::cast_slice(indices)), bytemuck::cast_slice(values));
        }
        Ok(())
    }

    fn finish(self: Box<Self>, keeper: &Keeper) -> Result<(Box<dyn Input>, Footprint), DataError> {
        let csr = Csr {
            indices: self.indices.finish(keeper)?,
            values: self.values.finish(keeper)?,
            locations: self.locations.finish(keeper)?,
        };
        let footprint = csr.indices.footprint() + csr.values.footprint() + csr.locations.footprint();
        Ok((Box::new(Sparse::new(csr, self.size, self.scale)), footprint))
    }
}
