//! `dynsgd`: `d = x_now - x_at_pull`, `c += d / (tau + 1)` with `tau` the updates since that worker's pull (Jiang et al.,
//! 2017, Heterogeneity-aware Distributed Parameter Servers, in the form of Hermans' thesis).

use super::delta::{Delta, DisplacementRule};
use super::{Protocol, ServerRule, Strategy, WorkerRule};

#[derive(Debug)]
pub(super) struct DynSgd(pub(super) Delta);

impl Strategy for DynSgd {
    fn name(&self) -> &'static str {
        "dynsgd"
    }

    fn protocol(&self) -> Protocol {
        self.0.protocol()
    }

    fn worker(&self, parameters: usize, _: u32) -> Box<dyn WorkerRule> {
        Box::new(DisplacementRule::new(parameters, |_| 1.0))
    }

    fn server(&self, parameters: usize, _: u32) -> ServerRule {
        ServerRule::Commit(
            self.0.server(parameters, |context| 1.0 / (context.staleness as f32 + 1.0)),
        )
    }
}
