//! Losses of rows, each with its gradient in the same pass.
//!
//! A row's loss is the mean over its values, or their sum for cross-entropy, likelihood and divergence, as PyTorch's
//! with `reduction="none"`. A gradient is that of `scale` times the row's loss.

use crate::math::{exp, softplus};

/// The loss of a row whose label is a class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClassLoss {
    /// Cross-entropy of logits, with a share of the label spread over the classes.
    CrossEntropy {
        /// The share.
        smoothing: f32,
    },
    /// Negative log-likelihood of log-probabilities, with the same smoothing.
    Likelihood {
        /// The share.
        smoothing: f32,
    },
    /// The margin of each class to the label's, `max(0, 1 - x_y + x_j)`.
    MultiMargin,
}

/// The loss of a row whose label is a number for each value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueLoss {
    /// Binary cross-entropy of logits.
    BinaryCrossEntropy,
    /// Squared error.
    Square,
    /// Absolute error.
    Absolute,
    /// Huber's loss.
    Huber {
        /// The error from which it is linear.
        delta: f32,
    },
    /// `max(0, 1 - y x)`.
    Margin,
    /// The negative log-likelihood of a Poisson distribution whose logarithmic rate is the value.
    Poisson,
    /// The divergence of the softmax of the values from a distribution.
    Divergence,
    /// Cross-entropy of logits with a distribution, of which a share is spread over the classes.
    CrossEntropy {
        /// The share.
        smoothing: f32,
    },
}

impl ClassLoss {
    /// Returns a row's loss and writes the gradient of `scale` times it. `weights` are those of the classes; empty if all
    /// are 1. A label that is no class has a loss and a gradient of 0.
    pub fn row(self, x: &[f32], class: usize, weights: &[f32], scale: f32, dx: &mut [f32]) -> f32 {
        if class >= x.len() {
            dx.fill(0.0);
            return 0.0;
        }
        match self {
            Self::CrossEntropy { smoothing } => {
                let (largest, log_sum) = log_sum(x, dx);
                let target = Smoothed::new(class, smoothing, weights, x.len());
                // `dx` holds the softmax.
                let total = target.total();
                let mut loss = 0.0;
                for (index, (dx, x)) in dx.iter_mut().zip(x).enumerate() {
                    let share = target.share(index);
                    loss -= share * (x - largest - log_sum);
                    *dx = scale * (*dx * total - share);
                }
                loss
            }
            Self::Likelihood { smoothing } => {
                let target = Smoothed::new(class, smoothing, weights, x.len());
                let mut loss = 0.0;
                for (index, (dx, x)) in dx.iter_mut().zip(x).enumerate() {
                    let share = target.share(index);
                    loss -= share * x;
                    *dx = -scale * share;
                }
                loss
            }
            Self::MultiMargin => {
                let of_class = x[class];
                let (mut loss, mut violations) = (0.0, 0.0);
                let each = scale / x.len() as f32;
                for (index, (dx, x)) in dx.iter_mut().zip(x).enumerate() {
                    let margin = 1.0 - of_class + x;
                    // A margin of NaN is violated: the loss shows it.
                    let violated = index != class && (margin > 0.0 || margin.is_nan());
                    *dx = if violated { each } else { 0.0 };
                    if violated {
                        loss += margin;
                        violations += 1.0;
                    }
                }
                dx[class] = -violations * each;
                loss / x.len() as f32
            }
        }
    }
}

/// The distribution over the classes that a smoothed label stands for, weighted.
struct Smoothed<'a> {
    class: usize,
    classes: usize,
    /// The share of the label's class, and that of every other.
    own: f32,
    other: f32,
    weights: &'a [f32],
}

impl<'a> Smoothed<'a> {
    fn new(class: usize, smoothing: f32, weights: &'a [f32], classes: usize) -> Self {
        let other = smoothing / classes as f32;
        Self { class, classes, own: 1.0 - smoothing + other, other, weights }
    }

