//! The resolution of losses against a network's outputs and the labels.

use firesteel_core::spec::{ControlSpec, LabelKind, LabelSpec, LossSpec, TermSpec};

use super::{Formula, Loss, Target, Term};
use crate::error::TrainError;
use crate::model::{Activation, FinalActivation, Inspection, OutputInspection, show};

/// Checks that losses fit the network's outputs and the labels, all in the outputs' order.
///
/// `cross_entropy`, `nll_loss` and `kl_div` include a folded Softmax (for `nll_loss` the network otherwise outputs
/// log-probabilities), `binary_cross_entropy_with_logits` a folded Sigmoid; the other losses apply to the output of the
/// activation. A class label becomes a class index for `cross_entropy`, `nll_loss` and `hinge`, and one number for each
/// output (1 for the class, else 0) for the others; a single output stands for class 1 of 2.
///
/// Class weights and label smoothing must fit as well.
///
/// # Errors
/// [`TrainError::InvalidSpec`] naming the output, its shape and the label, or the option.
pub fn check_losses(
    inspection: &Inspection,
    losses: &[TermSpec],
    labels: &[LabelSpec],
    controls: &ControlSpec,
) -> Result<(), TrainError> {
    let resolved = Loss::resolve(losses, inspection, labels)?;
    resolved.with_classes(losses, &controls.class_weights, controls.label_smoothing).map(|_| ())
}

impl Loss {
    /// Resolves the losses over these outputs and labels.
    pub(crate) fn resolve(
        losses: &[TermSpec],
        inspection: &Inspection,
        labels: &[LabelSpec],
    ) -> Result<Self, TrainError> {
        let outputs = &inspection.outputs;
        if inspection.parameters == 0 {
            let text = "the network has no parameters to train";
            return Err(TrainError::InvalidSpec(text.to_owned()));
        }
        if outputs.len() != labels.len() {
            return Err(TrainError::InvalidSpec(format!(
                "the network has {} output(s), but there are {} label(s); each output needs one",
                outputs.len(),
                labels.len()
            )));
        }
        if outputs.len() != losses.len() {
            return Err(TrainError::InvalidSpec(format!(
                "the network has {} output(s), but there are {} loss(es); each output needs one",
                outputs.len(),
                losses.len()
            )));
        }
        let terms = outputs.iter().zip(labels).zip(losses).map(|((output, label), term)| {
            LossCheck { loss: &term.loss, weight: term.weight, output, label }.term()
        });
        let terms = terms.collect::<Result<_, _>>()?;
        Ok(Self { terms, class_weights: Vec::new(), weighs_inside: false })
    }
}

struct LossCheck<'a> {
    loss: &'a LossSpec,
    weight: f64,
    output: &'a OutputInspection,
    label: &'a LabelSpec,
}

