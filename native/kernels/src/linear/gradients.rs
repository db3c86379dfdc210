//! The gradients of a Linear layer.
#![expect(
    unsafe_code,
    reason = "loads and stores of vectors, whose bounds are checked once for each slice"
)]

use std::ops::Range;

use super::Shape;
use crate::simd::{Kernel, Simd};

/// The rows of the weight that are read for some columns of the input's gradient before the next columns.
const DEPTH: usize = 64;

/// The vectors of a row that are computed together for the gradient of the input.
const VECTORS: usize = 2;

/// The values of the input that are read for some outputs before the next ones: they stay in the L1 cache.
const NEAR: usize = 4096;

/// The rows up to which a narrower tile of the weight's gradient is faster.
const FEW: usize = 16;

/// Reads a vector, or its first `count` values.
///
/// # Safety
/// The values are readable.
#[inline(always)]
unsafe fn load<S: Simd, const WHOLE: bool>(simd: S, values: *const f32, count: usize) -> S::V {
    // SAFETY: the caller's.
    unsafe { if WHOLE { simd.load(values) } else { simd.load_part(values, count) } }
}

/// Writes a vector, or its first `count` values.
///
/// # Safety
/// The values are writable.
#[inline(always)]
unsafe fn store<S: Simd, const WHOLE: bool>(simd: S, values: *mut f32, count: usize, vector: S::V) {
    // SAFETY: the caller's.
    unsafe {
        if WHOLE { simd.store(values, vector) } else { simd.store_part(values, count, vector) }
    }
}

/// Computes `dx = dy w`, or adds it. The lengths fit the shape.
pub(super) struct OfInput<'a> {
    pub(super) shape: Shape,
    pub(super) w: &'a [f32],
    pub(super) dy: &'a [f32],
    pub(super) adds: bool,
    pub(super) dx: &'a mut [f32],
}

impl Kernel for OfInput<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let Shape { inputs, outputs, .. } = self.shape;
        if outputs == 0 && !self.adds {
            self.dx.fill(0.0);
        }
        for first in (0..outputs).step_by(DEPTH) {
            let depth = first..outputs.min(first + DEPTH);
            let mut column = 0;
            while column < inputs {
                // SAFETY: the outputs and the columns exist; the last part is cut.
                unsafe {
                    if inputs - column >= VECTORS * S::LANES {
                        self.columns::<S, true>(simd, depth.clone(), column);
                    } else {
                        self.columns::<S, false>(simd, depth.clone(), column);
                    }
                }
                column += VECTORS * S::LANES;
            }
        }
    }
}

impl OfInput<'_> {
    /// Adds the parts of some outputs in the columns of a tile.
    ///
    /// # Safety
    /// The slices have the lengths of the shape, which has these outputs, and all columns of a tile if `WHOLE`.
    #[inline(always)]
    unsafe fn columns<S: Simd, const WHOLE: bool>(
        &mut self,
        simd: S,
        depth: Range<usize>,
        column: usize,
    ) {
        let mut row = 0;
        while row < self.shape.rows {
            let rest = self.shape.rows - row;
            let depth = depth.clone();
            // SAFETY: the rows exist.
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

    /// Adds the parts of some outputs in the columns of a tile, for `ROWS` rows.
    ///
    /// # Safety
    /// As [`Self::columns`], and there are as many rows.
    #[inline(always)]
    unsafe fn tile<S: Simd, const ROWS: usize, const WHOLE: bool>(
        &mut self,
        simd: S,
        depth: Range<usize>,
        column: usize,
        row: usize,
    ) {
        let Shape { inputs, outputs, .. } = self.shape;
        // The last vectors may have less than a vector's values, or none.
        let count =
            |vector: usize| (inputs - column).saturating_sub(vector * S::LANES).min(S::LANES);
        let mut sums = [[simd.zero(); VECTORS]; ROWS];
        // SAFETY: the caller's; parts are cut at the end of a row, and no vector begins behind it but empty ones.
        unsafe {
            let dx = self.dx.as_mut_ptr().add(row * inputs);
            let at = |index: usize, vector: usize| index * inputs + column + vector * S::LANES;
            if self.adds || depth.start > 0 {
                for (index, sums) in sums.iter_mut().enumerate() {
                    for (vector, sum) in sums.iter_mut().enumerate() {
                        let old = dx.wrapping_add(at(index, vector));
                        *sum = load::<S, WHOLE>(simd, old, count(vector));
                    }
                }
            }
            let dy = self.dy.as_ptr().add(row * outputs);
            for output in depth {
                let mut weights = [simd.zero(); VECTORS];
                for (vector, weights) in weights.iter_mut().enumerate() {
                    let w = self.w.as_ptr().wrapping_add(at(output, vector));
                    *weights = load::<S, WHOLE>(simd, w, count(vector));
                }
                for (index, sums) in sums.iter_mut().enumerate() {
                    let slope = simd.splat(*dy.add(index * outputs + output));
                    for (sum, &weights) in sums.iter_mut().zip(&weights) {
                        *sum = simd.mul_add(slope, weights, *sum);
                    }
                }
            }
            for (index, sums) in sums.iter().enumerate() {
                for (vector, &sum) in sums.iter().enumerate() {
                    let new = dx.wrapping_add(at(index, vector));
                    store::<S, WHOLE>(simd, new, count(vector), sum);
                }
            }
        }
    }
}

/// Computes some rows of `dw = dy^T x`. The lengths fit the shape and the rows.
pub(super) struct OfWeight<'a> {
    pub(super) shape: Shape,
    pub(super) x: &'a [f32],
    pub(super) dy: &'a [f32],
    /// The outputs whose rows are computed.
    pub(super) outputs: Range<usize>,
    /// These rows.
    pub(super) dw: &'a mut [f32],
}

