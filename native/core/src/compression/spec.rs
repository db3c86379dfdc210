//! The specification of a compression.

use serde::{Deserialize, Serialize};

use super::Codec;
use super::bf16::Bf16;
use super::error::CompressionError;
use super::f16::F16;
use super::half::HalfPrecision;
use super::int8::Int8;
use super::none::Uncompressed;
use super::topk::TopK;

/// The compression of a message, with its options.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "name", deny_unknown_fields)]
pub enum CompressionSpec {
    /// 4 bytes a value, as it is.
    None {},
    /// 2 bytes a value: bfloat16, 8 bits of mantissa over the range of f32.
    Bf16 {},
    /// 2 bytes a value: IEEE half precision, 11 bits of mantissa between 6e-8 and 65504.
    F16 {},
    /// About 1 byte a value: blocks of whole numbers from -127 to 127 with a scale for each block.
    Int8 {},
    /// 8 bytes for each value that is kept, the largest ones by magnitude (Aji and Heafield, 2017).
    TopK {
        /// The share of values kept, in (0, 1].
        ratio: f64,
    },
}

impl CompressionSpec {
    /// The name by which users select it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::None {} => "none",
            Self::Bf16 {} => "bf16",
            Self::F16 {} => "f16",
            Self::Int8 {} => "int8",
            Self::TopK { .. } => "topk",
        }
    }

    /// Checks the options.
    ///
    /// # Errors
    /// When one is out of its range.
    pub fn check(&self) -> Result<(), CompressionError> {
        self.codec(0).map(|_| ())
    }

    /// The codec, for messages of `elements` values.
    ///
    /// # Errors
    /// When an option is out of its range or the message is longer than the code can number.
    pub fn codec(&self, elements: usize) -> Result<Box<dyn Codec>, CompressionError> {
        Ok(match *self {
            Self::None {} => Box::new(Uncompressed),
            Self::Bf16 {} => Box::new(HalfPrecision(Bf16)),
            Self::F16 {} => Box::new(HalfPrecision(F16)),
            Self::Int8 {} => Box::new(Int8),
            Self::TopK { ratio } => Box::new(TopK::new(ratio, elements)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::CompressionSpec;
    use crate::error::{Coded, ErrorCode};

    fn read(document: Value) -> Result<CompressionSpec, String> {
        serde_json::from_value(document).map_err(|error| error.to_string())
    }

    #[test]
    fn a_compression_is_read_by_its_name_and_written_as_it_was() {
        let documents = [
            json!({"name": "none"}),
            json!({"name": "bf16"}),
            json!({"name": "f16"}),
            json!({"name": "int8"}),
            json!({"name": "topk", "ratio": 0.01}),
        ];
        for document in documents {
            let spec = read(document.clone()).unwrap();
            assert_eq!(document["name"], spec.name());
            assert_eq!(spec.codec(10).unwrap().name(), spec.name());
            assert_eq!(serde_json::to_value(spec).unwrap(), document);
        }
    }

    #[test]
    fn an_unknown_name_and_an_option_of_another_compression_are_refused() {
        let unknown = read(json!({"name": "zip"})).unwrap_err();
        assert!(unknown.contains("`zip`, expected one of `none`, `bf16`"), "{unknown}");
        let option = read(json!({"name": "bf16", "ratio": 0.5})).unwrap_err();
        assert!(option.contains("unknown field `ratio`"), "{option}");
        let missing = read(json!({"name": "topk"})).unwrap_err();
        assert!(missing.contains("missing field `ratio`"), "{missing}");
    }

    #[test]
    fn a_ratio_out_of_its_range_is_refused_by_name_and_range() {
        for ratio in [0.0, -0.5, 1.5, f64::NAN, f64::INFINITY] {
            let error = CompressionSpec::TopK { ratio }.codec(10).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidSpec);
            assert_eq!(
                error.to_string(),
                format!(
                    "compression 'topk': option 'ratio' must be above 0 and at most 1, not {ratio}"
                )
            );
        }
        CompressionSpec::TopK { ratio: 1.0 }.codec(10).unwrap();
    }

    #[test]
    fn more_parameters_than_an_index_can_number_are_refused() {
        let most = u32::MAX as usize;
        let spec = CompressionSpec::TopK { ratio: 0.01 };
        spec.codec(most).unwrap();
        assert_eq!(
            spec.codec(most + 1).unwrap_err().to_string(),
            "compression 'topk' takes at most 4294967295 parameters, not 4294967296"
        );
    }
}
