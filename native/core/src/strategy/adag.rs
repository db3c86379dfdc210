//! `adag`: accumulated gradient normalisation, `d = (x_now - x_at_pull) / w`, `c += d` (Hermans, On Scalable Deep Learning
//! and Parallelizing Gradient Descent, 2017, chapter 3). `w` counts the mini-batches really in the window, so that a short
//! last window counts in full.

use super::delta::Delta;
use super::{Displacement, Rhythm, ServerRule, Strategy, Window, WorkerRule};

#[derive(Debug)]
pub(super) struct Adag(pub(super) Delta);

impl Strategy for Adag {
    fn name(&self) -> &'static str {
        "adag"
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Window(self.0.window)
    }

    fn overlaps(&self) -> bool {
        self.0.overlap
    }

    fn worker(&self, parameters: usize, _: u32) -> Box<dyn WorkerRule> {
        Box::new(Worker { displacement: Displacement::new(parameters), scale: self.0.scale })
    }

    fn server(&self, parameters: usize, _: u32) -> ServerRule {
        ServerRule::Commit(self.0.server(parameters, |_| 1.0))
    }
}

struct Worker {
    displacement: Displacement,
    scale: f32,
}

impl WorkerRule for Worker {
    fn start(&mut self, center: &[f32]) {
        self.displacement.start(center);
    }

    fn commit(&mut self, replica: &mut [f32], window: Window, message: &mut [f32]) {
        self.displacement.take(replica, self.scale / window.batches.max(1) as f32, message);
    }

    fn receive(&mut self, center: &[f32], replica: &mut [f32]) {
        self.displacement.receive(center, replica);
    }

    fn merge(&mut self, center: &[f32], replica: &mut [f32]) {
        self.displacement.merge(center, replica);
    }
}
