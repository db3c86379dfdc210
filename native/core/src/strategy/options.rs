//! Checks of the options of strategies. The errors name the option only; [`resolve`](super::resolve()) adds the
//! strategy.

use std::num::NonZeroU32;

use crate::optimizer::CheckedOptimizer;
use crate::options::{OptionError, Range};
use crate::spec::OptimizerSpec;

/// Returns the communication window.
pub(super) fn window(given: Option<u32>, default: u32) -> Result<NonZeroU32, OptionError> {
    NonZeroU32::new(given.unwrap_or(default))
        .ok_or_else(|| OptionError::new("window", "must be at least 1"))
}

/// Returns a number of this range.
pub(super) fn number(
    option: &str,
    given: Option<f64>,
    default: f64,
    range: Range,
) -> Result<f64, OptionError> {
    let value = given.unwrap_or(default);
    range.check(option, value).map(|()| value)
}

/// Returns an optimizer that runs on the server.
pub(super) fn server_optimizer(spec: &OptimizerSpec) -> Result<CheckedOptimizer, OptionError> {
    CheckedOptimizer::new(spec)
        .map_err(|error| OptionError::new("serverOptimizer", format!("is invalid: {error}")))
}