impl LossCheck<'_> {
    fn term(&self) -> Result<Term, TrainError> {
        if !(self.weight.is_finite() && self.weight > 0.0) {
            return Err(TrainError::InvalidSpec(format!(
                "the weight of the loss of output '{}' must be above 0 and finite, not {}",
                self.output.name, self.weight
            )));
        }
        let size = self.output.shape.iter().product();
        if learns_numbers(self.loss) || self.output.final_activation.is_some() {
            self.logit()?;
        }
        let (formula, activation, target) = match *self.loss {
            LossSpec::CrossEntropy {} => {
                self.includes(Activation::Softmax)?;
                (
                    Formula::CrossEntropy { smoothing: 0.0 },
                    Activation::None,
                    self.distribution(true)?,
                )
            }
            LossSpec::NllLoss {} => {
                self.includes(Activation::Softmax)?;
                let formula = match self.output.activation {
                    Activation::None => Formula::Likelihood { smoothing: 0.0 },
                    _ => Formula::CrossEntropy { smoothing: 0.0 },
                };
                (formula, Activation::None, self.class()?)
            }
            LossSpec::KlDiv {} => {
                self.includes(Activation::Softmax)?;
                (Formula::Divergence, Activation::None, self.distribution(false)?)
            }
            LossSpec::BinaryCrossEntropyWithLogits {} => {
                self.includes(Activation::Sigmoid)?;
                (Formula::BinaryCrossEntropy, Activation::None, self.numbers(0.0)?)
            }
            LossSpec::Hinge {} => match self.label.kind {
                LabelKind::Class { .. } if size > 1 => {
                    (Formula::MultiMargin, self.output.activation, self.class()?)
                }
                _ => (Formula::Margin, self.output.activation, self.numbers(-1.0)?),
            },
            LossSpec::MseLoss {} => (Formula::Square, self.output.activation, self.numbers(0.0)?),
            LossSpec::L1Loss {} => (Formula::Absolute, self.output.activation, self.numbers(0.0)?),
            LossSpec::HuberLoss { delta } => {
                if !(delta.is_finite() && delta > 0.0) {
                    return Err(TrainError::InvalidSpec(format!(
                        "loss 'huber_loss': delta must be above 0 and finite, not {delta}"
                    )));
                }
                (Formula::Huber { delta }, self.output.activation, self.numbers(0.0)?)
            }
            LossSpec::PoissonNllLoss {} => {
                (Formula::Poisson, self.output.activation, self.numbers(0.0)?)
            }
        };
        Ok(Term { formula, activation, target, size, weight: self.weight })
    }

    fn error(&self, problem: &str) -> TrainError {
        let activation = match (self.output.activation, self.output.final_activation) {
            (Activation::Softmax, _) | (_, Some(FinalActivation::Softmax)) => {
                " and ends in Softmax"
            }
            (Activation::Sigmoid, _) | (_, Some(FinalActivation::Sigmoid)) => {
                " and ends in Sigmoid"
            }
            (_, Some(FinalActivation::LogSoftmax)) => " and ends in LogSoftmax",
            (Activation::None, None) => "",
        };
        let label = match self.label.kind {
            LabelKind::Class { classes } => format!("{classes} classes"),
            LabelKind::Values { size: 1 } => "a number".to_owned(),
            LabelKind::Values { size } => format!("{size} numbers"),
        };
        TrainError::InvalidSpec(format!(
            "loss '{}' does not fit: the network's output '{}' has the shape {}{activation}, label column '{}' holds \
             {label}; {problem}",
            name(self.loss),
            self.output.name,
            show(&self.output.shape),
            self.label.column,
        ))
    }

    /// Checks a loss that includes this activation: no other one may end the network, nor this one if the network
    /// itself computes it.
    fn includes(&self, activation: Activation) -> Result<(), TrainError> {
        self.takes_what_ends(activation)?;
        if self.output.activation == Activation::None || self.output.activation == activation {
            return Ok(());
        }
        Err(self.error(match activation {
            Activation::Softmax => "this loss includes a softmax: leave the Sigmoid out",
            _ => "this loss includes a sigmoid: leave the Softmax out",
        }))
    }

    fn takes_what_ends(&self, activation: Activation) -> Result<(), TrainError> {
        let likelihood = matches!(self.loss, LossSpec::NllLoss {});
        let (layer, remedy) = match (activation, self.output.final_activation) {
            // A log-softmax of a log-softmax is the same.
            (_, None) | (Activation::Softmax, Some(FinalActivation::LogSoftmax)) => return Ok(()),
            (_, Some(FinalActivation::Softmax)) if likelihood => {
                ("Softmax", "put LogSoftmax in its place")
            }
            (_, Some(FinalActivation::Sigmoid)) if likelihood => {
                ("Sigmoid", "put LogSoftmax in its place")
            }
            (_, Some(FinalActivation::Softmax)) => ("Softmax", "leave it out"),
            (_, Some(FinalActivation::Sigmoid)) => ("Sigmoid", "leave it out"),
            (_, Some(FinalActivation::LogSoftmax)) => ("LogSoftmax", "leave it out"),
        };
        let wanted = if likelihood { "log-probabilities" } else { "logits" };
        Err(self.error(&format!(
            "this loss takes {wanted}, but the network itself computes the {layer}, so it would hardly learn: \
             {remedy}"
        )))
    }

    /// Checks that a single output for two classes is trained as a logit: a loss of numbers needs a Sigmoid.
    fn logit(&self) -> Result<(), TrainError> {
        let single = self.output.shape.iter().product::<usize>() == 1;
        let is_class = matches!(self.label.kind, LabelKind::Class { .. });
        if !single || !is_class || self.output.activation != Activation::None {
            return Ok(());
        }
        Err(self.error(match self.output.final_activation {
            Some(_) => {
                "a classifier reads its single output as the logit of class 1: leave the activation out, with the loss \
                 binary_cross_entropy_with_logits"
            }
            None => {
                "a classifier reads its single output as the logit of class 1, which this loss does not teach: end the \
                 network in Sigmoid or use the loss binary_cross_entropy_with_logits"
            }
        }))
    }

    /// A class index for an output with one number for each class.
    fn class(&self) -> Result<Target, TrainError> {
        match self.label.kind {
            LabelKind::Class { classes } if self.output.shape == [classes] => Ok(Target::Class),
            LabelKind::Class { classes } => Err(self.error(&format!(
                "the output must have the shape [{classes}], one number for each class"
            ))),
            LabelKind::Values { .. } => Err(self.error("the label must be a class index")),
        }
    }

    /// A class index or a distribution over the classes.
    fn distribution(&self, class: bool) -> Result<Target, TrainError> {
        match self.label.kind {
            LabelKind::Values { size } if self.output.shape == [size] && size > 1 => {
                Ok(Target::Values)
            }
            LabelKind::Values { .. } => {
                Err(self.error("the label must be a class index or a probability for each output"))
            }
            LabelKind::Class { .. } if class => self.class(),
            LabelKind::Class { .. } => {
                self.class().map(|_| Target::Indicator { off: 0.0, on: 1.0 })
            }
        }
    }

    /// A number for each output: 1 for the row's class, `off` elsewhere.
    fn numbers(&self, off: f32) -> Result<Target, TrainError> {
        let outputs: usize = self.output.shape.iter().product();
        let indicator = Target::Indicator { off, on: 1.0 };
        match self.label.kind {
            LabelKind::Values { size } if size == outputs => Ok(Target::Values),
            LabelKind::Values { .. } => {
                Err(self.error("the label needs a number for each value of the output"))
            }
            LabelKind::Class { classes: 2 } if outputs == 1 => Ok(indicator),
            LabelKind::Class { classes } if classes > 1 && self.output.shape == [classes] => {
                Ok(indicator)
            }
            LabelKind::Class { .. } => Err(self.error(
                "the output needs a number for each class, or a single one for two classes",
            )),
        }
    }
}

/// Returns true if a loss compares the output itself, not a margin or a logit.
fn learns_numbers(loss: &LossSpec) -> bool {
    matches!(
        loss,
        LossSpec::MseLoss {}
            | LossSpec::L1Loss {}
            | LossSpec::HuberLoss { .. }
            | LossSpec::PoissonNllLoss {}
    )
}

pub(super) fn name(loss: &LossSpec) -> &'static str {
    match loss {
        LossSpec::CrossEntropy {} => "cross_entropy",
        LossSpec::BinaryCrossEntropyWithLogits {} => "binary_cross_entropy_with_logits",
        LossSpec::MseLoss {} => "mse_loss",
        LossSpec::L1Loss {} => "l1_loss",
        LossSpec::HuberLoss { .. } => "huber_loss",
        LossSpec::Hinge {} => "hinge",
        LossSpec::KlDiv {} => "kl_div",
        LossSpec::NllLoss {} => "nll_loss",
        LossSpec::PoissonNllLoss {} => "poisson_nll_loss",
    }
}
