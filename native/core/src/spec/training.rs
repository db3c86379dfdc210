//! How a network is trained.

use serde::{Deserialize, Serialize};

/// The strategy and its options; an absent option takes the strategy's default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StrategySpec {
    /// One of [`crate::strategy::NAMES`] or an alias.
    pub name: String,
    /// The communication window in mini-batches.
    #[serde(default)]
    pub window: Option<u32>,
}

/// A loss, named as in `torch.nn.functional` and averaged over the weights of a mini-batch's rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "name", deny_unknown_fields)]
pub enum LossSpec {
    /// Softmax and negative log-likelihood of a class index.
    CrossEntropy {},
    /// Sigmoid and binary cross-entropy.
    BinaryCrossEntropyWithLogits {},
    /// Mean squared error.
    MseLoss {},
    /// Mean absolute error.
    L1Loss {},
    /// Squared below `delta`, linear above.
    HuberLoss {
        /// Where it becomes linear.
        delta: f64,
    },
    /// `max(0, 1 - y x)` for a binary margin, the multi-class margin loss for several outputs.
    Hinge {},
    /// Kullback-Leibler divergence of the network's softmax from the label's distribution.
    KlDiv {},
    /// Negative log-likelihood of a class index under log-probabilities.
    NllLoss {},
    /// Poisson negative log-likelihood; the output is the log of the rate.
    PoissonNllLoss {},
}

/// A worker's optimizer, with PyTorch's names and formulas.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "lowercase",
    rename_all_fields = "camelCase",
    tag = "name",
    deny_unknown_fields
)]
pub enum OptimizerSpec {
    /// Stochastic gradient descent.
    Sgd { learning_rate: f64, momentum: f64, dampening: f64, nesterov: bool, weight_decay: f64 },
    /// Adam (Kingma and Ba, 2015).
    Adam {
        learning_rate: f64,
        beta1: f64,
        beta2: f64,
        epsilon: f64,
        weight_decay: f64,
        amsgrad: bool,
    },
    /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019).
    AdamW {
        learning_rate: f64,
        beta1: f64,
        beta2: f64,
        epsilon: f64,
        weight_decay: f64,
        amsgrad: bool,
    },
    /// RMSprop (Hinton, 2012).
    RmsProp {
        learning_rate: f64,
        alpha: f64,
        epsilon: f64,
        weight_decay: f64,
        momentum: f64,
        centered: bool,
    },
    /// Adagrad (Duchi et al., 2011).
    Adagrad {
        learning_rate: f64,
        learning_rate_decay: f64,
        epsilon: f64,
        weight_decay: f64,
        initial_accumulator: f64,
    },
    /// Adadelta (Zeiler, 2012).
    Adadelta { learning_rate: f64, rho: f64, epsilon: f64, weight_decay: f64 },
    /// Adamax (Kingma and Ba, 2015).
    Adamax { learning_rate: f64, beta1: f64, beta2: f64, epsilon: f64, weight_decay: f64 },
    /// NAdam (Dozat, 2016).
    NAdam {
        learning_rate: f64,
        beta1: f64,
        beta2: f64,
        epsilon: f64,
        weight_decay: f64,
        momentum_decay: f64,
    },
}
