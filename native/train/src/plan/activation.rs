//! The element-wise layers.

use firesteel_kernels::activation::Activation;

use super::step::{Backward, Forward, Step, Weights};
use crate::error::TrainError;
use crate::graph::Elementwise;

/// A function of each value.
pub(super) struct Activate(Activation);

impl Activate {
    pub(super) fn new(function: Elementwise) -> Self {
        Self(kernel(function))
    }
}

/// Returns the kernel of a function.
pub(super) fn kernel(function: Elementwise) -> Activation {
    match function {
        Elementwise::Relu => Activation::Relu,
        Elementwise::Relu6 => Activation::Relu6,
        Elementwise::LeakyRelu { slope } => Activation::LeakyRelu { slope: slope as f32 },
        Elementwise::Elu { alpha } => Activation::Elu { alpha: alpha as f32 },
        Elementwise::Selu => Activation::Selu,
        Elementwise::Gelu { approximate: "tanh" } => Activation::GeluTanh,
        Elementwise::Gelu { .. } => Activation::Gelu,
        Elementwise::Silu => Activation::Silu,
        Elementwise::Mish => Activation::Mish,
        Elementwise::Tanh => Activation::Tanh,
        Elementwise::Hardtanh => Activation::Hardtanh,
        Elementwise::Sigmoid => Activation::Sigmoid,
        Elementwise::LogSigmoid => Activation::LogSigmoid,
        Elementwise::Hardsigmoid => Activation::Hardsigmoid,
        Elementwise::Hardswish => Activation::Hardswish,
        Elementwise::Softplus => Activation::Softplus,
        Elementwise::Softsign => Activation::Softsign,
    }
}

impl Step for Activate {
    fn forward(
        &self,
        _pass: &mut Forward<'_>,
        inputs: &[&[f32]],
        output: &mut [f32],
    ) -> Result<(), TrainError> {
        self.0.forward(inputs[0], output);
        Ok(())
    }

    fn input(
        &self,
        pass: &mut Backward<'_>,
        _weights: &Weights<'_>,
        _number: usize,
        adds: bool,
        target: &mut [f32],
    ) -> Result<(), TrainError> {
        self.0.backward(pass.inputs[0], pass.output, pass.of_output, adds, target);
        Ok(())
    }
}
