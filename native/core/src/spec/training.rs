//! The specification of losses and optimizers.

use serde::{Deserialize, Serialize};

/// A loss, named as in `torch.nn.functional`. Each row has a loss; a mini-batch's is the mean of its rows' by their weights.
///
/// `x` is the network's output for a row, `k` the number of its values, `y` the row's label.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "name", deny_unknown_fields)]
pub enum LossSpec {
    /// `-log softmax(x)[y]` of a class index, or `-sum_i y_i log softmax(x)_i` of a distribution.
    CrossEntropy {},
    /// `-(y log s(x) + (1 - y) log(1 - s(x)))` with the logistic function `s`, the mean over the values.
    BinaryCrossEntropyWithLogits {},
    /// `(x - y)^2`, the mean over the values.
    MseLoss {},
    /// `|x - y|`, the mean over the values.
    L1Loss {},
    /// `(x - y)^2 / 2` where `|x - y| <= delta`, else `delta (|x - y| - delta / 2)`, the mean over the values.
    HuberLoss {
        /// The error at which the loss becomes linear.
        delta: f64,
    },
    /// `max(0, 1 - y x)` of margins with `y` 1 or -1, the mean over the values; of a class index among several outputs
    /// `sum_(i != y) max(0, 1 - x_y + x_i) / k`.
    Hinge {},
    /// `sum_i y_i (log y_i - log softmax(x)_i)`: the Kullback-Leibler divergence of the network's softmax from the label's
    /// distribution.
    KlDiv {},
    /// `-x[y]` of a class index, if the network outputs log-probabilities; if it ends in Softmax, their logarithm is
    /// taken.
    NllLoss {},
    /// `exp(x) - y x`, the mean over the values: the output is the log of the rate.
    PoissonNllLoss {},
}

/// The loss of one output of a network. The loss of the network is the sum of its outputs' losses by their weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TermSpec {
    /// The loss.
    pub loss: LossSpec,
    /// The factor of the loss, above 0.
    pub weight: f64,
}

impl From<LossSpec> for TermSpec {
    fn from(loss: LossSpec) -> Self {
        Self { loss, weight: 1.0 }
    }
}

