//! `none`: the values as they are.

use super::{Codec, CompressionError, assert_len, check_len};

#[derive(Debug)]
pub(super) struct Uncompressed;

impl Codec for Uncompressed {
    fn name(&self) -> &'static str {
        "none"
    }

    fn encoded_len(&self, elements: usize) -> usize {
        elements * size_of::<f32>()
    }

    fn grain(&self) -> Option<usize> {
        Some(1)
    }

    fn encode(&mut self, values: &[f32], out: &mut [u8]) {
        assert_len(self, values, out);
        for (code, value) in out.as_chunks_mut().0.iter_mut().zip(values) {
            *code = value.to_le_bytes();
        }
    }

    fn decode(&self, bytes: &[u8], out: &mut [f32]) -> Result<(), CompressionError> {
        check_len(self, bytes, out.len())?;
        for (value, code) in out.iter_mut().zip(bytes.as_chunks().0) {
            *value = f32::from_le_bytes(*code);
        }
        Ok(())
    }
}
