//! Arrays of numbers in little-endian bytes.

use firesteel_core::Buffers;

use super::{Lengths, damaged};
use crate::error::PsError;

/// A reader of arrays from the rest of a checkpoint's bytes.
pub(super) struct ArrayReader<'a>(&'a [u8]);

impl<'a> ArrayReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn f32s(&mut self, count: usize) -> Result<Vec<f32>, PsError> {
        self.take(count, f32::from_le_bytes)
    }

    pub(super) fn f64s(&mut self, count: usize) -> Result<Vec<f64>, PsError> {
        self.take(count, f64::from_le_bytes)
    }

    pub(super) fn buffers(&mut self, lengths: Lengths) -> Result<Buffers, PsError> {
        let floats = self.f32s(lengths.floats)?;
        Ok(Buffers { floats, integers: self.take(lengths.integers, i64::from_le_bytes)? })
    }

    /// Fails unless everything has been read.
    pub(super) fn finish(self) -> Result<(), PsError> {
        match self.0.len() {
            0 => Ok(()),
            left => Err(damaged(format!("{left} bytes follow its arrays"))),
        }
    }

    fn take<T, const WIDTH: usize>(
        &mut self,
        count: usize,
        read: fn([u8; WIDTH]) -> T,
    ) -> Result<Vec<T>, PsError> {
        let (taken, rest) = count
            .checked_mul(WIDTH)
            .and_then(|bytes| self.0.split_at_checked(bytes))
            .ok_or_else(|| damaged("its arrays are shorter than its header says"))?;
        self.0 = rest;
        Ok(taken.as_chunks::<WIDTH>().0.iter().map(|bytes| read(*bytes)).collect())
    }
}

pub(super) fn put_f32(out: &mut Vec<u8>, values: &[f32]) {
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

pub(super) fn put_f64(out: &mut Vec<u8>, values: &[f64]) {
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

pub(super) fn put_i64(out: &mut Vec<u8>, values: &[i64]) {
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}
