//! The training controls beside the optimizer and the strategy: learning-rate schedule, clipping, class weights, label
//! smoothing, metrics and early stopping.

mod check;
mod metric;
mod reported_metric;

use serde::{Deserialize, Serialize};

pub use metric::{Direction, Metric, Monitor, OutputMetric};
pub use reported_metric::{MetricKind, ReportedMetric};

/// All training controls; an absent one has no effect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ControlSpec {
    /// The learning-rate schedule.
    pub schedule: ScheduleSpec,
    /// The warm-up of the learning rate, with any schedule.
    pub warmup: Option<WarmupSpec>,
    /// The gradient clipping.
    pub clipping: ClippingSpec,
    /// The weight of each class; empty if all count alike. A mini-batch's loss is `sum_i s_i w_(y_i) l_i / sum_i s_i
    /// w_(y_i)` over its rows with the row weights `s_i`, as PyTorch's `weight`.
    pub class_weights: Vec<f64>,
    /// The share of a class label that is spread evenly over all classes (Szegedy et al., 2016), as in
    /// `torch.nn.CrossEntropyLoss`; 0 for none.
    pub label_smoothing: f64,
    /// The metrics of the validation rows after each epoch, beside the loss and, for a network with several outputs,
    /// the loss of each.
    pub metrics: Vec<OutputMetric>,
    /// Early stopping and the choice of the final model.
    pub stopping: StoppingSpec,
}

/// A learning-rate schedule with the formula of `torch.optim.lr_scheduler`, stepped at each worker's epochs as PyTorch's
/// users step theirs: an epoch means the same whatever the batch size, the strategy and the number of workers.
///
/// `base` is the optimizer's learning rate, `e` the epoch counted from 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "name",
    deny_unknown_fields
)]
pub enum ScheduleSpec {
    /// `base`.
    Constant {},
    /// `base gamma^floor(e / step_size)` (`StepLR`).
    Step {
        /// Epochs between two changes.
        step_size: u32,
        /// The factor of each change.
        gamma: f64,
    },
    /// `base gamma^e` (`ExponentialLR`).
    Exponential {
        /// The factor of each epoch.
        gamma: f64,
    },
    /// `minimum + (base - minimum) (1 + cos(pi e / epochs)) / 2` (`CosineAnnealingLR`; Loshchilov and Hutter, 2017). It
    /// rises again after `epochs`.
    Cosine {
        /// Epochs from `base` to `minimum`, PyTorch's `T_max`.
        epochs: u32,
        /// The smallest rate, PyTorch's `eta_min`.
        minimum: f64,
        /// The interval between changes of the rate.
        #[serde(default)]
        interval: Interval,
    },
    /// `base factor^n`, at least `minimum`, where `n` counts the reductions (`ReduceLROnPlateau`; dist-keras's
    /// Emperor). A reduction follows when more than `patience` consecutive epochs did not improve the best value by the
    /// threshold.
    Plateau {
        /// The factor of each change.
        factor: f64,
        /// Epochs without an improvement that are tolerated.
        patience: u32,
        /// The smallest change that counts as an improvement.
        threshold: f64,
        /// The mode of the threshold: a share of the best value or a distance.
        threshold_mode: ThresholdMode,
        /// Epochs after a reduction in which nothing is counted.
        cooldown: u32,
        /// The smallest rate.
        minimum: f64,
        /// The monitor; `None` for the loss of the validation rows, or of the training rows if there are none.
        #[serde(default)]
        monitor: Option<Monitor>,
    },
}

impl Default for ScheduleSpec {
    fn default() -> Self {
        Self::Constant {}
    }
}

/// The interval at which a schedule changes the learning rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Interval {
    /// At the beginning of each epoch.
    #[default]
    Epoch,
    /// With each mini-batch: `e` counts parts of epochs as well.
    Step,
}

/// The meaning of a plateau's threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ThresholdMode {
    /// A share of the best value: better is below `best (1 - threshold)`, or above `best (1 + threshold)`.
    Relative,
    /// A distance: better is below `best - threshold`, or above `best + threshold`.
    Absolute,
}

