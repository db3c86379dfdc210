//! The errors between an Arrow stream and a tensor.

use std::fmt;
use std::path::PathBuf;

use firesteel_core::{Coded, ErrorCode};

/// The scope of a row number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A partition of the training data.
    Partition,
    /// One batch of a prediction.
    Batch,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Partition => "partition",
            Self::Batch => "batch",
        })
    }
}

/// The location of a value in the user's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueLocation {
    /// The user's column.
    pub column: String,
    /// The scope of `row`.
    pub scope: Scope,
    /// The row, counted from 0.
    pub row: usize,
    /// The value's position within the row, counted from 0; `None` if a row has one value.
    pub position: Option<usize>,
}

impl fmt::Display for ValueLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column '{}', row {} of the {}", self.column, self.row, self.scope)?;
        self.position.map_or(Ok(()), |position| write!(f, ", position {position}"))
    }
}

/// An error while data is loaded, kept or read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A value that cannot be trained on or predicted from.
    #[error("{location}: found {found}, expected {allowed}")]
    Value {
        /// The location of the value.
        location: ValueLocation,
        /// The value found, as text.
        found: String,
        /// The allowed values, as text.
        allowed: String,
    },
    /// A partition with more rows than a row number can count.
    #[error("a partition holds at most {} rows: use more partitions", u32::MAX)]
    TooManyRows,
    /// A column specification that no row can fit.
    #[error("column '{column}': {problem}")]
    Spec {
        /// The user's column.
        column: String,
        /// The problem.
        problem: String,
    },
    /// A stream or batch whose columns are not those of its specification.
    #[error("Arrow schema: {0}")]
    Schema(String),
    /// The producer of an Arrow stream failed; this is its text.
    #[error("{0}")]
    Stream(String),
    /// Arrow structures handed over at an address could not be read or written.
    #[error("Arrow C data: {0}")]
    Import(String),
    /// The memory limit is reached without a directory to spill to, or the system has no memory left.
    #[error("{0}")]
    Memory(String),
    /// No spill directory took a file.
    #[error("cannot spill training data to '{}': {source}", directory.display())]
    Spill {
        /// The directory that failed.
        directory: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The task was cancelled while it was loading.
    #[error("loading was cancelled")]
    Cancelled,
    /// A caller within Firesteel used this crate wrongly.
    #[error("{0}")]
    Internal(String),
}

impl Coded for DataError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Value { .. } | Self::TooManyRows => ErrorCode::InvalidData,
            Self::Spec { .. } => ErrorCode::InvalidSpec,
            Self::Stream(_) => ErrorCode::Stream,
            Self::Memory(_) => ErrorCode::Memory,
            Self::Spill { .. } => ErrorCode::Io,
            Self::Cancelled => ErrorCode::Cancelled,
            Self::Schema(_) | Self::Import(_) | Self::Internal(_) => ErrorCode::Internal,
        }
    }
}
