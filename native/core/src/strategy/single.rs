//! `single`: one worker trains alone, as dist-keras's SingleTrainer.

use super::{CommitContext, Rhythm, ServerRule, Strategy, WorkerRule};

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

    fn worker(&self, _: usize) -> Box<dyn WorkerRule> {
        Box::new(Alone)
    }

    fn server(&self) -> Box<dyn ServerRule> {
        Box::new(Replace)
    }
}

/// Keeps the replica as it is.
struct Alone;

impl WorkerRule for Alone {
    fn start(&mut self, _: &[f32]) {}

    fn commit(&mut self, replica: &mut [f32], _: u32, message: &mut [f32]) {
        message.copy_from_slice(replica);
    }

    fn receive(&mut self, _: &[f32], _: &mut [f32]) {}
}

/// The saved replica is the model: `c = x`.
struct Replace;

impl ServerRule for Replace {
    fn apply(&self, center: &mut [f32], message: &[f32], _: CommitContext) {
        center.copy_from_slice(message);
    }
}
