//! Conversions between Java's values and Rust's.

use firesteel_core::ErrorCode;
use jni::Env;
use jni::objects::{JByteArray, JString};
use jni::sys::jint;
use serde::de::DeserializeOwned;

use crate::errors::BridgeError;

/// Returns the text of a Java string.
pub(crate) fn text(env: &Env<'_>, string: &JString<'_>) -> Result<String, BridgeError> {
    if string.is_null() {
        return Err(BridgeError::new(ErrorCode::Internal, "a string argument is null"));
    }
    Ok(string.try_to_string(env)?)
}

/// The code of this number, if there is one.
pub(crate) fn code(number: jint) -> Option<ErrorCode> {
    u16::try_from(number).ok().and_then(ErrorCode::from_number)
}

/// Parses a document of the boundary. `name` names it in errors.
pub(crate) fn document<T: DeserializeOwned>(
    env: &Env<'_>,
    json: &JString<'_>,
    name: &str,
) -> Result<T, BridgeError> {
    // From a value, so that an error names no line and column, which a user does not see.
    serde_json::from_str(&text(env, json)?)
        .and_then(serde_json::from_value::<T>)
        .map_err(|error| BridgeError::new(ErrorCode::InvalidSpec, format!("{name}: {error}")))
}

/// The content of a Java array, or `None` for null.
pub(crate) fn bytes(env: &Env<'_>, array: &JByteArray<'_>) -> Result<Option<Vec<u8>>, BridgeError> {
    if array.is_null() { Ok(None) } else { Ok(Some(env.convert_byte_array(array)?)) }
}

/// A JSON text for Java.
pub(crate) fn json<'local>(
    env: &mut Env<'local>,
    value: &impl serde::Serialize,
) -> Result<JString<'local>, BridgeError> {
    let text = serde_json::to_string(value)
        .map_err(|error| BridgeError::new(ErrorCode::Internal, error.to_string()))?;
    Ok(env.new_string(text)?)
}

/// The address of a C structure that Java hands over as a `long`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an address of this 64-bit process"
)]
pub(crate) fn address(address: jni::sys::jlong) -> usize {
    address as usize
}
