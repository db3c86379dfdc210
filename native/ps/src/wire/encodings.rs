//! The encodings of types that serde would encode otherwise.

use firesteel_core::compression::{Coding, CompressionSpec};
use serde::{Deserialize, Serialize};

/// An error code, by its stable number.
pub(super) mod error_code {
    use firesteel_core::ErrorCode;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in crate::wire) fn serialize<S: Serializer>(
        code: &ErrorCode,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        code.number().serialize(serializer)
    }

    pub(in crate::wire) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<ErrorCode, D::Error> {
        let number = u16::deserialize(deserializer)?;
        ErrorCode::from_number(number).ok_or_else(|| D::Error::custom("unknown error code"))
    }
}

/// A text, cut to the longest that a frame allows.
pub(super) mod text {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::wire::frame::MAX_TEXT;

    pub(in crate::wire) fn serialize<S: Serializer>(
        text: &str,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        text[..text.floor_char_boundary(MAX_TEXT)].serialize(serializer)
    }

    pub(in crate::wire) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<String, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() > MAX_TEXT { Err(D::Error::custom("the text is too long")) } else { Ok(text) }
    }
}

/// A compression, by its number. The serde form of [`CompressionSpec`] is that of specifications, which name it.
#[derive(Serialize, Deserialize)]
#[serde(remote = "CompressionSpec")]
enum CompressionEncoding {
    None {},
    Bf16 {},
    F16 {},
    Int8 {},
    TopK { ratio: f64 },
}

/// The compressions of a fit.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Coding")]
pub(super) struct CodingEncoding {
    #[serde(with = "CompressionEncoding")]
    message: CompressionSpec,
    #[serde(with = "CompressionEncoding")]
    center: CompressionSpec,
}
