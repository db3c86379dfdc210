//! The steps of a plan.

use std::ops::Range;

use firesteel_kernels::Gemm;
use firesteel_kernels::activation::Activation;

use super::dead_units::Rectifier;
use crate::error::TrainError;
use crate::network::Views;
use crate::random::Generator;
use crate::raw::values;

/// The arithmetic of one layer.
pub(super) trait Step: Send {
    /// Computes the output.
    fn forward(
        &self,
        pass: &mut Forward<'_>,
        inputs: &[&[f32]],
        output: &mut [f32],
    ) -> Result<(), TrainError>;

    /// Takes a function of the output into the step, which then computes both in one memory. Returns false if it cannot.
    fn fuse(&mut self, _function: Activation) -> bool {
        false
    }

    /// Turns the gradient of the output into that before a function that was fused.
    fn prepare(&self, _output: &[f32], _of_output: &mut [f32]) {}

    /// Writes the gradient of the layer's parameters into the flat gradient.
    fn parameters(&self, _pass: &Backward<'_>, _gradient: &mut [f32]) -> Result<(), TrainError> {
        Ok(())
    }

    /// Computes the gradient of an input, or adds it.
    fn input(
        &self,
        pass: &Backward<'_>,
        number: usize,
        adds: bool,
        target: &mut [f32],
    ) -> Result<(), TrainError>;
}

/// A step with the places that it reads and writes.
pub(super) struct Placed {
    pub(super) step: Box<dyn Step>,
    pub(super) inputs: Vec<usize>,
    pub(super) output: usize,
    /// Its tensors, as indices of the layout's entries.
    pub(super) tensors: Range<usize>,
    pub(super) rectifier: Option<Rectifier>,
}

/// A forward pass, in training mode if there is a generator.
pub(super) struct Forward<'a> {
    pub(super) gemm: &'a Gemm,
    pub(super) weights: &'a Weights<'a>,
    /// Kept for the backward pass.
    pub(super) scratch: &'a mut Vec<f32>,
    pub(super) random: Option<&'a mut Generator>,
}

/// A backward pass through one step.
pub(super) struct Backward<'a> {
    pub(super) gemm: &'a Gemm,
    pub(super) weights: &'a Weights<'a>,
    pub(super) scratch: &'a [f32],
    pub(super) inputs: &'a [&'a [f32]],
    pub(super) output: &'a [f32],
    pub(super) of_output: &'a [f32],
}

/// The weights of a network.
pub(super) enum Weights<'a> {
    /// The flat parameters of a replica.
    Flat(&'a [f32]),
    /// The tensors of a predictor or an evaluation.
    Views(&'a Views),
}

/// A parameter: its entry in the layout, and its place in the flat parameters.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub(super) entry: usize,
    pub(super) range: Range<usize>,
}

impl Weights<'_> {
    pub(super) fn get(&self, parameter: &Parameter) -> Result<&[f32], TrainError> {
        match self {
            Self::Flat(flat) => Ok(&flat[parameter.range.clone()]),
            Self::Views(views) => values(views.get(parameter.entry)),
        }
    }
}
