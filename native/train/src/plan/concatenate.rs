//! Concatenate.

use super::step::{Backward, Forward, Step, Weights};
use crate::error::TrainError;

/// The concatenation of inputs along a dimension: runs of each input's values follow each other.
pub(super) struct Concatenate {
    /// The values of each input that lie together.
    pub(super) runs: Vec<usize>,
}

impl Concatenate {
    fn total(&self) -> usize {
        self.runs.iter().sum::<usize>().max(1)
    }
}

impl Step for Concatenate {
    fn forward(
        &self,
        _pass: &mut Forward<'_>,
        inputs: &[&[f32]],
        output: &mut [f32],
    ) -> Result<(), TrainError> {
        let mut start = 0;
        for (input, &run) in inputs.iter().zip(&self.runs) {
            let groups = output.chunks_exact_mut(self.total()).zip(input.chunks_exact(run.max(1)));
            groups.for_each(|(y, x)| y[start..start + run].copy_from_slice(x));
            start += run;
        }
        Ok(())
    }

    fn input(
        &self,
        pass: &mut Backward<'_>,
        _weights: &Weights<'_>,
        number: usize,
        adds: bool,
        target: &mut [f32],
    ) -> Result<(), TrainError> {
        let start: usize = self.runs[..number].iter().sum();
        let run = self.runs[number];
        let groups =
            pass.of_output.chunks_exact(self.total()).zip(target.chunks_exact_mut(run.max(1)));
        for (dy, dx) in groups {
            let dy = &dy[start..start + run];
            if adds {
                dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy);
            } else {
                dx.copy_from_slice(dy);
            }
        }
        Ok(())
    }
}
