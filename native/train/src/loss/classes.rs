//! Class weights and label smoothing.

use firesteel_core::spec::{LossSpec, TermSpec};
use tch::{Reduction, Tensor};

use super::resolve::name;
use super::{Formula, Loss, Target, Term, mean_if_asked};
use crate::error::TrainError;

impl Loss {
    /// Adds label smoothing and class weights: a share `smoothing` of each class label is spread evenly over the
    /// classes, and rows count by their class. `losses` is the specification of this loss.
    ///
    /// `cross_entropy` and `nll_loss` smooth as PyTorch's cross-entropy does; `binary_cross_entropy_with_logits` of
    /// classes moves each target of 0 and 1 by half the share towards 0.5.
    ///
    /// # Errors
    /// [`TrainError::InvalidSpec`] if a loss has no label smoothing, or a label is not a class.
    pub(crate) fn with_classes(
        mut self,
        losses: &[TermSpec],
        class_weights: &[f64],
        smoothing: f64,
    ) -> Result<Self, TrainError> {
        if smoothing > 0.0 {
            for (term, of) in self.terms.iter_mut().zip(losses) {
                term.smooth(&of.loss, smoothing)?;
            }
        }
        if class_weights.is_empty() {
            return Ok(self);
        }
        let [Term { target, formula, .. }] = self.terms.as_slice() else {
            let text = "classWeights are for a network of one output";
            return Err(TrainError::InvalidSpec(text.to_owned()));
        };
        if *target == Target::Values {
            let text = "classWeights need a label that is a class";
            return Err(TrainError::InvalidSpec(text.to_owned()));
        }
        // The smoothed share of a label counts by the weight of the class that it is spread to.
        self.weighs_inside = smoothing > 0.0
            && matches!(formula, Formula::CrossEntropy { .. } | Formula::Likelihood { .. });
        self.class_weights = class_weights.iter().map(|&weight| weight as f32).collect();
        Ok(self)
    }

    /// Returns true if rows count by their class.
    pub(crate) fn weighs_classes(&self) -> bool {
        !self.class_weights.is_empty()
    }

    /// Applies the class weights to the rows' weights. Returns the divisor of the sum of the losses, if it is not the
    /// sum of the weights.
    pub(crate) fn weigh(&self, classes: &[i64], weights: &mut [f32]) -> Option<f64> {
        let of_class = |class: i64| {
            let weight =
                usize::try_from(class).ok().and_then(|class| self.class_weights.get(class));
            weight.copied().unwrap_or(0.0)
        };
        if self.weighs_inside {
            let both = weights.iter().zip(classes);
            return Some(both.map(|(&w, &class)| f64::from(w) * f64::from(of_class(class))).sum());
        }
        for (weight, &class) in weights.iter_mut().zip(classes) {
            *weight *= of_class(class);
        }
        None
    }

    /// Returns the class weights that the formula applies itself.
    pub(super) fn weights_inside(&self) -> Result<Option<Tensor>, TrainError> {
        Ok(match self.weighs_inside {
            true => Some(Tensor::f_from_slice(&self.class_weights)?),
            false => None,
        })
    }
}

impl Term {
    fn smooth(&mut self, loss: &LossSpec, share: f64) -> Result<(), TrainError> {
        match (&mut self.formula, &mut self.target) {
            (Formula::CrossEntropy { smoothing } | Formula::Likelihood { smoothing }, _) => {
                *smoothing = share;
                Ok(())
            }
            (Formula::BinaryCrossEntropy, Target::Indicator { off, on }) => {
                *off = (share / 2.0) as f32;
                *on = (1.0 - share / 2.0) as f32;
                Ok(())
            }
            _ => Err(TrainError::InvalidSpec(format!(
                "labelSmoothing applies to the classes of cross_entropy, nll_loss and binary_cross_entropy_with_logits, not for \
                 '{}' of this label",
                name(loss)
            ))),
        }
    }
}

/// `(1 - share) l - share / k sum_c w_c x_c` of log-probabilities `x` whose likelihood loss is `l`.
pub(super) fn smooth(
    losses: &Tensor,
    output: &Tensor,
    class_weights: Option<&Tensor>,
    share: f64,
    reduction: Reduction,
) -> Result<Tensor, TrainError> {
    let classes = output.size().last().copied().unwrap_or(1) as f64;
    let weighted = match class_weights {
        Some(weights) => output.f_mul(weights)?,
        None => output.shallow_clone(),
    };
    let spread = weighted.f_sum_dim_intlist(-1, false, None)?.f_mul_scalar(-share / classes)?;
    Ok(losses.f_mul_scalar(1.0 - share)?.f_add(&mean_if_asked(spread, reduction)?)?)
}
