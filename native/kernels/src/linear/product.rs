//! The product behind both gradients of a Linear layer: rows of `b`, each times a factor of `a`, add up to rows of `c`.
#![expect(unsafe_code, reason = "loads and stores of vectors, whose bounds are checked once")]

use std::ops::Range;

use crate::simd::{Kernel, Simd};

/// The rows of `b` that add up before a tile is written.
const DEPTH: usize = 64;

/// The values of `b` that are read for all rows of `c` before the next ones: they stay in the L1 cache.
const NEAR: usize = 4096;

/// Computes `c = a b`, or adds it, for `c` of `rows` x `columns` and `b` of `inner` x `columns`.
pub(super) struct Product<'a> {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) inner: usize,
    pub(super) a: &'a [f32],
    /// The distances in `a` of two rows, and of two values of a row.
    pub(super) strides: (usize, usize),
    pub(super) b: &'a [f32],
    pub(super) adds: bool,
    pub(super) c: &'a mut [f32],
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let Self { rows, columns, inner, strides, .. } = self;
        assert!(self.c.len() == rows * columns && self.b.len() == inner * columns, "matrices");
        if inner == 0 && !self.adds {
            self.c.fill(0.0);
        }
        if rows == 0 || inner == 0 {
            return;
        }
        assert!((rows - 1) * strides.0 + (inner - 1) * strides.1 < self.a.len(), "factors");
        for first in (0..inner).step_by(DEPTH) {
            let depth = first..inner.min(first + DEPTH);
            let block = (NEAR / depth.len()).next_multiple_of(2 * S::LANES);
            for column in (0..columns).step_by(block) {
                let block = column..columns.min(column + block);
                // SAFETY: the lengths were checked.
                unsafe { self.block(simd, depth.clone(), block) };
            }
        }
    }
}

impl Product<'_> {
    /// Adds some rows of `b` in some columns.
    ///
    /// # Safety
    /// The slices have their lengths, and `b` has these rows and columns.
    #[inline(always)]
    unsafe fn block<S: Simd>(&mut self, simd: S, depth: Range<usize>, columns: Range<usize>) {
        let mut row = 0;
        while row < self.rows {
            let (rest, depth, columns) = (self.rows - row, depth.clone(), columns.clone());
            // SAFETY: the caller's, and the rows exist.
            row += unsafe {
                if S::REGISTERS >= 32 && rest >= 12 {
                    self.rows_of::<S, 12>(simd, depth, columns, row);
                    12
                } else if rest >= 6 {
                    self.rows_of::<S, 6>(simd, depth, columns, row);
                    6
                } else if rest >= 4 {
                    self.rows_of::<S, 4>(simd, depth, columns, row);
                    4
                } else if rest >= 2 {
                    self.rows_of::<S, 2>(simd, depth, columns, row);
                    2
                } else {
                    self.rows_of::<S, 1>(simd, depth, columns, row);
                    1
                }
            };
        }
    }

    /// As [`Self::block`], for `ROWS` rows of `c`.
    ///
    /// # Safety
    /// As [`Self::block`], and `c` has these rows.
    #[inline(always)]
    unsafe fn rows_of<S: Simd, const ROWS: usize>(
        &mut self,
        simd: S,
        depth: Range<usize>,
        columns: Range<usize>,
        row: usize,
    ) {
        for column in columns.clone().step_by(2 * S::LANES) {
            // SAFETY: the caller's; the last columns may be a part of a tile.
            unsafe {
                if columns.end - column >= 2 * S::LANES {
                    self.tile::<S, ROWS, true>(simd, depth.clone(), column, row);
                } else {
                    self.tile::<S, ROWS, false>(simd, depth.clone(), column, row);
                }
            }
        }
    }

    /// As [`Self::rows_of`], for two vectors of columns, or for as many columns as there are.
    ///
    /// # Safety
    /// As [`Self::rows_of`], and `c` has all columns of the tile if `WHOLE`.
    #[inline(always)]
    unsafe fn tile<S: Simd, const ROWS: usize, const WHOLE: bool>(
        &mut self,
        simd: S,
        depth: Range<usize>,
        column: usize,
        row: usize,
    ) {
        let (columns, strides) = (self.columns, self.strides);
        let rest = columns - column;
        let counts = [rest.min(S::LANES), rest.saturating_sub(S::LANES).min(S::LANES)];
        let mut sums = [[simd.zero(); 2]; ROWS];
        // SAFETY: the caller's. A vector beyond the last column has no values, and its address is not dereferenced.
        unsafe {
            let c = self.c.as_mut_ptr().add(row * columns + column);
            if self.adds || depth.start > 0 {
                for (index, sums) in sums.iter_mut().enumerate() {
                    *sums = load::<S, WHOLE>(simd, c.add(index * columns), counts);
                }
            }
            let a = self.a.as_ptr().add(row * strides.0);
            let b = self.b.as_ptr().add(column);
            for inner in depth {
                let values = load::<S, WHOLE>(simd, b.add(inner * columns), counts);
                let a = a.add(inner * strides.1);
                for (index, sums) in sums.iter_mut().enumerate() {
                    let factor = simd.splat(*a.add(index * strides.0));
                    sums[0] = simd.mul_add(factor, values[0], sums[0]);
                    sums[1] = simd.mul_add(factor, values[1], sums[1]);
                }
            }
            for (index, sums) in sums.iter().enumerate() {
                let c = c.add(index * columns);
                if WHOLE {
                    simd.store(c, sums[0]);
                    simd.store(c.add(S::LANES), sums[1]);
                } else {
                    simd.store_part(c, counts[0], sums[0]);
                    simd.store_part(c.wrapping_add(S::LANES), counts[1], sums[1]);
                }
            }
        }
    }
}

/// Reads two vectors, or the first values of each.
///
/// # Safety
/// The values are readable.
#[inline(always)]
unsafe fn load<S: Simd, const WHOLE: bool>(
    simd: S,
    values: *const f32,
    counts: [usize; 2],
) -> [S::V; 2] {
    // SAFETY: the caller's.
    unsafe {
        if WHOLE {
            [simd.load(values), simd.load(values.add(S::LANES))]
        } else {
            let second = simd.load_part(values.wrapping_add(S::LANES), counts[1]);
            [simd.load_part(values, counts[0]), second]
        }
    }
}
