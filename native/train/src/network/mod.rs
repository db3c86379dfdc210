//! What trains and predicts: a network over flat buffers.

mod autograd;
mod batch;
mod elementwise;
mod forward;
mod gradient;
mod graph_definition;
mod operations;
mod recurrent;
mod replica;
mod tape;

use firesteel_core::Tally;
use serde::Serialize;
use tch::Tensor;

pub(crate) use self::autograd::Autograd;
pub(crate) use self::batch::{Batch, Block, Column};
pub(crate) use self::gradient::Gradient;
pub(crate) use self::replica::{FlatTensors, Replica, Views};
use crate::error::TrainError;
use crate::loss::Loss;
use crate::model::Definition;

/// The units of a layer that are 0 for all rows of a sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadUnits {
    /// The layer's name.
    pub layer: String,
    /// How many of its units are 0.
    pub dead: u64,
    /// Its units.
    pub units: u64,
}

/// A network that computes over flat buffers. Nothing outside knows how.
pub(crate) trait Network: Send {
    /// The outputs for inputs of any number of rows, in evaluation mode; logits where an activation is folded.
    fn forward(&self, views: &Views, inputs: &[&Tensor]) -> Result<Vec<Tensor>, TrainError>;

    /// As [`Self::forward`], with the layers in which units are 0 for all rows, where the network has layers.
    fn examine(
        &self,
        views: &Views,
        inputs: &[&Tensor],
    ) -> Result<(Vec<Tensor>, Vec<DeadUnits>), TrainError> {
        Ok((self.forward(views, inputs)?, Vec::new()))
    }

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

/// A definition that builds its network.
pub(crate) trait NetworkDefinition: Definition {
    /// A network that trains and predicts, for one thread at a time.
    fn network(&self) -> Result<Box<dyn Network>, TrainError>;
}

#[cfg(test)]
mod tests;
