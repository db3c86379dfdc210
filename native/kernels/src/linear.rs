//! A layer `y = x w^T + b`, for inputs of `rows` x `inputs` and weights of `outputs` x `inputs`.

use crate::{Gemm, Matrix};

/// The lengths of a layer and of a mini-batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The rows of the mini-batch.
    pub rows: usize,
    /// The values of a row of the input.
    pub inputs: usize,
    /// The values of a row of the output.
    pub outputs: usize,
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
    let Shape { rows, inputs, outputs } = shape;
    gemm.product(Matrix::new(dy, rows, outputs), Matrix::new(w, outputs, inputs), adds, dx);
}

/// Computes the gradient of the weight, `dy^T x`.
pub fn of_weight(gemm: &Gemm, shape: Shape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
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
