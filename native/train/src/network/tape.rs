//! The record of a forward pass in training mode.

use tch::Tensor;

use crate::random::Generator;

/// What training needs beside the values.
pub(super) struct Tape<'a> {
    pub(super) random: &'a mut Generator,
    pub(super) integers: &'a mut [i64],
    /// What the backward pass needs of each Linear layer, in order.
    pub(super) linear_calls: Vec<LinearCall>,
}

/// A Linear layer's input and output as matrices, and the index of its weight in the layout.
pub(super) struct LinearCall {
    pub(super) input: Tensor,
    pub(super) output: Tensor,
    pub(super) weight: usize,
    pub(super) bias: bool,
}
