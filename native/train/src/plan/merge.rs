//! Add, Subtract, Multiply, Average, Maximum and Minimum of inputs of one shape.

use firesteel_kernels::put;

use super::step::{Backward, Forward, Step, Weights};
use crate::error::TrainError;
use crate::graph::Merge;

/// A function of the values at one place of all inputs.
pub(super) struct Merging(Merge);

impl Merging {
    pub(super) fn new(merge: Merge) -> Self {
        Self(merge)
    }

    /// Merges one value with the next.
    fn merged(&self, a: f32, b: f32) -> f32 {
        match self.0 {
            Merge::Add | Merge::Average => a + b,
            Merge::Subtract => a - b,
            Merge::Multiply => a * b,
            // NaN wins, as in libtorch; `f32::max` would hide it.
            Merge::Maximum => {
                if a > b || a.is_nan() {
                    a
                } else {
                    b
                }
            }
            Merge::Minimum => {
                if a < b || a.is_nan() {
                    a
                } else {
                    b
                }
            }
        }
    }
}

impl Step for Merging {
    fn forward(
        &self,
        _pass: &mut Forward<'_>,
        inputs: &[&[f32]],
        output: &mut [f32],
    ) -> Result<(), TrainError> {
        output.copy_from_slice(inputs[0]);
        for input in &inputs[1..] {
            for (y, x) in output.iter_mut().zip(*input) {
                *y = self.merged(*y, *x);
            }
        }
        if self.0 == Merge::Average {
            let count = inputs.len() as f32;
            output.iter_mut().for_each(|y| *y /= count);
        }
        Ok(())
    }

    fn input(
        &self,
        pass: &mut Backward<'_>,
        _weights: &Weights<'_>,
        number: usize,
        adds: bool,
        target: &mut [f32],
    ) -> Result<(), TrainError> {
        let count = pass.inputs.len() as f32;
        for (index, (dx, dy)) in target.iter_mut().zip(&*pass.of_output).enumerate() {
            let slope = match self.0 {
                Merge::Add => 1.0,
                Merge::Average => 1.0 / count,
                Merge::Subtract => {
                    if number == 0 {
                        1.0
                    } else {
                        -1.0
                    }
                }
                Merge::Multiply => {
                    let others =
                        pass.inputs.iter().enumerate().filter(|(other, _)| *other != number);
                    others.map(|(_, values)| values[index]).product()
                }
                Merge::Maximum | Merge::Minimum => self.share(pass, number, index),
            };
            let value = dy * slope;
            put(dx, value, adds);
        }
        Ok(())
    }
}

impl Merging {
    /// Returns the share of an input in the gradient of a maximum or minimum: autograd halves it at each merge of two
    /// equal values.
    fn share(&self, pass: &Backward<'_>, number: usize, index: usize) -> f32 {
        let mut share = 0.0;
        let mut merged = pass.inputs[0][index];
        if number == 0 {
            share = 1.0;
        }
        for (other, input) in pass.inputs.iter().enumerate().skip(1) {
            let value = input[index];
            let next = self.merged(merged, value);
            let of_merged = if merged == value {
                0.5
            } else if next == merged {
                1.0
            } else {
                0.0
            };
            share *= of_merged;
            if other == number {
                share = 1.0 - of_merged;
            }
            merged = next;
        }
        share
    }
}
