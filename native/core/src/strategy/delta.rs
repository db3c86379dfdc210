//! The common part of the strategies that commit a displacement.

use std::num::NonZeroU32;

use super::options::{number, server_optimizer, window};
use super::{CommitContext, CommitRule, Protocol, PullOrder, WindowSummary, WorkerRule};
use crate::optimizer::{CheckedOptimizer, Optimizer};
use crate::options::{OptionError, Range};
use crate::spec::DeltaOptions;
use crate::state::{State, StateError};

/// The options of the strategies that commit a displacement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delta {
    pub(super) window: NonZeroU32,
    pub(super) overlap: bool,
    /// The factor of commits.
    pub(super) scale: f32,
    /// The server optimizer, which takes `-d` as its gradient instead of `c += d`.
    pub(super) optimizer: Option<CheckedOptimizer>,
}

impl Delta {
    /// Checks the options; `default` is the default window.
    pub(super) fn new(options: &DeltaOptions, default: u32) -> Result<Self, OptionError> {
        Ok(Self {
            window: window(options.window, default)?,
            overlap: options.overlap == Some(true),
            scale: number("scale", options.scale, 1.0, Range::POSITIVE_F32)? as f32,
            optimizer: options.server_optimizer.as_ref().map(server_optimizer).transpose()?,
        })
    }

    /// Returns the protocol of these strategies.
    pub(super) fn protocol(&self) -> Protocol {
        Protocol::Asynchronous {
            window: self.window,
            pull: PullOrder::AfterCommit,
            remembers_pulls: false,
            overlap: self.overlap,
        }
    }

    /// Returns the server's rule for a stripe: `c += scale d`, or a step of the server optimizer with the gradient
    /// `-scale d`.
    pub(super) fn server(
        &self,
        parameters: usize,
        scale: fn(CommitContext) -> f32,
    ) -> Box<dyn CommitRule> {
        match self.optimizer {
            None => Box::new(Add { scale }),
            Some(optimizer) => Box::new(Step {
                scale,
                gradient: vec![0.0; parameters],
                optimizer: optimizer.build(parameters),
            }),
        }
    }
}

/// `c += scale d`.
struct Add {
    scale: fn(CommitContext) -> f32,
}

impl CommitRule for Add {
    fn apply(&mut self, center: &mut [f32], message: &[f32], _: &[f32], context: CommitContext) {
        let scale = (self.scale)(context);
        for (c, d) in center.iter_mut().zip(message) {
            *c += scale * d;
        }
    }
}

/// A step of the server optimizer with the gradient `-scale d`.
struct Step {
    scale: fn(CommitContext) -> f32,
    gradient: Vec<f32>,
    optimizer: Box<dyn Optimizer>,
}

impl CommitRule for Step {
    fn apply(&mut self, center: &mut [f32], message: &[f32], _: &[f32], context: CommitContext) {
        let scale = (self.scale)(context);
        for (g, d) in self.gradient.iter_mut().zip(message) {
            *g = -scale * d;
        }
        self.optimizer.step(center, &self.gradient);
    }

    fn state(&self) -> State {
        self.optimizer.state()
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.optimizer.restore(state)
    }
}

/// The displacement since the last commit or pull: `d = x_now - x_at_pull`. It keeps `x_at_pull`.
#[derive(Debug)]
pub struct Displacement {
    anchor: Vec<f32>,
}

impl Displacement {
    /// Creates a displacement over `parameters` flat parameters.
    #[must_use]
    pub fn new(parameters: usize) -> Self {
        Self { anchor: vec![0.0; parameters] }
    }

    /// Starts from `center`.
    pub fn start(&mut self, center: &[f32]) {
        self.anchor.copy_from_slice(center);
    }

    /// Writes `scale (x - x_at_pull)` to the message and continues from `x`.
    pub fn take(&mut self, replica: &[f32], scale: f32, message: &mut [f32]) {
        for ((d, x), anchor) in message.iter_mut().zip(replica).zip(&mut self.anchor) {
            *d = (x - *anchor) * scale;
            *anchor = *x;
        }
    }

    /// `x = c`, and `x_at_pull = c`.
    pub fn receive(&mut self, center: &[f32], replica: &mut [f32]) {
        replica.copy_from_slice(center);
        self.anchor.copy_from_slice(center);
    }

    /// `x = c + (x - x_sent)`, where `x_sent` is the replica of the last commit, and `x_at_pull = c`.
    pub fn merge(&mut self, center: &[f32], replica: &mut [f32]) {
        for ((c, x), anchor) in center.iter().zip(replica).zip(&mut self.anchor) {
            *x = c + (*x - *anchor);
            *anchor = *c;
        }
    }
}

/// The worker's rule that commits `scale d`, with a scale that depends on the window.
pub(super) struct DisplacementRule<F> {
    displacement: Displacement,
    scale: F,
}

impl<F: Fn(WindowSummary) -> f32> DisplacementRule<F> {
    pub(super) fn new(parameters: usize, scale: F) -> Self {
        Self { displacement: Displacement::new(parameters), scale }
    }
}

impl<F: Fn(WindowSummary) -> f32 + Send> WorkerRule for DisplacementRule<F> {
    fn start(&mut self, center: &[f32]) {
        self.displacement.start(center);
    }

    fn commit(&mut self, replica: &mut [f32], window: WindowSummary, message: &mut [f32]) {
        self.displacement.take(replica, (self.scale)(window), message);
    }

    fn receive(&mut self, center: &[f32], replica: &mut [f32]) {
        self.displacement.receive(center, replica);
    }

    fn merge(&mut self, center: &[f32], replica: &mut [f32]) {
        self.displacement.merge(center, replica);
    }
}
