//! libtorch operations that several layers share.

use tch::Tensor;

use super::tape::Tape;
use crate::error::TrainError;
use crate::raw::{Memory, dimension};

/// Applies dropout with a mask from the worker's own generator, not from libtorch's, which all threads share.
pub(super) fn dropout(
    x: &Tensor,
    probability: f64,
    tape: Option<&mut Tape<'_>>,
) -> Result<Tensor, TrainError> {
    let Some(tape) = tape.filter(|_| probability > 0.0) else { return Ok(x.shallow_clone()) };
    let mut mask = Memory::<f32>::zeros(x.numel())?;
    tape.random.mask(probability, mask.slice_mut());
    Ok(x.f_mul(&mask.view(0, &x.size())?)?)
}

/// Returns the number of rows of a tensor.
pub(super) fn rows(x: &Tensor) -> i64 {
    x.size().first().copied().unwrap_or(0)
}

/// Converts a dimension of the row to one of the mini-batch.
pub(super) fn axis(dimension_of_row: usize) -> Result<i64, TrainError> {
    dimension(dimension_of_row + 1)
}
