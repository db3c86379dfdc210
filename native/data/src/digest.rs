//! A digest of a stream's rows, computed without keeping them.

use arrow::array::RecordBatchReader;
use firesteel_core::CancelFlag;
use firesteel_core::spec::DataSpec;
use serde::Serialize;

use crate::blocks::BlockStore;
use crate::budget::CacheBudget;
use crate::error::DataError;
use crate::hash::mix;
use crate::import::stream_error;
use crate::partition::Loader;
use crate::schema;

/// The number of rows and a hash of their contents. Digests of parts add up to that of the whole, in any order of the
/// rows and any split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Digest {
    /// The number of rows.
    pub rows: u64,
    /// The sum of the hashes of the rows' features, labels, weights and marks of validation rows, modulo 2^64.
    pub content: u64,
}

impl Digest {
    /// Pulls the whole of `reader` on the calling thread and drops it. A batch is in memory at a time.
    ///
    /// # Errors
    /// As [`Partition::load`](crate::Partition::load).
    pub fn of(
        reader: Box<dyn RecordBatchReader + '_>,
        spec: &DataSpec,
        cancel: &CancelFlag,
    ) -> Result<Self, DataError> {
        schema::check_spec(spec)?;
        schema::check(&reader.schema(), spec)?;
        let mut digest = Self::default();
        for batch in reader {
            if cancel.is_cancelled() {
                return Err(DataError::Cancelled);
            }
            // The code that checks and hashes rows also copies them; the copies of a batch are dropped with its loader.
            let store =
                BlockStore { budget: CacheBudget::shared(u64::MAX), directories: Vec::new() };
            let mut loader = Loader::new(spec, store).after_rows(digest.rows);
            loader.append(&batch.map_err(stream_error)?)?;
            digest.add(&loader);
        }
        Ok(digest)
    }

    fn add(&mut self, loader: &Loader<'_>) {
        let hashes = loader.hashes();
        self.rows += hashes.len() as u64;
        self.content = hashes.iter().fold(self.content, |sum, &hash| sum.wrapping_add(mix(hash)));
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatchIterator;
    use arrow::datatypes::Float32Type;
    use firesteel_core::spec::{ElementType, LabelKind};
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{batch, dense, doubles, label, lists, spec};

    fn columns() -> DataSpec {
        let inputs = vec![dense("x", ElementType::F32, 2)];
        spec(inputs, vec![label("y", LabelKind::Class { classes: 9 })], None)
    }

    fn digest(batches: &[&[(f32, u8)]]) -> Result<Digest, DataError> {
        let batches: Vec<_> = batches
            .iter()
            .map(|rows| {
                let values = rows.iter().flat_map(|row| [row.0, 1.0]).collect();
                let labels = rows.iter().map(|row| f64::from(row.1)).collect();
                batch(vec![lists::<Float32Type>(2, values), doubles(labels)])
            })
            .collect();
        let schema = batches[0].schema();
        let reader = RecordBatchIterator::new(batches.into_iter().map(Ok), schema);
        Digest::of(Box::new(reader), &columns(), &CancelFlag::new())
    }

    #[test]
    fn a_wrong_value_is_refused_by_its_row_in_the_stream() {
        let error = digest(&[&[(0.5, 1), (1.5, 2)], &[(2.5, 3), (f32::NAN, 1)]]).unwrap_err();
        assert!(error.to_string().contains("row 3"), "{error}");
    }

    proptest! {
        #[test]
        fn it_depends_on_the_rows_and_neither_on_their_order_nor_on_how_they_are_split(
            (rows, shuffled) in prop::collection::vec((-3_i8..3, 0_u8..9), 1..30)
                .prop_map(|rows| rows.into_iter().map(|(x, y)| (f32::from(x), y)).collect::<Vec<_>>())
                .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
            cut: prop::sample::Index,
        ) {
            let whole = digest(&[&rows]).unwrap();
            prop_assert_eq!(whole.rows, rows.len() as u64);
            let (one, other) = shuffled.split_at(cut.index(rows.len()));
            prop_assert_eq!(digest(&[one, other]).unwrap(), whole);
            let (one, other) = (digest(&[one]).unwrap(), digest(&[other]).unwrap());
            prop_assert_eq!(one.content.wrapping_add(other.content), whole.content);
            let mut changed = rows.clone();
            changed[cut.index(rows.len())].0 += 0.5;
            prop_assert_ne!(digest(&[&changed]).unwrap().content, whole.content);
            changed.extend(&rows);
            prop_assert_ne!(digest(&[&changed]).unwrap().content, whole.content);
        }
    }
}
