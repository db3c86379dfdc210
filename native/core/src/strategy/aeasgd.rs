//! `aeasgd`: `e = alpha (x - c)` with the center variable pulled at the window's end, `x -= e`, `c += e` (Zhang et al.,
//! 2015).

use super::elastic::{Elastic, ElasticStep};
use super::{CommitContext, CommitRule, Protocol, ServerRule, Strategy, WindowSummary, WorkerRule};

#[derive(Debug)]
pub(super) struct Aeasgd(pub(super) Elastic);

impl Strategy for Aeasgd {
    fn name(&self) -> &'static str {
        "aeasgd"
    }

    fn protocol(&self) -> Protocol {
        self.0.protocol()
    }

    fn worker(&self, parameters: usize, workers: u32) -> Box<dyn WorkerRule> {
        Box::new(Worker(ElasticStep::new(self.0.alpha, parameters, workers)))
    }

    fn server(&self, _: usize, _: u32) -> ServerRule {
        ServerRule::Commit(Box::new(Add))
    }

    fn warning(&self, workers: u32, tasks: u32) -> Option<String> {
        self.0.warning(self.name(), workers, tasks)
    }
}

struct Worker(ElasticStep);

impl WorkerRule for Worker {
    fn start(&mut self, center: &[f32]) {
        self.0.remember(center);
    }

    fn commit(&mut self, replica: &mut [f32], window: WindowSummary, message: &mut [f32]) {
        self.0.step(replica, window, message);
    }

    fn receive(&mut self, center: &[f32], _: &mut [f32]) {
        self.0.remember(center);
    }
}

/// `c += e`.
pub(super) struct Add;

impl CommitRule for Add {
    fn apply(&mut self, center: &mut [f32], message: &[f32], _: &[f32], _: CommitContext) {
        for (c, e) in center.iter_mut().zip(message) {
            *c += e;
        }
    }
}
