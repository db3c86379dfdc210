//! Payloads: their kinds and lengths.

use super::Codecs;

/// The lengths that the layout, the strategy's compression and the metrics fix for the messages of a fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PayloadShape {
    /// The number of trained parameters.
    pub(crate) parameters: usize,
    /// The number of floating-point buffers.
    pub(crate) floats: usize,
    /// The number of integer buffers.
    pub(crate) integers: usize,
    /// The bytes of a commit's message.
    pub(crate) message: usize,
    /// The bytes of a center variable.
    pub(crate) center: usize,
    /// The largest number of sums in a `Score`.
    pub(crate) sums: usize,
}

impl PayloadShape {
    /// Creates the shape of uncompressed payloads.
    pub(crate) const fn plain(parameters: usize, floats: usize, integers: usize) -> Self {
        let bytes = parameters * size_of::<f32>();
        Self { parameters, floats, integers, message: bytes, center: bytes, sums: 0 }
    }

    /// Returns the shape of payloads compressed by `codecs`.
    pub(crate) fn coded(self, codecs: &Codecs) -> Self {
        Self { message: codecs.message_len(), center: codecs.center_len(), ..self }
    }

    /// Returns the length of a payload in bytes.
    pub(crate) fn payload_len(&self, payload: PayloadKind) -> u64 {
        let parameters = match payload {
            PayloadKind::None => return 0,
            PayloadKind::Message => self.message,
            PayloadKind::Replica => self.parameters * size_of::<f32>(),
            PayloadKind::Center => self.center,
        };
        parameters as u64 + 4 * self.floats as u64 + 8 * self.integers as u64
    }
}

/// The payload that follows the fields of a frame: a flat buffer of parameters, and the other buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PayloadKind {
    /// No payload.
    None,
    /// A commit's message, compressed if the fit compresses.
    Message,
    /// A replica or another vector of parameters, never compressed.
    Replica,
    /// A center variable, compressed if the fit compresses it.
    Center,
}
