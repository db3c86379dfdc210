//! The lengths of payloads.

use super::Codecs;

/// The sizes of what a payload holds, which the layout and the strategy's compression fix, and of what epochs are judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PayloadShape {
    /// Trained parameters.
    pub(crate) parameters: usize,
    /// Floating buffers.
    pub(crate) floats: usize,
    /// Integer buffers.
    pub(crate) integers: usize,
    /// The bytes of a commit's message.
    pub(crate) message: usize,
    /// The bytes of a center variable.
    pub(crate) center: usize,
    /// The most numbers of a `Score`.
    pub(crate) sums: usize,
}

impl PayloadShape {
    /// Nothing is compressed.
    pub(crate) const fn plain(parameters: usize, floats: usize, integers: usize) -> Self {
        let bytes = parameters * size_of::<f32>();
        Self { parameters, floats, integers, message: bytes, center: bytes, sums: 0 }
    }

    /// Compressed by these codecs.
    pub(crate) fn coded(self, codecs: &Codecs) -> Self {
        Self { message: codecs.message_len(), center: codecs.center_len(), ..self }
    }

    /// The bytes of a payload, if there is one.
    pub(crate) fn payload_len(&self, payload: PayloadKind) -> u64 {
        let parameters = match payload {
            PayloadKind::None => return 0,
            PayloadKind::Message => self.message,
            PayloadKind::Replica | PayloadKind::Frozen => self.parameters * size_of::<f32>(),
            PayloadKind::Center => self.center,
        };
        parameters as u64 + 4 * self.floats as u64 + 8 * self.integers as u64
    }
}

/// What follows a kind's fields: a flat buffer of parameters, and the buffers beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PayloadKind {
    /// Nothing.
    None,
    /// What a worker commits, in the fit's code for it.
    Message,
    /// A replica, as it is.
    Replica,
    /// Nothing, or the center variable in the fit's code for it: the length tells.
    Center,
    /// Nothing, or a frozen center variable as it is: the length tells.
    Frozen,
}
