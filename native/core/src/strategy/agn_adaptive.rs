//! `agn-adaptive`: `d` as in `adag`, `c += d / (1 + (c - c_at_pull)^2 / gamma)` for each parameter: an update counts the
//! less the farther the center variable has moved since the worker saw it (Hermans, 2017, chapter 4).

use std::num::NonZeroU32;

use super::delta::DisplacementRule;
use super::{CommitContext, CommitRule, Protocol, PullOrder, ServerRule, Strategy, WorkerRule};

#[derive(Debug)]
pub(super) struct AgnAdaptive {
    pub(super) window: NonZeroU32,
    /// The factor of commits.
    pub(super) scale: f32,
    pub(super) gamma: f64,
    pub(super) overlap: bool,
}

impl Strategy for AgnAdaptive {
    fn name(&self) -> &'static str {
        "agn-adaptive"
    }

    fn protocol(&self) -> Protocol {
        Protocol::Asynchronous {
            window: self.window,
            pull: PullOrder::AfterCommit,
            remembers_pulls: true,
            overlap: self.overlap,
        }
    }

    fn worker(&self, parameters: usize, _: u32) -> Box<dyn WorkerRule> {
        let scale = self.scale;
        Box::new(DisplacementRule::new(parameters, move |window| {
            scale / window.batches.max(1) as f32
        }))
    }

    fn server(&self, _: usize, _: u32) -> ServerRule {
        ServerRule::Commit(Box::new(Server { gamma: self.gamma as f32 }))
    }
}

struct Server {
    gamma: f32,
}

impl CommitRule for Server {
    fn apply(&mut self, center: &mut [f32], message: &[f32], seen: &[f32], _: CommitContext) {
        for ((c, d), seen) in center.iter_mut().zip(message).zip(seen) {
            let moved = *c - seen;
            *c += d / (1.0 + moved * moved / self.gamma);
        }
    }
}
