//! The output of a Linear layer.
//!
//! Few rows are dotted with the rows of the weight, which are read once, in the order in which they lie in memory. As
//! many rows as fill two vectors are a panel: a copy that has the rows side by side, so that a vector holds one input of
//! many rows and needs no sum at the end.
#![expect(
    unsafe_code,
    reason = "loads and stores of vectors, whose bounds are checked once for each slice"
)]

use super::Shape;
use crate::simd::{Kernel, Simd};

/// The values of the panels that are multiplied with one row of the weight after another: they stay in the L2 cache.
const PANELS: usize = 1 << 16;

/// The least number of outputs for which the copy into a panel pays.
const LEAST_OUTPUTS: usize = 16;

/// The values of two of the widest vectors.
const WIDEST: usize = 32;

/// Returns the length of the memory for panels.
pub(super) fn panels(shape: Shape) -> usize {
    let Shape { rows, inputs, outputs } = shape;
    if outputs < LEAST_OUTPUTS { 0 } else { (rows * inputs).min(PANELS.max(WIDEST * inputs)) }
}

/// Computes `y = x w^T + b`. The lengths fit the shape.
pub(super) struct Forward<'a> {
    pub(super) shape: Shape,
    pub(super) x: &'a [f32],
    pub(super) w: &'a [f32],
    pub(super) bias: Option<&'a [f32]>,
    pub(super) y: &'a mut [f32],
    /// Of [`panels`] values.
    pub(super) panels: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let Shape { rows, inputs, .. } = self.shape;
        let wide = 2 * S::LANES;
        let most = self.panels.len() / (wide * inputs).max(1);
        let mut row = 0;
        loop {
            let count = most.min((rows - row) / wide);
            if count == 0 {
                break;
            }
            // SAFETY: the rows are those of `x` and `y`, and the panels have room.
            unsafe { self.by_panels(simd, row, count) };
            row += count * wide;
        }
        // SAFETY: as above.
        unsafe { self.by_dots(simd, row) }
    }
}

