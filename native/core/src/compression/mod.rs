//! Compressed messages: the codecs of commits and of the center variable.
//!
//! A codec turns a slice of f32 into bytes, as many as the number of values determines, and back. It depends on neither
//! sockets nor strategies. [`ErrorFeedback`] adds the error of each message to the next one.
//!
//! | name | the code of `n` values | bytes |
//! | --- | --- | --- |
//! | `none` | f32 each | `4 n` |
//! | `bf16` | the upper half of an f32 each | `2 n` |
//! | `f16` | IEEE half precision each | `2 n` |
//! | `int8` | for each 256 values and for the rest: scale f32, 0 or normal and above; i8 each, from -127 | `n + 4 ceil(n / 256)` |
//! | `topk` | indices u32, ascending; then the values f32 | `8 ceil(ratio n)` |
//!
//! Numbers are little-endian. A scale that is not finite stands for a block of NaN.
//!
//! No codec depends on whether a thread flushes denormals or multiplies and adds in one instruction, so every machine
//! decodes the same bytes to the same bits.

mod bf16;
mod coding;
mod error;
mod f16;
mod feedback;
mod half;
mod int8;
mod none;
mod spec;
#[cfg(test)]
mod tests;
mod topk;

pub use coding::Coding;
pub use error::CompressionError;
pub use feedback::{Distortion, ErrorFeedback, ratio};
pub use spec::CompressionSpec;

/// A pair of functions between f32 values and bytes. Numbers are little-endian.
pub trait Codec: Send + Sync + std::fmt::Debug {
    /// The name by which users select it.
    fn name(&self) -> &'static str;

    /// Returns the number of bytes that `elements` values become, so that the length of a message is known before it is
    /// read.
    fn encoded_len(&self, elements: usize) -> usize;

    /// Returns the number of values that are coded independently: slices which begin at a multiple of it may be coded
    /// one by one, to the same bytes as all at once. `None` if a value's code depends on all others.
    fn grain(&self) -> Option<usize>;

    /// Writes the code of `values` to `out`, all of it. NaN and infinity decode to values that are not finite.
    ///
    /// # Panics
    /// When the length of `out` is not [`encoded_len`](Self::encoded_len) of the values'.
    fn encode(&mut self, values: &[f32], out: &mut [u8]);

    /// Decodes `bytes` into `out`, all of it. Nothing is allocated.
    ///
    /// # Errors
    /// [`CompressionError::Malformed`] if no encoder writes these bytes; the content of `out` is then unspecified.
    fn decode(&self, bytes: &[u8], out: &mut [f32]) -> Result<(), CompressionError>;

    /// Subtracts from `values` what the receiver decodes from `bytes`, their code; returns the sum of the squares of
    /// the rest. `scratch` is reusable memory.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), which never fails for bytes of [`encode`](Self::encode).
    fn subtract_decoded(
        &self,
        bytes: &[u8],
        values: &mut [f32],
        scratch: &mut Vec<f32>,
    ) -> Result<f64, CompressionError> {
        scratch.resize(values.len(), 0.0);
        self.decode(bytes, scratch)?;
        Ok(feedback::subtract(values, scratch))
    }
}

/// Encodes `values` into `out` and reuses its memory: nothing is allocated once it has grown to a message's length.
pub fn encode_into(codec: &mut dyn Codec, values: &[f32], out: &mut Vec<u8>) {
    out.resize(codec.encoded_len(values.len()), 0);
    codec.encode(values, out);
}

/// Fails unless there are as many bytes as an encoder writes for `elements` values.
fn check_len(codec: &dyn Codec, bytes: &[u8], elements: usize) -> Result<(), CompressionError> {
    let expected = codec.encoded_len(elements);
    if bytes.len() == expected {
        return Ok(());
    }
    Err(CompressionError::malformed(
        codec.name(),
        format!("{} bytes for {elements} values, which take {expected}", bytes.len()),
    ))
}

/// Panics unless `out` has the length of the code of `values`.
fn assert_len(codec: &dyn Codec, values: &[f32], out: &[u8]) {
    assert_eq!(
        out.len(),
        codec.encoded_len(values.len()),
        "bytes of another length than the code's"
    );
}
