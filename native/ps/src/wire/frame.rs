//! Frames: their header, and the lengths that a layout allows.

use std::ops::RangeInclusive;

use crate::error::PsError;
use crate::model::{PayloadKind, PayloadShape};
use crate::wire::fields::{Field, Fields};

/// The bytes of a frame's header.
pub(crate) const HEADER_LEN: usize = 12;

/// The longest text of an `Abort` or a `Failure`, in bytes.
pub(crate) const MAX_TEXT: usize = 16 * 1024;

/// The part of a frame behind the header: the length of the fields, and the payload behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    /// The allowed length of the fields in bytes.
    pub(crate) fields: RangeInclusive<usize>,
    /// True if sums over held-out rows follow the fields.
    sums: bool,
    /// The payload that follows.
    pub(crate) payload: PayloadKind,
}

impl Body {
    /// Creates a body with fields of a fixed length.
    pub(crate) fn fixed(len: usize, payload: PayloadKind) -> Self {
        Self { fields: len..=len, sums: false, payload }
    }

    /// Creates a body with fields of a length in this range and no payload.
    pub(crate) fn between(fields: RangeInclusive<usize>) -> Self {
        Self { fields, sums: false, payload: PayloadKind::None }
    }

    /// Creates a body with a code and a text.
    pub(crate) fn text() -> Self {
        Self::between(u16::LEN..=u16::LEN + MAX_TEXT)
    }

    /// Creates a body with an epoch and the sums over its held-out rows.
    pub(crate) fn sums() -> Self {
        Self { sums: true, ..Self::fixed(u32::LEN, PayloadKind::None) }
    }

    /// Splits a frame's length into the length of its fields and the presence of a payload.
    fn split(&self, length: u64, shape: PayloadShape) -> Option<(usize, bool)> {
        let with = |payload: u64| {
            let fields = usize::try_from(length.checked_sub(payload)?).ok()?;
            let sums = if self.sums { shape.sums.saturating_mul(f64::LEN) } else { 0 };
            let most = self.fields.end().saturating_add(sums);
            (*self.fields.start()..=most).contains(&fields).then_some(fields)
        };
        let without = || with(0).map(|fields| (fields, false));
        let all = || with(shape.payload_len(self.payload)).map(|fields| (fields, true));
        match self.payload {
            PayloadKind::None => without(),
            PayloadKind::Message | PayloadKind::Replica => all(),
            PayloadKind::Center | PayloadKind::Frozen => without().or_else(all),
        }
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// The number of bytes behind the header.
    pub(crate) length: u64,
    /// The kind of request or reply.
    pub(crate) kind: u8,
}

impl FrameHeader {
    /// Appends the encoded header.
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        self.length.put(out);
        self.kind.put(out);
        out.extend_from_slice(&[0; 3]);
    }

    /// Decodes a header.
    pub(crate) fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, PsError> {
        let mut fields = Fields(bytes);
        let header = Self { length: fields.take()?, kind: fields.take()? };
        if fields.0 == [0; 3] {
            Ok(header)
        } else {
            Err(PsError::Protocol("invalid frame header".to_owned()))
        }
    }

    /// Returns the length of the fields in bytes, and true if a payload follows them.
    pub(crate) fn split(
        self,
        body: Option<&Body>,
        shape: PayloadShape,
    ) -> Result<(usize, bool), PsError> {
        let body =
            body.ok_or_else(|| PsError::Protocol(format!("unknown kind of frame: {}", self.kind)))?;
        body.split(self.length, shape).ok_or_else(|| {
            PsError::Protocol(format!(
                "a frame of kind {} has {} bytes, which this network's layout (payload {} bytes) does not allow",
                self.kind,
                self.length,
                shape.payload_len(body.payload)
            ))
        })
    }
}
