//! `downpour`: `d = x_now - x_at_pull`, `c += d` (Dean et al., 2012, Large Scale Distributed Deep Networks).

use std::num::NonZeroU32;

use super::{Add, Displacement, Rhythm, ServerRule, Strategy, WorkerRule};

#[derive(Debug)]
pub(super) struct Downpour {
    pub(super) window: NonZeroU32,
}

impl Strategy for Downpour {
    fn name(&self) -> &'static str {
        "downpour"
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

    fn commit(&mut self, replica: &mut [f32], _: u32, message: &mut [f32]) {
        self.0.take(replica, 1.0, message);
    }

    fn receive(&mut self, center: &[f32], replica: &mut [f32]) {
        self.0.receive(center, replica);
    }
}
