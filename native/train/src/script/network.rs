//! A TorchScript module that trains and predicts over flat buffers.

use firesteel_core::{BufferKind, Tally};
use firesteel_script::{Module, ScriptError};
use tch::{Tensor, no_grad_guard};

use super::check_count;
use super::placements::TensorPlacements;
use crate::error::TrainError;
use crate::loss::{self, Loss};
use crate::network::{Batch, Gradient, Network, Replica, Views};
use crate::raw::dimension;

/// One module for all replicas that run in turn: the tensors of each are set before the module runs.
pub(super) struct ScriptNetwork {
    module: Module,
    placements: TensorPlacements,
    outputs: Vec<String>,
}

impl ScriptNetwork {
    pub(super) fn new(module: Module, placements: TensorPlacements, outputs: Vec<String>) -> Self {
        Self { module, placements, outputs }
    }

    fn run(&self, training: bool, inputs: &[&Tensor]) -> Result<Vec<Tensor>, ScriptError> {
        self.module.set_training(training)?;
        self.module.forward(inputs)
    }

    /// Checks the module's outputs for a number of rows, as they may depend on the data.
    fn checked(&self, rows: i64, outputs: Vec<Tensor>) -> Result<Vec<Tensor>, TrainError> {
        check_count(outputs.len(), &self.outputs)?;
        for (name, output) in self.outputs.iter().zip(&outputs) {
            let size = output.size();
            if size.first() != Some(&rows) {
                return Err(TrainError::Script(format!(
                    "its output '{name}' has the shape {size:?} for {rows} rows"
                )));
            }
        }
        Ok(outputs)
    }
}

impl Network for ScriptNetwork {
    fn forward(&self, views: &Views, inputs: &[&Tensor]) -> Result<Vec<Tensor>, TrainError> {
        let _guard = no_grad_guard();
        self.placements.bind(&self.module, views)?;
        // A module may write to its inputs, which may be Spark's memory.
        let own =
            inputs.iter().map(|input| input.f_detach_copy()).collect::<Result<Vec<_>, _>>()?;
        let rows = own.first().and_then(|input| input.size().first().copied()).unwrap_or_default();
        self.checked(rows, self.run(false, &own.iter().collect::<Vec<_>>())?)
    }

    fn forward_backward(
        &mut self,
        replica: &mut Replica,
        batch: &Batch,
        loss: &Loss,
        gradient: &mut Gradient,
    ) -> Result<Tally, TrainError> {
        let inputs = batch.tensors()?;
        self.placements.bind(&self.module, replica.views())?;
        // All threads share the generator of a module's random numbers: a task that runs alone draws the same numbers
        // again.
        tch::manual_seed(replica.draw().cast_signed());
        let outputs = match self.run(true, &inputs) {
            // A single row has no variance, so batch norm fails in training mode; the running statistics replace it.
            Err(_) if batch.rows() == 1 => self.run(false, &inputs),
            other => other,
        };
        let outputs = self.checked(dimension(batch.rows())?, outputs?)?;
        let weights = batch.weights();
        let labels = batch.labels.iter().map(|column| column.tensor());
        let loss = loss.of(&outputs, labels, weights)?;
        let entries = self.placements.layout().entries();
        let trained: Vec<usize> = (0..entries.len())
            .filter(|&index| entries[index].kind == BufferKind::Parameter)
            .collect();
        let wanted: Vec<&Tensor> =
            trained.iter().map(|&index| replica.views().get(index)).collect();
        let found = Tensor::f_run_backward(&[&loss], &wanted, false, false)?;
        let _guard = no_grad_guard();
        for (&index, of_parameter) in trained.iter().zip(&found) {
            // A parameter that the loss does not depend on has no gradient.
            match of_parameter.defined() {
                true => {
                    gradient.views[index].f_copy_(of_parameter)?;
                    gradient.mark_reached(index);
                }
                false => drop(gradient.views[index].f_zero_()?),
            }
        }
        self.placements.copy_back(&self.module, replica.views())?;
        loss::tally(&loss, weights.map_or(batch.rows() as f64, |weights| weights.sum))
    }
}
