//! Reads a layer's arguments, with errors that name the layer, the argument and what it accepts.

use firesteel_core::spec::NodeSpec;
use serde_json::Value;

use crate::error::TrainError;
use crate::model::show;

/// No size of a tensor may be larger: it keeps every product of a few sizes within 64 bits.
const LARGEST_SIZE: u64 = i32::MAX as u64;

/// The arguments of one layer. An argument that is JSON `null` counts as absent.
pub(super) struct Arguments<'a> {
    node: &'a NodeSpec,
}

impl<'a> Arguments<'a> {
    /// Reads the arguments of `node`; `known` are all that its type has.
    pub(super) fn new(node: &'a NodeSpec, known: &[&str]) -> Result<Self, TrainError> {
        let arguments = Self { node };
        match node.args.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(arguments),
            Some(unknown) if known.is_empty() => {
                Err(arguments.problem(format!("unknown argument '{unknown}'; it takes none")))
            }
            Some(unknown) => Err(arguments
                .problem(format!("unknown argument '{unknown}'; use one of {}", known.join(", ")))),
        }
    }

    /// An error of this layer.
    pub(super) fn problem(&self, problem: impl Into<String>) -> TrainError {
        layer_error(self.node, problem)
    }

    fn wrong(&self, name: &str, accepted: &str, value: &Value) -> TrainError {
        self.problem(format!("argument '{name}' must be {accepted}, not {value}"))
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.node.args.get(name).filter(|value| !value.is_null())
    }

    /// Returns true if the argument is given as JSON `null`, for arguments that distinguish it from an absent one.
    pub(super) fn is_null(&self, name: &str) -> bool {
        self.node.args.get(name).is_some_and(Value::is_null)
    }

    /// A size of at least 1.
    pub(super) fn size(&self, name: &str) -> Result<Option<usize>, TrainError> {
        self.get(name)
            .map(|value| {
                size_at_least(value, 1)
                    .ok_or_else(|| self.wrong(name, "an integer of at least 1", value))
            })
            .transpose()
    }

    /// A size that has no default.
    pub(super) fn required_size(&self, name: &str) -> Result<usize, TrainError> {
        self.size(name)?.ok_or_else(|| self.missing(name))
    }

    /// The error of an absent argument that has no default.
    pub(super) fn missing(&self, name: &str) -> TrainError {
        self.problem(format!("argument '{name}' is missing"))
    }

    /// A size that is inferred from the input: if given, it must be `inferred`.
    pub(super) fn inferred_size(
        &self,
        name: &str,
        inferred: usize,
        shape: &[usize],
    ) -> Result<usize, TrainError> {
        match self.size(name)? {
            Some(given) if given != inferred => Err(self.problem(format!(
                "{name} is {given}, but its input has the shape {} and needs {inferred}",
                show(shape)
            ))),
            _ => Ok(inferred),
        }
    }

    /// One integer for both directions or a pair, each at least `least`.
    pub(super) fn pair(&self, name: &str, least: u64) -> Result<Option<[usize; 2]>, TrainError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let pair = match value {
            Value::Array(items) => match items.as_slice() {
                [height, width] => size_at_least(height, least).zip(size_at_least(width, least)),
                _ => None,
            },
            single => size_at_least(single, least).map(|size| (size, size)),
        };
        let (height, width) = pair.ok_or_else(|| {
            self.wrong(name, &format!("an integer of at least {least} or a pair of such"), value)
        })?;
        Ok(Some([height, width]))
    }

    /// A list of sizes of at least 1; one integer is a list of one.
    pub(super) fn sizes(&self, name: &str) -> Result<Option<Vec<usize>>, TrainError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let sizes: Option<Vec<usize>> = match value {
            Value::Array(items) if !items.is_empty() => {
                items.iter().map(|item| size_at_least(item, 1)).collect()
            }
            single => size_at_least(single, 1).map(|size| vec![size]),
        };
        sizes.map(Some).ok_or_else(|| self.wrong(name, "a list of integers of at least 1", value))
    }

    /// Any integer.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, TrainError> {
        self.get(name)
            .map(|value| value.as_i64().ok_or_else(|| self.wrong(name, "an integer", value)))
            .transpose()
    }

    /// A list of integers.
    pub(super) fn integers(&self, name: &str) -> Result<Vec<i64>, TrainError> {
        let value = self.get(name).ok_or_else(|| self.missing(name))?;
        value
            .as_array()
            .filter(|items| !items.is_empty())
            .and_then(|items| items.iter().map(Value::as_i64).collect())
            .ok_or_else(|| self.wrong(name, "a list of integers", value))
    }

    /// A list of integers; one integer is a list of one.
    pub(super) fn integer_or_list(&self, name: &str) -> Result<Vec<i64>, TrainError> {
        match self.get(name).and_then(Value::as_i64) {
            Some(single) => Ok(vec![single]),
            None => self.integers(name),
        }
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, TrainError> {
        self.get(name).map_or(Ok(default), |value| {
            value.as_bool().ok_or_else(|| self.wrong(name, "true or false", value))
        })
    }

    /// A number for which `accepts` holds.
    pub(super) fn number(
        &self,
        name: &str,
        default: f64,
        accepted: &str,
        accepts: impl Fn(f64) -> bool,
    ) -> Result<f64, TrainError> {
        self.get(name).map_or(Ok(default), |value| {
            value
                .as_f64()
                .filter(|&number| number.is_finite() && accepts(number))
                .ok_or_else(|| self.wrong(name, accepted, value))
        })
    }

    /// One of a few words.
    pub(super) fn word<'w>(&self, name: &str, words: &[&'w str]) -> Result<&'w str, TrainError> {
        let Some(value) = self.get(name) else { return Ok(words[0]) };
        words.iter().copied().find(|word| value.as_str() == Some(word)).ok_or_else(|| {
            let accepted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            self.wrong(name, &accepted.join(" or "), value)
        })
    }

    /// A dimension that counts the batch as 0; negative counts from the end. Returned without the batch.
    pub(super) fn dimension(
        &self,
        name: &str,
        default: i64,
        shape: &[usize],
    ) -> Result<usize, TrainError> {
        let given = self.integer(name)?.unwrap_or(default);
        let dimensions = shape.len() as i64 + 1;
        let resolved = if given < 0 { given + dimensions } else { given };
        if resolved == 0 {
            return Err(self.problem(format!(
                "{name} {given} is the batch dimension; choose a dimension of the row"
            )));
        }
        if !(1..dimensions).contains(&resolved) {
            return Err(self.problem(format!(
                "{name} {given} does not fit its input, whose shape is {} without the batch",
                show(shape)
            )));
        }
        Ok(resolved as usize - 1)
    }
}

fn size_at_least(value: &Value, least: u64) -> Option<usize> {
    value
        .as_u64()
        .filter(|size| (least..=LARGEST_SIZE).contains(size))
        .and_then(|size| usize::try_from(size).ok())
}

/// An error of one layer.
pub(super) fn layer_error(node: &NodeSpec, problem: impl Into<String>) -> TrainError {
    TrainError::Layer { layer: node.name.clone(), op: node.op.clone(), problem: problem.into() }
}
