//! How what a fit exchanges is coded, both ways.

use super::CompressionSpec;

/// The codes of a fit's exchanges. Batch-norm statistics and saved replicas are never compressed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coding {
    /// Of what workers commit and contribute, with error feedback.
    pub message: CompressionSpec,
    /// Of the center variable on its way to them, without.
    pub center: CompressionSpec,
}

impl Coding {
    /// Nothing is compressed.
    pub const PLAIN: Self =
        Self { message: CompressionSpec::None {}, center: CompressionSpec::None {} };
}
