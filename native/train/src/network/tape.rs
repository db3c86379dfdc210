//! The record of a forward pass in training mode.

use tch::Tensor;

use crate::random::Generator;

/// The state of a forward pass in training mode.
pub(super) struct Tape<'a> {
    pub(super) random: &'a mut Generator,
    pub(super) integers: &'a mut [i64],
    /// The calls of Linear layers in order, for the backward pass.
    pub(super) linear_calls: Vec<LinearCall>,
}

/// A Linear layer's input and output as matrices, and the index of its weight in the layout.
pub(super) struct LinearCall {
    pub(super) input: Tensor,
    pub(super) output: Tensor,
    pub(super) weight: usize,
    pub(super) bias: bool,
}
