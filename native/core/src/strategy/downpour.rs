//! `downpour`: `d = x_now - x_at_pull`, `c += d` (Dean et al., 2012, Large Scale Distributed Deep Networks).

use super::delta::Delta;
use super::{Displacement, Rhythm, ServerRule, Strategy, Window, WorkerRule};

#[derive(Debug)]
pub(super) struct Downpour(pub(super) Delta);

impl Strategy for Downpour {
    fn name(&self) -> &'static str {
        "downpour"
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

    fn commit(&mut self, replica: &mut [f32], _: Window, message: &mut [f32]) {
        self.displacement.take(replica, self.scale, message);
    }

    fn receive(&mut self, center: &[f32], replica: &mut [f32]) {
        self.displacement.receive(center, replica);
    }

    fn merge(&mut self, center: &[f32], replica: &mut [f32]) {
        self.displacement.merge(center, replica);
    }
}
