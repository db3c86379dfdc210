//! `averaging`: once an epoch `c = sum(n_k x_k) / sum(n_k)` over the live workers, `n_k` the rows that worker `k` saw, and
//! `x = c`, as dist-keras's AveragingTrainer.

use super::{
    Part, Protocol, Round, RoundReply, RoundRule, RoundUpdate, ServerRule, Strategy, Weight,
    WindowSummary, WorkerRule, weighted_mean,
};

#[derive(Debug)]
pub(super) struct Averaging;

impl Strategy for Averaging {
    fn name(&self) -> &'static str {
        "averaging"
    }

    fn protocol(&self) -> Protocol {
        Protocol::Rounds {
            window: Protocol::EPOCH,
            weight: Weight::Rows,
            update: RoundUpdate::Unscheduled,
            reply: RoundReply::Updated,
        }
    }

    fn worker(&self, _: usize, _: u32) -> Box<dyn WorkerRule> {
        Box::new(Worker)
    }

    fn server(&self, _: usize, _: u32) -> ServerRule {
        ServerRule::Round(Box::new(Mean))
    }
}

struct Worker;

impl WorkerRule for Worker {
    fn start(&mut self, _: &[f32]) {}

    fn commit(&mut self, replica: &mut [f32], _: WindowSummary, message: &mut [f32]) {
        message.copy_from_slice(replica);
    }

    fn receive(&mut self, center: &[f32], replica: &mut [f32]) {
        replica.copy_from_slice(center);
    }
}

struct Mean;

impl RoundRule for Mean {
    fn close(&mut self, center: &mut [f32], parts: &[Part<'_>], _: &Round) {
        weighted_mean(parts, center);
    }
}
