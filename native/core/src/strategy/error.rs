//! What can be wrong with a strategy's specification.

use super::names;
use crate::error::{Coded, ErrorCode};

/// A strategy that is unknown or whose options do not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StrategyError {
    /// No strategy has this name.
    #[error("unknown strategy '{0}'; known are {list}", list = names().collect::<Vec<_>>().join(", "))]
    Unknown(String),
    /// An option that the strategy does not have, or that is out of its range.
    #[error("strategy '{strategy}': option '{option}' {problem}")]
    Option {
        /// The strategy's name.
        strategy: String,
        /// The option's name.
        option: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

impl Coded for StrategyError {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidSpec
    }
}
