//! The arithmetic of planned networks, on flat slices of f32 in row-major order.
//!
//! Nothing here allocates but what is made once for a network, and nothing knows of layers or of libtorch's tensors.
//! Each kernel writes all of its result, or adds to it where its documentation says so.

pub mod activation;
mod blas;
mod cells;
pub mod columns;
pub mod convolution;
mod gemm;
pub mod gru;
pub mod linear;
pub mod loss;
pub mod lstm;
mod math;
pub mod norm;
#[cfg(test)]
mod numbers;
pub mod pooling;
mod prefetch;
pub mod rows;
mod shape;
pub mod shaping;
mod simd;
pub mod sparse;
mod write;

pub use self::gemm::{Gemm, Matrix};
pub use self::prefetch::{AHEAD, prefetch};
pub use self::write::put;
