//! The ranges of the optimizers' options: PyTorch's, and every value finite as an f32.

use crate::options::{OptionError, Range};
use crate::spec::OptimizerSpec;

/// Checks every option of an optimizer.
pub(super) fn check(spec: &OptimizerSpec) -> Result<(), OptionError> {
    let (name, options) = options(spec);
    for (option, value, range) in options {
        range.check(option, value).map_err(|error| error.of("optimizer", name))?;
    }
    match *spec {
        OptimizerSpec::Sgd { momentum, dampening, nesterov: true, .. }
            if momentum <= 0.0 || dampening != 0.0 =>
        {
            let problem = format!(
                "needs a momentum above 0 and a dampening of 0, not {momentum} and {dampening}"
            );
            Err(OptionError::new("nesterov", problem).of("optimizer", name))
        }
        _ => Ok(()),
    }
}

/// An optimizer's name in the specification and its numeric options with their ranges.
fn options(spec: &OptimizerSpec) -> (&'static str, Vec<(&'static str, f64, Range)>) {
    match *spec {
        OptimizerSpec::Sgd { learning_rate, momentum, dampening, nesterov: _, weight_decay } => (
            "sgd",
            vec![
                ("learningRate", learning_rate, Range::NOT_NEGATIVE_F32),
                ("momentum", momentum, Range::NOT_NEGATIVE_F32),
                ("dampening", dampening, Range::FINITE_F32),
                ("weightDecay", weight_decay, Range::NOT_NEGATIVE_F32),
            ],
        ),
        OptimizerSpec::Adam { learning_rate, beta1, beta2, epsilon, weight_decay, amsgrad: _ } => {
            ("adam", moments(learning_rate, beta1, beta2, epsilon, weight_decay))
        }
        OptimizerSpec::AdamW { learning_rate, beta1, beta2, epsilon, weight_decay, amsgrad: _ } => {
            ("adamw", moments(learning_rate, beta1, beta2, epsilon, weight_decay))
        }
        OptimizerSpec::Adamax { learning_rate, beta1, beta2, epsilon, weight_decay } => {
            ("adamax", moments(learning_rate, beta1, beta2, epsilon, weight_decay))
        }
        OptimizerSpec::Yogi { learning_rate, beta1, beta2, epsilon, weight_decay } => {
            ("yogi", moments(learning_rate, beta1, beta2, epsilon, weight_decay))
        }
        OptimizerSpec::NAdam {
            learning_rate,
            beta1,
            beta2,
            epsilon,
            weight_decay,
            momentum_decay,
        } => {
            let mut options = moments(learning_rate, beta1, beta2, epsilon, weight_decay);
            options.push(("momentumDecay", momentum_decay, Range::NOT_NEGATIVE_F32));
            ("nadam", options)
        }
        OptimizerSpec::RmsProp {
            learning_rate,
            alpha,
            epsilon,
            weight_decay,
            momentum,
            centered: _,
        } => (
            "rmsprop",
            vec![
                ("learningRate", learning_rate, Range::NOT_NEGATIVE_F32),
                ("alpha", alpha, Range::UP_TO_ONE),
                ("epsilon", epsilon, Range::NOT_NEGATIVE_F32),
                ("weightDecay", weight_decay, Range::NOT_NEGATIVE_F32),
                ("momentum", momentum, Range::NOT_NEGATIVE_F32),
            ],
        ),
        OptimizerSpec::Adagrad {
            learning_rate,
            learning_rate_decay,
            epsilon,
            weight_decay,
            initial_accumulator,
        } => (
            "adagrad",
            vec![
                ("learningRate", learning_rate, Range::NOT_NEGATIVE_F32),
                ("learningRateDecay", learning_rate_decay, Range::NOT_NEGATIVE_F32),
                ("epsilon", epsilon, Range::NOT_NEGATIVE_F32),
                ("weightDecay", weight_decay, Range::NOT_NEGATIVE_F32),
                ("initialAccumulator", initial_accumulator, Range::NOT_NEGATIVE_F32),
            ],
        ),
        OptimizerSpec::Adadelta { learning_rate, rho, epsilon, weight_decay } => (
            "adadelta",
            vec![
                ("learningRate", learning_rate, Range::NOT_NEGATIVE_F32),
                ("rho", rho, Range::UP_TO_ONE),
                ("epsilon", epsilon, Range::NOT_NEGATIVE_F32),
                ("weightDecay", weight_decay, Range::NOT_NEGATIVE_F32),
            ],
        ),
    }
}

