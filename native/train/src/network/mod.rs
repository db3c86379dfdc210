//! Networks that train and predict over flat buffers.

mod autograd;
mod batch;
mod elementwise;
mod forward;
mod gradient;
mod operations;
mod recurrent;
mod replica;
mod tape;
mod update;
mod used_rows;

use firesteel_core::Tally;
use serde::Serialize;
use tch::Tensor;

pub(crate) use self::autograd::Autograd;
pub(crate) use self::batch::{Batch, Block, Column, InputRows};
pub(crate) use self::gradient::Gradient;
pub(crate) use self::replica::{FlatTensors, Replica, Views};
pub(crate) use self::update::Update;
pub(crate) use self::used_rows::UsedRows;
use crate::error::TrainError;
use crate::loss::Loss;
use crate::model::Definition;

/// The units of a layer that are 0 for all rows of a sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadUnits {
    /// The layer's name.
    pub layer: String,
    /// The number of its units that are 0.
    pub dead: u64,
    /// The number of its units.
    pub units: u64,
}

/// A network that computes over flat buffers.
pub(crate) trait Network: Send {
    /// Returns the outputs for inputs of any number of rows, in evaluation mode; logits if an activation is folded.
    fn forward(&self, views: &Views, inputs: &[&Tensor]) -> Result<Vec<Tensor>, TrainError>;

    /// As [`Self::forward`], for the inputs of a mini-batch.
    fn evaluate(&self, views: &Views, batch: &Batch) -> Result<Vec<Tensor>, TrainError> {
        self.forward(views, &batch.tensors()?)
    }

    /// As [`Self::evaluate`], and returns the layers with units that are 0 for all rows, if the network has layers.
    fn examine(
        &self,
        views: &Views,
        batch: &Batch,
    ) -> Result<(Vec<Tensor>, Vec<DeadUnits>), TrainError> {
        Ok((self.evaluate(views, batch)?, Vec::new()))
    }

    /// Computes the losses of a mini-batch in training mode, writes the gradient of their mean to `gradient` and
    /// updates the replica's buffers.
    fn forward_backward(
        &mut self,
        replica: &mut Replica,
        batch: &Batch,
        loss: &Loss,
        gradient: &mut Gradient,
    ) -> Result<Tally, TrainError>;

    /// As [`Self::forward_backward`], and updates the parameters unless the loss is NaN or infinite.
    fn train(
        &mut self,
        replica: &mut Replica,
        batch: &Batch,
        loss: &Loss,
        gradient: &mut Gradient,
        update: &mut Update<'_>,
    ) -> Result<Tally, TrainError> {
        let tally = self.forward_backward(replica, batch, loss, gradient)?;
        if tally.loss.is_finite() {
            let parameters = replica.parameters_mut();
            update.begin();
            update.apply(0..parameters.len(), parameters, gradient.flat_mut());
        }
        Ok(tally)
    }
}

/// A definition that builds its network.
pub(crate) trait NetworkDefinition: Definition {
    /// A network that trains and predicts, for one thread at a time.
    fn network(&self) -> Result<Box<dyn Network>, TrainError>;
}

#[cfg(test)]
mod tests;
