//! The options by which a strategy's exchanges are compressed.

use crate::compression::{Coding, CompressionSpec};
use crate::options::OptionError;
use crate::spec::StrategySpec;

/// Returns the compression of a strategy's exchanges.
///
/// # Errors
/// An error that names the option which is out of its range.
pub fn coding(spec: &StrategySpec) -> Result<Coding, OptionError> {
    let error = |option: &str, problem: String| {
        OptionError::new(option, problem).of("strategy", spec.name())
    };
    let options = spec.coding();
    let message = options.compression.unwrap_or(CompressionSpec::None {});
    message.check().map_err(|problem| error("compression", format!("is invalid: {problem}")))?;
    let center = match message {
        _ if options.compress_pull != Some(true) => CompressionSpec::None {},
        CompressionSpec::Bf16 {} | CompressionSpec::F16 {} => message,
        other => {
            let problem = format!("needs the compression 'bf16' or 'f16', not '{}'", other.name());
            return Err(error("compressPull", problem));
        }
    };
    Ok(Coding { message, center })
}
