//! What trains and predicts: a network over flat buffers.

mod autograd;
mod batch;
mod elementwise;
mod forward;
mod gradient;
mod recurrent;
mod replica;

use firesteel_core::Tally;
use tch::Tensor;

pub(crate) use self::autograd::Autograd;
pub(crate) use self::batch::{Batch, Block, Column};
pub(crate) use self::gradient::Gradient;
pub(crate) use self::replica::{Flats, Replica, Views};
use crate::error::TrainError;
use crate::loss::Loss;

/// A network that computes over flat buffers. Nothing outside knows how.
pub(crate) trait Network: Send {
    /// The outputs for inputs of any number of rows, in evaluation mode; logits where an activation is folded.
    fn forward(&self, views: &Views, inputs: &[&Tensor]) -> Result<Vec<Tensor>, TrainError>;

    /// The losses of a mini-batch in training mode. Leaves the gradient of their mean in `gradient` and updates the
    /// replica's buffers.
    fn forward_backward(
        &mut self,
        replica: &mut Replica,
        batch: &Batch,
        loss: &Loss,
        gradient: &mut Gradient,
    ) -> Result<Tally, TrainError>;
}

#[cfg(test)]
mod tests;
