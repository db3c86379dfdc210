//! Errors of compression options and of compressed bytes.

use crate::error::{Coded, ErrorCode};
use crate::options::OptionError;

/// A compression whose options do not fit, or bytes that no encoder writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    /// An option is out of its range.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// More values than the compression's code can number.
    #[error("compression '{compression}' takes at most {most} parameters, not {elements}")]
    TooLong {
        /// The compression's name.
        compression: &'static str,
        /// The most values that it takes.
        most: u64,
        /// The number of values.
        elements: usize,
    },
    /// Bytes that do not encode a message of this length.
    #[error("a message compressed by '{compression}' is malformed: {problem}")]
    Malformed {
        /// The compression's name.
        compression: &'static str,
        /// The problem.
        problem: String,
    },
}

impl CompressionError {
    pub(super) fn malformed(compression: &'static str, problem: impl Into<String>) -> Self {
        Self::Malformed { compression, problem: problem.into() }
    }
}

impl Coded for CompressionError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Option(_) | Self::TooLong { .. } => ErrorCode::InvalidSpec,
            Self::Malformed { .. } => ErrorCode::Protocol,
        }
    }
}
