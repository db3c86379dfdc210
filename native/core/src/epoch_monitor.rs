//! Decisions at the end of an epoch: plateau reductions, the best epoch and early stopping.

use serde::{Deserialize, Serialize};

use crate::spec::{ControlSpec, Direction, Monitor, ScheduleSpec, ThresholdMode};

/// The reason for which a training ends before its last epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StopReason {
    /// The monitor has not improved for `patience` epochs.
    Patience,
    /// The loss has reached its target.
    TargetLoss,
    /// The monitor has reached its target.
    TargetMetric,
    /// The time limit is reached.
    MaxSeconds,
    /// The driver requested it.
    Driver,
}

/// The decisions that follow from an epoch's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochOutcome {
    /// True if the epoch is the best so far.
    pub best: bool,
    /// The reason to stop the training; `None` to go on.
    pub stop: Option<StopReason>,
    /// The number of plateau reductions of the learning rate, this epoch included.
    pub reductions: u32,
}

/// The state of an epoch monitor, for checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EpochMonitorState {
    /// The best value of the monitor.
    pub best: Option<f64>,
    /// The number of epochs since the best value.
    pub waited: u32,
    /// The best value of the plateau's monitor.
    pub plateau_best: Option<f64>,
    /// The number of consecutive epochs without an improvement of it.
    pub bad: u32,
    /// The remaining epochs of the cooldown.
    pub cooling: u32,
    /// The number of times that the learning rate has been reduced.
    pub reductions: u32,
}

/// Early stopping and `ReduceLROnPlateau` over the epochs of a fit, in their order.
#[derive(Clone, Debug)]
pub struct EpochMonitor {
    stopping: EarlyStopping,
    plateau: Option<Plateau>,
}

impl EpochMonitor {
    /// Creates a monitor before the first epoch; `validated` is true if rows are held out for validation.
    #[must_use]
    pub fn new(controls: &ControlSpec, validated: bool) -> Self {
        let default = ControlSpec::default_monitor(validated);
        let spec = &controls.stopping;
        let monitor = spec.monitor.clone().unwrap_or(default.clone());
        let stopping = EarlyStopping {
            direction: spec.mode.or(monitor.direction()).unwrap_or(Direction::Min),
            monitor,
            loss: default.clone(),
            patience: spec.patience,
            min_delta: spec.min_delta,
            target_loss: spec.target_loss,
            target_metric: spec.target_metric,
            best: None,
            waited: 0,
        };
        let plateau = match &controls.schedule {
            ScheduleSpec::Plateau {
                patience,
                threshold,
                threshold_mode,
                cooldown,
                monitor,
                ..
            } => {
                let monitor = monitor.clone().unwrap_or(default);
                Some(Plateau {
                    direction: monitor.direction().unwrap_or(Direction::Min),
                    monitor,
                    patience: *patience,
                    threshold: *threshold,
                    mode: *threshold_mode,
                    cooldown: *cooldown,
                    best: None,
                    bad: 0,
                    cooling: 0,
                    reductions: 0,
                })
            }
            _ => None,
        };
        Self { stopping, plateau }
    }

    /// The number of times that the learning rate has been reduced.
    #[must_use]
    pub fn reductions(&self) -> u32 {
        self.plateau.as_ref().map_or(0, |plateau| plateau.reductions)
    }

    /// Returns its state, for a checkpoint.
    #[must_use]
    pub fn state(&self) -> EpochMonitorState {
        let EarlyStopping { best, waited, .. } = self.stopping;
        let state = EpochMonitorState { best, waited, ..EpochMonitorState::default() };
        match self.plateau {
            Some(Plateau { best: plateau_best, bad, cooling, reductions, .. }) => {
                EpochMonitorState { plateau_best, bad, cooling, reductions, ..state }
            }
            None => state,
        }
    }

    /// Continues from a state that [`state`](Self::state) returned.
    pub fn restore(&mut self, state: EpochMonitorState) {
        let EpochMonitorState { best, waited, plateau_best, bad, cooling, reductions } = state;
        (self.stopping.best, self.stopping.waited) = (best, waited);
        if let Some(plateau) = &mut self.plateau {
            plateau.best = plateau_best;
            (plateau.bad, plateau.cooling, plateau.reductions) = (bad, cooling, reductions);
        }
    }

    /// Takes the values of the next epoch and decides what follows. `value` returns the value of a monitor; one that is
    /// missing or NaN improves nothing.
    pub fn update(&mut self, value: impl Fn(&Monitor) -> Option<f64>) -> EpochOutcome {
        let value = |monitor: &Monitor| value(monitor).filter(|value| !value.is_nan());
        let reductions = match &mut self.plateau {
            Some(plateau) => plateau.update(value(&plateau.monitor)),
            None => 0,
        };
        let (best, stop) = self.stopping.update(value);
        EpochOutcome { best, stop, reductions }
    }
}

/// Early stopping, as in Keras: patience counts epochs without an improvement of more than `min_delta`.
#[derive(Clone, Debug)]
struct EarlyStopping {
    monitor: Monitor,
    loss: Monitor,
    direction: Direction,
    patience: Option<u32>,
    min_delta: f64,
    target_loss: Option<f64>,
    target_metric: Option<f64>,
    best: Option<f64>,
    waited: u32,
}

