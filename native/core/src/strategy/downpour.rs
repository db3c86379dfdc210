//! `downpour`: `d = x_now - x_at_pull`, `c += d` (Dean et al., 2012, Large Scale Distributed Deep Networks).

use super::delta::{Delta, DisplacementRule};
use super::{Protocol, ServerRule, Strategy, WorkerRule};

#[derive(Debug)]
pub(super) struct Downpour(pub(super) Delta);

impl Strategy for Downpour {
    fn name(&self) -> &'static str {
        "downpour"
    }

    fn protocol(&self) -> Protocol {
        self.0.protocol()
    }

    fn worker(&self, parameters: usize, _: u32) -> Box<dyn WorkerRule> {
        let scale = self.0.scale;
        Box::new(DisplacementRule::new(parameters, move |_| scale))
    }

    fn server(&self, parameters: usize, _: u32) -> ServerRule {
        ServerRule::Commit(self.0.server(parameters, |_| 1.0))
    }
}
