//! Pooling by the largest value.

use firesteel_kernels::pooling::Pooling;

use super::step::{Backward, Forward, Step, Weights};
use crate::error::TrainError;

/// The largest values of windows.
pub(super) struct MaxPool(pub(super) Pooling);

impl Step for MaxPool {
    fn forward(
        &self,
        pass: &mut Forward<'_>,
        inputs: &[&[f32]],
        output: &mut [f32],
    ) -> Result<(), TrainError> {
        let places = &mut pass.scratch.places;
        places.resize(output.len(), 0);
        self.0.maximum(inputs[0], output, places);
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
        self.0.of_maximum(pass.of_output, &pass.scratch.places, adds, target);
        Ok(())
    }
}