impl Kernel for OfWeight<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let Shape { rows, inputs, .. } = self.shape;
        let wide = 2 * S::LANES;
        let block = (NEAR / rows.max(1)).next_multiple_of(wide);
        for first in (0..inputs).step_by(block) {
            let columns = first..inputs.min(first + block);
            let mut output = self.outputs.start;
            while output < self.outputs.end {
                let rest = self.outputs.end - output;
                let columns = columns.clone();
                // SAFETY: the outputs and the columns exist.
                output += unsafe {
                    if S::REGISTERS >= 32 && rest >= 12 {
                        self.outputs_of::<S, 12>(simd, columns, output);
                        12
                    } else if rest >= 6 && rows > FEW {
                        self.outputs_of::<S, 6>(simd, columns, output);
                        6
                    } else if rest >= 4 {
                        self.outputs_of::<S, 4>(simd, columns, output);
                        4
                    } else if rest >= 2 {
                        self.outputs_of::<S, 2>(simd, columns, output);
                        2
                    } else {
                        self.outputs_of::<S, 1>(simd, columns, output);
                        1
                    }
                };
            }
        }
    }
}

impl OfWeight<'_> {
    /// Computes some columns for `COUNT` outputs.
    ///
    /// # Safety
    /// The slices have the lengths of the shape, which has these columns and outputs.
    #[inline(always)]
    unsafe fn outputs_of<S: Simd, const COUNT: usize>(
        &mut self,
        simd: S,
        columns: Range<usize>,
        output: usize,
    ) {
        let mut column = columns.start;
        while column < columns.end {
            let rest = columns.end - column;
            // SAFETY: the columns exist.
            unsafe {
                if rest >= 2 * S::LANES {
                    self.tile::<S, COUNT, true>(simd, column, rest, output);
                } else {
                    self.tile::<S, COUNT, false>(simd, column, rest, output);
                }
            }
            column += 2 * S::LANES;
        }
    }

    /// Computes two vectors of columns, or the `rest` of them, for `COUNT` outputs.
    ///
    /// # Safety
    /// As [`Self::outputs_of`].
    #[inline(always)]
    unsafe fn tile<S: Simd, const COUNT: usize, const WHOLE: bool>(
        &mut self,
        simd: S,
        column: usize,
        rest: usize,
        output: usize,
    ) {
        let Shape { rows, inputs, outputs } = self.shape;
        let counts = [rest.min(S::LANES), rest.saturating_sub(S::LANES).min(S::LANES)];
        let mut sums = [[simd.zero(); 2]; COUNT];
        // SAFETY: the caller's; parts are cut at the end of the columns, and no vector begins behind it but empty ones.
        unsafe {
            let x = self.x.as_ptr().add(column);
            let dy = self.dy.as_ptr().wrapping_add(output);
            for row in 0..rows {
                let first = load::<S, WHOLE>(simd, x.wrapping_add(row * inputs), counts[0]);
                let second = x.wrapping_add(row * inputs + S::LANES);
                let second = load::<S, WHOLE>(simd, second, counts[1]);
                for (index, sums) in sums.iter_mut().enumerate() {
                    let slope = simd.splat(*dy.add(row * outputs + index));
                    sums[0] = simd.mul_add(slope, first, sums[0]);
                    sums[1] = simd.mul_add(slope, second, sums[1]);
                }
            }
            let dw = self.dw.as_mut_ptr().add((output - self.outputs.start) * inputs + column);
            for (index, sums) in sums.iter().enumerate() {
                let row = dw.add(index * inputs);
                store::<S, WHOLE>(simd, row, counts[0], sums[0]);
                store::<S, WHOLE>(simd, row.wrapping_add(S::LANES), counts[1], sums[1]);
            }
        }
    }
}

/// Computes the sums of the rows of `dy`.
pub(super) struct OfBias<'a> {
    pub(super) dy: &'a [f32],
    pub(super) db: &'a mut [f32],
}

impl Kernel for OfBias<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        self.db.fill(0.0);
        for row in self.dy.chunks_exact(self.db.len().max(1)) {
            for (sum, value) in self.db.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}
