//! `eamsgd`: `aeasgd` with a local step of Nesterov's momentum, `v = mu v - eta g(x + mu v)`, `x += v` (Zhang et al., 2015).

use super::aeasgd::Add;
use super::elastic::{Elastic, ElasticStep};
use super::{Protocol, ServerRule, Strategy, WindowSummary, WorkerRule};
use crate::optimizer::Optimizer;

#[derive(Debug)]
pub(super) struct Eamsgd {
    pub(super) elastic: Elastic,
    pub(super) momentum: f64,
}

impl Strategy for Eamsgd {
    fn name(&self) -> &'static str {
        "eamsgd"
    }

    fn protocol(&self) -> Protocol {
        self.elastic.protocol()
    }

    fn worker(&self, parameters: usize, workers: u32) -> Box<dyn WorkerRule> {
        Box::new(Worker {
            elastic_step: ElasticStep::new(self.elastic.alpha, parameters, workers),
            momentum: self.momentum as f32,
            velocity: vec![0.0; parameters],
        })
    }

    fn server(&self, _: usize, _: u32) -> ServerRule {
        ServerRule::Commit(Box::new(Add))
    }

    fn warning(&self, workers: u32, tasks: u32) -> Option<String> {
        self.elastic.warning(self.name(), workers, tasks)
    }
}

struct Worker {
    elastic_step: ElasticStep,
    momentum: f32,
    velocity: Vec<f32>,
}

impl WorkerRule for Worker {
    fn start(&mut self, center: &[f32]) {
        self.elastic_step.remember(center);
        self.velocity.fill(0.0);
    }

    /// `x + mu v`.
    fn look_ahead(&mut self, replica: &mut [f32]) {
        for (x, v) in replica.iter_mut().zip(&self.velocity) {
            *x += self.momentum * v;
        }
    }

    fn steps_by_optimizer(&self) -> bool {
        false
    }

    /// `v = mu v - eta g`; the replica has moved by `mu v` already.
    fn step(&mut self, replica: &mut [f32], gradient: &[f32], optimizer: &mut dyn Optimizer) {
        let rate = optimizer.learning_rate() as f32;
        for ((x, v), g) in replica.iter_mut().zip(&mut self.velocity).zip(gradient) {
            *v = self.momentum * *v - rate * g;
            *x -= rate * g;
        }
    }

    fn commit(&mut self, replica: &mut [f32], window: WindowSummary, message: &mut [f32]) {
        self.elastic_step.step(replica, window, message);
    }

    fn receive(&mut self, center: &[f32], _: &mut [f32]) {
        self.elastic_step.remember(center);
    }
}
