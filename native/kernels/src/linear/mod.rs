//! A layer `y = x w^T + b`, for inputs of `rows` x `inputs` and weights of `outputs` x `inputs`.

mod forward;
mod gradients;

use std::ops::Range;

use self::forward::Forward;
use self::gradients::{OfBias, OfInput, OfWeight};
pub use crate::shape::Shape;
use crate::{Gemm, Matrix};

/// Returns the length of the working memory of [`forward`].
#[must_use]
pub fn workspace(gemm: &Gemm, shape: Shape) -> usize {
    if gemm.prefers_blas(shape) { 0 } else { forward::panels(shape) }
}

/// Computes `y = x w^T`, and adds the bias to each row. The memory has the length that [`workspace`] returns, or more.
///
/// # Panics
/// If a length does not fit the shape.
pub fn forward(
    gemm: &Gemm,
    shape: Shape,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    memory: &mut [f32],
    y: &mut [f32],
) {
    let Shape { rows, inputs, outputs } = shape;
    check(shape, x, w, y);
    assert!(bias.is_none_or(|bias| bias.len() == outputs), "the length of a bias");
    if !gemm.prefers_blas(shape) {
        let panels = &mut memory[..forward::panels(shape)];
        return gemm.level().run(Forward { shape, x, w, bias, y, panels });
    }
    let (x, w) = (Matrix::new(x, rows, inputs), Matrix::new(w, outputs, inputs));
    if let Some(bias) = bias {
        for row in y.chunks_exact_mut(outputs.max(1)) {
            row.copy_from_slice(bias);
        }
    }
    gemm.product(x, w.t(), bias.is_some(), y);
}

/// Computes the gradient of the input, `dy w`, or adds it.
///
/// # Panics
/// If a length does not fit the shape.
pub fn of_input(gemm: &Gemm, shape: Shape, w: &[f32], dy: &[f32], adds: bool, dx: &mut [f32]) {
    let Shape { rows, inputs, outputs } = shape;
    check(shape, dx, w, dy);
    if !gemm.prefers_blas(shape) {
        return gemm.level().run(OfInput { shape, w, dy, adds, dx });
    }
    gemm.product(Matrix::new(dy, rows, outputs), Matrix::new(w, outputs, inputs), adds, dx);
}

/// The outputs in the order in which the gradients of their weights are best computed, some at a time.
pub fn blocks(gemm: &Gemm, shape: Shape) -> impl Iterator<Item = Range<usize>> + use<> {
    let Shape { inputs, outputs, .. } = shape;
    let block = if gemm.prefers_blas(shape) { outputs } else { (BLOCK / inputs.max(1)).max(12) };
    let block = block.next_multiple_of(12);
    (0..outputs).step_by(block).map(move |first| first..outputs.min(first + block))
}

/// The values of the weight's gradient that are computed together.
const BLOCK: usize = 1 << 14;

/// Computes the gradient of the weights of some outputs: their rows of `dy^T x`.
///
/// # Panics
/// If a length does not fit the shape, or the outputs are not all and not those of [`blocks`].
pub fn of_weight(
    gemm: &Gemm,
    shape: Shape,
    x: &[f32],
    dy: &[f32],
    some: Range<usize>,
    dw: &mut [f32],
) {
    let Shape { rows, inputs, outputs } = shape;
    assert_eq!((x.len(), dy.len()), (rows * inputs, rows * outputs), "{shape:?}");
    assert!(some.start <= some.end && some.end <= outputs, "{some:?} of {shape:?}");
    assert_eq!(dw.len(), some.len() * inputs, "{some:?} of {shape:?}");
    if !gemm.prefers_blas(shape) {
        return gemm.level().run(OfWeight { shape, x, dy, outputs: some, dw });
    }
    assert_eq!(some, 0..outputs, "BLAS computes all outputs");
    gemm.product(Matrix::new(dy, rows, outputs).t(), Matrix::new(x, rows, inputs), false, dw);
}

