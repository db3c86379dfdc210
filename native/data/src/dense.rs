//! Dense inputs: `size` values a row.

use std::fmt::Debug;
use std::ops::Range;

use arrow::array::ArrayRef;

use crate::blocks::{Footprint, Keeper, Table, TableWriter};
use crate::element::Element;
use crate::error::DataError;
use crate::hash::combine_bytes;
use crate::input::{Input, InputWriter, NotAnInteger};
use crate::rows::Rows;
use crate::source::Source;

/// The bytes that are checked, copied and hashed in one go, so that they stay in the first-level cache.
const HOT_BYTES: usize = 16 << 10;

/// Rows of equal width, wherever they lie.
pub(crate) trait Lines<T>: Debug + Send + Sync {
    /// Consecutive rows from `row` on, at most `count` and at least one.
    fn run(&self, row: usize, count: usize) -> &[T];
}

impl<T: Element> Lines<T> for Table<T> {
    fn run(&self, row: usize, count: usize) -> &[T] {
        self.run(row, count)
    }
}

/// The rows of a record batch.
#[derive(Debug)]
pub(crate) struct Slice<'a, T> {
    pub(crate) values: &'a [T],
    pub(crate) size: usize,
}

impl<T: Element> Lines<T> for Slice<'_, T> {
    fn run(&self, row: usize, count: usize) -> &[T] {
        &self.values[row * self.size..(row + count) * self.size]
    }
}

/// A dense input.
#[derive(Debug)]
pub(crate) struct Dense<T, L> {
    lines: L,
    size: usize,
    scale: f32,
    element: std::marker::PhantomData<T>,
}

impl<T: Element, L: Lines<T>> Dense<T, L> {
    pub(crate) fn new(lines: L, size: usize, scale: f32) -> Self {
        Self { lines, size, scale, element: std::marker::PhantomData }
    }
}

impl<T: Element, L: Lines<T>> Input for Dense<T, L> {
    fn gather_f32(&self, rows: Rows<'_>, mut out: &mut [f32]) {
        for mut run in rows.runs() {
            while !run.is_empty() {
                let values = self.lines.run(run.start, run.len());
                let (now, later) = out.split_at_mut(values.len());
                T::convert(values, self.scale, now);
                out = later;
                run.start += values.len() / self.size;
            }
        }
    }

    fn gather_i64(&self, rows: Rows<'_>, mut out: &mut [i64]) -> Result<(), NotAnInteger> {
        for mut run in rows.runs() {
            while !run.is_empty() {
                let values = self.lines.run(run.start, run.len());
                let (now, later) = out.split_at_mut(values.len());
                T::to_integers(values, now).map_err(|index| NotAnInteger {
                    row: run.start + index / self.size,
                    position: index % self.size,
                    value: values[index].shown(),
                })?;
                out = later;
                run.start += values.len() / self.size;
            }
        }
        Ok(())
    }

    fn contiguous_f32(&self, rows: Range<usize>) -> Option<&[f32]> {
        if self.scale != 1.0 || rows.is_empty() {
            return None;
        }
        T::as_f32(self.lines.run(rows.start, rows.len())).filter(|values| values.len() == rows.len() * self.size)
    }
}

/// Refuses values that are not finite once scaled; `first` is the number of the first row.
pub(crate) fn check<T: Element>(
    source: &Source<'_>,
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
            Err(source.not_finite(first + index / size, index % size, values[index].shown(), scale))
        }
        None => Ok(()),
    }
}

/// Takes a dense column of a stream.
#[derive(Debug)]
pub(crate) struct DenseWriter<T> {
    table: TableWriter<T>,
    size: usize,
    scale: f32,
}

impl<T: Element> DenseWriter<T> {
    pub(crate) fn new(size: usize, scale: f32) -> Self {
        Self { table: TableWriter::new(size), size, scale }
    }

}

impl<T: Element> InputWriter for DenseWriter<T> {
    fn append(
        &mut self,
        source: &Source<'_>,
        columns: &[ArrayRef],
        hashes: &mut [u64],
        keeper: &Keeper,
    ) -> Result<(), DataError> {
        let values = source.rows::<T::Arrow>(&columns[0], self.size)?;
        let hot_rows = (HOT_BYTES / (self.size * size_of::<T>())).max(1);
        let chunks = values.chunks(hot_rows * self.size).zip(hashes.chunks_mut(hot_rows));
        for (index, (values, hashes)) in chunks.enumerate() {
            check(source, values, self.size, self.scale, index * hot_rows)?;
            self.table.extend(values, keeper)?;
            for (hash, row) in hashes.iter_mut().zip(values.chunks_exact(self.size)) {
                *hash = combine_bytes(*hash, bytemuck::cast_slice(row));
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>, keeper: &Keeper) -> Result<(Box<dyn Input>, Footprint), DataError> {
        let table = self.table.finish(keeper)?;
        let footprint = table.footprint();
        Ok((Box::new(Dense::<T, _>::new(table, self.size, self.scale)), footprint))
    }
}
