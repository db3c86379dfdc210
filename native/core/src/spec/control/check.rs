//! The ranges of the training controls.

use super::{ClippingSpec, ControlSpec, Monitor, ReportedMetric, ScheduleSpec, StoppingSpec};
use crate::options::{OptionError, Range};
use crate::spec::{DataSpec, LabelKind, LabelSpec, ValidationSpec};

fn at_least_one(option: &str, value: u32) -> Result<(), OptionError> {
    if value > 0 { Ok(()) } else { Err(OptionError::new(option, "must be at least 1, not 0")) }
}

impl ControlSpec {
    /// Checks every option, and which of the data's rows are held out. `outputs` are the names of the network's outputs.
    ///
    /// # Errors
    /// Names the option, its range and its value.
    pub fn check(&self, data: &DataSpec, outputs: &[String]) -> Result<(), OptionError> {
        let (labels, validated) = (data.labels.as_slice(), data.validation.is_some());
        if let Some(ValidationSpec::Fraction { fraction, .. }) = data.validation {
            Range::FRACTION.check("validation.fraction", fraction)?;
        }
        self.schedule.check()?;
        if let Some(warmup) = &self.warmup {
            at_least_one("warmup.steps", warmup.steps)?;
            Range::SHARE.check("warmup.startFactor", warmup.start_factor)?;
        }
        self.clipping.check()?;
        self.check_class_weights(labels)?;
        Range::BELOW_ONE.check("labelSmoothing", self.label_smoothing)?;
        if let Some(first) = self.metrics.first().filter(|_| !validated) {
            let problem = format!("contains {first}, but no rows are held out for validation");
            return Err(OptionError::new("metrics", problem));
        }
        let measured = self.reported_metrics(labels, outputs)?;
        self.stopping.check()?;
        let mut monitors = vec![("stopping.monitor", &self.stopping.monitor)];
        if let ScheduleSpec::Plateau { monitor, .. } = &self.schedule {
            monitors.push(("schedule.monitor", monitor));
        }
        for (option, monitor) in monitors {
            Self::check_monitor(option, monitor.as_ref(), &measured, validated)?;
        }
        Ok(())
    }

    fn check_class_weights(&self, labels: &[LabelSpec]) -> Result<(), OptionError> {
        const OPTION: &str = "classWeights";
        let weights = &self.class_weights;
        if weights.is_empty() {
            return Ok(());
        }
        let [LabelSpec { kind: LabelKind::Class { classes }, .. }] = labels else {
            return Err(OptionError::new(OPTION, "needs one label that is a class"));
        };
        if weights.len() != *classes {
            let (given, classes) = (weights.len(), *classes);
            let problem = format!("needs {classes} weights, one for each class, not {given}");
            return Err(OptionError::new(OPTION, problem));
        }
        for (class, &weight) in weights.iter().enumerate() {
            Range::NOT_NEGATIVE.check(&format!("{OPTION}[{class}]"), weight)?;
        }
        if weights.iter().all(|&weight| weight == 0.0) {
            return Err(OptionError::new(OPTION, "needs a weight above 0, but all are 0"));
        }
        Ok(())
    }

    fn check_monitor(
        option: &str,
        monitor: Option<&Monitor>,
        measured: &[ReportedMetric],
        validated: bool,
    ) -> Result<(), OptionError> {
        let Some(monitor) = monitor else { return Ok(()) };
        let of_training = *monitor == Monitor::TrainingLoss;
        let known = of_training
            || *monitor == Monitor::Loss
            || measured.iter().any(|measured| measured.name == monitor.to_string());
        let problem = if !validated && !of_training {
            format!("is {monitor}, but no rows are held out for validation")
        } else if monitor.direction().is_none() {
            format!("is {monitor}, which is not a single number")
        } else if !known {
            let names: Vec<&str> = measured.iter().map(|measured| measured.name.as_str()).collect();
            let names = if names.is_empty() { "none" } else { &names.join(", ") };
            format!("is {monitor}, which is not among the metrics: {names}")
        } else {
            return Ok(());
        };
        Err(OptionError::new(option, problem))
    }
}

impl ScheduleSpec {
    fn check(&self) -> Result<(), OptionError> {
        match *self {
            Self::Constant {} => Ok(()),
            Self::Step { step_size, gamma } => {
                at_least_one("schedule.stepSize", step_size)?;
                Range::POSITIVE.check("schedule.gamma", gamma)
            }
            Self::Exponential { gamma } => Range::POSITIVE.check("schedule.gamma", gamma),
            Self::Cosine { epochs, minimum, .. } => {
                at_least_one("schedule.epochs", epochs)?;
                Range::NOT_NEGATIVE.check("schedule.minimum", minimum)
            }
            Self::Plateau { factor, threshold, minimum, .. } => {
                Range::FRACTION.check("schedule.factor", factor)?;
                Range::NOT_NEGATIVE.check("schedule.threshold", threshold)?;
                Range::NOT_NEGATIVE.check("schedule.minimum", minimum)
            }
        }
    }
}

