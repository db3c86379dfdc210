//! The losses, with PyTorch's formulas.
//!
//! Each gives a row a loss and a mini-batch the mean of its rows' losses by their weights. A row's loss is the mean over
//! the row's outputs, or their sum for cross-entropy, likelihood and divergence; the multi-class margin divides by the
//! number of classes. So a mini-batch without weights gets PyTorch's `reduction="mean"` (`"batchmean"` for `kl_div`).
//! A network with several outputs has as many labels, and its loss is the sum of theirs.

mod fit;

use firesteel_core::Tally;
use tch::{Reduction, Tensor};

pub use self::fit::check_loss;
use crate::error::TrainError;
use crate::inspect::Activation;
use crate::raw::{dimension, values};

/// What PyTorch ignores unless told otherwise; no label has it.
const IGNORED_CLASS: i64 = -100;

/// The loss of a network: one term for each output and its label.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Loss {
    terms: Vec<Term>,
}

/// The loss of one output.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Term {
    formula: Formula,
    /// What it is a loss of: where a folded activation is not part of the formula, it is applied first.
    activation: Activation,
    pub(crate) target: Target,
    /// The values of a row of the output.
    pub(crate) size: usize,
}

/// What a label becomes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    /// The class index.
    Class,
    /// The label's numbers.
    Values,
    /// From a class index, one number for each output: `on` for the class, else `off`. A single output stands for class 1.
    Indicator { off: f32, on: f32 },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Formula {
    CrossEntropy,
    BinaryCrossEntropy,
    Square,
    Absolute,
    Huber {
        delta: f64,
    },
    /// `max(0, 1 - y x)`.
    Margin,
    MultiMargin,
    Divergence,
    Likelihood,
    Poisson,
}

/// The rows' weights of a mini-batch and their sum.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    pub(crate) tensor: &'a Tensor,
    pub(crate) sum: f64,
}

impl Loss {
    pub(crate) fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The loss of a mini-batch from the network's values and the labels, one of each for each term.
    pub(crate) fn of<'a>(
        &self,
        outputs: &[Tensor],
        labels: impl Iterator<Item = &'a Tensor>,
        weights: Option<Weights<'_>>,
    ) -> Result<Tensor, TrainError> {
        let mut sum: Option<Tensor> = None;
        for ((term, output), label) in self.terms.iter().zip(outputs).zip(labels) {
            let loss = term.of(output, label, weights)?;
            sum = Some(match sum {
                None => loss,
                Some(sum) => sum.f_add(&loss)?,
            });
        }
        sum.ok_or_else(|| TrainError::Internal("a loss without terms".to_owned()))
    }
}

impl Term {
    fn of(
        &self,
        output: &Tensor,
        label: &Tensor,
        weights: Option<Weights<'_>>,
    ) -> Result<Tensor, TrainError> {
        let activated;
        let output = match self.activation {
            Activation::None => output,
            Activation::Softmax => {
                activated = output.f_softmax(-1, None)?;
                &activated
            }
            Activation::Sigmoid => {
                activated = output.f_sigmoid()?;
                &activated
            }
        };
        match weights {
            None => self.formula.mean(output, label, self.size),
            Some(weights) => {
                let rows = self.formula.rows(output, label, self.size)?;
                // Rows that all weigh nothing teach nothing.
                let scale = if weights.sum > 0.0 { 1.0 / weights.sum } else { 0.0 };
                Ok(rows.f_dot(weights.tensor)?.f_mul_scalar(scale)?)
            }
        }
    }
}

impl Formula {
    /// The mean of the rows' losses.
    fn mean(self, output: &Tensor, label: &Tensor, size: usize) -> Result<Tensor, TrainError> {
        match self {
            Self::Divergence => {
                let rows = output.size().first().copied().unwrap_or(1) as f64;
                Ok(self.reduced(output, label, size, Reduction::Sum)?.f_div_scalar(rows)?)
            }
            _ => self.reduced(output, label, size, Reduction::Mean),
        }
    }

    /// Each row's loss.
    fn rows(self, output: &Tensor, label: &Tensor, size: usize) -> Result<Tensor, TrainError> {
        let losses = self.reduced(output, label, size, Reduction::None)?;
        Ok(match self {
            Self::CrossEntropy | Self::Likelihood | Self::MultiMargin => losses,
            Self::Divergence => losses.f_sum_dim_intlist(-1, false, None)?,
            _ => losses.f_mean_dim(-1, false, None)?,
        })
    }

    fn reduced(
        self,
        output: &Tensor,
        label: &Tensor,
        size: usize,
        reduction: Reduction,
    ) -> Result<Tensor, TrainError> {
        let none = None::<&Tensor>;
        let flat = || output.f_reshape([-1, dimension(size)?]).map_err(TrainError::from);
        Ok(match self {
            Self::CrossEntropy => {
                output.f_cross_entropy_loss(label, none, reduction, IGNORED_CLASS, 0.0)?
            }
            Self::Likelihood => output.f_nll_loss(label, none, reduction, IGNORED_CLASS)?,
            Self::BinaryCrossEntropy => {
                flat()?.f_binary_cross_entropy_with_logits(label, none, none, reduction)?
            }
            Self::Square => flat()?.f_mse_loss(label, reduction)?,
            Self::Absolute => flat()?.f_l1_loss(label, reduction)?,
            Self::Huber { delta } => flat()?.f_huber_loss(label, reduction, delta)?,
            Self::Poisson => flat()?.f_poisson_nll_loss(label, true, false, 1e-8, reduction)?,
            Self::Divergence => {
                output.f_log_softmax(-1, None)?.f_kl_div(label, reduction, false)?
            }
            Self::MultiMargin => {
                let of_class = output.f_gather(1, &label.f_unsqueeze(1)?, false)?;
                let violations = output.f_sub(&of_class)?.f_add_scalar(1)?.f_relu()?;
                // The class itself adds 1, whatever its value.
                let losses = violations.f_sum_dim_intlist(-1, false, None)?.f_sub_scalar(1)?;
                mean_if_asked(losses.f_div_scalar(dimension(size)?)?, reduction)?
            }
            Self::Margin => {
                let losses = flat()?.f_mul(label)?.f_neg()?.f_add_scalar(1)?.f_relu()?;
                mean_if_asked(losses, reduction)?
            }
        })
    }
}

fn mean_if_asked(losses: Tensor, reduction: Reduction) -> Result<Tensor, TrainError> {
    match reduction {
        Reduction::Mean => Ok(losses.f_mean(None)?),
        _ => Ok(losses),
    }
}

/// The sums over a mini-batch whose mean loss is this scalar.
pub(crate) fn tally(loss: &Tensor, weight: f64) -> Result<Tally, TrainError> {
    let mean = values(loss)?.first().copied().unwrap_or(f32::NAN);
    Ok(Tally { loss: f64::from(mean) * weight, weight })
}

#[cfg(test)]
mod tests;
