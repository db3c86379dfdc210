//! Labels and row weights.

use arrow::array::Array;
use arrow::datatypes::{Float32Type, Float64Type};
use firesteel_core::spec::LabelKind;

use crate::blocks::{BlockStore, BlockUsage};
use crate::column_context::ColumnContext;
use crate::error::DataError;
use crate::hash::combine;
use crate::rows::Rows;
use crate::stored_value::{StoredValue, text};
use crate::table::{Table, TableWriter};

/// A label's values.
#[derive(Debug)]
pub(crate) enum Label {
    /// Class indices.
    Classes(Table<u32>),
    /// `size` numbers a row.
    Values(Table<f32>, usize),
}

impl Label {
    pub(crate) fn usage(&self) -> BlockUsage {
        match self {
            Self::Classes(table) => table.usage(),
            Self::Values(table, _) => table.usage(),
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

/// Writes a label column of a stream.
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
        context: &ColumnContext<'_>,
        array: &dyn Array,
        hashes: &mut [u64],
        store: &BlockStore,
    ) -> Result<(), DataError> {
        match self {
            Self::Classes { table, classes } => {
                let indices =
                    class_indices(context, context.values::<Float64Type>(array)?, *classes)?;
                hash_rows(hashes, &indices, 1);
                table.extend(&indices, store)
            }
            Self::Values { table, size } => {
                let values = match *size {
                    1 => context.values::<Float64Type>(array)?,
                    size => context.rows::<Float64Type>(array, size)?,
                };
                let values = narrow(context, values, *size)?;
                hash_rows(hashes, &values, *size);
                table.extend(&values, store)
            }
        }
    }

    pub(crate) fn finish(self, store: &BlockStore) -> Result<Label, DataError> {
        Ok(match self {
            Self::Classes { table, .. } => Label::Classes(table.finish(store)?),
            Self::Values { table, size } => Label::Values(table.finish(store)?, size),
        })
    }
}

/// Writes the weight column of a stream.
#[derive(Debug)]
pub(crate) struct WeightWriter(TableWriter<f32>);

impl WeightWriter {
    pub(crate) fn new() -> Self {
        Self(TableWriter::new(1))
    }

    /// As [`LabelWriter::append`].
    pub(crate) fn append(
        &mut self,
        context: &ColumnContext<'_>,
        array: &dyn Array,
        hashes: &mut [u64],
        store: &BlockStore,
    ) -> Result<(), DataError> {
        let weights = context.values::<Float32Type>(array)?;
        if let Some(row) =
            weights.iter().position(|&weight| !(0.0..f32::INFINITY).contains(&weight))
        {
            return Err(context.value_error(
                row,
                None,
                weights[row].shown(),
                "finite numbers of at least 0",
            ));
        }
        hash_rows(hashes, weights, 1);
        self.0.extend(weights, store)
    }

