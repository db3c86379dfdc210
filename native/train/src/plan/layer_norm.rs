//! Layer normalisation.

use firesteel_kernels::norm::{self, Affine, Moments};

use super::step::{Backward, Forward, Parameter, Step, Weights};
use crate::error::TrainError;

/// The normalisation of groups of `size` values.
pub(super) struct LayerNorm {
    pub(super) size: usize,
    pub(super) epsilon: f64,
    pub(super) weight: Option<Parameter>,
    pub(super) bias: Option<Parameter>,
}

impl LayerNorm {
    fn affine<'a>(&self, weights: &Weights<'a>) -> Result<Affine<'a>, TrainError> {
        let read = |of: &Option<Parameter>| of.as_ref().map(|of| weights.get(of)).transpose();
        Ok(Affine { weight: read(&self.weight)?, bias: read(&self.bias)? })
    }
}

impl Step for LayerNorm {
    fn forward(
        &self,
        pass: &mut Forward<'_>,
        inputs: &[&[f32]],
        output: &mut [f32],
    ) -> Result<(), TrainError> {
        let kept = &mut pass.scratch.moments;
        kept.resize(output.len() / self.size.max(1), Moments::default());
        let affine = self.affine(pass.weights)?;
        norm::layer_forward(inputs[0], self.size, self.epsilon, affine, kept, output);
        Ok(())
    }

    fn parameters(&self, pass: &Backward<'_>, gradient: &mut [f32]) -> Result<(), TrainError> {
        let (Some(weight), x) = (&self.weight, pass.inputs[0]) else { return Ok(()) };
        let kept = &pass.scratch.moments;
        // The bias follows the weight in the layout.
        let (of_weight, rest) = gradient[weight.range.start..].split_at_mut(weight.range.len());
        let of_bias = self.bias.as_ref().map(|bias| &mut rest[..bias.range.len()]);
        norm::layer_parameters(x, pass.of_output, kept, of_weight, of_bias);
        Ok(())
    }

    fn input(
        &self,
        pass: &Backward<'_>,
        _number: usize,
        adds: bool,
        target: &mut [f32],
    ) -> Result<(), TrainError> {
        let (x, dy, kept) = (pass.inputs[0], pass.of_output, &pass.scratch.moments);
        let affine = self.affine(pass.weights)?;
        norm::layer_backward(x, dy, self.size, affine, kept, adds, target);
        Ok(())
    }
}