/// Computes the gradient of the bias: the sum of the rows of `dy`.
pub fn of_bias(gemm: &Gemm, dy: &[f32], db: &mut [f32]) {
    gemm.level().run(OfBias { dy, db });
}

fn check(shape: Shape, x: &[f32], w: &[f32], y: &[f32]) {
    let Shape { rows, inputs, outputs } = shape;
    let expected = (rows * inputs, inputs * outputs, rows * outputs);
    assert_eq!((x.len(), w.len(), y.len()), expected, "{shape:?}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|index| ((index * 7 + seed * 13) as f32 * 0.37).sin()).collect()
    }

    /// `sum_inner a(row, inner) b(inner, column)` in f64, for all rows and columns.
    fn product(
        (rows, columns, inner): (usize, usize, usize),
        a: impl Fn(usize, usize) -> f32,
        b: impl Fn(usize, usize) -> f32,
    ) -> Vec<f64> {
        let at = |row, column| {
            (0..inner).map(|inner| f64::from(a(row, inner)) * f64::from(b(inner, column))).sum()
        };
        (0..rows)
            .flat_map(|row| (0..columns).map(move |column| (row, column)))
            .map(|(row, column)| at(row, column))
            .collect()
    }

    fn near(found: &[f32], expected: &[f64], inner: usize) -> bool {
        let bound = 1e-6 * (1.0 + inner as f64);
        found.len() == expected.len()
            && found.iter().zip(expected).all(|(a, b)| (f64::from(*a) - b).abs() <= bound)
    }

    proptest! {
        #[test]
        fn a_layer_and_its_gradients_are_those_of_f64_for_every_shape(
            rows in prop_oneof![0_usize..12, 0_usize..70],
            inputs in 0_usize..70,
            outputs in 0_usize..150,
            biased: bool,
            adds: bool,
            seed in 0_usize..100,
        ) {
            let shape = Shape { rows, inputs, outputs };
            let (x, w) = (numbers(rows * inputs, seed), numbers(outputs * inputs, seed + 1));
            let (dy, bias) = (numbers(rows * outputs, seed + 2), numbers(outputs, seed + 3));
            for gemm in Gemm::all() {

                let mut y = vec![f32::NAN; rows * outputs];
                let mut memory = vec![0.0; workspace(&gemm, shape)];
                forward(&gemm, shape, &x, &w, biased.then_some(&bias[..]), &mut memory, &mut y);
                let mut expected = product(
                    (rows, outputs, inputs), |r, k| x[r * inputs + k], |k, o| w[o * inputs + k]
                );
                if biased {
                    for (index, value) in expected.iter_mut().enumerate() {
                        *value += f64::from(bias[index % outputs]);
                    }
                }
                prop_assert!(near(&y, &expected, inputs), "forward");

                let before = if adds { 0.5 } else { f32::NAN };
                let mut dx = vec![before; rows * inputs];
                of_input(&gemm, shape, &w, &dy, adds, &mut dx);
                let mut expected = product(
                    (rows, inputs, outputs), |r, o| dy[r * outputs + o], |o, k| w[o * inputs + k]
                );
                if adds {
                    expected.iter_mut().for_each(|value| *value += 0.5);
                }
                prop_assert!(near(&dx, &expected, outputs), "of_input");

                let mut dw = vec![f32::NAN; outputs * inputs];
                for some in blocks(&gemm, shape) {
                    let rows = some.start * inputs..some.end * inputs;
                    of_weight(&gemm, shape, &x, &dy, some, &mut dw[rows]);
                }
                let expected = product(
                    (outputs, inputs, rows), |o, r| dy[r * outputs + o], |r, k| x[r * inputs + k]
                );
                prop_assert!(near(&dw, &expected, rows), "of_weight");

                let mut db = vec![f32::NAN; outputs];
                of_bias(&gemm, &dy, &mut db);
                let expected = product((1, outputs, rows), |_, _| 1.0, |r, o| dy[r * outputs + o]);
                prop_assert!(near(&db, &expected, rows), "of_bias");
            }
        }
    }
}