    pub(crate) fn finish(self, store: &BlockStore) -> Result<Table<f32>, DataError> {
        self.0.finish(store)
    }
}

/// Class indices from the whole numbers that a label column holds.
fn class_indices(
    context: &ColumnContext<'_>,
    values: &[f64],
    classes: usize,
) -> Result<Vec<u32>, DataError> {
    let index = |value: f64| {
        let index = value as u32;
        (f64::from(index) == value && (index as usize) < classes).then_some(index)
    };
    values
        .iter()
        .enumerate()
        .map(|(row, &value)| {
            index(value).ok_or_else(|| {
                context.value_error(
                    row,
                    None,
                    text(value),
                    format!("whole numbers from 0 to {}", classes - 1),
                )
            })
        })
        .collect()
}

/// Values as f32, all of them finite.
fn narrow(context: &ColumnContext<'_>, values: &[f64], size: usize) -> Result<Vec<f32>, DataError> {
    let narrowed: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    match narrowed.iter().position(|value| !value.is_finite()) {
        None => Ok(narrowed),
        Some(index) => {
            let (row, position) = (index / size, (size > 1).then_some(index % size));
            Err(context.value_error(
                row,
                position,
                text(values[index]),
                "finite numbers in the range of a 32-bit float",
            ))
        }
    }
}

fn hash_rows<T: bytemuck::Pod>(hashes: &mut [u64], values: &[T], size: usize) {
    for (hash, row) in hashes.iter_mut().zip(values.chunks_exact(size)) {
        *hash = bytemuck::cast_slice::<T, u32>(row)
            .iter()
            .fold(*hash, |hash, &bits| combine(hash, u64::from(bits)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float32Array, Float64Array};
    use arrow::datatypes::Float64Type;
    use firesteel_core::spec::DataSpec;
    use firesteel_core::{Coded, ErrorCode};
    use ndarray::{Array2, arr2};
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{batch, doubles, floats, label, lists, load, spec};

    fn classes(classes: usize) -> DataSpec {
        spec(vec![], vec![label("digit", LabelKind::Class { classes })], None)
    }

    fn values(size: usize) -> DataSpec {
        spec(vec![], vec![label("target", LabelKind::Values { size })], None)
    }

    fn refused(column: ArrayRef, spec: &DataSpec) -> String {
        let error = load(vec![batch(vec![column])], spec).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidData, "{error}");
        error.to_string()
    }

    #[test]
    fn a_label_that_is_no_class_is_named_with_the_allowed_range() {
        for (bad, name) in [
            (10.0, "10"),
            (-1.0, "-1"),
            (2.5, "2.5"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (4_294_967_297.0, "4294967297"),
        ] {
            let error = refused(doubles(vec![0.0, 9.0, bad, 3.0]), &classes(10));
            let expected =
                format!("row 2 of the partition: found {name}, expected whole numbers from 0 to 9");
            assert_eq!(error, format!("column 'digit', {expected}"));
        }
    }

    #[test]
    fn a_null_label_or_weight_is_refused() {
        let error = refused(Arc::new(Float64Array::from(vec![Some(1.0), None])), &classes(10));
        assert!(error.starts_with("column 'digit', row 1 of the partition: found null"), "{error}");
        let weights = spec(vec![], vec![], Some("importance"));
        let error = refused(Arc::new(Float32Array::from(vec![None, Some(1.0)])), &weights);
        assert!(
            error.starts_with("column 'importance', row 0 of the partition: found null"),
            "{error}"
        );
    }

    #[test]
    fn targets_must_be_finite_as_32_bit_floats() {
        let error = refused(doubles(vec![0.0, 1e300]), &values(1));
        assert!(
            error.starts_with("column 'target', row 1 of the partition: found 1e300"),
            "{error}"
        );
        let error = refused(lists::<Float64Type>(2, vec![0.0, 1.0, 2.0, f64::NAN]), &values(2));
        assert!(
            error.starts_with("column 'target', row 1 of the partition, position 1: found NaN"),
            "{error}"
        );
    }

    #[test]
    fn weights_must_be_finite_and_not_negative() {
        let weights = spec(vec![], vec![], Some("importance"));
        for (bad, name) in [(-0.5, "-0.5"), (f32::NAN, "NaN"), (f32::INFINITY, "Infinity")] {
            let error = refused(floats(vec![1.0, bad]), &weights);
            let expected = format!(
                "row 1 of the partition: found {name}, expected finite numbers of at least 0"
            );
            assert_eq!(error, format!("column 'importance', {expected}"));
        }
        let partition = load(vec![batch(vec![floats(vec![0.0, -0.0, 2.0])])], &weights).unwrap();
        let mut out = [9.0; 2];
        partition.gather_weights(&[2, 0], &mut out).unwrap();
        assert_eq!(out, [2.0, 0.0]);
    }

    #[test]
    fn rows_without_a_weight_column_weigh_one() {
        let partition = load(vec![batch(vec![doubles(vec![1.0, 2.0])])], &classes(3)).unwrap();
        let mut out = [9.0; 2];
        partition.gather_weights(&[1, 0], &mut out).unwrap();
        assert_eq!(out, [1.0, 1.0]);
    }

    #[test]
    fn a_label_is_read_as_what_it_is_only() {
        let classes = load(vec![batch(vec![doubles(vec![1.0])])], &classes(3)).unwrap();
        let values = load(vec![batch(vec![doubles(vec![1.5])])], &values(1)).unwrap();
        assert!(classes.gather_values(0, &[0], Array2::zeros((1, 1)).view_mut()).is_err());
        assert!(values.gather_classes(0, &[0], &mut [0]).is_err());
        assert!(classes.gather_classes(1, &[0], &mut [0]).is_err());
        assert!(classes.gather_classes(0, &[1], &mut [0]).is_err());
    }

    proptest! {
        #[test]
        fn labels_come_back_by_row(rows in prop::collection::vec((0_u32..50, -1e6_f64..1e6, -1e6_f64..1e6), 1..200)) {
            let spec = DataSpec {
                labels: vec![label("a", LabelKind::Class { classes: 50 }), label("b", LabelKind::Values { size: 2 })],
                ..classes(50)
            };
            let columns = batch(vec![
                doubles(rows.iter().map(|row| f64::from(row.0)).collect()),
                lists::<Float64Type>(2, rows.iter().flat_map(|row| [row.1, row.2]).collect()),
            ]);
            let partition = load(vec![columns], &spec).unwrap();
            let order: Vec<u32> = (0..rows.len() as u32).rev().collect();
            let mut classes = vec![0; rows.len()];
            let mut values = Array2::zeros((rows.len(), 2));
            partition.gather_classes(0, &order, &mut classes).unwrap();
            partition.gather_values(1, &order, values.view_mut()).unwrap();
            prop_assert_eq!(classes, rows.iter().rev().map(|row| i64::from(row.0)).collect::<Vec<_>>());
            let expected = rows.iter().rev().map(|row| [row.1 as f32, row.2 as f32]).collect::<Vec<_>>();
            prop_assert_eq!(values, arr2(&expected));
        }
    }
}
