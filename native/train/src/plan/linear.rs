//! Linear.

use firesteel_kernels::activation::Activation;
use firesteel_kernels::linear::{self, Shape};

use super::fused::Fused;
use super::step::{Backward, Forward, Parameter, Parts, Step, Weights};
use super::workspace::space;
use crate::error::TrainError;

/// A Linear layer, over the last dimension of its input.
pub(super) struct Linear {
    inputs: usize,
    outputs: usize,
    weight: Parameter,
    bias: Option<Parameter>,
    fused: Fused,
}

impl Linear {
    pub(super) fn new(
        inputs: usize,
        outputs: usize,
        weight: Parameter,
        bias: Option<Parameter>,
    ) -> Self {
        Self { inputs, outputs, weight, bias, fused: Fused::default() }
    }

    /// The shape of a call; a row of a sequence counts as a row.
    fn shape(&self, values: &[f32]) -> Shape {
        let rows = values.len() / self.inputs.max(1);
        Shape { rows, inputs: self.inputs, outputs: self.outputs }
    }
}

impl Step for Linear {
    fn forward(
        &self,
        pass: &mut Forward<'_>,
        inputs: &[&[f32]],
        output: &mut [f32],
    ) -> Result<(), TrainError> {
        let weight = pass.weights.get(&self.weight)?;
        let bias = pass.weights.optional(self.bias.as_ref())?;
        let shape = self.shape(inputs[0]);
        let memory = space(pass.workspace, linear::workspace(pass.gemm, shape));
        linear::forward(pass.gemm, shape, inputs[0], weight, bias, memory, output);
        self.fused.forward(output);
        Ok(())
    }

    fn fuse(&mut self, function: Activation) -> bool {
        self.fused.take(function)
    }

    fn prepare(&self, pass: &mut Backward<'_>, _weights: &Weights<'_>) -> Result<(), TrainError> {
        self.fused.backward(pass);
        Ok(())
    }

    fn input(
        &self,
        pass: &mut Backward<'_>,
        weights: &Weights<'_>,
        _number: usize,
        adds: bool,
        target: &mut [f32],
    ) -> Result<(), TrainError> {
        let weight = weights.get(&self.weight)?;
        let shape = self.shape(target);
        linear::of_input(pass.gemm, shape, weight, pass.of_output, adds, target);
        Ok(())
    }

    fn parameters(
        &self,
        pass: &mut Backward<'_>,
        parts: &mut Parts<'_, '_>,
    ) -> Result<(), TrainError> {
        let x = pass.inputs[0];
        let shape = self.shape(x);
        for outputs in linear::blocks(pass.gemm, shape) {
            let first = self.weight.range.start + outputs.start * self.inputs;
            let rows = first..first + outputs.len() * self.inputs;
            linear::of_weight(pass.gemm, shape, x, pass.of_output, outputs, parts.range(&rows));
            parts.complete(rows.end);
        }
        if let Some(bias) = &self.bias {
            linear::of_bias(pass.gemm, pass.of_output, parts.range(&bias.range));
        }
        Ok(())
    }
}
