//! `local-sgd`: rounds of `w` mini-batches; `c += sum(n_k (x_k - c)) / sum(n_k)` over the live workers, `n_k` the rows that
//! worker `k` saw in the round, and `x = c` (Stich, 2019, Local SGD Converges Fast and Communicates Little; Lin et al., 2018,
//! Don't Use Large Mini-Batches, Use Local SGD). Each worker keeps the state of its optimizer.

use std::num::NonZeroU32;

use super::{
    Displacement, Part, Protocol, Round, RoundReply, RoundRule, RoundUpdate, ServerRule, Strategy,
    Weight, WindowSummary, WorkerRule,
};

#[derive(Debug)]
pub(super) struct LocalSgd {
    pub(super) window: NonZeroU32,
}

impl Strategy for LocalSgd {
    fn name(&self) -> &'static str {
        "local-sgd"
    }

    fn protocol(&self) -> Protocol {
        Protocol::Rounds {
            window: self.window,
            weight: Weight::Rows,
            update: RoundUpdate::Unscheduled,
            reply: RoundReply::Updated,
        }
    }

    fn worker(&self, parameters: usize, _: u32) -> Box<dyn WorkerRule> {
        Box::new(Worker(Displacement::new(parameters)))
    }

    fn server(&self, _: usize, _: u32) -> ServerRule {
        ServerRule::Round(Box::new(AddMean))
    }
}

struct Worker(Displacement);

impl WorkerRule for Worker {
    fn start(&mut self, center: &[f32]) {
        self.0.start(center);
    }

    fn commit(&mut self, replica: &mut [f32], _: WindowSummary, message: &mut [f32]) {
        self.0.take(replica, 1.0, message);
    }

    fn receive(&mut self, center: &[f32], replica: &mut [f32]) {
        self.0.receive(center, replica);
    }
}

/// Adds the weighted mean of the messages.
struct AddMean;

impl RoundRule for AddMean {
    fn close(&mut self, center: &mut [f32], parts: &[Part<'_>], _: &Round) {
        let total: f64 = parts.iter().map(|part| part.weight).sum();
        for part in parts {
            let share = (part.weight / total) as f32;
            for (c, d) in center.iter_mut().zip(part.message) {
                *c += share * d;
            }
        }
    }
}
