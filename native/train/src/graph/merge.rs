//! The layers with several inputs.

use super::arguments::Arguments;
use crate::error::TrainError;
use crate::model::show;

/// An element-wise function of several inputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Merge {
    Add,
    Subtract,
    Multiply,
    Average,
    Maximum,
    Minimum,
}

impl Merge {
    /// Returns the merge of a layer's type, if it is one.
    pub(super) fn of(op: &str) -> Option<Self> {
        Some(match op {
            "Add" => Self::Add,
            "Subtract" => Self::Subtract,
            "Multiply" => Self::Multiply,
            "Average" => Self::Average,
            "Maximum" => Self::Maximum,
            "Minimum" => Self::Minimum,
            _ => return None,
        })
    }

    /// Checks the inputs and returns the shape of the result.
    pub(super) fn shape(
        self,
        arguments: &Arguments<'_>,
        inputs: &[&[usize]],
    ) -> Result<Vec<usize>, TrainError> {
        let (first, rest) = several(arguments, inputs)?;
        if self == Self::Subtract && rest.len() > 1 {
            return Err(arguments.problem(format!("reads two inputs, not {}", inputs.len())));
        }
        if let Some(other) = rest.iter().find(|other| **other != first) {
            return Err(arguments.problem(format!(
                "got the shapes {} and {}; needs inputs of one shape",
                show(first),
                show(other)
            )));
        }
        Ok(first.to_vec())
    }
}

pub(super) fn concatenate(
    arguments: &Arguments<'_>,
    inputs: &[&[usize]],
) -> Result<(usize, Vec<usize>), TrainError> {
    let (first, rest) = several(arguments, inputs)?;
    let dimension = arguments.dimension("dim", 1, first)?;
    let mut output = first.to_vec();
    for other in rest {
        let fits = other.len() == first.len()
            && (0..first.len()).all(|d| d == dimension || other[d] == first[d]);
        if !fits {
            return Err(arguments.problem(format!(
                "got the shapes {} and {}; they may differ in dimension {} only",
                show(first),
                show(other),
                dimension + 1
            )));
        }
        output[dimension] += other[dimension];
    }
    Ok((dimension, output))
}

/// The first of two inputs or more, and the others.
fn several<'a, 'b>(
    arguments: &Arguments<'_>,
    inputs: &'b [&'a [usize]],
) -> Result<(&'a [usize], &'b [&'a [usize]]), TrainError> {
    match inputs {
        [first, rest @ ..] if !rest.is_empty() => Ok((first, rest)),
        _ => Err(arguments.problem(format!("reads two inputs or more, not {}", inputs.len()))),
    }
}
