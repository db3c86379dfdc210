//! The options by which a strategy's exchanges are compressed.

use super::Options;
use crate::compression::{Coding, CompressionSpec};
use crate::options::OptionError;
use crate::spec::StrategySpec;

/// Returns the compression of a strategy's exchanges. [`resolve`](super::resolve()) checks that the strategy has these
/// options.
///
/// # Errors
/// An error that names the option which is out of its range.
pub fn coding(spec: &StrategySpec) -> Result<Coding, OptionError> {
    let options = Options { spec, optimizer: None };
    let message = spec.compression.unwrap_or(CompressionSpec::None {});
    message
        .check()
        .map_err(|error| options.error("compression", format!("is invalid: {error}")))?;
    let center = match message {
        _ if spec.compress_pull != Some(true) => CompressionSpec::None {},
        CompressionSpec::Bf16 {} | CompressionSpec::F16 {} => message,
        other => {
            let problem = format!("needs the compression 'bf16' or 'f16', not '{}'", other.name());
            return Err(options.error("compressPull", problem));
        }
    };
    Ok(Coding { message, center })
}
