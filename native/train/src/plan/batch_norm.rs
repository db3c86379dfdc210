//! Batch normalisation.

use firesteel_kernels::norm::{self, Affine, Features, Moments};

use super::step::{Backward, Forward, Parameter, Parts, Scratch, Step, Training, Weights};
use crate::error::TrainError;

/// The normalisation of each feature over the rows of a mini-batch, or by running statistics.
pub(super) struct BatchNorm {
    pub(super) features: Features,
    pub(super) epsilon: f64,
    /// The share of a mini-batch in the running statistics; none for the mean of all mini-batches.
    pub(super) momentum: Option<f64>,
    /// The weight and the bias.
    pub(super) affine: Option<(Parameter, Parameter)>,
    pub(super) running: Option<Running>,
}

/// The running statistics.
pub(super) struct Running {
    pub(super) mean: Parameter,
    pub(super) variance: Parameter,
    /// The counter of mini-batches, as an index of the integer buffers.
    pub(super) counter: usize,
}

impl BatchNorm {
    fn affine<'a>(&self, weights: &Weights<'a>) -> Result<Affine<'a>, TrainError> {
        Ok(match &self.affine {
            None => Affine::default(),
            Some((weight, bias)) => {
                Affine { weight: Some(weights.get(weight)?), bias: Some(weights.get(bias)?) }
            }
        })
    }

    /// Takes the moments of a mini-batch, and adds them to the running statistics if there are any.
    fn measure(&self, x: &[f32], moments: &mut Vec<Moments>, training: Option<&mut Training<'_>>) {
        moments.clear();
        let measured = norm::batch_moments(x, self.features);
        let (Some(running), Some(training)) = (&self.running, training) else {
            moments.extend(measured.map(|moments| moments.normalising(self.epsilon)));
            return;
        };
        let count = &mut training.integers[running.counter];
        *count += 1;
        let momentum = self.momentum.unwrap_or(1.0 / *count as f64);
        let blend = |value: &mut f32, new: f64| {
            *value = (momentum * new + (1.0 - momentum) * f64::from(*value)) as f32;
        };
        for (feature, found) in measured.enumerate() {
            moments.push(found.normalising(self.epsilon));
            blend(&mut training.floats[running.mean.range.start + feature], found.mean);
            let variance = running.variance.range.start + feature;
            blend(&mut training.floats[variance], found.unbiased());
        }
    }

    fn take(&self, mean: &[f32], variance: &[f32], moments: &mut Vec<Moments>) {
        moments.clear();
        let both = mean.iter().zip(variance);
        moments.extend(both.map(|(&mean, &variance)| {
            Moments::new(f64::from(mean), f64::from(variance), self.epsilon)
        }));
    }
}

impl Step for BatchNorm {
    fn forward(
        &self,
        pass: &mut Forward<'_>,
        inputs: &[&[f32]],
        output: &mut [f32],
    ) -> Result<(), TrainError> {
        let x = inputs[0];
        let values = x.len() / self.features.features.max(1);
        let scratch = &mut *pass.scratch;
        // A single value has no variance: it is normalised by the running statistics and leaves them as they are.
        scratch.measured = match (&self.running, pass.training.as_mut()) {
            (None, _) => {
                self.measure(x, &mut scratch.moments, None);
                true
            }
            (Some(_), Some(training)) if values > 1 => {
                self.measure(x, &mut scratch.moments, Some(training));
                true
            }
            (Some(running), Some(training)) => {
                let read = |of: &Parameter| &training.floats[of.range.clone()];
                self.take(read(&running.mean), read(&running.variance), &mut scratch.moments);
                false
            }
            (Some(running), None) => {
                let mean = pass.weights.get(&running.mean)?;
                self.take(mean, pass.weights.get(&running.variance)?, &mut scratch.moments);
                false
            }
        };
        let affine = self.affine(pass.weights)?;
        norm::batch_forward(x, self.features, affine, &scratch.moments, output);
        Ok(())
    }

    fn prepare(&self, pass: &mut Backward<'_>, _weights: &Weights<'_>) -> Result<(), TrainError> {
        let Scratch { moments, sums, .. } = &mut *pass.scratch;
        sums.clear();
        sums.extend(norm::batch_sums(pass.inputs[0], pass.of_output, self.features, moments));
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
        let Scratch { moments, measured, sums, .. } = &*pass.scratch;
        let sums = measured.then_some(&sums[..]);
        let (x, dy) = (pass.inputs[0], &*pass.of_output);
        let affine = self.affine(weights)?;
        norm::batch_backward(x, dy, self.features, affine, moments, sums, adds, target);
        Ok(())
    }

    fn parameters(
        &self,
        pass: &mut Backward<'_>,
        parts: &mut Parts<'_, '_>,
    ) -> Result<(), TrainError> {
        let Some((weight, bias)) = &self.affine else { return Ok(()) };
        let sums = &pass.scratch.sums;
        parts.range(&weight.range).iter_mut().zip(sums).for_each(|(dw, sums)| *dw = sums.1 as f32);
        parts.range(&bias.range).iter_mut().zip(sums).for_each(|(db, sums)| *db = sums.0 as f32);
        Ok(())
    }
}
