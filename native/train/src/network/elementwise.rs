//! Element-wise functions as libtorch operations.

use tch::{TchError, Tensor};

use crate::graph::{Elementwise, Merge};

/// A function of each value.
pub(super) fn apply(function: Elementwise, x: &Tensor) -> Result<Tensor, TchError> {
    match function {
        Elementwise::Relu => x.f_relu(),
        Elementwise::Relu6 => x.f_relu6(),
        Elementwise::LeakyRelu { slope } => leaky_relu(x, slope),
        Elementwise::Elu { alpha: 1.0 } => x.f_elu(),
        // For negative values it is `alpha` times the function for 1.
        Elementwise::Elu { alpha } => leaky_relu(&x.f_elu()?, alpha),
        Elementwise::Selu => x.f_selu(),
        Elementwise::Gelu { approximate } => x.f_gelu(approximate),
        Elementwise::Silu => x.f_silu(),
        Elementwise::Mish => x.f_mish(),
        Elementwise::Tanh => x.f_tanh(),
        Elementwise::Hardtanh => x.f_hardtanh(),
        Elementwise::Sigmoid => x.f_sigmoid(),
        Elementwise::LogSigmoid => x.f_log_sigmoid(),
        Elementwise::Hardsigmoid => x.f_hardsigmoid(),
        Elementwise::Hardswish => x.f_hardswish(),
        Elementwise::Softplus => x.f_softplus(),
        Elementwise::Softsign => x.f_div(&x.f_abs()?.f_add_scalar(1.0)?),
    }
}

/// Multiplies negative values by `slope`. tch's `leaky_relu` takes no slope, but the kernel of its derivative does: it
/// multiplies any values, here `x`, by 1 or the slope.
fn leaky_relu(x: &Tensor, slope: f64) -> Result<Tensor, TchError> {
    x.f_detach()?.f_leaky_relu_backward(x, slope, false)
}

/// Merges `first` with `others`, which are not empty.
pub(super) fn merge(merge: Merge, first: &Tensor, others: &[&Tensor]) -> Result<Tensor, TchError> {
    let step = |merged: &Tensor, other: &Tensor| match merge {
        Merge::Add | Merge::Average => merged.f_add(other),
        Merge::Subtract => merged.f_sub(other),
        Merge::Multiply => merged.f_mul(other),
        Merge::Maximum => merged.f_maximum(other),
        Merge::Minimum => merged.f_minimum(other),
    };
    let mut merged = step(first, others[0])?;
    for other in &others[1..] {
        merged = step(&merged, other)?;
    }
    if merge == Merge::Average {
        merged = merged.f_div_scalar((others.len() + 1) as f64)?;
    }
    Ok(merged)
}
