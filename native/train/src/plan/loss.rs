//! The losses of planned networks: values and gradients of a mini-batch over slices.

use firesteel_core::Tally;
use firesteel_kernels::loss::{ClassLoss, ValueLoss};
use firesteel_kernels::{activation, rows};

use crate::error::TrainError;
use crate::loss::{Formula, Loss, Target};
use crate::model::Activation;
use crate::network::{Batch, Column};

/// The formula of a term, by the kind of its label.
enum Kernel {
    Class(ClassLoss),
    Value(ValueLoss),
}

impl Kernel {
    fn of(formula: Formula, target: Target) -> Self {
        match formula {
            Formula::CrossEntropy { smoothing } if target != Target::Class => {
                Self::Value(ValueLoss::CrossEntropy { smoothing: smoothing as f32 })
            }
            Formula::CrossEntropy { smoothing } => {
                Self::Class(ClassLoss::CrossEntropy { smoothing: smoothing as f32 })
            }
            Formula::Likelihood { smoothing } => {
                Self::Class(ClassLoss::Likelihood { smoothing: smoothing as f32 })
            }
            Formula::MultiMargin => Self::Class(ClassLoss::MultiMargin),
            Formula::BinaryCrossEntropy => Self::Value(ValueLoss::BinaryCrossEntropy),
            Formula::Square => Self::Value(ValueLoss::Square),
            Formula::Absolute => Self::Value(ValueLoss::Absolute),
            Formula::Huber { delta } => Self::Value(ValueLoss::Huber { delta: delta as f32 }),
            Formula::Margin => Self::Value(ValueLoss::Margin),
            Formula::Poisson => Self::Value(ValueLoss::Poisson),
            Formula::Divergence => Self::Value(ValueLoss::Divergence),
        }
    }
}

/// Computes the loss of the output `number` with the value `x`, and writes its gradient. Returns the sums over the
/// mini-batch, with the term's weight in them.
pub(super) fn of_output(
    loss: &Loss,
    number: usize,
    x: &[f32],
    batch: &Batch,
    scratch: &mut Vec<f32>,
    gradient: &mut [f32],
) -> Result<Tally, TrainError> {
    let term = &loss.terms()[number];
    let count = batch.rows();
    let row_weights = batch.weights.as_ref().map(|block| block.rows(count));
    let weight = match row_weights {
        None => count as f64,
        Some(weights) => {
            let sum = || weights.iter().copied().map(f64::from).sum();
            batch.divisor.unwrap_or_else(sum)
        }
    };
    // Rows whose weights are all 0 have no gradient.
    let scale = if weight > 0.0 { term.weight / weight } else { 0.0 };
    let class_weights: &[f32] =
        if loss.weighs_inside && row_weights.is_some() { &loss.class_weights } else { &[] };
    let kernel = Kernel::of(term.formula, term.target);
    let mut sum = 0.0_f64;
    scratch.resize(2 * term.size, 0.0);
    let (activated, of_value) = scratch.split_at_mut(term.size);
    for row in 0..count {
        let range = row * term.size..(row + 1) * term.size;
        let (x, dx) = (&x[range.clone()], &mut gradient[range.clone()]);
        let of_row = row_weights.map_or(1.0, |weights| weights[row]);
        let row_scale = (scale * f64::from(of_row)) as f32;
        let value: &[f32] = match term.activation {
            Activation::None => x,
            Activation::Softmax => {
                rows::softmax(x, term.size, activated);
                activated
            }
            Activation::Sigmoid => {
                activation::Activation::Sigmoid.forward(x, activated);
                activated
            }
        };
        let loss = match (&kernel, &batch.labels[number]) {
            (Kernel::Class(loss), Column::Integers(labels)) => {
                let class = usize::try_from(labels.rows(count)[row]).unwrap_or(usize::MAX);
                loss.row(value, class, class_weights, row_scale, dx)
            }
            (Kernel::Value(loss), Column::Values(labels)) => {
                loss.row(value, &labels.rows(count)[range], row_scale, dx)
            }
            _ => {
                let text = "a label does not have the type of its loss".to_owned();
                return Err(TrainError::Internal(text));
            }
        };
        match term.activation {
            Activation::None => {}
            Activation::Softmax => {
                of_value.copy_from_slice(dx);
                rows::softmax_backward(activated, of_value, term.size, false, dx);
            }
            Activation::Sigmoid => {
                activation::Activation::Sigmoid.backward_in_place(activated, dx);
            }
        }
        sum += f64::from(loss) * f64::from(of_row);
    }
    Ok(Tally { loss: sum * term.weight, weight })
}
