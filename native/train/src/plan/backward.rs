//! The backward pass of a plan.

use super::memory::Working;
use super::step::{Backward, NetworkInput, NetworkInputs, Parts, Weights};
use super::{FEW, Planned, gather, value};
use crate::error::TrainError;
use crate::network::Gradient;

impl Planned {
    /// Computes the gradients of all steps from those of the outputs.
    pub(super) fn run_backward(
        &self,
        working: &mut Working,
        weights: &Weights<'_>,
        inputs: &[NetworkInput<'_>],
        rows: usize,
        gradient: &mut Gradient,
    ) -> Result<(), TrainError> {
        let Working { values, gradients, reached, scratch, workspace, .. } = working;
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
            placed.step.prepare(&mut pass, weights)?;
            for (number, &place) in placed.inputs.iter().enumerate() {
                if self.places[place].trained {
                    let adds = std::mem::replace(&mut reached[place], true);
                    let target = &mut gradients[place][..rows * self.places[place].size];
                    placed.step.input(&mut pass, weights, number, adds, target)?;
                }
            }
            if !placed.parameters.is_empty() {
                let mut parts = Parts::new(gradient.flat_mut());
                placed.step.parameters(&mut pass, &mut parts)?;
                parts.complete(placed.flat.end);
                placed.parameters.iter().for_each(|&entry| gradient.mark_reached(entry));
            }
            gradients[placed.output] = of_output;
        }
        Ok(())
    }
}
