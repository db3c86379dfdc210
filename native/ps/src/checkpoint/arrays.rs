//! Arrays of numbers in little-endian bytes, which are those of the memory.

use bytemuck::{NoUninit, Pod};
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
        self.take(count)
    }

    pub(super) fn f64s(&mut self, count: usize) -> Result<Vec<f64>, PsError> {
        self.take(count)
    }

    pub(super) fn buffers(&mut self, lengths: Lengths) -> Result<Buffers, PsError> {
        let floats = self.f32s(lengths.floats)?;
        Ok(Buffers { floats, integers: self.take(lengths.integers)? })
    }

    /// Fails unless everything has been read.
    pub(super) fn finish(self) -> Result<(), PsError> {
        match self.0.len() {
            0 => Ok(()),
            left => Err(damaged(format!("{left} bytes follow its arrays"))),
        }
    }

    fn take<T: Pod>(&mut self, count: usize) -> Result<Vec<T>, PsError> {
        let (taken, rest) = count
            .checked_mul(size_of::<T>())
            .and_then(|bytes| self.0.split_at_checked(bytes))
            .ok_or_else(|| damaged("its arrays are shorter than its header says"))?;
        self.0 = rest;
        let mut values = vec![T::zeroed(); count];
        bytemuck::cast_slice_mut(&mut values).copy_from_slice(taken);
        Ok(values)
    }
}

/// Appends an array.
pub(super) fn put<T: NoUninit>(out: &mut Vec<u8>, values: &[T]) {
    out.extend_from_slice(bytemuck::cast_slice(values));
}
