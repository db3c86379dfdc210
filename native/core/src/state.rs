//! The state of a rule or an optimizer between steps, for checkpoints.

use crate::error::{Coded, ErrorCode};

/// A state as plain numbers, in an order that its owner defines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Counters and rates.
    pub numbers: Vec<f64>,
    /// The values for each parameter, flat.
    pub values: Vec<f32>,
}

impl State {
    /// Fails unless there are as many numbers and values as in `own`.
    ///
    /// # Errors
    /// [`StateError`] with both.
    pub fn check_shape(&self, own: &Self) -> Result<(), StateError> {
        let of = |state: &Self| (state.numbers.len(), state.values.len());
        if of(self) == of(own) {
            return Ok(());
        }
        let ((numbers, values), (own_numbers, own_values)) = (of(self), of(own));
        Err(StateError(format!(
            "it has {numbers} numbers and {values} values, not {own_numbers} and {own_values}"
        )))
    }
}

/// A state that does not fit the rule or optimizer that restores it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state belongs to another rule: {0}")]
pub struct StateError(pub String);

impl Coded for StateError {
    fn code(&self) -> ErrorCode {
        ErrorCode::Checkpoint
    }
}
