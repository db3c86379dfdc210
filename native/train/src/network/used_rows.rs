//! The rows of a table that a mini-batch uses.

use std::ops::Range;

use firesteel_kernels::AHEAD;

/// The rows of a table of parameters that have a gradient, each once, in the order in which they were first used. The
/// gradient of every other row is 0.
#[derive(Default)]
pub(crate) struct UsedRows {
    /// The values of a row.
    size: usize,
    rows: Vec<usize>,
    /// A bit for each row of the table, set if it is used.
    marks: Vec<u64>,
}

impl UsedRows {
    /// Makes the gradient of the used rows 0 and forgets them.
    pub(crate) fn clear(&mut self, gradient: &mut [f32], size: usize) {
        self.ranges().for_each(|row| gradient[row].fill(0.0));
        self.rows.iter().for_each(|row| self.marks[row / BITS] = 0);
        self.rows.clear();
        self.size = size;
        self.marks.resize(gradient.len().div_ceil(size.max(1) * BITS), 0);
    }

    /// Records the use of a row; returns its values in the table's gradient.
    pub(crate) fn insert(&mut self, row: usize) -> Range<usize> {
        let (word, bit) = (&mut self.marks[row / BITS], 1 << (row % BITS));
        if *word & bit == 0 {
            *word |= bit;
            self.rows.push(row);
        }
        self.range(row)
    }

    /// Returns the values of the used row that comes [`AHEAD`] rows after this one.
    pub(crate) fn soon(&self, number: usize) -> Option<Range<usize>> {
        self.rows.get(number + AHEAD).map(|&row| self.range(row))
    }

    /// Returns the values of each used row in the table's gradient.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        self.rows.iter().map(|&row| self.range(row))
    }

    fn range(&self, row: usize) -> Range<usize> {
        row * self.size..(row + 1) * self.size
    }
}

const BITS: usize = u64::BITS as usize;

#[cfg(test)]
mod tests {
    use super::UsedRows;

    #[test]
    fn a_row_is_used_once_and_cleared_with_its_gradient() {
        let mut gradient = vec![0.0; 3 * 130];
        let mut rows = UsedRows::default();
        for used in [&[129, 0, 63, 64, 0, 129][..], &[64, 1], &[]] {
            rows.clear(&mut gradient, 3);
            assert!(gradient.iter().all(|&value| value == 0.0));
            used.iter().for_each(|&row| gradient[rows.insert(row)].fill(1.0));
            let mut expected = used.to_vec();
            expected.sort_unstable();
            expected.dedup();
            let mut found: Vec<usize> = rows.ranges().map(|range| range.start / 3).collect();
            found.sort_unstable();
            assert_eq!(found, expected);
            assert!(rows.ranges().all(|range| range.len() == 3));
        }
    }
}
