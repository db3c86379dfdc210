//! The training of a plan by one mini-batch.

use firesteel_core::Tally;

use super::memory::Working;
use super::step::{Backward, NetworkInput, NetworkInputs, Parts, Training, Weights};
use super::{FEW, Planned, gather, inputs_of, loss, value};
use crate::error::TrainError;
use crate::loss::Loss;
use crate::network::{Batch, Gradient, Replica, Update};

/// The parameters and what becomes of them.
struct Trained<'a, 'b> {
    parameters: &'a mut [f32],
    gradient: &'a mut Gradient,
    update: Option<&'a mut Update<'b>>,
}

impl Planned {
    /// Computes losses and gradients of a mini-batch. With an update, the optimizer takes each part of the gradient while
    /// it is in the cache, after the last use of the weights it belongs to.
    pub(super) fn train_batch(
        &mut self,
        replica: &mut Replica,
        batch: &Batch,
        loss: &Loss,
        gradient: &mut Gradient,
        mut update: Option<&mut Update<'_>>,
    ) -> Result<Tally, TrainError> {
        let rows = batch.rows();
        let inputs = inputs_of(batch)?;
        let mut working = self.working.borrow_mut();
        working.set_rows(rows);
        working.hold_gradients();
        let (parameters, floats, integers, random) = replica.parts_mut();
        let training = Training { random, floats, integers };
        self.run(&mut working, &Weights::Flat(parameters), &inputs, rows, Some(training))?;
        let tally = self.start(&mut working, loss, batch, &inputs)?;
        if let Some(update) = &mut update {
            if !tally.loss.is_finite() {
                return Ok(tally);
            }
            update.begin();
        }
        let trained = Trained { parameters, gradient, update };
        self.run_backward(&mut working, &inputs, rows, trained)?;
        Ok(tally)
    }

    /// Computes the losses and the gradients of the outputs.
    fn start(
        &self,
        working: &mut Working,
        loss: &Loss,
        batch: &Batch,
        inputs: &[NetworkInput<'_>],
    ) -> Result<Tally, TrainError> {
        let rows = batch.rows();
        let Working { values, gradients, reached, term, of_loss, .. } = working;
        reached.fill(false);
        let mut tally = Tally::default();
        for (number, output) in self.outputs.iter().enumerate() {
            let x = value(output.place, rows, &self.places, inputs, values);
            // Two outputs may lie in one place.
            let adds = std::mem::replace(&mut reached[output.place], true);
            let found = if adds {
                term.resize(x.len(), 0.0);
                let found = loss::of_output(loss, number, x, batch, of_loss, term)?;
                let sums = gradients[output.place].iter_mut();
                sums.zip(&*term).for_each(|(sum, value)| *sum += value);
                found
            } else {
                let target = &mut gradients[output.place][..x.len()];
                loss::of_output(loss, number, x, batch, of_loss, target)?
            };
            tally.loss += found.loss;
            tally.weight = found.weight;
        }
        Ok(tally)
    }

    /// Computes the gradients of all steps from those of the outputs.
    fn run_backward(
        &self,
        working: &mut Working,
        inputs: &[NetworkInput<'_>],
        rows: usize,
        trained: Trained<'_, '_>,
    ) -> Result<(), TrainError> {
        let Working { values, gradients, reached, scratch, workspace, .. } = working;
        let Trained { parameters, gradient, mut update } = trained;
        for (placed, scratch) in self.steps.iter().zip(scratch).rev() {
            if !reached[placed.output] {
                continue;
            }
            let mut of_output = std::mem::take(&mut gradients[placed.output]);
            let length = rows * self.places[placed.output].size;
            let read = |place: usize| value(place, rows, &self.places, inputs, values);
            let (mut few, mut many) = ([&[] as &[f32]; FEW], Vec::new());
            let inputs_of_step = gather(&placed.inputs, read, &mut few, &mut many);
            let mut pass = Backward {
                gemm: &self.gemm,
                network_inputs: NetworkInputs(inputs),
                scratch,
                workspace,
                inputs: inputs_of_step,
                output: read(placed.output),
                of_output: &mut of_output[..length],
            };
            let weights = Weights::Flat(parameters);
            placed.step.prepare(&mut pass, &weights)?;
            for (number, &place) in placed.inputs.iter().enumerate() {
                if self.places[place].trained {
                    let adds = std::mem::replace(&mut reached[place], true);
                    let target = &mut gradients[place][..rows * self.places[place].size];
                    placed.step.input(&mut pass, &weights, number, adds, target)?;
                }
            }
            if !placed.parameters.is_empty() {
                let (start, update) = (placed.flat.start, update.as_deref_mut());
                let mut parts = Parts::new(start, parameters, gradient, update);
                placed.step.parameters(&mut pass, &mut parts)?;
                parts.complete(placed.flat.end);
                placed.parameters.iter().for_each(|&entry| gradient.mark_reached(entry));
            }
            gradients[placed.output] = of_output;
        }
        Ok(())
    }
}
