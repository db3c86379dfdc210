//! What trains and predicts: a network over flat buffers.

mod autograd;
mod batch;
mod forward;
mod replica;

use firesteel_core::Tally;
use tch::Tensor;

pub(crate) use self::autograd::Autograd;
pub(crate) use self::batch::{Batch, Column};
pub(crate) use self::replica::{Replica, Views};
use crate::error::TrainError;

/// A network that computes over the flat buffers of a replica. Nothing outside knows how.
pub(crate) trait Network {
    /// The outputs for inputs of any number of rows, in evaluation mode; logits where an activation is folded.
    fn forward(&self, views: &Views, inputs: &[&Tensor]) -> Result<Vec<Tensor>, TrainError>;

    /// The loss of a mini-batch in training mode. Leaves the gradient of its mean in [`gradient`](Self::gradient) and updates
    /// the replica's buffers.
    fn forward_backward(&mut self, replica: &mut Replica, batch: &Batch) -> Result<Tally, TrainError>;

    /// The gradient of the last mini-batch, in the layout's order.
    fn gradient(&self) -> &[f32];
}
