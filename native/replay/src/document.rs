//! The document of a replay: the strategy, its options, the initial center variable, and the events.

use firesteel_core::spec::{OptimizerSpec, StrategySpec};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ReplayError;

/// Firesteel's default learning rate of SGD.
const LEARNING_RATE: f64 = 1e-3;

/// The document of a replay.
pub(super) struct Document {
    strategy: String,
    /// The options of the strategy, and of others.
    options: Map<String, Value>,
    learning_rate: f64,
    pub(super) workers: u32,
    pub(super) center: Vec<f32>,
    /// The events, each parsed when it is replayed, so that an error has an index.
    pub(super) events: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    strategy: String,
    workers: u32,
    center: Vec<f32>,
    #[serde(default)]
    options: Map<String, Value>,
    events: Vec<Value>,
}

/// One event.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Event {
    pub(super) worker: u32,
    pub(super) op: Op,
    pub(super) gradient: Option<Vec<f32>>,
    pub(super) rows: Option<u64>,
}

/// The action of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Op {
    Pull,
    Step,
    Commit,
    Leave,
}

impl Document {
    /// Reads a document.
    pub(super) fn parse(json: &str) -> Result<Self, ReplayError> {
        let refused = |error: serde_json::Error| ReplayError::Document(error.to_string());
        let Raw { strategy, workers, center, mut options, events } =
            serde_json::from_str(json).map_err(refused)?;
        if workers == 0 {
            return Err(ReplayError::Document("workers must be at least 1".to_owned()));
        }
        if let Some(index) = center.iter().position(|value| !value.is_finite()) {
            return Err(ReplayError::Document(format!("center[{index}] is not finite")));
        }
        let learning_rate = match options.remove("learningRate") {
            None | Some(Value::Null) => LEARNING_RATE,
            Some(value) => value.as_f64().ok_or_else(|| {
                ReplayError::Document("options: learningRate is not a number".to_owned())
            })?,
        };
        if let Some(given) = options.get_mut("serverOptimizer") {
            // An update is the result of a window, which is applied in full; `sync` sends gradients.
            let rate = if strategy == "sync" { learning_rate } else { 1.0 };
            *given = complete(given.take(), rate);
        }
        Ok(Self { strategy, options, learning_rate, workers, center, events })
    }

    /// Returns the strategy with its options, without those that only other strategies have.
    pub(super) fn strategy(&self) -> Result<StrategySpec, ReplayError> {
        let own = StrategySpec::named(&self.strategy)
            .map_err(|error| ReplayError::Document(error.to_string()))?
            .options();
        let others: Vec<String> = StrategySpec::all().flat_map(|spec| spec.options()).collect();
        let mut document = self.options.clone();
        document.retain(|option, _| own.contains(option) || !others.contains(option));
        document.insert("name".to_owned(), Value::String(self.strategy.clone()));
        serde_json::from_value(Value::Object(document))
            .map_err(|error| ReplayError::Document(format!("options: {error}")))
    }

    /// Plain SGD at the document's learning rate.
    pub(super) fn worker_optimizer(&self) -> OptimizerSpec {
        OptimizerSpec::Sgd {
            learning_rate: self.learning_rate,
            momentum: 0.0,
            dampening: 0.0,
            nesterov: false,
            weight_decay: 0.0,
        }
    }
}

/// Returns an optimizer with the estimators' defaults for absent options, which are those of PyTorch except for the
/// learning rate of `sgd`; null for `none`.
///
/// `OptimizerSpec` itself has no defaults: the estimators send every option, and one that is missing is an error there.
fn complete(given: Value, rate_of_sgd: f64) -> Value {
    let Value::Object(given) = given else { return given };
    let moments = [("beta1", 0.9), ("beta2", 0.999)];
    let (rate, options): (f64, Vec<(&str, f64)>) = match given.get("name").and_then(Value::as_str) {
        Some("none") => return Value::Null,
        Some("sgd") => (rate_of_sgd, vec![("momentum", 0.0), ("dampening", 0.0)]),
        Some("adam") => (1e-3, [&moments[..], &[("epsilon", 1e-8)]].concat()),
        Some("adamw") => {
            (1e-3, [&moments[..], &[("epsilon", 1e-8), ("weightDecay", 0.01)]].concat())
        }
        Some("yogi") => (1e-2, [&moments[..], &[("epsilon", 1e-3)]].concat()),
        Some("rmsprop") => (1e-2, vec![("alpha", 0.99), ("epsilon", 1e-8), ("momentum", 0.0)]),
        Some("adagrad") => {
            let rest = [("learningRateDecay", 0.0), ("initialAccumulator", 0.0)];
            (1e-2, [&[("epsilon", 1e-10)], &rest[..]].concat())
        }
        Some("adadelta") => (1.0, vec![("rho", 0.9), ("epsilon", 1e-6)]),
        Some("adamax") => (2e-3, [&moments[..], &[("epsilon", 1e-8)]].concat()),
        Some("nadam") => {
            (2e-3, [&moments[..], &[("epsilon", 1e-8), ("momentumDecay", 4e-3)]].concat())
        }
        _ => return Value::Object(given),
    };
    let mut whole = Map::new();
    whole.insert("weightDecay".to_owned(), 0.0.into());
    whole.insert("learningRate".to_owned(), rate.into());
    for (option, value) in options {
        whole.insert(option.to_owned(), value.into());
    }
    for (flag, of) in
        [("nesterov", &["sgd"][..]), ("amsgrad", &["adam", "adamw"]), ("centered", &["rmsprop"])]
    {
        if given.get("name").and_then(Value::as_str).is_some_and(|name| of.contains(&name)) {
            whole.insert(flag.to_owned(), false.into());
        }
    }
    whole.extend(given);
    Value::Object(whole)
}