impl ClippingSpec {
    fn check(&self) -> Result<(), OptionError> {
        for (option, limit) in [("clipping.value", self.value), ("clipping.norm", self.norm)] {
            limit.map_or(Ok(()), |limit| Range::POSITIVE.check(option, limit))?;
        }
        Ok(())
    }
}

impl StoppingSpec {
    fn check(&self) -> Result<(), OptionError> {
        Range::NOT_NEGATIVE.check("stopping.minDelta", self.min_delta)?;
        let optional = [
            ("stopping.targetLoss", self.target_loss, Range::FINITE),
            ("stopping.targetMetric", self.target_metric, Range::FINITE),
            ("stopping.maxSeconds", self.max_seconds, Range::POSITIVE),
        ];
        for (option, value, range) in optional {
            value.map_or(Ok(()), |value| range.check(option, value))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn class(classes: usize) -> Vec<LabelSpec> {
        vec![LabelSpec { column: "digit".to_owned(), kind: LabelKind::Class { classes } }]
    }

    fn number() -> Vec<LabelSpec> {
        vec![LabelSpec { column: "price".to_owned(), kind: LabelKind::Values { size: 1 } }]
    }

    fn check(document: Value, labels: &[LabelSpec], validated: bool) -> Result<(), OptionError> {
        let validation =
            validated.then(|| ValidationSpec::Column { column: "held out".to_owned() });
        let data = DataSpec { inputs: vec![], labels: labels.to_vec(), weight: None, validation };
        let outputs = ["shares", "value"].map(str::to_owned);
        serde_json::from_value::<ControlSpec>(document)
            .unwrap()
            .check(&data, &outputs[..labels.len()])
    }

    #[test]
    fn an_option_outside_of_its_range_is_named_with_range_and_value() {
        let plateau = |factor: f64, threshold: f64| {
            json!({"schedule": {"name": "plateau", "factor": factor, "patience": 1, "threshold": threshold,
                                "thresholdMode": "absolute", "cooldown": 0, "minimum": 0.0}})
        };
        let cases = [
            (
                json!({"schedule": {"name": "step", "stepSize": 0, "gamma": 0.1}}),
                "option 'schedule.stepSize' must be at least 1, not 0",
            ),
            (
                json!({"schedule": {"name": "exponential", "gamma": -1.0}}),
                "option 'schedule.gamma' must be above 0 and finite, not -1",
            ),
            (
                json!({"schedule": {"name": "cosine", "epochs": 3, "minimum": -0.5}}),
                "option 'schedule.minimum' must be at least 0 and finite, not -0.5",
            ),
            (plateau(1.0, 0.0), "option 'schedule.factor' must be above 0 and below 1, not 1"),
            (
                plateau(0.5, -1.0),
                "option 'schedule.threshold' must be at least 0 and finite, not -1",
            ),
            (
                json!({"warmup": {"steps": 5, "startFactor": 1.5}}),
                "option 'warmup.startFactor' must be above 0 and at most 1, not 1.5",
            ),
            (
                json!({"clipping": {"norm": 0.0}}),
                "option 'clipping.norm' must be above 0 and finite, not 0",
            ),
            (
                json!({"labelSmoothing": 1.0}),
                "option 'labelSmoothing' must be from 0 to below 1, not 1",
            ),
            (
                json!({"classWeights": [1.0, 2.0]}),
                "option 'classWeights' needs 3 weights, one for each class, not 2",
            ),
            (
                json!({"classWeights": [1.0, -2.0, 0.0]}),
                "option 'classWeights[1]' must be at least 0 and finite, not -2",
            ),
            (
                json!({"classWeights": [0.0, 0.0, 0.0]}),
                "option 'classWeights' needs a weight above 0, but all are 0",
            ),
            (
                json!({"stopping": {"maxSeconds": 0.0}}),
                "option 'stopping.maxSeconds' must be above 0 and finite, not 0",
            ),
            (
                json!({"metrics": ["top4"]}),
                "option 'metrics' contains top4, which needs at least 4 classes; label 'digit' holds 3 classes",
            ),
            (
                json!({"metrics": ["accuracy", "accuracy"]}),
                "option 'metrics' contains accuracy twice",
            ),
            (
                json!({"metrics": ["auc"]}),
                "option 'metrics' contains auc, which needs two classes; label 'digit' holds 3 classes",
            ),
            (
                json!({"metrics": ["r2"]}),
                "option 'metrics' contains r2, which needs numbers; label 'digit' holds 3 classes",
            ),
            (
                json!({"stopping": {"monitor": "accuracy"}}),
                "option 'stopping.monitor' is accuracy, which is not among the metrics: none",
            ),
            (
                json!({"metrics": ["confusion"], "stopping": {"monitor": "confusion"}}),
                "option 'stopping.monitor' is confusion, which is not a single number",
            ),
        ];
        for (document, expected) in cases {
            assert_eq!(check(document, &class(3), true).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn what_needs_validation_rows_is_refused_without_them() {
        let error = check(json!({"metrics": ["accuracy"]}), &class(3), false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "option 'metrics' contains accuracy, but no rows are held out for validation"
        );
        assert!(check(json!({"stopping": {"monitor": "loss"}}), &class(3), false).is_err());
        assert!(check(json!({"stopping": {"monitor": "trainingLoss"}}), &class(3), false).is_ok());
    }

    #[test]
    fn a_fraction_holds_out_some_rows_and_not_all() {
        for fraction in [0.0, 1.0, f64::NAN] {
            let validation = Some(ValidationSpec::Fraction { fraction, seed: 1 });
            let data = DataSpec { inputs: vec![], labels: class(3), weight: None, validation };
            let error = ControlSpec::default().check(&data, &[]).unwrap_err().to_string();
            let expected =
                format!("option 'validation.fraction' must be above 0 and below 1, not {fraction}");
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn each_metric_fits_its_kind_of_label() {
        let all = json!({"metrics": ["accuracy", "top2", "auc", "confusion"]});
        assert!(check(all, &class(2), true).is_ok());
        let all = json!({"metrics": ["mse", "mae", "r2"]});
        assert!(check(all, &number(), true).is_ok());
        assert!(check(json!({"metrics": ["accuracy"]}), &number(), true).is_err());
        assert!(check(json!({"classWeights": [1.0]}), &number(), true).is_err());
        assert!(check(json!({"metrics": ["confusion"]}), &class(1000), true).is_err());
    }

    #[test]
    fn of_several_outputs_each_has_its_loss_and_the_metrics_that_fit_its_label() {
        let names = |metrics: Value| {
            let document = json!({"metrics": metrics});
            let controls: ControlSpec = serde_json::from_value(document).unwrap();
            let outputs = ["shares", "value", "other"].map(str::to_owned);
            let labels = [class(3), number(), number()].concat();
            let measured = controls.reported_metrics(&labels, &outputs).unwrap();
            measured.into_iter().map(|one| (one.name, one.label)).collect::<Vec<_>>()
        };
        let losses = [("shares_loss", 0), ("value_loss", 1), ("other_loss", 2)];
        for (metrics, expected) in [
            (json!([]), vec![]),
            (json!(["value_mae", "shares_top2"]), vec![("value_mae", 1), ("shares_top2", 0)]),
            (
                json!(["mse", "accuracy", "other_r2"]),
                vec![("value_mse", 1), ("other_mse", 2), ("shares_accuracy", 0), ("other_r2", 2)],
            ),
        ] {
            let expected: Vec<_> = losses.iter().copied().chain(expected).collect();
            let found = names(metrics);
            assert!(found.iter().map(|(name, at)| (name.as_str(), *at)).eq(expected), "{found:?}");
        }
    }

    #[test]
    fn a_metric_or_a_monitor_of_several_outputs_is_refused_by_its_whole_name() {
        let both = [class(3), number()].concat();
        for (document, expected) in [
            (
                json!({"metrics": ["price_mae"]}),
                "option 'metrics' contains price_mae, but the network has no output 'price'; it has shares, value",
            ),
            (
                json!({"metrics": ["shares_mae"]}),
                "option 'metrics' contains shares_mae, which needs numbers; label 'digit' holds 3 classes",
            ),
            (
                json!({"metrics": ["auc"]}),
                "option 'metrics' contains auc, which needs two classes; label 'digit' holds 3 classes, \
                 label 'price' holds 1 number(s)",
            ),
            (json!({"metrics": ["mae", "value_mae"]}), "option 'metrics' contains value_mae twice"),
            (
                json!({"metrics": ["mae"], "stopping": {"monitor": "mae"}}),
                "option 'stopping.monitor' is mae, which is not among the metrics: shares_loss, value_loss, value_mae",
            ),
            (
                json!({"stopping": {"monitor": "price_loss"}}),
                "option 'stopping.monitor' is price_loss, which is not among the metrics: shares_loss, value_loss",
            ),
        ] {
            assert_eq!(check(document, &both, true).unwrap_err().to_string(), expected);
        }
        for monitor in ["value_mae", "shares_loss", "loss", "trainingLoss"] {
            let document = json!({"metrics": ["mae"], "stopping": {"monitor": monitor}});
            assert!(check(document, &both, true).is_ok(), "{monitor}");
        }
        let error = check(json!({"metrics": ["value_mae"]}), &number(), true).unwrap_err();
        let expected = "option 'metrics' contains value_mae, but the network has one output, whose metric is named mae";
        assert_eq!(error.to_string(), expected);
    }
}
