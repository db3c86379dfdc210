//! `single`: one worker trains alone, as dist-keras's SingleTrainer.

use super::{Rhythm, ServerRule, Strategy, Window, WorkerRule};

#[derive(Debug)]
pub(super) struct Single;

impl Strategy for Single {
    fn name(&self) -> &'static str {
        "single"
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Save
    }

    fn max_workers(&self) -> Option<u32> {
        Some(1)
    }

    fn worker(&self, _: usize, _: u32) -> Box<dyn WorkerRule> {
        Box::new(Alone)
    }

    fn server(&self, _: usize, _: u32) -> ServerRule {
        ServerRule::Save
    }
}

/// Keeps the replica as it is.
pub(super) struct Alone;

impl WorkerRule for Alone {
    fn start(&mut self, _: &[f32]) {}

    fn commit(&mut self, replica: &mut [f32], _: Window, message: &mut [f32]) {
        message.copy_from_slice(replica);
    }

    fn receive(&mut self, _: &[f32], _: &mut [f32]) {}
}
