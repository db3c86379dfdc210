//! A layer `y = x w^T + b`, for inputs of `rows` x `inputs` and weights of `outputs` x `inputs`.

#[cfg(target_arch = "x86_64")]
use crate::few_rows;
pub use crate::shape::Shape;
use crate::{Gemm, Matrix};

/// Returns true if the kernels for few rows serve a product on this processor.
#[cfg(target_arch = "x86_64")]
fn suits_few_rows(shape: Shape) -> bool {
    shape.rows <= few_rows::MOST && few_rows::available()
}

/// Computes `y = x w^T`, and adds the bias to each row.
pub fn forward(
    gemm: &Gemm,
    shape: Shape,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
) {
    #[cfg(target_arch = "x86_64")]
    if suits_few_rows(shape) {
        return few_rows::forward(shape, x, w, bias, y);
    }
    let Shape { rows, inputs, outputs } = shape;
    let (x, w) = (Matrix::new(x, rows, inputs), Matrix::new(w, outputs, inputs));
    if let Some(bias) = bias {
        for row in y.chunks_exact_mut(outputs.max(1)) {
            row.copy_from_slice(bias);
        }
    }
    gemm.product(x, w.t(), bias.is_some(), y);
}

/// Computes the gradient of the input, `dy w`, or adds it.
pub fn of_input(gemm: &Gemm, shape: Shape, w: &[f32], dy: &[f32], adds: bool, dx: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if suits_few_rows(shape) {
        return few_rows::of_input(shape, w, dy, adds, dx);
    }
    let Shape { rows, inputs, outputs } = shape;
    gemm.product(Matrix::new(dy, rows, outputs), Matrix::new(w, outputs, inputs), adds, dx);
}

/// Computes the gradient of the weight, `dy^T x`.
pub fn of_weight(gemm: &Gemm, shape: Shape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if suits_few_rows(shape) {
        return few_rows::of_weight(shape, x, dy, dw);
    }
    let Shape { rows, inputs, outputs } = shape;
    gemm.product(Matrix::new(dy, rows, outputs).t(), Matrix::new(x, rows, inputs), false, dw);
}

/// Computes the gradient of the bias: the sum of the rows of `dy`.
pub fn of_bias(dy: &[f32], db: &mut [f32]) {
    db.fill(0.0);
    for row in dy.chunks_exact(db.len().max(1)) {
        for (sum, value) in db.iter_mut().zip(row) {
            *sum += value;
        }
    }
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
            rows in 0_usize..12,
            inputs in 0_usize..70,
            outputs in 0_usize..150,
            biased: bool,
            adds: bool,
            seed in 0_usize..100,
        ) {
            let shape = Shape { rows, inputs, outputs };
            let (x, w) = (numbers(rows * inputs, seed), numbers(outputs * inputs, seed + 1));
            let (dy, bias) = (numbers(rows * outputs, seed + 2), numbers(outputs, seed + 3));
            let gemm = Gemm::portable();

            let mut y = vec![f32::NAN; rows * outputs];
            forward(&gemm, shape, &x, &w, biased.then_some(&bias[..]), &mut y);
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
            of_weight(&gemm, shape, &x, &dy, &mut dw);
            let expected = product(
                (outputs, inputs, rows), |o, r| dy[r * outputs + o], |r, k| x[r * inputs + k]
            );
            prop_assert!(near(&dw, &expected, rows), "of_weight");
        }
    }
}
