//! `ensemble`: workers that train alone, each from weights of its own, as dist-keras's EnsembleTrainer. The server keeps
//! every member's replica; a model combines what they predict.

use super::single::KeepReplica;
use super::{Protocol, ServerRule, Strategy, WorkerRule};

#[derive(Debug)]
pub(super) struct Ensemble;

impl Strategy for Ensemble {
    fn name(&self) -> &'static str {
        "ensemble"
    }

    fn protocol(&self) -> Protocol {
        Protocol::Local { keeps_members: true }
    }

    fn worker(&self, _: usize, _: u32) -> Box<dyn WorkerRule> {
        Box::new(KeepReplica)
    }

    fn server(&self, _: usize, _: u32) -> ServerRule {
        ServerRule::Save
    }
}
