//! Networks by libtorch's autograd, with the gradient in one flat buffer.
//!
//! Autograd computes the gradients of the Linear layers' outputs and of the other layers' parameters. A Linear layer's
//! own gradient is one matrix product, written straight into the flat buffer; the other gradients are copied there.

use firesteel_core::Tally;
use tch::{Tensor, no_grad_guard};

use super::forward::Plan;
use super::tape::{LinearCall, Tape};
use super::{Batch, DeadUnits, Gradient, Network, Replica, Views};
use crate::error::TrainError;
use crate::graph::Graph;
use crate::loss::{self, Loss};
use crate::model::Definition;

/// A network that autograd differentiates.
pub(crate) struct Autograd {
    plan: Plan,
    /// The parameters that autograd follows, as indices of the layout's entries.
    followed: Vec<usize>,
}

impl Autograd {
    pub(crate) fn new(graph: &Graph) -> Self {
        let followed =
            graph.requires_grad().into_iter().enumerate().filter(|(_, followed)| *followed);
        let followed = followed.map(|(index, _)| index).collect();
        Self { plan: Plan::new(graph), followed }
    }
}

impl Network for Autograd {
    fn forward(&self, views: &Views, inputs: &[&Tensor]) -> Result<Vec<Tensor>, TrainError> {
        let _guard = no_grad_guard();
        self.plan.run(views, inputs, None, &mut |_, _| Ok(()))
    }

    fn examine(
        &self,
        views: &Views,
        batch: &Batch,
    ) -> Result<(Vec<Tensor>, Vec<DeadUnits>), TrainError> {
        let _guard = no_grad_guard();
        let mut found = Vec::new();
        let outputs = self.plan.run(views, &batch.tensors()?, None, &mut |step, value| {
            found.extend(step.dead_units(value)?);
            Ok(())
        })?;
        Ok((outputs, found))
    }

    fn forward_backward(
        &mut self,
        replica: &mut Replica,
        batch: &Batch,
        loss: &Loss,
        gradient: &mut Gradient,
    ) -> Result<Tally, TrainError> {
        let inputs = batch.tensors()?;
        let Replica { views, random, integers, .. } = replica;
        let integers = integers.slice_mut();
        let mut tape = Tape { random, integers, linear_calls: Vec::new() };
        let outputs = self.plan.run(views, &inputs, Some(&mut tape), &mut |_, _| Ok(()))?;
        let weights = batch.weights();
        let labels = batch.labels.iter().map(|column| column.tensor());
        let loss = loss.of(&outputs, labels, weights)?;
        let linear_calls = tape.linear_calls;
        let wanted: Vec<&Tensor> = linear_calls
            .iter()
            .map(|call| &call.output)
            .chain(self.followed.iter().map(|&index| &views.0[index]))
            .collect();
        let found = Tensor::f_run_backward(&[&loss], &wanted, false, false)?;
        let _guard = no_grad_guard();
        let (of_outputs, of_parameters) = found.split_at(linear_calls.len());
        for (call, of_output) in linear_calls.iter().zip(of_outputs) {
            call.write(of_output, &gradient.views)?;
            gradient.mark_reached(call.weight);
            if call.bias {
                gradient.mark_reached(call.weight + 1);
            }
        }
        for (&index, of_parameter) in self.followed.iter().zip(of_parameters) {
            gradient.views[index].f_copy_(of_parameter)?;
            gradient.mark_reached(index);
        }
        loss::tally(&loss, weights.map_or(batch.rows() as f64, |weights| weights.sum))
    }
}

impl LinearCall {
    /// Writes the gradient of a Linear layer's parameters, from that of its output.
    fn write(&self, of_output: &Tensor, gradient: &[Tensor]) -> Result<(), TrainError> {
        let _ = of_output.f_transpose(0, 1)?.f_mm_out(&gradient[self.weight], &self.input)?;
        if self.bias {
            let _ = of_output.f_sum_intlist_out(&gradient[self.weight + 1], 0, false, None)?;
        }
        Ok(())
    }
}