    fn share(&self, index: usize) -> f32 {
        let share = if index == self.class { self.own } else { self.other };
        share * self.weights.get(index).copied().unwrap_or(1.0)
    }

    fn total(&self) -> f32 {
        (0..self.classes).map(|index| self.share(index)).sum()
    }
}

impl ValueLoss {
    /// Returns a row's loss and writes the gradient of `scale` times it.
    pub fn row(self, x: &[f32], label: &[f32], scale: f32, dx: &mut [f32]) -> f32 {
        match self {
            Self::BinaryCrossEntropy => values(x, label, scale, dx, |x, y| {
                let sigmoid = 1.0 / (1.0 + exp(-x));
                (softplus(x) - x * y, sigmoid - y)
            }),
            Self::Square => values(x, label, scale, dx, |x, y| ((x - y) * (x - y), 2.0 * (x - y))),
            Self::Absolute => values(x, label, scale, dx, |x, y| ((x - y).abs(), sign(x - y))),
            Self::Huber { delta } => values(x, label, scale, dx, |x, y| {
                let error = x - y;
                if error.abs() <= delta {
                    (0.5 * error * error, error)
                } else {
                    (delta * (error.abs() - 0.5 * delta), delta * sign(error))
                }
            }),
            Self::Margin => values(x, label, scale, dx, |x, y| {
                let margin = 1.0 - x * y;
                if margin <= 0.0 { (0.0, 0.0) } else { (margin, -y) }
            }),
            Self::Poisson => values(x, label, scale, dx, |x, y| {
                let rate = exp(x);
                (rate - y * x, rate - y)
            }),
            Self::Divergence => {
                let (largest, log_sum) = log_sum(x, dx);
                let total: f32 = label.iter().sum();
                let mut loss = 0.0;
                for ((dx, x), &label) in dx.iter_mut().zip(x).zip(label) {
                    let entropy = if label > 0.0 { label * label.ln() } else { 0.0 };
                    loss += entropy - label * (x - largest - log_sum);
                    *dx = scale * (*dx * total - label);
                }
                loss
            }
            Self::CrossEntropy { smoothing } => {
                let (largest, log_sum) = log_sum(x, dx);
                let spread = smoothing / x.len().max(1) as f32;
                let share = |label: &f32| (1.0 - smoothing) * label + spread;
                let total: f32 = label.iter().map(share).sum();
                let mut loss = 0.0;
                for ((dx, x), label) in dx.iter_mut().zip(x).zip(label) {
                    let share = share(label);
                    loss -= share * (x - largest - log_sum);
                    *dx = scale * (*dx * total - share);
                }
                loss
            }
        }
    }
}

/// Returns the mean of a function of each value and its label, and writes the gradient from the slopes that it returns.
#[inline(always)]
fn values(
    x: &[f32],
    label: &[f32],
    scale: f32,
    dx: &mut [f32],
    f: impl Fn(f32, f32) -> (f32, f32),
) -> f32 {
    let mean = 1.0 / x.len().max(1) as f32;
    let each = scale * mean;
    let mut loss = 0.0;
    for ((dx, &x), &label) in dx.iter_mut().zip(x).zip(label) {
        let (value, slope) = f(x, label);
        loss += value;
        *dx = each * slope;
    }
    loss * mean
}

fn sign(x: f32) -> f32 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        0.0
    }
}

/// Writes the softmax of a row; returns its largest value and the logarithm of the sum of the exponentials of the
/// differences from it. Subtracted one after the other, they leave the digits of a small difference of large values.
fn log_sum(x: &[f32], softmax: &mut [f32]) -> (f32, f32) {
    let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for (y, x) in softmax.iter_mut().zip(x) {
        *y = exp(x - largest);
        sum += *y;
    }
    for y in softmax.iter_mut() {
        *y /= sum;
    }
    (largest, sum.ln())
}

#[cfg(test)]
mod tests {
    use super::{ClassLoss, ValueLoss};

    const X: [f32; 4] = [0.3, -1.2, 2.0, 0.1];

