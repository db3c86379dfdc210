//! The choice of rows held out for validation.

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::UInt8Type;
use firesteel_core::spec::ValidationSpec;

use crate::column_context::ColumnContext;
use crate::error::DataError;
use crate::hash::{combine, mix};

/// The rule by which rows are held out.
#[derive(Debug)]
pub(crate) enum HoldOut {
    /// No rows.
    Nothing,
    /// The marked rows.
    Marked(Vec<bool>),
    /// The rows whose salted hash is below a limit: the decision depends on a row's content alone, so copies of a row
    /// share it.
    Share { limit: u64, salt: u64 },
}

impl HoldOut {
    pub(crate) fn new(spec: Option<&ValidationSpec>) -> Self {
        match spec {
            None => Self::Nothing,
            Some(ValidationSpec::Column { .. }) => Self::Marked(Vec::new()),
            Some(&ValidationSpec::Fraction { fraction, seed }) => {
                // The order of an epoch has another salt, so that it does not follow this choice.
                let (limit, salt) = (fraction * 2.0_f64.powi(64), mix(!mix(seed)));
                Self::Share { limit: limit as u64, salt }
            }
        }
    }

    /// Takes the marks of a record batch and adds them to the hashes of their rows.
    pub(crate) fn append(
        &mut self,
        context: &ColumnContext<'_>,
        array: &dyn Array,
        hashes: &mut [u64],
    ) -> Result<(), DataError> {
        let Self::Marked(marks) = self else { return Ok(()) };
        let first = marks.len();
        if let Some(array) = array.as_boolean_opt() {
            append_booleans(marks, context, array)?;
        } else {
            let bytes = context.values::<UInt8Type>(array)?;
            if let Some(row) = bytes.iter().position(|&byte| byte > 1) {
                return Err(context.value_error(row, None, bytes[row].to_string(), "0 and 1"));
            }
            marks.extend(bytes.iter().map(|&byte| byte == 1));
        }
        for (hash, &mark) in hashes.iter_mut().zip(&marks[first..]) {
            *hash = combine(*hash, u64::from(mark));
        }
        Ok(())
    }

    /// Returns true if a row is held out; `hash` is the hash of its content.
    pub(crate) fn is_held_out(&self, row: usize, hash: u64) -> bool {
        match self {
            Self::Nothing => false,
            Self::Marked(marks) => marks.get(row).copied().unwrap_or(false),
            Self::Share { limit, salt } => mix(hash ^ salt) < *limit,
        }
    }
}

