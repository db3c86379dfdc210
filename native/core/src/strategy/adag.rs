//! `adag`: accumulated gradient normalisation, `d = (x_now - x_at_pull) / w`, `c += d` (Hermans, On Scalable Deep Learning
//! and Parallelizing Gradient Descent, 2017, chapter 3). `w` counts the mini-batches really in the window, so that a short
//! last window counts in full; with a `scale` above 1 it is the full window.

use super::delta::{Delta, DisplacementRule};
use super::{Protocol, ServerRule, Strategy, WorkerRule};

#[derive(Debug)]
pub(super) struct Adag(pub(super) Delta);

impl Strategy for Adag {
    fn name(&self) -> &'static str {
        "adag"
    }

    fn protocol(&self) -> Protocol {
        self.0.protocol()
    }

    fn worker(&self, parameters: usize, _: u32) -> Box<dyn WorkerRule> {
        let (scale, full) = (self.0.scale, self.0.window.get());
        Box::new(DisplacementRule::new(parameters, move |window| {
            // A scale above 1 would throw the center variable far at the end of a short last window.
            let divisor = if scale > 1.0 { full } else { window.batches.max(1) };
            scale / divisor as f32
        }))
    }

    fn server(&self, parameters: usize, _: u32) -> ServerRule {
        ServerRule::Commit(self.0.server(parameters, |_| 1.0))
    }
}
