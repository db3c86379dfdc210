//! Layer normalisation.

use firesteel_kernels::norm::{self, Affine, Moments};

use super::step::{Backward, Forward, Parameter, Parts, Step, Weights};
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

    fn input(
        &self,
        pass: &mut Backward<'_>,
        weights: &Weights<'_>,
        _number: usize,
        adds: bool,
        target: &mut [f32],
    ) -> Result<(), TrainError> {
        let (x, dy, kept) = (pass.inputs[0], &*pass.of_output, &pass.scratch.moments);
        let affine = self.affine(weights)?;
        norm::layer_backward(x, dy, self.size, affine, kept, adds, target);
        Ok(())
    }

    fn parameters(
        &self,
        pass: &mut Backward<'_>,
        parts: &mut Parts<'_, '_>,
    ) -> Result<(), TrainError> {
        let (Some(weight), x) = (&self.weight, pass.inputs[0]) else { return Ok(()) };
        let kept = &pass.scratch.moments;
        // The bias follows the weight in the layout.
        let end = self.bias.as_ref().map_or(weight.range.end, |bias| bias.range.end);
        let both = parts.range(&(weight.range.start..end));
        let (of_weight, of_bias) = both.split_at_mut(weight.range.len());
        let of_bias = self.bias.is_some().then_some(of_bias);
        norm::layer_parameters(x, pass.of_output, kept, of_weight, of_bias);
        Ok(())
    }
}
