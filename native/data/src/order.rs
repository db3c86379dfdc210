//! The order of rows: with shuffling a function of their contents, not of their arrival; otherwise the order of the
//! partition.

use std::sync::Arc;

use crate::hash::{combine, content, mix};

/// The keys of a partition's rows, which depend on contents alone and are all different.
#[derive(Clone, Debug)]
pub(crate) struct RowKeys {
    /// The key of each row.
    keys: Arc<[u64]>,
    /// The rows to train, by key.
    trained: Arc<[u32]>,
    /// The rows held out for validation, by key.
    held_out: Arc<[u32]>,
}

impl RowKeys {
    /// Computes keys from the hashes of rows. Equal rows get different keys by counting them, so that shuffling does
    /// not bring them together; their assignment does not matter, as the rows are equal. `is_held_out` returns true for
    /// a row and its hash if the row is for validation.
    pub(crate) fn new(mut hashes: Vec<u64>, is_held_out: impl Fn(usize, u64) -> bool) -> Self {
        let held: Vec<bool> =
            hashes.iter().enumerate().map(|(row, &hash)| is_held_out(row, hash)).collect();
        let rows: Vec<u32> = (0..hashes.len() as u32).collect();
        let mut ranked = sorted(&rows, |row| hashes[row as usize]);
        let mut repeats = false;
        let mut start = 0;
        while start < ranked.len() {
            let hash = hashes[ranked[start] as usize];
            let same =
                ranked[start..].iter().take_while(|&&row| hashes[row as usize] == hash).count();
            for (occurrence, &row) in ranked[start..start + same].iter().enumerate().skip(1) {
                hashes[row as usize] = mix(hash ^ mix(occurrence as u64));
                repeats = true;
            }
            start += same;
        }
        if repeats {
            ranked = sorted(&rows, |row| hashes[row as usize]);
        }
        let (held_out, trained): (Vec<u32>, Vec<u32>) =
            ranked.into_iter().partition(|&row| held[row as usize]);
        Self { keys: hashes.into(), trained: trained.into(), held_out: held_out.into() }
    }

    /// The bytes of a partition's keys.
    pub(crate) fn bytes(rows: usize) -> u64 {
        rows as u64 * (size_of::<u64>() + size_of::<u32>()) as u64
    }

    /// Every `of`-th row to train in the order of keys, from the `index`-th on.
    pub(crate) fn worker_rows(&self, index: usize, of: usize) -> WorkerRows {
        let rows = self.trained.iter().copied().skip(index).step_by(of).collect();
        WorkerRows { keys: Arc::clone(&self.keys), rows }
    }

    /// Every `of`-th row held out in the order of keys, from the `index`-th on.
    pub(crate) fn held_out(&self, index: usize, of: usize) -> Vec<u32> {
        self.held_out.iter().copied().skip(index).step_by(of).collect()
    }

    /// The number of rows to train.
    pub(crate) fn trained(&self) -> usize {
        self.trained.len()
    }

    /// A hash of all rows.
    pub(crate) fn content(&self) -> u64 {
        content(self.keys.iter().copied())
    }
}

/// The rows of one of the workers of a task, fixed for the fit.
#[derive(Clone, Debug)]
pub struct WorkerRows {
    keys: Arc<[u64]>,
    /// By key.
    rows: Vec<u32>,
}

impl WorkerRows {
    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns true if there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// A hash of the rows' contents. It depends on their order only without `shuffle`, when that is the order of
    /// training.
    #[must_use]
    pub fn content(&self, shuffle: bool) -> u64 {
        let key = |row: u32| self.keys[row as usize];
        if shuffle {
            return content(self.rows.iter().map(|&row| key(row)));
        }
        self.in_place()
            .into_iter()
            .fold(mix(self.rows.len() as u64), |hash, row| combine(hash, key(row)))
    }

    /// The partition's row numbers in the order in which `epoch` trains them: a permutation by seed, epoch and row content
    /// with `shuffle`, else the order in which they lie in the partition.
    #[must_use]
    pub fn order(&self, seed: u64, epoch: u32, shuffle: bool) -> Vec<u32> {
        if !shuffle {
            return self.in_place();
        }
        let salt = mix(mix(seed) ^ u64::from(epoch));
        sorted(&self.rows, |row| mix(self.keys[row as usize] ^ salt))
    }

    /// At most `count` of the rows, chosen by content.
    #[must_use]
    pub fn sample(&self, count: usize) -> &[u32] {
        &self.rows[..count.min(self.rows.len())]
    }

    fn in_place(&self) -> Vec<u32> {
        let mut rows = self.rows.clone();
        rows.sort_unstable();
        rows
    }
}

