//! The product behind both gradients of a Linear layer: rows of `b`, each times a factor of `a`, add up to rows of `c`.
#![expect(unsafe_code, reason = "loads and stores of vectors, whose bounds are checked once")]

use std::ops::Range;

use crate::simd::{Kernel, Simd};

/// The rows of `b` that are read for some columns before the next columns: their part of them stays in the L1 cache.
const DEPTH: usize = 64;

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
            for column in (0..columns).step_by(2 * S::LANES) {
                // SAFETY: the lengths were checked, and the last columns are a part of a tile.
                unsafe {
                    if columns - column >= 2 * S::LANES {
                        self.column::<S, true>(simd, depth.clone(), column);
                    } else {
                        self.column::<S, false>(simd, depth.clone(), column);
                    }
                }
            }
        }
    }
}

impl Product<'_> {
    /// Adds some rows of `b` in two vectors of columns, or in as many columns as there are.
    ///
    /// # Safety
    /// The slices have their lengths, `b` has these rows, and there are all columns if `WHOLE`.
    #[inline(always)]
    unsafe fn column<S: Simd, const WHOLE: bool>(
        &mut self,
        simd: S,
        depth: Range<usize>,
        column: usize,
    ) {
        let mut row = 0;
        while row < self.rows {
            let (rest, depth) = (self.rows - row, depth.clone());
            // SAFETY: the caller's, and the rows exist.
            row += unsafe {
                if S::REGISTERS >= 32 && rest >= 12 {
                    self.tile::<S, 12, WHOLE>(simd, depth, column, row);
                    12
                } else if rest >= 6 {
                    self.tile::<S, 6, WHOLE>(simd, depth, column, row);
                    6
                } else if rest >= 4 {
                    self.tile::<S, 4, WHOLE>(simd, depth, column, row);
                    4
                } else if rest >= 2 {
                    self.tile::<S, 2, WHOLE>(simd, depth, column, row);
                    2
                } else {
                    self.tile::<S, 1, WHOLE>(simd, depth, column, row);
                    1
                }
            };
        }
    }

    /// As [`Self::column`], for `ROWS` rows of `c`.
    ///
    /// # Safety
    /// As [`Self::column`], and `c` has these rows.
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
