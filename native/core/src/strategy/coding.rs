//! The options by which a strategy's exchanges are compressed.

use super::{Options, StrategyError};
use crate::compression::{Coding, CompressionSpec};
use crate::spec::StrategySpec;

/// How a strategy's exchanges are coded. Whether it has these options at all is for [`resolve`](super::resolve()) to say.
///
/// # Errors
/// Naming the option that is out of its range.
pub fn coding(spec: &StrategySpec) -> Result<Coding, StrategyError> {
    let options = Options { spec, optimizer: None };
    let message = spec.compression.unwrap_or(CompressionSpec::None {});
    message
        .check()
        .map_err(|error| options.error("compression", format!("is no good: {error}")))?;
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
