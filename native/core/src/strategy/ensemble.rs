//! `ensemble`: workers that train alone, each from weights of its own, as dist-keras's EnsembleTrainer. The server keeps
//! every member's replica; a model combines what they predict.

use super::single::KeepReplica;
use super::{CommitSchedule, ServerRule, Strategy, WorkerRule};

#[derive(Debug)]
pub(super) struct Ensemble;

impl Strategy for Ensemble {
    fn name(&self) -> &'static str {
        "ensemble"
    }

    fn commit_schedule(&self) -> CommitSchedule {
        CommitSchedule::Save
    }

    fn keeps_members(&self) -> bool {
        true
    }

    fn worker(&self, _: usize, _: u32) -> Box<dyn WorkerRule> {
        Box::new(KeepReplica)
    }

    fn server(&self, _: usize, _: u32) -> ServerRule {
        ServerRule::Save
    }
}
