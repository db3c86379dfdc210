//! The compression of a fit's exchanges in both directions.

use super::CompressionSpec;

/// The compressions of a fit's exchanges. Batch-norm statistics and saved replicas are never compressed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coding {
    /// The compression of commits and contributions, with error feedback.
    pub message: CompressionSpec,
    /// The compression of the center variable sent to workers, without error feedback.
    pub center: CompressionSpec,
}

impl Coding {
    /// No compression.
    pub const PLAIN: Self =
        Self { message: CompressionSpec::None {}, center: CompressionSpec::None {} };
}
