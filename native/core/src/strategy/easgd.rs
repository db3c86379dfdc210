//! `easgd`: the synchronous form of `aeasgd`, in rounds: `x -= alpha (x - c_old)`, `c = c_old + alpha sum_k (x_k - c_old)`
//! (Zhang et al., 2015).

use super::elastic::{Alpha, Elastic};
use super::{
    Part, Protocol, Round, RoundReply, RoundRule, RoundUpdate, ServerRule, Strategy, Weight,
    WindowSummary, WorkerRule,
};
use crate::options::OptionError;
use crate::spec::{ElasticOptions, OptimizerSpec};

#[derive(Debug)]
pub(super) struct Easgd {
    pub(super) elastic: Elastic,
    /// The fit's learning rate, which `rho` multiplies into the server's moving rate.
    pub(super) learning_rate: f64,
}

/// Returns the fit's learning rate, which the server needs if the moving rate depends on it.
pub(super) fn learning_rate(
    options: &ElasticOptions,
    optimizer: Option<&OptimizerSpec>,
) -> Result<f64, OptionError> {
    match (optimizer, options.rho) {
        (Some(optimizer), _) => Ok(optimizer.learning_rate()),
        (None, None) => Ok(0.0),
        (None, Some(_)) => Err(OptionError::new("rho", "needs the fit's optimizer")),
    }
}

impl Strategy for Easgd {
    fn name(&self) -> &'static str {
        "easgd"
    }

    fn protocol(&self) -> Protocol {
        Protocol::Rounds {
            window: self.elastic.window,
            weight: Weight::Worker,
            update: RoundUpdate::Scheduled,
            reply: RoundReply::Former,
        }
    }

    fn worker(&self, _: usize, workers: u32) -> Box<dyn WorkerRule> {
        Box::new(Worker { alpha: self.elastic.alpha, workers, rate: self.learning_rate })
    }

    fn server(&self, parameters: usize, workers: u32) -> ServerRule {
        let Self { elastic, learning_rate } = *self;
        let sum = vec![0.0; parameters];
        ServerRule::Round(Box::new(Server { alpha: elastic.alpha, workers, learning_rate, sum }))
    }

    fn warning(&self, workers: u32, _tasks: u32) -> Option<String> {
        self.elastic.warning(self.name(), workers, workers)
    }
}

struct Worker {
    alpha: Alpha,
    workers: u32,
    /// The learning rate of the window sent last.
    rate: f64,
}

impl WorkerRule for Worker {
    fn start(&mut self, _: &[f32]) {}

    fn commit(&mut self, replica: &mut [f32], window: WindowSummary, message: &mut [f32]) {
        self.rate = window.learning_rate;
        message.copy_from_slice(replica);
    }

    /// `x -= alpha (x - c_old)`.
    fn receive(&mut self, former: &[f32], replica: &mut [f32]) {
        let alpha = self.alpha.at(self.workers, self.rate) as f32;
        for (x, c) in replica.iter_mut().zip(former) {
            *x -= alpha * (*x - c);
        }
    }
}

struct Server {
    alpha: Alpha,
    workers: u32,
    /// The fit's learning rate, for rounds without one.
    learning_rate: f64,
    sum: Vec<f32>,
}

impl RoundRule for Server {
    fn close(&mut self, center: &mut [f32], parts: &[Part<'_>], round: &Round) {
        let rate = round.learning_rate.unwrap_or(self.learning_rate);
        let alpha = self.alpha.at(self.workers, rate) as f32;
        self.sum.fill(0.0);
        for part in parts {
            for ((sum, x), c) in self.sum.iter_mut().zip(part.message).zip(&*center) {
                *sum += x - c;
            }
        }
        for (c, sum) in center.iter_mut().zip(&self.sum) {
            *c += alpha * sum;
        }
    }
}
