//! Conversions between rows and values.

use super::{Result, StoreError};

/// Reads a size or count, which SQLite stores with a sign.
pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Stores a size or count.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Reads a number that the program wrote as `u32`.
pub(super) fn small(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

/// Reads a value that was written as JSON.
pub(super) fn json<T: serde::de::DeserializeOwned>(what: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|_| StoreError::Unreadable { what, value: text.to_owned() })
}

/// Writes a value as JSON.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::System(std::io::Error::other(error)))
}