impl EarlyStopping {
    fn update(&mut self, value: impl Fn(&Monitor) -> Option<f64>) -> (bool, Option<StopReason>) {
        let current = value(&self.monitor);
        let improved = current.filter(|&current| {
            self.best.is_none_or(|best| match self.direction {
                Direction::Min => current < best - self.min_delta,
                Direction::Max => current > best + self.min_delta,
            })
        });
        match improved {
            Some(value) => {
                self.best = Some(value);
                self.waited = 0;
            }
            None => self.waited += 1,
        }
        let reached = |target: Option<f64>, value: Option<f64>, direction| {
            target.zip(value).is_some_and(|(target, value)| match direction {
                Direction::Min => value <= target,
                Direction::Max => value >= target,
            })
        };
        let stop = if reached(self.target_loss, value(&self.loss), Direction::Min) {
            Some(StopReason::TargetLoss)
        } else if reached(self.target_metric, current, self.direction) {
            Some(StopReason::TargetMetric)
        } else {
            let over = improved.is_none() && self.patience.is_some_and(|most| self.waited >= most);
            over.then_some(StopReason::Patience)
        };
        (improved.is_some(), stop)
    }
}

/// `torch.optim.lr_scheduler.ReduceLROnPlateau`.
#[derive(Clone, Debug)]
struct Plateau {
    monitor: Monitor,
    direction: Direction,
    patience: u32,
    threshold: f64,
    mode: ThresholdMode,
    cooldown: u32,
    best: Option<f64>,
    bad: u32,
    cooling: u32,
    reductions: u32,
}

impl Plateau {
    fn update(&mut self, value: Option<f64>) -> u32 {
        match value.filter(|&value| self.is_better(value)) {
            Some(value) => {
                self.best = Some(value);
                self.bad = 0;
            }
            None => self.bad += 1,
        }
        if self.cooling > 0 {
            self.cooling -= 1;
            self.bad = 0;
        }
        if self.bad > self.patience {
            self.reductions += 1;
            self.cooling = self.cooldown;
            self.bad = 0;
        }
        self.reductions
    }

    fn is_better(&self, value: f64) -> bool {
        let Some(best) = self.best else { return true };
        match (self.direction, self.mode) {
            (Direction::Min, ThresholdMode::Relative) => value < best * (1.0 - self.threshold),
            (Direction::Min, ThresholdMode::Absolute) => value < best - self.threshold,
            (Direction::Max, ThresholdMode::Relative) => value > best * (1.0 + self.threshold),
            (Direction::Max, ThresholdMode::Absolute) => value > best + self.threshold,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn monitor(document: Value, validated: bool) -> EpochMonitor {
        EpochMonitor::new(&serde_json::from_value(document).unwrap(), validated)
    }

    fn outcomes(monitor: &mut EpochMonitor, values: &[f64]) -> Vec<EpochOutcome> {
        values.iter().map(|&value| monitor.update(|_| Some(value))).collect()
    }

    #[test]
    fn patience_counts_epochs_in_a_row_without_an_improvement() {
        let mut one = monitor(json!({"stopping": {"patience": 2, "minDelta": 0.1}}), true);
        let outcomes = outcomes(&mut one, &[1.0, 0.95, 0.8, 0.75, 0.75]);
        let best: Vec<bool> = outcomes.iter().map(|outcome| outcome.best).collect();
        assert_eq!(best, [true, false, true, false, false]);
        let stops: Vec<bool> = outcomes.iter().map(|outcome| outcome.stop.is_some()).collect();
        assert_eq!(stops, [false, false, false, false, true]);
        assert_eq!(outcomes[4].stop, Some(StopReason::Patience));
    }

    #[test]
    fn larger_values_are_better_where_the_monitor_or_the_mode_says_so() {
        let accuracy = json!({"metrics": ["accuracy"], "stopping": {"monitor": "accuracy"}});
        for document in [accuracy, json!({"stopping": {"mode": "max"}})] {
            let outcomes = outcomes(&mut monitor(document, true), &[0.5, 0.6, 0.4]);
            let best: Vec<bool> = outcomes.iter().map(|outcome| outcome.best).collect();
            assert_eq!(best, [true, true, false]);
        }
    }

    #[test]
    fn a_target_of_the_loss_or_of_the_monitor_ends_the_training() {
        let document = json!({"metrics": ["auc"],
            "stopping": {"monitor": "auc", "targetLoss": 0.1, "targetMetric": 0.9}});
        let mut both = monitor(document, true);
        let values = |loss, auc| {
            move |monitor: &Monitor| Some(if *monitor == Monitor::Loss { loss } else { auc })
        };
        assert_eq!(both.update(values(0.2, 0.8)).stop, None);
        assert_eq!(both.update(values(0.2, 0.9)).stop, Some(StopReason::TargetMetric));
        assert_eq!(both.update(values(0.1, 0.8)).stop, Some(StopReason::TargetLoss));
    }

    #[test]
    fn without_validation_rows_the_loss_of_the_training_is_watched() {
        let mut training = monitor(json!({"stopping": {"targetLoss": 0.5}}), false);
        let only = |monitor: &Monitor| (*monitor == Monitor::TrainingLoss).then_some(0.4);
        assert_eq!(training.update(only).stop, Some(StopReason::TargetLoss));
    }

    #[test]
    fn a_missing_value_betters_nothing_and_reaches_nothing() {
        let mut one = monitor(json!({"stopping": {"patience": 2, "targetLoss": 9.0}}), true);
        assert!(!one.update(|_| None).best);
        assert_eq!(one.update(|_| Some(f64::NAN)).stop, Some(StopReason::Patience));
    }
}
