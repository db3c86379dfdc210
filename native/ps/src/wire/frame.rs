//! Frames: their header, the limits of their lengths, and the encoding of the messages in them.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::PsError;
use crate::model::{PayloadKind, PayloadShape};

/// The bytes of a frame's header.
pub(crate) const HEADER_LEN: usize = 16;

/// The longest text of an `Abort` or a `Failure`, in bytes.
pub(crate) const MAX_TEXT: usize = 16 * 1024;

/// The maximum number of bytes of the decisions in one message.
pub(crate) const MAX_DECISION_BYTES: usize = 1 << 20;

/// The maximum number of bytes of fields of a fixed number: a `Flawed` has at most 81.
const MAX_NUMBERS: usize = 96;

/// The maximum number of bytes of an integer.
const MAX_VARINT: usize = 10;

/// The content of a frame's fields, which limits their length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldsKind {
    /// No fields.
    Empty,
    /// A fixed number of fields.
    Numbers,
    /// A code and a text.
    Text,
    /// An epoch and the sums over its held-out rows.
    Sums,
    /// The number of the first decision, and decisions.
    Decisions,
}

impl FieldsKind {
    /// Returns the maximum length of the fields in bytes.
    fn max_len(self, shape: &PayloadShape) -> usize {
        match self {
            Self::Empty => 0,
            Self::Numbers => MAX_NUMBERS,
            Self::Text => 2 * MAX_VARINT + MAX_TEXT,
            Self::Sums => {
                shape.sums.saturating_mul(size_of::<f64>()).saturating_add(2 * MAX_VARINT)
            }
            Self::Decisions => 2 * MAX_VARINT + MAX_DECISION_BYTES,
        }
    }
}

/// The limits of the lengths of a frame, which its kind and the layout determine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameLimits {
    /// The content of the fields.
    pub(crate) fields: FieldsKind,
    /// The payload behind them.
    pub(crate) payload: PayloadKind,
}

impl FrameLimits {
    /// Creates the limits of frames without a payload.
    pub(super) const fn of(fields: FieldsKind) -> Self {
        Self { fields, payload: PayloadKind::None }
    }

    /// Creates the limits of frames with a payload.
    pub(super) const fn with(fields: FieldsKind, payload: PayloadKind) -> Self {
        Self { fields, payload }
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// The length of the payload in bytes.
    pub(crate) payload: u64,
    /// The length of the fields in bytes.
    pub(crate) fields: u32,
    /// The kind of the message.
    pub(crate) kind: u8,
}

impl FrameHeader {
    /// Returns the encoded header.
    pub(crate) fn encode(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(&self.payload.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.fields.to_le_bytes());
        bytes[HEADER_LEN - 1] = self.kind;
        bytes
    }

    /// Decodes a header.
    pub(crate) fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, PsError> {
        let [p0, p1, p2, p3, p4, p5, p6, p7, f0, f1, f2, f3, 0, 0, 0, kind] = *bytes else {
            return Err(PsError::Protocol("invalid frame header".to_owned()));
        };
        Ok(Self {
            payload: u64::from_le_bytes([p0, p1, p2, p3, p4, p5, p6, p7]),
            fields: u32::from_le_bytes([f0, f1, f2, f3]),
            kind,
        })
    }

    /// Fails unless both lengths are allowed. `limits` are those of the kind, `None` if the receiver accepts no such
    /// kind.
    pub(crate) fn check(
        self,
        limits: Option<FrameLimits>,
        shape: &PayloadShape,
    ) -> Result<FrameLimits, PsError> {
        let Self { payload, fields, kind } = self;
        let limits = limits.ok_or_else(|| {
            PsError::Protocol(format!("frames of kind {kind} are unknown or not allowed here"))
        })?;
        let (expected, most) = (shape.payload_len(limits.payload), limits.fields.max_len(shape));
        if payload != expected || fields as usize > most {
            return Err(PsError::Protocol(format!(
                "a frame of kind {kind} has {fields} bytes of fields and {payload} of payload; this network's layout \
                 allows at most {most} and exactly {expected}"
            )));
        }
        Ok(limits)
    }

    /// Returns the length of the whole frame in bytes.
    pub(crate) fn frame_len(self) -> u64 {
        (HEADER_LEN as u64 + u64::from(self.fields)).saturating_add(self.payload)
    }
}

/// A message: an enum, whose encoding begins with one byte for the variant, the frame's kind.
pub(crate) trait Message: Serialize + DeserializeOwned {
    /// Encodes the frame up to the payload, which has `payload` bytes.
    fn encode(&self, payload: u64, out: &mut Vec<u8>) {
        out.clear();
        out.resize(HEADER_LEN - 1, 0);
        // Fails for no message: memory accepts all bytes, and serde knows the length of every sequence.
        let encoded = postcard::to_io(self, &mut *out);
        debug_assert!(encoded.is_ok(), "a message without an encoding");
        let fields = u32::try_from(out.len().saturating_sub(HEADER_LEN)).unwrap_or(u32::MAX);
        out.resize(out.len().max(HEADER_LEN), 0);
        let kind = out[HEADER_LEN - 1];
        out[..HEADER_LEN].copy_from_slice(&FrameHeader { payload, fields, kind }.encode());
    }

    /// Decodes a message from its kind and fields, of which nothing may be left.
    fn decode(bytes: &[u8]) -> Result<Self, PsError> {
        match postcard::take_from_bytes(bytes) {
            Ok((message, [])) => Ok(message),
            Ok((_, rest)) => {
                Err(PsError::Protocol(format!("a frame has {} bytes too many", rest.len())))
            }
            Err(error) => Err(PsError::Protocol(format!("a frame has invalid fields: {error}"))),
        }
    }
}