/// The options of the optimizers that keep two moments.
fn moments(
    learning_rate: f64,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    weight_decay: f64,
) -> Vec<(&'static str, f64, Range)> {
    vec![
        ("learningRate", learning_rate, Range::NOT_NEGATIVE_F32),
        ("beta1", beta1, Range::BELOW_ONE),
        ("beta2", beta2, Range::BELOW_ONE),
        ("epsilon", epsilon, Range::NOT_NEGATIVE_F32),
        ("weightDecay", weight_decay, Range::NOT_NEGATIVE_F32),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::error::{Coded, ErrorCode};
    use crate::spec::OptimizerSpec;

    use super::check;

    /// Every optimizer with PyTorch's defaults.
    fn defaults() -> Vec<Value> {
        vec![
            json!({"name": "sgd", "learningRate": 1e-3, "momentum": 0.0, "dampening": 0.0,
                   "nesterov": false, "weightDecay": 0.0}),
            json!({"name": "adam", "learningRate": 1e-3, "beta1": 0.9, "beta2": 0.999,
                   "epsilon": 1e-8, "weightDecay": 0.0, "amsgrad": false}),
            json!({"name": "adamw", "learningRate": 1e-3, "beta1": 0.9, "beta2": 0.999,
                   "epsilon": 1e-8, "weightDecay": 1e-2, "amsgrad": false}),
            json!({"name": "rmsprop", "learningRate": 1e-2, "alpha": 0.99, "epsilon": 1e-8,
                   "weightDecay": 0.0, "momentum": 0.0, "centered": false}),
            json!({"name": "adagrad", "learningRate": 1e-2, "learningRateDecay": 0.0,
                   "epsilon": 1e-10, "weightDecay": 0.0, "initialAccumulator": 0.0}),
            json!({"name": "adadelta", "learningRate": 1.0, "rho": 0.9, "epsilon": 1e-6,
                   "weightDecay": 0.0}),
            json!({"name": "adamax", "learningRate": 2e-3, "beta1": 0.9, "beta2": 0.999,
                   "epsilon": 1e-8, "weightDecay": 0.0}),
            json!({"name": "nadam", "learningRate": 2e-3, "beta1": 0.9, "beta2": 0.999,
                   "epsilon": 1e-8, "weightDecay": 0.0, "momentumDecay": 4e-3}),
            json!({"name": "yogi", "learningRate": 1e-2, "beta1": 0.9, "beta2": 0.999,
                   "epsilon": 1e-3, "weightDecay": 0.0}),
        ]
    }

    fn with(spec: &Value, option: &str, value: f64) -> OptimizerSpec {
        let mut spec = spec.clone();
        spec[option] = json!(value);
        serde_json::from_value(spec).unwrap()
    }

    fn refusal(spec: &OptimizerSpec) -> String {
        let error = check(spec).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidSpec);
        error.to_string()
    }

    #[test]
    fn the_defaults_of_pytorch_are_accepted() {
        for spec in defaults() {
            check(&serde_json::from_value(spec).unwrap()).unwrap();
        }
    }

    #[test]
    fn every_numeric_option_refuses_values_outside_its_range_by_name() {
        let mut checked = 0;
        for spec in defaults() {
            let name = spec["name"].as_str().unwrap();
            for (option, value) in spec.as_object().unwrap() {
                if !value.is_number() {
                    continue;
                }
                let outside: &[f64] = match option.as_str() {
                    "beta1" | "beta2" => &[-0.1, 1.0, 1.5],
                    "alpha" | "rho" => &[-0.1, 1.5],
                    "dampening" => &[1e39],
                    _ => &[-1e-9, 1e39],
                };
                for &value in outside {
                    let text = refusal(&with(&spec, option, value));
                    let start = format!("optimizer '{name}': option '{option}' must be ");
                    assert!(text.starts_with(&start), "{text}");
                    assert!(text.ends_with(&format!(", not {value}")), "{text}");
                    checked += 1;
                }
            }
        }
        assert_eq!(checked, 97);
    }

    #[test]
    fn a_refusal_reads_well() {
        assert_eq!(
            refusal(&with(&defaults()[1], "beta1", 1.5)),
            "optimizer 'adam': option 'beta1' must be from 0 to below 1, not 1.5"
        );
    }

    #[test]
    fn nan_and_infinity_are_refused() {
        for value in [f64::NAN, f64::INFINITY] {
            let spec = OptimizerSpec::Adadelta {
                learning_rate: value,
                rho: 0.9,
                epsilon: 1e-6,
                weight_decay: 0.0,
            };
            assert!(refusal(&spec).contains("'learningRate' must be at least 0 and finite"));
        }
    }

    #[test]
    fn nesterov_needs_momentum_without_dampening() {
        let sgd = |momentum, dampening| OptimizerSpec::Sgd {
            learning_rate: 0.1,
            momentum,
            dampening,
            nesterov: true,
            weight_decay: 0.0,
        };
        check(&sgd(0.9, 0.0)).unwrap();
        for (momentum, dampening) in [(0.0, 0.0), (0.9, 0.1)] {
            let text = refusal(&sgd(momentum, dampening));
            assert!(text.contains("option 'nesterov' needs a momentum above 0"), "{text}");
        }
    }
}