    /// Checks a gradient by differences.
    fn check(about: &str, loss: &dyn Fn(&[f32], &mut [f32]) -> f32, scale: f32) {
        let mut dx = [0.0; 4];
        loss(&X, &mut dx);
        for index in 0..X.len() {
            let at = |step: f32| {
                let mut x = X;
                x[index] += step;
                f64::from(loss(&x, &mut [0.0; 4]))
            };
            let slope = f64::from(scale) * (at(1e-2) - at(-1e-2)) / 2e-2;
            let error = (f64::from(dx[index]) - slope).abs();
            assert!(error < 2e-3, "{about}, value {index}: {} {slope}", dx[index]);
        }
    }

    #[test]
    fn gradients_are_the_slopes_of_the_losses() {
        let weights = [0.5, 2.0, 1.0, 3.0];
        for smoothing in [0.0, 0.2] {
            for weights in [&[][..], &weights] {
                for loss in [
                    ClassLoss::CrossEntropy { smoothing },
                    ClassLoss::Likelihood { smoothing },
                    ClassLoss::MultiMargin,
                ] {
                    let run = |x: &[f32], dx: &mut [f32]| loss.row(x, 3, weights, 1.5, dx);
                    check(&format!("{loss:?}"), &run, 1.5);
                }
            }
        }
        let label = [0.1, 0.4, 0.2, 0.3];
        for loss in [
            ValueLoss::BinaryCrossEntropy,
            ValueLoss::Square,
            ValueLoss::Absolute,
            ValueLoss::Huber { delta: 0.7 },
            ValueLoss::Margin,
            ValueLoss::Poisson,
            ValueLoss::Divergence,
            ValueLoss::CrossEntropy { smoothing: 0.0 },
            ValueLoss::CrossEntropy { smoothing: 0.2 },
        ] {
            let run = |x: &[f32], dx: &mut [f32]| loss.row(x, &label, 0.5, dx);
            check(&format!("{loss:?}"), &run, 0.5);
        }
    }

    #[test]
    fn a_label_that_is_no_class_teaches_nothing() {
        let mut dx = [1.0; 4];
        assert_eq!(ClassLoss::MultiMargin.row(&X, 4, &[], 1.0, &mut dx), 0.0);
        assert_eq!(dx, [0.0; 4]);
    }

    #[test]
    fn no_loss_hides_nan() {
        let x = [0.3, f32::NAN, 2.0, 0.1];
        for loss in [
            ClassLoss::CrossEntropy { smoothing: 0.0 },
            ClassLoss::Likelihood { smoothing: 0.1 },
            ClassLoss::MultiMargin,
        ] {
            let mut dx = [0.0; 4];
            assert!(loss.row(&x, 3, &[], 1.0, &mut dx).is_nan(), "{loss:?}");
            assert!(loss.row(&x, 1, &[], 1.0, &mut dx).is_nan(), "{loss:?} of the label's class");
        }
        for loss in [
            ValueLoss::BinaryCrossEntropy,
            ValueLoss::Square,
            ValueLoss::Absolute,
            ValueLoss::Huber { delta: 0.7 },
            ValueLoss::Margin,
            ValueLoss::Poisson,
            ValueLoss::Divergence,
            ValueLoss::CrossEntropy { smoothing: 0.0 },
        ] {
            let loss_of = loss.row(&x, &[0.1, 0.4, 0.2, 0.3], 1.0, &mut [0.0; 4]);
            assert!(loss_of.is_nan(), "{loss:?}");
        }
    }

    #[test]
    fn cross_entropy_of_large_logits_keeps_the_digits_of_their_difference() {
        let x = [10_000.0, 10_000.0, 10_000.0, 10_000.0];
        let loss = ClassLoss::CrossEntropy { smoothing: 0.0 };
        let found = loss.row(&x, 2, &[], 1.0, &mut [0.0; 4]);
        assert!((found - 4_f32.ln()).abs() < 1e-6, "{found}");
    }
}
