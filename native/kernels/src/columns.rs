//! Functions of the columns of matrices.

use multiversion::multiversion;

use crate::math::exp;
use crate::write::put;

/// The columns that are computed together.
const TOGETHER: usize = 16;

/// Matrices of one size, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The values of a column.
    pub size: usize,
    /// The columns of a matrix.
    pub count: usize,
}

/// Some neighbouring columns of one matrix.
#[derive(Clone, Copy)]
struct Block {
    first: usize,
    size: usize,
    /// The distance of neighbouring values of a column.
    stride: usize,
    columns: usize,
}

impl Block {
    /// The places of each row.
    #[inline(always)]
    fn rows(self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let row = move |index| self.first + index * self.stride;
        (0..self.size).map(move |index| row(index)..row(index) + self.columns)
    }
}

impl Columns {
    /// The columns of matrices of `length` values, in blocks.
    fn blocks(self, length: usize) -> impl Iterator<Item = Block> {
        let Self { size, count } = self;
        let matrices = length / (size * count).max(1);
        (0..matrices).flat_map(move |matrix| {
            (0..count).step_by(TOGETHER).map(move |column| Block {
                first: matrix * size * count + column,
                size,
                stride: count,
                columns: (count - column).min(TOGETHER),
            })
        })
    }

    /// Computes the softmax of each column, or its logarithm.
    pub fn softmax(self, x: &[f32], log: bool, y: &mut [f32]) {
        self.blocks(x.len()).for_each(|block| softmax(block, x, log, y));
    }

    /// Computes the gradient of the input of a softmax or its logarithm from the result, or adds it.
    pub fn softmax_backward(self, y: &[f32], dy: &[f32], log: bool, adds: bool, dx: &mut [f32]) {
        self.blocks(y.len()).for_each(|block| softmax_backward(block, y, dy, log, adds, dx));
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn softmax(block: Block, x: &[f32], log: bool, y: &mut [f32]) {
    let mut largest = [f32::NEG_INFINITY; TOGETHER];
    for row in block.rows() {
        for (largest, x) in largest.iter_mut().zip(&x[row]) {
            // A NaN makes the sum NaN.
            *largest = largest.max(*x);
        }
    }
    let mut sums = [0.0; TOGETHER];
    for row in block.rows() {
        let values = y[row.clone()].iter_mut().zip(&x[row]);
        for ((y, x), (sum, largest)) in values.zip(sums.iter_mut().zip(largest)) {
            *y = exp(x - largest);
            *sum += *y;
        }
    }
    let factors = sums.map(|sum| if log { sum.ln() } else { 1.0 / sum });
    for row in block.rows() {
        let values = y[row.clone()].iter_mut().zip(&x[row]);
        for ((y, x), (factor, largest)) in values.zip(factors.into_iter().zip(largest)) {
            *y = if log { x - largest - factor } else { *y * factor };
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn softmax_backward(block: Block, y: &[f32], dy: &[f32], log: bool, adds: bool, dx: &mut [f32]) {
    let mut sums = [0.0; TOGETHER];
    for row in block.rows() {
        for (sum, (y, dy)) in sums.iter_mut().zip(y[row.clone()].iter().zip(&dy[row])) {
            *sum += if log { *dy } else { y * dy };
        }
    }
    for row in block.rows() {
        let values = y[row.clone()].iter().zip(&dy[row.clone()]);
        for (dx, ((y, dy), sum)) in dx[row].iter_mut().zip(values.zip(sums)) {
            let value = if log { dy - exp(*y) * sum } else { y * (dy - sum) };
            put(dx, value, adds);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Columns;
    use crate::rows;

    /// The transposes of matrices of `height` rows and `width` columns.
    fn transposed(x: &[f32], height: usize, width: usize) -> Vec<f32> {
        let matrices = x.chunks_exact(height * width);
        let columns = matrices.flat_map(|x| {
            (0..width).flat_map(move |column| (0..height).map(move |row| x[row * width + column]))
        });
        columns.collect()
    }

    proptest! {
        #[test]
        fn columns_are_rows_of_the_transpose(
            size in 1_usize..9,
            count in 1_usize..40,
            matrices in 0_usize..3,
            (log, adds) in (any::<bool>(), any::<bool>()),
        ) {
            let columns = Columns { size, count };
            let numbers = |seed: usize| -> Vec<f32> {
                let at = |index: usize| ((index * 7 + seed) as f32 * 0.37).sin() * 20.0;
                (0..size * count * matrices).map(at).collect()
            };
            let (x, dy) = (numbers(0), numbers(5));
            let mut y = vec![f32::NAN; x.len()];
            columns.softmax(&x, log, &mut y);
            let before = if adds { 0.5 } else { f32::NAN };
            let mut dx = vec![before; x.len()];
            columns.softmax_backward(&y, &dy, log, adds, &mut dx);
            let mut of_rows = vec![f32::NAN; x.len()];
            let mut of_gradient = vec![before; x.len()];
            let (x, dy) = (transposed(&x, size, count), transposed(&dy, size, count));
            if log {
                rows::log_softmax(&x, size, &mut of_rows);
                rows::log_softmax_backward(&of_rows, &dy, size, adds, &mut of_gradient);
            } else {
                rows::softmax(&x, size, &mut of_rows);
                rows::softmax_backward(&of_rows, &dy, size, adds, &mut of_gradient);
            }
            for (found, expected) in transposed(&y, size, count).iter().zip(&of_rows) {
                prop_assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0));
            }
            for (found, expected) in transposed(&dx, size, count).iter().zip(&of_gradient) {
                prop_assert!((found - expected).abs() <= 1e-3 * expected.abs().max(1.0));
            }
        }
    }
}