fn append_booleans(
    marks: &mut Vec<bool>,
    context: &ColumnContext<'_>,
    array: &BooleanArray,
) -> Result<(), DataError> {
    context.no_nulls(array)?;
    marks.extend(array.values().iter());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, UInt8Array};
    use firesteel_core::spec::{DataSpec, LabelKind};
    use firesteel_core::{Coded, ErrorCode};
    use ndarray::Array2;
    use proptest::prelude::*;

    use super::*;
    use crate::Partition;
    use crate::testing::{batch, doubles, label, load, spec};

    fn numbers(validation: ValidationSpec) -> DataSpec {
        let labels = vec![label("y", LabelKind::Values { size: 1 })];
        DataSpec { validation: Some(validation), ..spec(vec![], labels, None) }
    }

    fn marked() -> DataSpec {
        numbers(ValidationSpec::Column { column: "held out".to_owned() })
    }

    fn booleans(marks: &[bool]) -> ArrayRef {
        Arc::new(BooleanArray::from(marks.to_vec()))
    }

    /// The labels of a task's rows to train and of those held out, over its workers, sorted.
    fn split(partition: &Partition, workers: u32) -> (Vec<f32>, Vec<f32>) {
        let (mut trained, mut held_out) = (Vec::new(), Vec::new());
        for worker in 0..workers {
            trained.extend(partition.worker_rows(worker, workers).unwrap().order(3, 1, true));
            held_out.extend(partition.held_out(worker, workers).unwrap());
        }
        assert_eq!(trained.len(), partition.rows_to_train());
        assert_eq!(trained.len() + held_out.len(), partition.rows());
        let labels = |rows: Vec<u32>| {
            let mut labels = Array2::zeros((rows.len(), 1));
            partition.gather_values(0, &rows, labels.view_mut()).unwrap();
            let mut labels = labels.into_iter().collect::<Vec<_>>();
            labels.sort_by(f32::total_cmp);
            labels
        };
        (labels(trained), labels(held_out))
    }

    #[test]
    fn marked_rows_are_held_out_whether_the_marks_are_bits_or_bytes() {
        let labels = || doubles(vec![1.0, 2.0, 3.0, 4.0, 5.0]);
        let marks = [false, true, false, true, false];
        let bytes: ArrayRef = Arc::new(UInt8Array::from(marks.map(u8::from).to_vec()));
        let mut contents = Vec::new();
        for column in [booleans(&marks), bytes] {
            let partition = load(vec![batch(vec![labels(), column])], &marked()).unwrap();
            assert_eq!(split(&partition, 2), (vec![1.0, 3.0, 5.0], vec![2.0, 4.0]));
            contents.push(partition.content());
        }
        let other = batch(vec![labels(), booleans(&[false; 5])]);
        let other = load(vec![other], &marked()).unwrap();
        assert_eq!(contents[0], contents[1]);
        assert_ne!(contents[0], other.content());
        assert_eq!(split(&other, 1).1, Vec::<f32>::new());
    }

    #[test]
    fn a_mark_that_is_null_or_no_truth_value_is_refused() {
        let labels = || doubles(vec![1.0, 2.0]);
        let refused = |column: ArrayRef| {
            let error = load(vec![batch(vec![labels(), column])], &marked()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidData);
            error.to_string()
        };
        assert_eq!(
            refused(Arc::new(BooleanArray::from(vec![Some(true), None]))),
            "column 'held out', row 1 of the partition: found null, expected values that are not null"
        );
        assert_eq!(
            refused(Arc::new(UInt8Array::from(vec![1, 2]))),
            "column 'held out', row 1 of the partition: found 2, expected 0 and 1"
        );
        let error = load(vec![batch(vec![labels(), labels()])], &marked()).unwrap_err();
        assert!(error.to_string().ends_with("has type Float64 where Boolean or UInt8 is expected"));
    }

    #[test]
    fn a_fraction_holds_out_about_its_share_and_other_rows_with_another_seed() {
        let of = |fraction, seed| {
            let rows = doubles((0..10_000).map(f64::from).collect());
            let spec = numbers(ValidationSpec::Fraction { fraction, seed });
            split(&load(vec![batch(vec![rows])], &spec).unwrap(), 1).1
        };
        for fraction in [0.01, 0.2, 0.7] {
            let share = of(fraction, 5).len() as f64 / 10_000.0;
            let deviation = (fraction * (1.0 - fraction) / 10_000.0).sqrt();
            assert!((share - fraction).abs() < 4.0 * deviation, "{share} of {fraction}");
        }
        assert_ne!(of(0.2, 5), of(0.2, 6));
    }

    proptest! {
        #[test]
        fn the_split_depends_neither_on_arrival_nor_on_partitions_and_keeps_copies_together(
            (arrived, shuffled) in prop::collection::vec(0_u8..60, 1..80)
                .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
            cut in 0_usize..80, seed: u64,
        ) {
            let spec = numbers(ValidationSpec::Fraction { fraction: 0.3, seed });
            let rows = |rows: &[u8]| batch(vec![doubles(rows.iter().map(|&row| f64::from(row)).collect())]);
            let whole = split(&load(vec![rows(&arrived)], &spec).unwrap(), 1);
            let (one, other) = shuffled.split_at(cut.min(shuffled.len()));
            let (one, other) = (load(vec![rows(one)], &spec).unwrap(), load(vec![rows(other)], &spec).unwrap());
            let (mut trained, mut held_out) = split(&one, 3);
            let (more_trained, more_held_out) = split(&other, 2);
            trained.extend(more_trained);
            held_out.extend(more_held_out);
            trained.sort_by(f32::total_cmp);
            held_out.sort_by(f32::total_cmp);
            prop_assert!(held_out.iter().all(|row| !trained.contains(row)));
            prop_assert_eq!((trained, held_out), whole);
        }
    }
}
