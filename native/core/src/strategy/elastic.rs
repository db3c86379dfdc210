//! The common part of the elastic strategies (Zhang, Choromanska and LeCun, 2015, Deep learning with Elastic Averaging
//! SGD).

use std::num::NonZeroU32;

use super::options::{number, window};
use super::{Protocol, PullOrder, WindowSummary};
use crate::options::{OptionError, Range};
use crate::spec::{ElasticOptions, OptimizerSpec};

/// `beta` of the default moving rate `beta / p`.
const BETA: f64 = 0.9;

/// The source of the moving rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Alpha {
    /// `0.9 / p`.
    ByWorkers,
    /// Given.
    Fixed(f64),
    /// `rho` times the learning rate.
    ByRate(f64),
}

impl Alpha {
    /// The moving rate with that many workers at that learning rate.
    pub(super) fn at(self, workers: u32, learning_rate: f64) -> f64 {
        match self {
            Self::ByWorkers => BETA / f64::from(workers.max(1)),
            Self::Fixed(alpha) => alpha,
            Self::ByRate(rho) => rho * learning_rate,
        }
    }
}

/// The options of the elastic strategies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elastic {
    pub(super) window: NonZeroU32,
    pub(super) overlap: bool,
    pub(super) alpha: Alpha,
    /// The fit's learning rate, if it is known.
    pub(super) learning_rate: Option<f64>,
}

impl Elastic {
    /// The default window.
    const WINDOW: u32 = 32;

    /// Checks the options.
    pub(super) fn new(
        options: &ElasticOptions,
        overlap: Option<bool>,
        optimizer: Option<&OptimizerSpec>,
    ) -> Result<Self, OptionError> {
        let alpha = match (options.alpha, options.rho) {
            (None, None) => Alpha::ByWorkers,
            (given @ Some(_), None) => {
                Alpha::Fixed(number("alpha", given, 0.0, Range::POSITIVE_F32)?)
            }
            (None, given @ Some(_)) => {
                Alpha::ByRate(number("rho", given, 0.0, Range::POSITIVE_F32)?)
            }
            (Some(_), Some(_)) => {
                return Err(OptionError::new(
                    "rho",
                    "cannot be combined with 'alpha'; set only one of them",
                ));
            }
        };
        let learning_rate = optimizer.map(OptimizerSpec::learning_rate);
        let window = window(options.window, Self::WINDOW)?;
        Ok(Self { window, overlap: overlap == Some(true), alpha, learning_rate })
    }

    /// Returns the protocol of the asynchronous elastic strategies.
    pub(super) fn protocol(&self) -> Protocol {
        Protocol::Asynchronous {
            window: self.window,
            pull: PullOrder::BeforeCommit,
            remembers_pulls: false,
            overlap: self.overlap,
        }
    }

    /// Returns a warning if the center variable overshoots. `at_once` is the number of workers that exchange at the same
    /// time.
    pub(super) fn warning(&self, name: &str, workers: u32, at_once: u32) -> Option<String> {
        if matches!(self.alpha, Alpha::ByRate(_)) && self.learning_rate.is_none() {
            return None;
        }
        let alpha = self.alpha.at(workers, self.learning_rate.unwrap_or_default());
        let product = alpha * f64::from(at_once);
        (product > 1.0).then(|| {
            format!(
                "strategy '{name}': the moving rate alpha is {alpha}; multiplied by the {at_once} workers that exchange \
                 at the same time, it is {product}, which is above 1: the center variable overshoots; lower 'alpha' or \
                 'rho', or set neither"
            )
        })
    }
}

/// A worker's elastic step against the center variable that it received last.
pub(super) struct ElasticStep {
    center: Vec<f32>,
    alpha: Alpha,
    workers: u32,
}

impl ElasticStep {
    pub(super) fn new(alpha: Alpha, parameters: usize, workers: u32) -> Self {
        Self { center: vec![0.0; parameters], alpha, workers }
    }

    /// Keeps the center variable for the next elastic step.
    pub(super) fn remember(&mut self, center: &[f32]) {
        self.center.copy_from_slice(center);
    }

    /// `e = alpha (x - c)`, `x -= e`; the message is `e`.
    pub(super) fn step(&self, replica: &mut [f32], window: WindowSummary, message: &mut [f32]) {
        let alpha = self.alpha.at(self.workers, window.learning_rate) as f32;
        for ((e, x), c) in message.iter_mut().zip(replica).zip(&self.center) {
            *e = alpha * (*x - c);
            *x -= *e;
        }
    }
}