/// Sorts rows by key, and by number if keys are equal. The upper halves of the keys are sorted together with the rows
/// as plain integers; the few rows with equal upper halves are sorted again.
fn sorted(rows: &[u32], key: impl Fn(u32) -> u64) -> Vec<u32> {
    const LOWER: u64 = u32::MAX as u64;
    let mut packed: Vec<u64> =
        rows.iter().map(|&row| (key(row) & !LOWER) | u64::from(row)).collect();
    packed.sort_unstable();
    for run in packed.chunk_by_mut(|a, b| a & !LOWER == b & !LOWER).filter(|run| run.len() > 1) {
        run.sort_unstable_by_key(|&entry| (key((entry & LOWER) as u32), entry));
    }
    packed.into_iter().map(|entry| (entry & LOWER) as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(hashes: Vec<u64>) -> RowKeys {
        RowKeys::new(hashes, |_, _| false)
    }

    fn contents(hashes: &[u64], rows: &WorkerRows, seed: u64, epoch: u32) -> Vec<u64> {
        rows.order(seed, epoch, true).iter().map(|&row| hashes[row as usize]).collect()
    }

    #[test]
    fn epochs_and_seeds_give_different_orders_and_the_same_one_gives_the_same() {
        let rows = keys((0..1000).map(mix).collect()).worker_rows(0, 1);
        assert_eq!(rows.order(7, 3, true), rows.order(7, 3, true));
        assert_ne!(rows.order(7, 3, true), rows.order(7, 4, true));
        assert_ne!(rows.order(7, 3, true), rows.order(8, 3, true));
    }

    #[test]
    fn without_shuffling_rows_are_trained_in_the_order_in_which_they_lie() {
        let keys = keys((0..1000).map(mix).collect());
        let whole: Vec<u32> = (0..1000).collect();
        assert_eq!(keys.worker_rows(0, 1).order(7, 3, false), whole);
        assert_eq!(keys.worker_rows(0, 1).order(8, 4, false), whole);
        let half = keys.worker_rows(1, 2).order(7, 0, false);
        assert_eq!(half.len(), 500);
        assert!(half.is_sorted());
    }

    #[test]
    fn another_order_of_arrival_is_another_content_only_where_it_is_trained_in() {
        let forward: Vec<u64> = (0..20).map(mix).collect();
        let backward = forward.iter().rev().copied().collect();
        let (one, other) = (keys(forward).worker_rows(0, 1), keys(backward).worker_rows(0, 1));
        assert_eq!(one.content(true), other.content(true));
        assert_ne!(one.content(false), other.content(false));
        assert_eq!(one.content(false), one.clone().content(false));
    }

    #[test]
    fn copies_of_a_row_are_spread_by_shuffling() {
        let hashes: Vec<u64> = (0..1000).map(|row| if row < 100 { 42 } else { mix(row) }).collect();
        let order = keys(hashes).worker_rows(0, 1).order(1, 0, true);
        let copies_first = order[..500].iter().filter(|&&row| row < 100).count();
        assert!((25..75).contains(&copies_first), "{copies_first} of 100 copies in the first half");
    }

    #[test]
    fn keys_that_agree_in_their_upper_halves_are_still_sorted() {
        let keys = [5_u64, 1 << 40, 3, (1 << 40) | 1, 4];
        assert_eq!(sorted(&[0, 1, 2, 3, 4], |row| keys[row as usize]), [2, 4, 0, 1, 3]);
    }

    #[test]
    fn more_workers_than_rows_leave_some_without_rows() {
        let keys = keys(vec![1, 2, 3]);
        assert_eq!(
            (0..5).map(|index| keys.worker_rows(index, 5).len()).collect::<Vec<_>>(),
            [1, 1, 1, 0, 0]
        );
    }

    proptest! {
        #[test]
        fn the_order_of_contents_does_not_depend_on_arrival(
            (arrived, shuffled) in prop::collection::vec(0_u64..20, 0..60)
                .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
            seed: u64, epoch: u32, of in 1_usize..4,
        ) {
            let (first, second) = (keys(arrived.clone()), keys(shuffled.clone()));
            prop_assert_eq!(first.content(), second.content());
            let mut seen = 0;
            for index in 0..of {
                let (one, other) = (first.worker_rows(index, of), second.worker_rows(index, of));
                prop_assert_eq!(one.content(true), other.content(true));
                prop_assert_eq!(
                    contents(&arrived, &one, seed, epoch),
                    contents(&shuffled, &other, seed, epoch)
                );
                let mut rows = one.order(seed, epoch, true);
                rows.sort_unstable();
                rows.dedup();
                seen += rows.len();
            }
            prop_assert_eq!(seen, arrived.len());
        }

        #[test]
        fn a_changed_row_changes_the_content(hashes in prop::collection::vec(any::<u64>(), 1..20), row: usize) {
            let mut changed = hashes.clone();
            let row = row % hashes.len();
            changed[row] ^= 1;
            prop_assert_ne!(keys(hashes).content(), keys(changed).content());
        }
    }
}
