//! `single`: one worker trains alone, as dist-keras's SingleTrainer.

use super::{Protocol, ServerRule, Strategy, WindowSummary, WorkerRule};

#[derive(Debug)]
pub(super) struct Single;

impl Strategy for Single {
    fn name(&self) -> &'static str {
        "single"
    }

    fn protocol(&self) -> Protocol {
        Protocol::Local { keeps_members: false }
    }

    fn worker(&self, _: usize, _: u32) -> Box<dyn WorkerRule> {
        Box::new(KeepReplica)
    }

    fn server(&self, _: usize, _: u32) -> ServerRule {
        ServerRule::Save
    }
}

/// Keeps the replica as it is.
pub(super) struct KeepReplica;

impl WorkerRule for KeepReplica {
    fn start(&mut self, _: &[f32]) {}

    fn commit(&mut self, replica: &mut [f32], _: WindowSummary, message: &mut [f32]) {
        message.copy_from_slice(replica);
    }

    fn receive(&mut self, _: &[f32], _: &mut [f32]) {}
}