/// An optimizer of a worker or of the server, with PyTorch's names and formulas.
///
/// `g` is the gradient, `p` the parameter, `t` the step counted from 1, `lr` the learning rate. Where there is a weight decay
/// `w`, `g + w p` takes the place of `g`, except in `adamw`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "lowercase",
    rename_all_fields = "camelCase",
    tag = "name",
    deny_unknown_fields
)]
pub enum OptimizerSpec {
    /// Stochastic gradient descent: `v = momentum v + (1 - dampening) g` (`v = g` at the first step), `p -= lr v`; with
    /// Nesterov's momentum `p -= lr (g + momentum v)`.
    Sgd {
        /// `lr`.
        learning_rate: f64,
        /// The share of the velocity that is kept; 0 for none.
        momentum: f64,
        /// The share of the gradient that the velocity does not take.
        dampening: f64,
        /// True for Nesterov's momentum (Sutskever et al., 2013).
        nesterov: bool,
        /// `w`.
        weight_decay: f64,
    },
    /// Adam (Kingma and Ba, 2015): `m = beta1 m + (1 - beta1) g`, `v = beta2 v + (1 - beta2) g^2`,
    /// `p -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)`.
    Adam {
        /// `lr`.
        learning_rate: f64,
        /// The decay of the mean of gradients.
        beta1: f64,
        /// The decay of the mean of squared gradients.
        beta2: f64,
        /// Added to the denominator.
        epsilon: f64,
        /// `w`.
        weight_decay: f64,
        /// True to use the largest `v` so far in its place (Reddi et al., 2018).
        amsgrad: bool,
    },
    /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019): `p -= lr w p`, then as Adam.
    AdamW {
        /// `lr`.
        learning_rate: f64,
        /// The decay of the mean of gradients.
        beta1: f64,
        /// The decay of the mean of squared gradients.
        beta2: f64,
        /// Added to the denominator.
        epsilon: f64,
        /// `w`.
        weight_decay: f64,
        /// True to use the largest `v` so far in its place (Reddi et al., 2018).
        amsgrad: bool,
    },
    /// RMSprop (Hinton, 2012): `v = alpha v + (1 - alpha) g^2`, `p -= lr g / (sqrt(v) + epsilon)`; with momentum
    /// `b = momentum b + g / (sqrt(v) + epsilon)`, `p -= lr b`.
    RmsProp {
        /// `lr`.
        learning_rate: f64,
        /// The decay of the mean of squared gradients.
        alpha: f64,
        /// Added to the denominator.
        epsilon: f64,
        /// `w`.
        weight_decay: f64,
        /// The share of the step that is kept; 0 for none.
        momentum: f64,
        /// True to subtract the square of the mean gradient from `v` (Graves, 2013).
        centered: bool,
    },
    /// Adagrad (Duchi et al., 2011): `v += g^2`, `p -= lr / (1 + (t - 1) learning_rate_decay) g / (sqrt(v) + epsilon)`.
    Adagrad {
        /// `lr`.
        learning_rate: f64,
        /// The decay of the learning rate.
        learning_rate_decay: f64,
        /// Added to the denominator.
        epsilon: f64,
        /// `w`.
        weight_decay: f64,
        /// The initial `v`.
        initial_accumulator: f64,
    },
    /// Adadelta (Zeiler, 2012): `v = rho v + (1 - rho) g^2`, `d = sqrt(u + epsilon) / sqrt(v + epsilon) g`,
    /// `u = rho u + (1 - rho) d^2`, `p -= lr d`.
    Adadelta {
        /// `lr`.
        learning_rate: f64,
        /// The decay of both means.
        rho: f64,
        /// Added under both roots.
        epsilon: f64,
        /// `w`.
        weight_decay: f64,
    },
    /// Adamax (Kingma and Ba, 2015): `m` as in Adam, `u = max(beta2 u, |g| + epsilon)`,
    /// `p -= lr / (1 - beta1^t) m / u`.
    Adamax {
        /// `lr`.
        learning_rate: f64,
        /// The decay of the mean of gradients.
        beta1: f64,
        /// The decay of the largest gradient.
        beta2: f64,
        /// Added to the gradient's size.
        epsilon: f64,
        /// `w`.
        weight_decay: f64,
    },
    /// NAdam (Dozat, 2016): `m` and `v` as in Adam, `mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2)`,
    /// `p -= lr (mu_(t+1) m / (1 - mu_1 .. mu_(t+1)) + (1 - mu_t) g / (1 - mu_1 .. mu_t)) / (sqrt(v / (1 - beta2^t)) + epsilon)`.
    NAdam {
        /// `lr`.
        learning_rate: f64,
        /// The decay of the mean of gradients.
        beta1: f64,
        /// The decay of the mean of squared gradients.
        beta2: f64,
        /// Added to the denominator.
        epsilon: f64,
        /// `w`.
        weight_decay: f64,
        /// The decay of the momentum's warm-up.
        momentum_decay: f64,
    },
    /// Yogi (Zaheer et al., 2018) with Adam's bias correction: as Adam with `v -= (1 - beta2) sign(v - g^2) g^2`.
    Yogi {
        /// `lr`.
        learning_rate: f64,
        /// The decay of the mean of gradients.
        beta1: f64,
        /// `1 - beta2` is the share of a squared gradient by which their mean moves.
        beta2: f64,
        /// Added to the denominator.
        epsilon: f64,
        /// `w`.
        weight_decay: f64,
    },
}

impl OptimizerSpec {
    /// The learning rate.
    #[must_use]
    pub fn learning_rate(&self) -> f64 {
        match *self {
            Self::Sgd { learning_rate, .. }
            | Self::Adam { learning_rate, .. }
            | Self::AdamW { learning_rate, .. }
            | Self::RmsProp { learning_rate, .. }
            | Self::Adagrad { learning_rate, .. }
            | Self::Adadelta { learning_rate, .. }
            | Self::Adamax { learning_rate, .. }
            | Self::NAdam { learning_rate, .. }
            | Self::Yogi { learning_rate, .. } => learning_rate,
        }
    }
}
