//! Forms of values in JSON.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

use crate::clock::{self, Millis};

/// Writes a time by RFC 3339.
///
/// # Errors
/// The serializer's.
pub fn time<S: Serializer>(time: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&clock::format(*time))
}

/// Writes a time by RFC 3339, or null.
///
/// # Errors
/// The serializer's.
pub fn maybe_time<S: Serializer>(time: &Option<Millis>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.serialize_some(&clock::format(*time)),
        None => serializer.serialize_none(),
    }
}

/// Reads an offset or a number, which the database stores with a sign.
///
/// # Errors
/// The deserializer's, or if the value is too large.
pub fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let count = u64::deserialize(deserializer)?;
    if i64::try_from(count).is_ok() {
        return Ok(count);
    }
    Err(D::Error::custom(format!("must be at most {}", i64::MAX)))
}

/// Reads a field that may be null, so that null differs from an absent field.
///
/// # Errors
/// The deserializer's.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
