//! The error of a training control that does not fit.

use crate::error::{Coded, ErrorCode};

/// An option of the training controls that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("option '{option}' {problem}")]
pub struct ControlError {
    option: String,
    problem: String,
}

impl ControlError {
    /// The option by its name in the document, and what is wrong with it.
    #[must_use]
    pub fn new(option: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { option: option.into(), problem: problem.into() }
    }
}

impl Coded for ControlError {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidSpec
    }
}
