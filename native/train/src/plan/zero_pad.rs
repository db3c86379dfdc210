//! `ZeroPad2d`.

use firesteel_kernels::shaping::Padding;

use super::step::{Backward, Forward, Step, Weights};
use crate::error::TrainError;

/// Zeros around images.
pub(super) struct ZeroPad(pub(super) Padding);

impl Step for ZeroPad {
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
        self.0.of_input(pass.of_output, adds, target);
        Ok(())
    }
}