/// A linear warm-up of the learning rate (`LinearLR`), stepped by mini-batches, since it protects the first few of
/// them. The factor multiplies the schedule's rate; the schedule counts its epochs from the start regardless.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WarmupSpec {
    /// Mini-batches of the worker until the factor is 1.
    pub steps: u32,
    /// The factor of the first mini-batch.
    pub start_factor: f64,
}

/// The clipping of a mini-batch's gradient before the optimizer step; first by value, then by norm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClippingSpec {
    /// The largest size of an element (`torch.nn.utils.clip_grad_value_`).
    pub value: Option<f64>,
    /// The largest Euclidean norm of the whole gradient (`torch.nn.utils.clip_grad_norm_`).
    pub norm: Option<f64>,
}

/// The conditions of early stopping.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StoppingSpec {
    /// The monitor of patience, best weights and target metric; `None` for the loss of the validation rows, or of the
    /// training rows if there are none.
    pub monitor: Option<Monitor>,
    /// The direction of better values; `None` for the monitor's own.
    pub mode: Option<Direction>,
    /// The number of consecutive epochs without an improvement after which the training ends; `None` for never.
    pub patience: Option<u32>,
    /// The smallest change that counts as an improvement.
    pub min_delta: f64,
    /// True for the model of the best epoch, false for that of the last one.
    pub restore_best: bool,
    /// The training ends once the loss is at most this: that of the validation rows, or of the training rows if there
    /// are none.
    pub target_loss: Option<f64>,
    /// The training ends once the monitor is at least this good.
    pub target_metric: Option<f64>,
    /// The training ends this many seconds after the first worker began.
    pub max_seconds: Option<f64>,
}

impl ControlSpec {
    /// Returns the default monitor of the plateau schedule and of early stopping: the loss of the validation rows if
    /// there are any, else that of the training rows.
    #[must_use]
    pub fn default_monitor(validated: bool) -> Monitor {
        if validated { Monitor::Loss } else { Monitor::TrainingLoss }
    }

    /// Returns true if a decision follows from the end of an epoch, even without validation rows.
    #[must_use]
    pub fn monitors_epochs(&self) -> bool {
        matches!(self.schedule, ScheduleSpec::Plateau { .. }) || self.stopping.monitors_epochs()
    }
}

impl StoppingSpec {
    fn monitors_epochs(&self) -> bool {
        self.patience.is_some()
            || self.restore_best
            || self.target_loss.is_some()
            || self.target_metric.is_some()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_absent_does_nothing() {
        let spec: ControlSpec = serde_json::from_value(json!({})).unwrap();
        assert_eq!(spec, ControlSpec::default());
        assert_eq!(spec.schedule, ScheduleSpec::Constant {});
        assert!(!spec.monitors_epochs());
    }

    #[test]
    fn a_document_reads_back_as_it_was_written() {
        let document = json!({
            "schedule": {"name": "plateau", "factor": 0.5, "patience": 2, "threshold": 1e-4,
                         "thresholdMode": "relative", "cooldown": 0, "minimum": 0.0, "monitor": "auc"},
            "warmup": {"steps": 100, "startFactor": 0.1},
            "clipping": {"value": null, "norm": 1.0},
            "classWeights": [1.0, 2.0],
            "labelSmoothing": 0.1,
            "metrics": ["accuracy", "top5", "price_mae"],
            "stopping": {"monitor": "price_loss", "mode": "max", "patience": 3, "minDelta": 0.01, "restoreBest": true,
                         "targetLoss": null, "targetMetric": 0.99, "maxSeconds": 60.0},
        });
        let spec: ControlSpec = serde_json::from_value(document.clone()).unwrap();
        assert_eq!(serde_json::to_value(&spec).unwrap(), document);
        assert!(spec.monitors_epochs());
    }

    #[test]
    fn an_unknown_option_is_refused() {
        let wrong = [
            json!({"clip": 1.0}),
            json!({"schedule": {"name": "step", "stepSize": 1, "gamma": 0.1, "minimum": 0.0}}),
            json!({"schedule": {"name": "linear"}}),
            json!({"schedule": {"name": "constant", "gamma": 0.1}}),
            json!({"stopping": {"patient": 3}}),
        ];
        for document in wrong {
            assert!(serde_json::from_value::<ControlSpec>(document.clone()).is_err(), "{document}");
        }
    }
}
