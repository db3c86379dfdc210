//! Little-endian fields, written to and read from byte buffers.

use crate::error::PsError;

/// A value of fixed size on the wire.
pub(crate) trait Field: Sized {
    /// The length in bytes.
    const LEN: usize;

    /// Appends the encoded value.
    fn put(self, out: &mut Vec<u8>);

    /// Decodes a value from exactly [`Self::LEN`] bytes.
    fn get(bytes: &[u8]) -> Option<Self>;
}

macro_rules! fields {
    ($($type:ty),*) => {$(
        impl Field for $type {
            const LEN: usize = size_of::<$type>();

            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn get(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self::from_le_bytes)
            }
        }
    )*};
}

fields!(u8, u16, u32, u64, i64, f64);

/// Takes fields from the front of a byte slice.
#[derive(Debug)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    /// Takes the next field.
    pub(crate) fn take<T: Field>(&mut self) -> Result<T, PsError> {
        let (bytes, rest) = self.0.split_at_checked(T::LEN).ok_or_else(truncated)?;
        self.0 = rest;
        T::get(bytes).ok_or_else(truncated)
    }

    /// Takes the next field, which must be 0 or 1.
    pub(crate) fn take_bool(&mut self) -> Result<bool, PsError> {
        match self.take::<u8>()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(PsError::Protocol(format!("expected 0 or 1, found {other}"))),
        }
    }

    /// Takes the rest as numbers.
    pub(crate) fn take_all<T: Field>(&mut self) -> Result<Vec<T>, PsError> {
        let mut all = Vec::with_capacity(self.0.len() / T::LEN);
        while !self.0.is_empty() {
            all.push(self.take()?);
        }
        Ok(all)
    }

    /// Takes the rest as text.
    pub(crate) fn take_text(&mut self) -> Result<String, PsError> {
        let text = str::from_utf8(self.0)
            .map_err(|_| PsError::Protocol("a text is not UTF-8".to_owned()))?;
        self.0 = &[];
        Ok(text.to_owned())
    }

    /// Ends the reading; fails if bytes are left.
    pub(crate) fn end(self) -> Result<(), PsError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(PsError::Protocol(format!("a frame has {} bytes too many", self.0.len())))
        }
    }
}

fn truncated() -> PsError {
    PsError::Protocol("a frame is too short for its kind".to_owned())
}
