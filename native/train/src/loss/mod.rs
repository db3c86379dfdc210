//! The losses, with PyTorch's formulas.
//!
//! A mini-batch's loss is the mean of its rows' losses by their weights. A row's loss is the mean over the row's
//! outputs, or their sum for cross-entropy, likelihood and divergence; the multi-class margin divides by the number of
//! classes. So a mini-batch without weights gets PyTorch's `reduction="mean"` (`"batchmean"` for `kl_div`). A network
//! with several outputs has as many labels, and its loss is the sum of theirs by the outputs' weights.

mod classes;
mod resolve;

use firesteel_core::Tally;
use tch::{Reduction, Tensor};

pub use self::resolve::check_losses;
use crate::error::TrainError;
use crate::model::Activation;
use crate::raw::{dimension, values};

/// PyTorch's default `ignore_index`; no label has it.
const IGNORED_CLASS: i64 = -100;

/// The loss of a network: one term for each output and its label.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Loss {
    terms: Vec<Term>,
    /// The weight of each class; empty if all count alike.
    pub(crate) class_weights: Vec<f32>,
    /// True if the formula applies the class weights itself, instead of the rows' weights.
    pub(crate) weighs_inside: bool,
}

/// The loss of one output.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Term {
    pub(crate) formula: Formula,
    /// The activation that is applied before the formula, if it is folded and not part of the formula.
    pub(crate) activation: Activation,
    pub(crate) target: Target,
    /// The values of a row of the output.
    pub(crate) size: usize,
    /// The factor of the loss.
    pub(crate) weight: f64,
}

/// The training target of a label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    /// The class index.
    Class,
    /// The numbers of the label.
    Values,
    /// One number for each output from a class index: `on` for the class, else `off`. A single output stands for class
    /// 1.
    Indicator { off: f32, on: f32 },
}

/// The formula of a term.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Formula {
    CrossEntropy {
        smoothing: f64,
    },
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
    Likelihood {
        smoothing: f64,
    },
    Poisson,
}

/// The rows' weights of a mini-batch, and the divisor of the sum of their losses: the sum of the weights, class weights
/// included.
#[derive(Clone, Copy)]
pub(crate) struct RowWeights<'a> {
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
        weights: Option<RowWeights<'_>>,
    ) -> Result<Tensor, TrainError> {
        let mut sum: Option<Tensor> = None;
        for (term, mean) in self.terms.iter().zip(self.each(outputs, labels, weights)?) {
            let loss = if term.weight == 1.0 { mean } else { mean.f_mul_scalar(term.weight)? };
            sum = Some(match sum {
                None => loss,
                Some(sum) => sum.f_add(&loss)?,
            });
        }
        sum.ok_or_else(|| TrainError::Internal("a loss without terms".to_owned()))
    }

    /// The loss of each output without its weight.
    pub(crate) fn each<'a>(
        &self,
        outputs: &[Tensor],
        labels: impl Iterator<Item = &'a Tensor>,
        weights: Option<RowWeights<'_>>,
    ) -> Result<Vec<Tensor>, TrainError> {
        let class_weights = self.weights_inside()?;
        let each = self.terms.iter().zip(outputs).zip(labels);
        each.map(|((term, output), label)| term.of(output, label, weights, class_weights.as_ref()))
            .collect()
    }
}

impl Term {
    /// The mean of the rows' losses by their weights.
    fn of(
        &self,
        output: &Tensor,
        label: &Tensor,
        weights: Option<RowWeights<'_>>,
        class_weights: Option<&Tensor>,
    ) -> Result<Tensor, TrainError> {
        let activated = self.activation.apply(output)?;
        let output = activated.as_ref().unwrap_or(output);
        match weights {
            None => self.formula.mean(output, label, self.size),
            Some(weights) => {
                let rows = self.formula.rows(output, label, self.size, class_weights)?;
                // Rows whose weights are all 0 have no gradient.
                let scale = if weights.sum > 0.0 { 1.0 / weights.sum } else { 0.0 };
                Ok(rows.f_dot(weights.tensor)?.f_mul_scalar(scale)?)
            }
        }
    }
}

impl Activation {
    /// Applies a folded activation; returns `None` if there is none.
    pub(crate) fn apply(self, output: &Tensor) -> Result<Option<Tensor>, TrainError> {
        Ok(match self {
            Self::None => None,
            Self::Softmax => Some(output.f_softmax(-1, None)?),
            Self::Sigmoid => Some(output.f_sigmoid()?),
        })
    }
}

impl Formula {
    /// The mean of the rows' losses.
    fn mean(self, output: &Tensor, label: &Tensor, size: usize) -> Result<Tensor, TrainError> {
        match self {
            Self::Divergence => {
                let rows = output.size().first().copied().unwrap_or(1) as f64;
                let sum = self.reduced(output, label, size, Reduction::Sum, None)?;
                Ok(sum.f_div_scalar(rows)?)
            }
            _ => self.reduced(output, label, size, Reduction::Mean, None),
        }
    }

    /// Each row's loss.
    fn rows(
        self,
        output: &Tensor,
        label: &Tensor,
        size: usize,
        class_weights: Option<&Tensor>,
    ) -> Result<Tensor, TrainError> {
        let losses = self.reduced(output, label, size, Reduction::None, class_weights)?;
        Ok(match self {
            Self::CrossEntropy { .. } | Self::Likelihood { .. } | Self::MultiMargin => losses,
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
        class_weights: Option<&Tensor>,
    ) -> Result<Tensor, TrainError> {
        let none = None::<&Tensor>;
        let flat = || output.f_reshape([-1, dimension(size)?]).map_err(TrainError::from);
        Ok(match self {
            Self::CrossEntropy { smoothing } => output.f_cross_entropy_loss(
                label,
                class_weights,
                reduction,
                IGNORED_CLASS,
                smoothing,
            )?,
            Self::Likelihood { smoothing } => {
                let losses = output.f_nll_loss(label, class_weights, reduction, IGNORED_CLASS)?;
                if smoothing == 0.0 {
                    losses
                } else {
                    classes::smooth(&losses, output, class_weights, smoothing, reduction)?
                }
            }
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
                // The class itself always adds 1.
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

/// Returns the sums over a mini-batch from its mean loss.
pub(crate) fn tally(loss: &Tensor, weight: f64) -> Result<Tally, TrainError> {
    let mean = values(loss)?.first().copied().unwrap_or(f32::NAN);
    Ok(Tally { loss: f64::from(mean) * weight, weight })
}

#[cfg(test)]
mod tests;
