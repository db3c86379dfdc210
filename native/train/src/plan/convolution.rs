//! Convolution.

use firesteel_kernels::activation::Activation;
use firesteel_kernels::convolution::{self, Geometry};

use super::fused::Fused;
use super::step::{Backward, Forward, Parameter, Parts, Step, Weights};
use super::workspace::space;
use crate::error::TrainError;
use crate::graph::{self, Padding};

/// A convolution over images.
pub(super) struct Convolution {
    kernels: convolution::Convolution,
    weight: Parameter,
    bias: Option<Parameter>,
    fused: Fused,
}

impl Convolution {
    /// The step of a layer whose images and results have these shapes.
    pub(super) fn new(
        layer: &graph::Convolution,
        image: [usize; 2],
        result: [usize; 2],
        weight: Parameter,
        bias: Option<Parameter>,
    ) -> Self {
        let padding = match layer.padding {
            Padding::Each(padding) => padding,
            // An odd number of zeros has one more after the image.
            Padding::Same => [0, 1].map(|axis| layer.dilation[axis] * (layer.kernel[axis] - 1) / 2),
        };
        let geometry = Geometry {
            inputs: layer.inputs,
            outputs: layer.outputs,
            groups: layer.groups,
            image,
            result,
            kernel: layer.kernel,
            stride: layer.stride,
            padding,
            dilation: layer.dilation,
        };
        Self {
            kernels: convolution::Convolution::new(geometry),
            weight,
            bias,
            fused: Fused::default(),
        }
    }

    /// Takes the memory that a call needs.
    fn memory<'a>(&self, workspace: &'a mut Vec<f32>) -> &'a mut [f32] {
        space(workspace, self.kernels.scratch())
    }
}

impl Step for Convolution {
    fn forward(
        &self,
        pass: &mut Forward<'_>,
        inputs: &[&[f32]],
        output: &mut [f32],
    ) -> Result<(), TrainError> {
        let weight = pass.weights.get(&self.weight)?;
        let bias = pass.weights.optional(self.bias.as_ref())?;
        let memory = self.memory(pass.workspace);
        self.kernels.forward(inputs[0], weight, bias, self.fused.function(), output, memory);
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
        self.kernels.of_input(weight, pass.of_output, adds, target, self.memory(pass.workspace));
        Ok(())
    }

    fn parameters(
        &self,
        pass: &mut Backward<'_>,
        parts: &mut Parts<'_, '_>,
    ) -> Result<(), TrainError> {
        let memory = self.memory(pass.workspace);
        let of_weight = parts.range(&self.weight.range);
        self.kernels.of_weight(pass.inputs[0], pass.of_output, of_weight, memory);
        if let Some(bias) = &self.bias {
            self.kernels.of_bias(pass.of_output, parts.range(&bias.range));
        }
        Ok(())
    }
}
