//! The common part of `bf16` and `f16`: a code of 16 bits for each value, as vectorised loops.

use multiversion::multiversion;

use super::{Codec, CompressionError, assert_len, check_len};

/// All bits of an f32 but the sign's.
pub(super) const MAGNITUDE: u32 = 0x7fff_ffff;

/// The bits of infinity: larger magnitudes are NaN.
pub(super) const INFINITE: u32 = 0x7f80_0000;

/// A floating-point format of 16 bits, in integer arithmetic and without branches, so that it runs on vectors.
pub(super) trait Format: Copy + Send + Sync + std::fmt::Debug {
    const NAME: &'static str;

    /// The bits of the nearest number to that of these bits, ties to the even one; a finite number stays finite.
    fn narrow(bits: u32) -> u16;

    /// The bits of the f32 that is the same number.
    fn widen(code: u16) -> u32;
}

/// A codec of 2 bytes a value.
#[derive(Debug)]
pub(super) struct HalfPrecision<F>(pub(super) F);

impl<F: Format> Codec for HalfPrecision<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn encoded_len(&self, elements: usize) -> usize {
        elements * size_of::<u16>()
    }

    fn grain(&self) -> Option<usize> {
        Some(1)
    }

    fn encode(&mut self, values: &[f32], out: &mut [u8]) {
        assert_len(self, values, out);
        narrow(self.0, values, out.as_chunks_mut().0);
    }

    fn decode(&self, bytes: &[u8], out: &mut [f32]) -> Result<(), CompressionError> {
        check_len(self, bytes, out.len())?;
        widen(self.0, bytes.as_chunks().0, out);
        Ok(())
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw", "x86_64+avx2"))]
fn narrow<F: Format>(_: F, values: &[f32], out: &mut [[u8; 2]]) {
    for (code, value) in out.iter_mut().zip(values) {
        *code = F::narrow(value.to_bits()).to_le_bytes();
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw", "x86_64+avx2"))]
fn widen<F: Format>(_: F, codes: &[[u8; 2]], out: &mut [f32]) {
    for (value, code) in out.iter_mut().zip(codes) {
        *value = f32::from_bits(F::widen(u16::from_le_bytes(*code)));
    }
}
