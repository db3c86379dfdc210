//! `int8`: blocks of whole numbers with one scale each, symmetric about 0 (as in Dettmers, 8-Bit Approximations for
//! Parallelism in Deep Learning, 2016, with a linear code).
//!
//! A block of up to 256 values is its scale, an f32, and one signed byte for each value: `scale = max|x| / 127`,
//! `q = round(x / scale)`, ties to even. A block whose scale would be a denormal number is 0 throughout, so that flushing
//! them changes nothing.

use multiversion::multiversion;

use super::half::{INFINITE, MAGNITUDE};
use super::{Codec, CompressionError, assert_len, check_len};

/// Values with one scale.
pub(super) const BLOCK: usize = 256;

/// The bytes of a scale.
const SCALE: usize = size_of::<f32>();

/// The largest number of a block. Its negative is the smallest, so -128 stands for nothing.
const LARGEST: f32 = 127.0;

/// Adding it leaves the nearest whole number, ties to even, in the lowest bits of a small f32.
const ROUND: f32 = 12_582_912.0;

#[derive(Debug)]
pub(super) struct Int8;

impl Codec for Int8 {
    fn name(&self) -> &'static str {
        "int8"
    }

    fn encoded_len(&self, elements: usize) -> usize {
        elements + elements.div_ceil(BLOCK) * SCALE
    }

    fn grain(&self) -> Option<usize> {
        Some(BLOCK)
    }

    fn encode(&mut self, values: &[f32], out: &mut [u8]) {
        assert_len(self, values, out);
        quantise(values, out);
    }

    fn decode(&self, bytes: &[u8], out: &mut [f32]) -> Result<(), CompressionError> {
        check_len(self, bytes, out.len())?;
        if expand(bytes, out) {
            return Ok(());
        }
        Err(CompressionError::malformed(self.name(), "a block has a wrong scale or holds -128"))
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw", "x86_64+avx2"))]
fn quantise(values: &[f32], out: &mut [u8]) {
    for (values, code) in values.chunks(BLOCK).zip(out.chunks_mut(SCALE + BLOCK)) {
        let (scale, inverse) = scale_of(values);
        let (head, numbers) = code.split_at_mut(SCALE);
        head.copy_from_slice(&scale.to_le_bytes());
        for (number, value) in numbers.iter_mut().zip(values) {
            *number = (value * inverse + ROUND).to_bits() as u8;
        }
    }
}

/// Returns a block's scale and its reciprocal. The scale of a block that is not finite is not finite either.
#[inline(always)]
fn scale_of(values: &[f32]) -> (f32, f32) {
    let largest =
        values.iter().fold(0, |largest: u32, value| largest.max(value.to_bits() & MAGNITUDE));
    if largest >= INFINITE {
        return (f32::from_bits(largest), 0.0);
    }
    let scale = f32::from_bits(largest) / LARGEST;
    if !scale.is_normal() {
        return (0.0, 0.0);
    }
    let scale = if (scale * LARGEST).is_finite() { scale } else { scale.next_down() };
    (scale, 1.0 / scale)
}

/// Decodes blocks; returns false unless [`quantise`] could have written all of them. A block whose scale is not finite
/// becomes NaN.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw", "x86_64+avx2"))]
fn expand(bytes: &[u8], out: &mut [f32]) -> bool {
    let mut valid = true;
    for (values, code) in out.chunks_mut(BLOCK).zip(bytes.chunks(SCALE + BLOCK)) {
        let Some((head, numbers)) = code.split_first_chunk() else { return false };
        let scale = f32::from_le_bytes(*head);
        if !scale.is_finite() {
            values.fill(f32::NAN);
            continue;
        }
        let normal = scale.is_normal() && scale.is_sign_positive() && (scale * LARGEST).is_finite();
        valid &= normal || scale.to_bits() == 0;
        let mut smallest = 0;
        for (value, number) in values.iter_mut().zip(numbers) {
            let number = *number as i8;
            smallest = smallest.min(number);
            *value = f32::from(number) * scale;
        }
        valid &= smallest > i8::MIN;
    }
    valid
}
