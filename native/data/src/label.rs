//! Labels and row weights.

use arrow::array::Array;
use arrow::datatypes::{Float32Type, Float64Type};
use firesteel_core::spec::LabelKind;

use crate::blocks::{Footprint, Keeper, Table, TableWriter};
use crate::element::text;
use crate::error::DataError;
use crate::hash::combine;
use crate::rows::Rows;
use crate::source::Source;

/// A label's values.
#[derive(Debug)]
pub(crate) enum Label {
    /// Class indices.
    Classes(Table<u32>),
    /// `size` numbers a row.
    Values(Table<f32>, usize),
}

impl Label {
    pub(crate) fn footprint(&self) -> Footprint {
        match self {
            Self::Classes(table) => table.footprint(),
            Self::Values(table, _) => table.footprint(),
        }
    }
}

/// Writes the rows of a table of `width` values a row.
pub(crate) fn gather<T: bytemuck::Pod, U>(
    table: &Table<T>,
    width: usize,
    rows: Rows<'_>,
    out: &mut [U],
    convert: impl Fn(T) -> U,
) {
    for (row, out) in rows.runs().flatten().zip(out.chunks_exact_mut(width)) {
        for (out, &value) in out.iter_mut().zip(table.run(row, 1)) {
            *out = convert(value);
        }
    }
}

/// Takes a label column of a stream.
#[derive(Debug)]
pub(crate) enum LabelWriter {
    Classes { table: TableWriter<u32>, classes: usize },
    Values { table: TableWriter<f32>, size: usize },
}

impl LabelWriter {
    pub(crate) fn new(kind: LabelKind) -> Self {
        match kind {
            LabelKind::Class { classes } => Self::Classes { table: TableWriter::new(1), classes },
            LabelKind::Values { size } => Self::Values { table: TableWriter::new(size), size },
        }
    }

    /// Checks and copies the rows of a record batch and adds them to their hashes.
    pub(crate) fn append(
        &mut self,
        source: &Source<'_>,
        array: &dyn Array,
        hashes: &mut [u64],
        keeper: &Keeper,
    ) -> Result<(), DataError> {
        match self {
            Self::Classes { table, classes } => {
                let indices = class_indices(source, source.values::<Float64Type>(array)?, *classes)?;
                hash_rows(hashes, &indices, 1);
                table.extend(&indices, keeper)
            }
            Self::Values { table, size } => {
                let values = match *size {
                    1 => source.values::<Float64Type>(array)?,
                    size => source.rows::<Float64Type>(array, size)?,
                };
                let values = narrow(source, values, *size)?;
                hash_rows(hashes, &values, *size);
                table.extend(&values, keeper)
            }
        }
    }

    pub(crate) fn finish(self, keeper: &Keeper) -> Result<Label, DataError> {
        Ok(match self {
            Self::Classes { table, .. } => Label::Classes(table.finish(keeper)?),
            Self::Values { table, size } => Label::Values(table.finish(keeper)?, size),
        })
    }
}

/// Takes the weight column of a stream.
#[derive(Debug)]
pub(crate) struct WeightWriter(TableWriter<f32>);

impl WeightWriter {
    pub(crate) fn new() -> Self {
        Self(TableWriter::new(1))
    }

    /// As [`LabelWriter::append`].
    pub(crate) fn append(
        &mut self,
        source: &Source<'_>,
        array: &dyn Array,
        hashes: &mut [u64],
        keeper: &Keeper,
    ) -> Result<(), DataError> {
        let weights = source.values::<Float32Type>(array)?;
        if let Some(row) = weights.iter().position(|&weight| !(0.0..f32::INFINITY).contains(&weight)) {
            return Err(source.fault(row, None, text(f64::from(weights[row])), "finite numbers from 0 on"));
        }
        hash_rows(hashes, weights, 1);
        self.0.extend(weights, keeper)
    }

    pub(crate) fn finish(self, keeper: &Keeper) -> Result<Table<f32>, DataError> {
        self.0.finish(keeper)
    }
}

/// Class indices from the whole numbers that a label column holds.
fn class_indices(source: &Source<'_>, values: &[f64], classes: usize) -> Result<Vec<u32>, DataError> {
    let index = |value: f64| {
        let index = value as u32;
        (f64::from(index) == value && (index as usize) < classes).then_some(index)
    };
    values
        .iter()
        .enumerate()
        .map(|(row, &value)| {
            index(value).ok_or_else(|| {
                source.fault(row, None, text(value), format!("whole numbers from 0 to {}", classes - 1))
            })
        })
        .collect()
}

/// Values as f32, all of them finite.
fn narrow(source: &Source<'_>, values: &[f64], size: usize) -> Result<Vec<f32>, DataError> {
    let narrowed: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    match narrowed.iter().position(|value| !value.is_finite()) {
        None => Ok(narrowed),
        Some(index) => {
            let (row, position) = (index / size, (size > 1).then_some(index % size));
            Err(source.fault(row, position, text(values[index]), "finite numbers in the range of a 32-bit float"))
        }
    }
}

fn hash_rows<T: bytemuck::Pod>(hashes: &mut [u64], values: &[T], size: usize) {
    for (hash, row) in hashes.iter_mut().zip(values.chunks_exact(size)) {
        *hash = bytemuck::cast_slice::<T, u32>(row).iter().fold(*hash, |hash, &bits| combine(hash, u64::from(bits)));
    }
}
