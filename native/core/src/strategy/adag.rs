//! `adag`: accumulated gradient normalisation, `d = (x_now - x_at_pull) / w`, `c += d` (Hermans, On Scalable Deep Learning
//! and Parallelizing Gradient Descent, 2017, chapter 3). `w` counts the mini-batches really in the window, so that a short
//! last window counts in full.

use std::num::NonZeroU32;

use super::{Add, Displacement, Rhythm, ServerRule, Strategy, WorkerRule};

#[derive(Debug)]
pub(super) struct Adag {
    pub(super) window: NonZeroU32,
}

impl Strategy for Adag {
    fn name(&self) -> &'static str {
        "adag"
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Batches(self.window)
    }

    fn worker(&self, parameters: usize) -> Box<dyn WorkerRule> {
        Box::new(Worker(Displacement::new(parameters)))
    }

    fn server(&self) -> Box<dyn ServerRule> {
        Box::new(Add)
    }
}

struct Worker(Displacement);

impl WorkerRule for Worker {
    fn start(&mut self, center: &[f32]) {
        self.0.start(center);
    }

    fn commit(&mut self, replica: &mut [f32], batches: u32, message: &mut [f32]) {
        self.0.take(replica, 1.0 / batches.max(1) as f32, message);
    }

    fn receive(&mut self, center: &[f32], replica: &mut [f32]) {
        self.0.receive(center, replica);
    }
}
