//! The errors of a strategy's specification.

use crate::error::{Coded, ErrorCode};
use crate::options::OptionError;

/// A strategy that is unknown or whose options do not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StrategyError {
    /// No strategy has this name.
    #[error("unknown strategy '{name}'; known are {known}")]
    Unknown {
        /// The name that was given.
        name: String,
        /// The names of all strategies.
        known: String,
    },
    /// An option that the strategy does not have, or that is out of its range.
    #[error(transparent)]
    Option(#[from] OptionError),
}

impl Coded for StrategyError {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidSpec
    }
}
