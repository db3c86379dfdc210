//! The learning rate of a mini-batch.

use std::f64::consts::PI;

use crate::spec::{Interval, ScheduleSpec, WarmupSpec};

/// The step of a worker's training that a learning rate is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrainingStep {
    /// The epoch, counted from 0.
    pub epoch: u32,
    /// The mini-batch within the epoch, counted from 0.
    pub batch: u32,
    /// The mini-batches of the worker's epochs.
    pub batches: u32,
    /// The number of plateau reductions of the learning rate so far.
    pub reductions: u32,
}

/// Returns the learning rate of a mini-batch: the schedule's value for the optimizer's rate `base` in this epoch, times
/// the warm-up factor, which counts mini-batches over all epochs.
#[must_use]
pub fn learning_rate(
    schedule: &ScheduleSpec,
    warmup: Option<&WarmupSpec>,
    base: f64,
    step: TrainingStep,
) -> f64 {
    scheduled(schedule, base, step) * warmup.map_or(1.0, |warmup| warmup.factor(step))
}

fn scheduled(schedule: &ScheduleSpec, base: f64, step: TrainingStep) -> f64 {
    let epoch = f64::from(step.epoch);
    match *schedule {
        ScheduleSpec::Constant {} => base,
        ScheduleSpec::Step { step_size, gamma } => {
            base * gamma.powf(f64::from(step.epoch / step_size.max(1)))
        }
        ScheduleSpec::Exponential { gamma } => base * gamma.powf(epoch),
        ScheduleSpec::Cosine { epochs, minimum, interval } => {
            let begun = match interval {
                Interval::Epoch => 0.0,
                Interval::Step => f64::from(step.batch) / f64::from(step.batches.max(1)),
            };
            let turn = PI * (epoch + begun) / f64::from(epochs.max(1));
            minimum + (base - minimum) * (1.0 + turn.cos()) / 2.0
        }
        ScheduleSpec::Plateau { factor, minimum, .. } => {
            // A rate below the minimum from the start stays as it is.
            let lowest = minimum.min(base);
            (base * factor.powf(f64::from(step.reductions))).max(lowest)
        }
    }
}

impl WarmupSpec {
    fn factor(&self, step: TrainingStep) -> f64 {
        let trained = u64::from(step.epoch) * u64::from(step.batches) + u64::from(step.batch);
        let share = (trained as f64 / f64::from(self.steps.max(1))).min(1.0);
        self.start_factor + (1.0 - self.start_factor) * share
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::ThresholdMode;

    fn at(epoch: u32, batch: u32) -> TrainingStep {
        TrainingStep { epoch, batch, batches: 10, reductions: 0 }
    }

    fn near(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() <= 1e-15 * expected.abs().max(1.0),
            "{found}, not {expected}"
        );
    }

    #[test]
    fn schedules_step_at_epochs_whatever_the_mini_batch() {
        let step = ScheduleSpec::Step { step_size: 2, gamma: 0.5 };
        let cosine = ScheduleSpec::Cosine { epochs: 4, minimum: 0.1, interval: Interval::Epoch };
        for batch in [0, 9] {
            near(learning_rate(&ScheduleSpec::default(), None, 0.3, at(7, batch)), 0.3);
            near(learning_rate(&step, None, 1.0, at(3, batch)), 0.5);
            near(learning_rate(&step, None, 1.0, at(4, batch)), 0.25);
            near(
                learning_rate(&ScheduleSpec::Exponential { gamma: 0.5 }, None, 1.0, at(3, batch)),
                0.125,
            );
            near(learning_rate(&cosine, None, 1.1, at(2, batch)), 0.6);
            near(learning_rate(&cosine, None, 1.1, at(4, batch)), 0.1);
        }
    }

    #[test]
    fn a_cosine_by_steps_falls_with_every_mini_batch() {
        let cosine = ScheduleSpec::Cosine { epochs: 4, minimum: 0.1, interval: Interval::Step };
        near(learning_rate(&cosine, None, 1.1, at(0, 0)), 1.1);
        near(learning_rate(&cosine, None, 1.1, at(2, 0)), 0.6);
        let half = 0.1 + (1.0 + (PI * 1.5 / 4.0).cos()) / 2.0;
        near(learning_rate(&cosine, None, 1.1, at(1, 5)), half);
        let last = learning_rate(&cosine, None, 1.1, at(3, 9));
        assert!(0.1 < last && last < 0.102, "{last}");
    }

    #[test]
    fn warm_up_rises_by_mini_batches_over_epochs_and_multiplies_the_schedule() {
        let warmup = WarmupSpec { steps: 20, start_factor: 0.5 };
        let schedule = ScheduleSpec::Exponential { gamma: 0.1 };
        near(learning_rate(&schedule, Some(&warmup), 1.0, at(0, 0)), 0.5);
        near(learning_rate(&schedule, Some(&warmup), 1.0, at(0, 5)), 0.625);
        near(learning_rate(&schedule, Some(&warmup), 1.0, at(1, 0)), 0.075);
        near(learning_rate(&schedule, Some(&warmup), 1.0, at(2, 0)), 0.01);
        near(learning_rate(&schedule, Some(&warmup), 1.0, at(3, 0)), 0.001);
    }

    #[test]
    fn a_plateau_stops_at_its_minimum_and_never_raises_the_rate() {
        let plateau = ScheduleSpec::Plateau {
            factor: 0.1,
            patience: 0,
            threshold: 0.0,
            threshold_mode: ThresholdMode::Relative,
            cooldown: 0,
            minimum: 0.05,
            monitor: None,
        };
        let reduced = |base, reductions| {
            learning_rate(&plateau, None, base, TrainingStep { reductions, ..at(5, 0) })
        };
        near(reduced(1.0, 0), 1.0);
        near(reduced(1.0, 1), 0.1);
        near(reduced(1.0, 9), 0.05);
        near(reduced(0.01, 3), 0.01);
    }
}
