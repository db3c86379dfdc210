//! The rows that a caller selects.

use std::ops::Range;

use ndarray::ArrayViewMut2;

use crate::error::DataError;

/// Selected rows in the caller's order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rows<'a> {
    /// These rows.
    Listed(&'a [u32]),
    /// Consecutive rows.
    Consecutive {
        /// The first one.
        first: usize,
        /// Their number.
        count: usize,
    },
}

impl<'a> Rows<'a> {
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Listed(rows) => rows.len(),
            Self::Consecutive { count, .. } => count,
        }
    }

    /// The rows as runs of consecutive ones.
    pub(crate) fn runs(self) -> Runs<'a> {
        match self {
            Self::Listed(rows) => Runs { listed: rows, consecutive: 0..0 },
            Self::Consecutive { first, count } => {
                Runs { listed: &[], consecutive: first..first + count }
            }
        }
    }

    /// Checks that every row is below `rows`.
    pub(crate) fn check(self, rows: usize) -> Result<(), DataError> {
        let last = match self {
            Self::Listed(listed) => listed.iter().max().map(|&last| last as usize),
            Self::Consecutive { first, count } => {
                count.checked_sub(1).map(|more| first.saturating_add(more))
            }
        };
        match last {
            Some(last) if last >= rows => {
                Err(DataError::Internal(format!("row {last} of {rows} was asked for")))
            }
            _ => Ok(()),
        }
    }

    /// Returns the memory of `out`, row after row, if every row is below `rows` and `out` has a row of `size` values for
    /// each.
    pub(crate) fn destination<T>(
        self,
        rows: usize,
        size: usize,
        out: ArrayViewMut2<'_, T>,
    ) -> Result<&mut [T], DataError> {
        self.check(rows)?;
        let shape = [self.len(), size];
        if out.shape() != shape {
            let found = out.shape();
            return Err(DataError::Internal(format!("a buffer of shape {found:?} for {shape:?}")));
        }
        out.into_slice()
            .ok_or_else(|| DataError::Internal("a buffer that is not row-major".to_owned()))
    }
}

/// Runs of consecutive rows.
pub(crate) struct Runs<'a> {
    listed: &'a [u32],
    consecutive: Range<usize>,
}

impl Iterator for Runs<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let Some(&start) = self.listed.first() else {
            let all = std::mem::take(&mut self.consecutive);
            return (!all.is_empty()).then_some(all);
        };
        let breaks =
            self.listed.windows(2).position(|pair| pair[0].checked_add(1) != Some(pair[1]));
        let length = breaks.map_or(self.listed.len(), |last| last + 1);
        self.listed = &self.listed[length..];
        Some(start as usize..start as usize + length)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, ShapeBuilder};

    use super::Rows;

    #[test]
    fn consecutive_rows_become_one_run() {
        let runs: Vec<_> = Rows::Listed(&[3, 4, 5, 9, 8, u32::MAX, 0, 1]).runs().collect();
        assert_eq!(runs, [3..6, 9..10, 8..9, u32::MAX as usize..1 << 32, 0..2]);
        assert!(Rows::Consecutive { first: 3, count: 4 }.runs().eq(std::iter::once(3..7)));
        assert_eq!(Rows::Consecutive { first: 3, count: 0 }.runs().count(), 0);
        assert_eq!(Rows::Listed(&[]).runs().count(), 0);
    }

    #[test]
    fn a_row_that_does_not_exist_and_room_of_another_size_are_refused() {
        let fits = |rows: &[u32], mut out: Array2<i64>| {
            Rows::Listed(rows).destination(3, 2, out.view_mut()).map(|out| out.len()).ok()
        };
        assert_eq!(fits(&[0, 2], Array2::zeros((2, 2))), Some(4));
        assert_eq!(fits(&[0, 3], Array2::zeros((2, 2))), None);
        assert_eq!(fits(&[0, 2], Array2::zeros((1, 5))), None);
        assert_eq!(fits(&[0, 2], Array2::zeros((1, 4))), None);
        assert_eq!(fits(&[0, 2], Array2::zeros((2, 2).f())), None);
        let fits = |first, count| {
            let mut out = Array2::<i64>::zeros((count, 2));
            Rows::Consecutive { first, count }.destination(3, 2, out.view_mut()).is_ok()
        };
        assert!(fits(0, 3) && fits(1, 2) && fits(3, 0));
        assert!(!fits(0, 4) && !fits(2, 2) && !fits(usize::MAX, 2));
    }
}
