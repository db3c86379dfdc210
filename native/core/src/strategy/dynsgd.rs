//! `dynsgd`: `d = x_now - x_at_pull`, `c += d / (tau + 1)` with `tau` the updates since that worker's pull (Jiang et al.,
//! 2017, Heterogeneity-aware Distributed Parameter Servers, in the form of Hermans' thesis).

use super::delta::Delta;
use super::{Displacement, Rhythm, ServerRule, Strategy, Window, WorkerRule};

#[derive(Debug)]
pub(super) struct DynSgd(pub(super) Delta);

impl Strategy for DynSgd {
    fn name(&self) -> &'static str {
        "dynsgd"
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::Window(self.0.window)
    }

    fn overlaps(&self) -> bool {
        self.0.overlap
    }

    fn worker(&self, parameters: usize, _: u32) -> Box<dyn WorkerRule> {
        Box::new(Worker(Displacement::new(parameters)))
    }

    fn server(&self, parameters: usize, _: u32) -> ServerRule {
        ServerRule::Commit(
            self.0.server(parameters, |context| 1.0 / (context.staleness as f32 + 1.0)),
        )
    }
}

struct Worker(Displacement);

impl WorkerRule for Worker {
    fn start(&mut self, center: &[f32]) {
        self.0.start(center);
    }

    fn commit(&mut self, replica: &mut [f32], _: Window, message: &mut [f32]) {
        self.0.take(replica, 1.0, message);
    }

    fn receive(&mut self, center: &[f32], replica: &mut [f32]) {
        self.0.receive(center, replica);
    }

    fn merge(&mut self, center: &[f32], replica: &mut [f32]) {
        self.0.merge(center, replica);
    }
}
