//! The arguments of trainers and the params of estimators that a request may give.
//!
//! `arguments.json` has their names. A test of the Python package compares it with the classes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::TrainerSpec;
use super::invalid::{Invalid, invalid};

#[derive(Debug, Default, Deserialize)]
struct Names {
    trainers: BTreeMap<String, Vec<String>>,
    estimators: BTreeMap<String, Vec<String>>,
}

static NAMES: LazyLock<Names> =
    LazyLock::new(|| serde_json::from_str(include_str!("arguments.json")).unwrap_or_default());

/// The arguments that every trainer needs.
const NEEDED: [&str; 2] = ["worker_optimizer", "loss"];

/// Checks the class and the arguments of a trainer.
pub(super) fn check_trainer(trainer: &TrainerSpec) -> Result<(), Invalid> {
    let class = &trainer.class;
    let names = known("work.trainer.class", class, &NAMES.trainers)?;
    for (name, value) in &trainer.arguments {
        let field = format!("work.trainer.arguments.{name}");
        if !names.contains(name) {
            let problem = format!("{class} has no such argument; it has {}", names.join(", "));
            return invalid(&field, problem);
        }
        if let Some(expected) = misfit(name, value) {
            return invalid(&field, format!("must be {expected}, not {value}"));
        }
    }
    match NEEDED.into_iter().find(|name| !trainer.arguments.contains_key(*name)) {
        Some(name) => invalid(
            &format!("work.trainer.arguments.{name}"),
            format!("must be given: {class} needs it"),
        ),
        None => Ok(()),
    }
}

/// Checks the class and the names of the params of an estimator.
pub(super) fn check_params(class: &str, params: &Map<String, Value>) -> Result<(), Invalid> {
    let names = known("work.estimator", class, &NAMES.estimators)?;
    match params.keys().find(|name| !names.contains(name)) {
        Some(name) => invalid(
            &format!("work.params.{name}"),
            format!("{class} has no such param; it has {}", names.join(", ")),
        ),
        None => Ok(()),
    }
}

fn known<'a>(
    field: &str,
    class: &str,
    classes: &'a BTreeMap<String, Vec<String>>,
) -> Result<&'a Vec<String>, Invalid> {
    if let Some(names) = classes.get(class) {
        return Ok(names);
    }
    let known: Vec<_> = classes.keys().map(String::as_str).collect();
    invalid(field, format!("must be one of {}, not '{class}'", known.join(", ")))
}

/// Returns the values that an argument of a trainer takes, if this is none of them.
fn misfit(name: &str, value: &Value) -> Option<&'static str> {
    let is_names =
        |value: &Value| value.as_array().is_some_and(|values| values.iter().all(Value::is_string));
    let (fits, expected) = match name {
        "num_workers" | "batch_size" | "num_epoch" | "communication_window" | "num_ensembles" => {
            (value.as_u64().is_some_and(|number| number > 0), "a whole number from 1 on")
        }
        "rho" => (value.is_number() || value.is_null(), "a number"),
        "learning_rate" | "momentum" => (value.is_number(), "a number"),
        "features_col" | "label_col" => {
            (value.is_string() || is_names(value), "a name or a list of names")
        }
        "metrics" => (is_names(value), "a list of names"),
        _ => return None,
    };
    (!fits).then_some(expected)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{check_params, check_trainer};
    use crate::job::TrainerSpec;

    fn field(class: &str, arguments: &Value) -> Option<String> {
        let arguments = arguments.as_object().cloned().expect("an object");
        let trainer = TrainerSpec { class: class.to_owned(), arguments };
        check_trainer(&trainer).err().map(|error| error.field)
    }

    #[test]
    fn the_arguments_of_a_trainer_are_checked() {
        let needed = json!({"worker_optimizer": "adam", "loss": "mse"});
        let with = |name: &str, value: Value| {
            let mut arguments = needed.clone();
            arguments[name] = value;
            field("AEASGD", &arguments)
        };
        assert_eq!(field("AEASGD", &needed), None);
        assert_eq!(with("num_epoch", json!(3)), None);
        assert_eq!(with("rho", json!(null)), None);
        assert_eq!(with("metrics", json!(["accuracy"])), None);
        for (name, value) in [
            ("num_epoch", json!(0)),
            ("num_workers", json!(1.5)),
            ("learning_rate", json!("fast")),
            ("features_col", json!(7)),
            ("metrics", json!("accuracy")),
            ("num_epochs", json!(3)),
            ("keras_model", json!("{}")),
        ] {
            assert_eq!(with(name, value), Some(format!("work.trainer.arguments.{name}")));
        }
        assert_eq!(field("SGD", &needed).as_deref(), Some("work.trainer.class"));
        let missing = field("ADAG", &json!({"worker_optimizer": "adam"}));
        assert_eq!(missing.as_deref(), Some("work.trainer.arguments.loss"));
    }

    #[test]
    fn the_params_of_an_estimator_are_known() {
        let check = |class: &str, params: Value| {
            check_params(class, params.as_object().expect("an object"))
                .err()
                .map(|error| error.field)
        };
        assert_eq!(check("NetworkClassifier", json!({"epochs": 2, "numWorkers": 2})), None);
        let field = check("NetworkClassifier", json!({"epochs": 2, "outputCols": []}));
        assert_eq!(field.as_deref(), Some("work.params.outputCols"));
        let field = check("NetworkSorter", json!({}));
        assert_eq!(field.as_deref(), Some("work.estimator"));
    }
}