impl Forward<'_> {
    /// Computes the rows of `count` panels.
    ///
    /// # Safety
    /// The slices have the lengths of the shape, which has as many rows after `row`, and the panels have room.
    #[inline(always)]
    unsafe fn by_panels<S: Simd>(&mut self, simd: S, row: usize, count: usize) {
        let Shape { inputs, outputs, .. } = self.shape;
        let wide = 2 * S::LANES;
        for (x, panel) in self.x[row * inputs..]
            .chunks_exact(wide * inputs)
            .zip(self.panels.chunks_exact_mut(wide * inputs))
            .take(count)
        {
            transpose(x, wide, panel);
        }
        let mut output = 0;
        while output < outputs {
            let rest = outputs - output;
            let each = 0..count;
            // SAFETY: the tile's outputs and rows exist.
            output += unsafe {
                if S::REGISTERS >= 32 && rest >= 12 {
                    each.for_each(|panel| self.tile::<S, 12>(simd, row, panel, output));
                    12
                } else if rest >= 6 {
                    each.for_each(|panel| self.tile::<S, 6>(simd, row, panel, output));
                    6
                } else if rest >= 3 {
                    each.for_each(|panel| self.tile::<S, 3>(simd, row, panel, output));
                    3
                } else {
                    each.for_each(|panel| self.tile::<S, 1>(simd, row, panel, output));
                    1
                }
            };
        }
    }

    /// Computes `COUNT` outputs of a panel's rows.
    ///
    /// # Safety
    /// As [`Self::by_panels`], and there are as many outputs.
    #[inline(always)]
    unsafe fn tile<S: Simd, const COUNT: usize>(
        &mut self,
        simd: S,
        row: usize,
        panel: usize,
        output: usize,
    ) {
        let Shape { inputs, outputs, .. } = self.shape;
        let wide = 2 * S::LANES;
        let mut sums = [[simd.zero(); 2]; COUNT];
        // SAFETY: the caller's: a panel has `wide` values for each input, a row of the weight one.
        unsafe {
            let panel = self.panels.as_ptr().add(panel * wide * inputs);
            let w = self.w.as_ptr().add(output * inputs);
            for input in 0..inputs {
                let first = simd.load(panel.add(input * wide));
                let second = simd.load(panel.add(input * wide + S::LANES));
                for (index, sums) in sums.iter_mut().enumerate() {
                    let factor = simd.splat(*w.add(index * inputs + input));
                    sums[0] = simd.mul_add(factor, first, sums[0]);
                    sums[1] = simd.mul_add(factor, second, sums[1]);
                }
            }
        }
        let mut found = [[0.0_f32; WIDEST]; COUNT];
        for (index, (found, sums)) in found.iter_mut().zip(&sums).enumerate() {
            let bias = simd.splat(self.bias.map_or(0.0, |bias| bias[output + index]));
            // SAFETY: two vectors have at most as many values.
            unsafe {
                simd.store(found.as_mut_ptr(), simd.add(sums[0], bias));
                simd.store(found.as_mut_ptr().add(S::LANES), simd.add(sums[1], bias));
            }
        }
        let first = row + panel * wide;
        for lane in 0..wide {
            let start = (first + lane) * outputs + output;
            let y = &mut self.y[start..start + COUNT];
            y.iter_mut().zip(&found).for_each(|(y, found)| *y = found[lane]);
        }
    }

    /// Computes the rows from `row` on.
    ///
    /// # Safety
    /// The slices have the lengths of the shape.
    #[inline(always)]
    unsafe fn by_dots<S: Simd>(&mut self, simd: S, row: usize) {
        let Shape { rows, outputs, .. } = self.shape;
        let mut output = 0;
        while output < outputs {
            // SAFETY: the outputs exist.
            output += unsafe {
                if outputs - output >= 3 {
                    self.dots_of_outputs::<S, 3>(simd, row..rows, output);
                    3
                } else {
                    self.dots_of_outputs::<S, 1>(simd, row..rows, output);
                    1
                }
            };
        }
    }

    /// Computes `COUNT` outputs of some rows.
    ///
    /// # Safety
    /// As [`Self::by_dots`], and there are as many outputs.
    #[inline(always)]
    unsafe fn dots_of_outputs<S: Simd, const COUNT: usize>(
        &mut self,
        simd: S,
        rows: std::ops::Range<usize>,
        output: usize,
    ) {
        let mut row = rows.start;
        while row < rows.end {
            let rest = rows.end - row;
            // SAFETY: the rows exist.
            row += unsafe {
                if S::REGISTERS >= 32 && rest >= 8 {
                    self.dots::<S, 8, COUNT>(simd, row, output);
                    8
                } else if rest >= 4 {
                    self.dots::<S, 4, COUNT>(simd, row, output);
                    4
                } else if rest >= 2 {
                    self.dots::<S, 2, COUNT>(simd, row, output);
                    2
                } else {
                    self.dots::<S, 1, COUNT>(simd, row, output);
                    1
                }
            };
        }
    }

    /// Computes `COUNT` outputs of `ROWS` rows.
    ///
    /// # Safety
    /// As [`Self::dots_of_outputs`], and there are as many rows.
    #[inline(always)]
    unsafe fn dots<S: Simd, const ROWS: usize, const COUNT: usize>(
        &mut self,
        simd: S,
        row: usize,
        output: usize,
    ) {
        let Shape { inputs, outputs, .. } = self.shape;
        let mut sums = [[simd.zero(); COUNT]; ROWS];
        let whole = inputs - inputs % S::LANES;
        // SAFETY: the caller's; a row has `inputs` values, and the last part is cut there.
        unsafe {
            let x = self.x.as_ptr().add(row * inputs);
            let w = self.w.as_ptr().add(output * inputs);
            let mut input = 0;
            while input < whole {
                let mut weights = [simd.zero(); COUNT];
                for (index, weights) in weights.iter_mut().enumerate() {
                    *weights = simd.load(w.add(index * inputs + input));
                }
                for (index, sums) in sums.iter_mut().enumerate() {
                    let x = simd.load(x.add(index * inputs + input));
                    for (sum, &weights) in sums.iter_mut().zip(&weights) {
                        *sum = simd.mul_add(x, weights, *sum);
                    }
                }
                input += S::LANES;
            }
            if whole < inputs {
                let rest = inputs - whole;
                let mut weights = [simd.zero(); COUNT];
                for (index, weights) in weights.iter_mut().enumerate() {
                    *weights = simd.load_part(w.add(index * inputs + whole), rest);
                }
                for (index, sums) in sums.iter_mut().enumerate() {
                    let x = simd.load_part(x.add(index * inputs + whole), rest);
                    for (sum, &weights) in sums.iter_mut().zip(&weights) {
                        *sum = simd.mul_add(x, weights, *sum);
                    }
                }
            }
        }
        for (index, sums) in sums.iter().enumerate() {
            let start = (row + index) * outputs + output;
            let y = &mut self.y[start..start + COUNT];
            for (count, (y, &sum)) in y.iter_mut().zip(sums).enumerate() {
                *y = simd.sum(sum) + self.bias.map_or(0.0, |bias| bias[output + count]);
            }
        }
    }
}

/// Copies `wide` rows, a multiple of 4, into a panel: the first value of each row, then the second one, and so on.
#[inline(always)]
fn transpose(rows: &[f32], wide: usize, panel: &mut [f32]) {
    let length = rows.len() / wide.max(1);
    for (group, four) in rows.chunks_exact(4 * length).enumerate() {
        let (a, rest) = four.split_at(length);
        let (b, rest) = rest.split_at(length);
        let (c, d) = rest.split_at(length);
        let columns = panel.chunks_exact_mut(wide).map(|column| &mut column[4 * group..][..4]);
        for (column, ((a, b), (c, d))) in columns.zip(a.iter().zip(b).zip(c.iter().zip(d))) {
            column.copy_from_slice(&[*a, *b, *c, *d]);
        }
    }
}
