//! The codes of a fit's payloads, as both ends of a connection have them.

use firesteel_core::compression::{
    Codec, Coding, CompressionError, CompressionSpec, ErrorFeedback, ratio,
};

use crate::error::PsError;
use crate::link::{IoTimeouts, Link, LinkError};

/// Values that are received before they are decoded and looked at, while they are in the cache: 256 KiB.
const PIECE: usize = 64 * 1024;

/// The codecs of a fit.
#[derive(Debug)]
pub(crate) struct Codecs {
    coding: Coding,
    parameters: usize,
    message: Box<dyn Codec>,
    center: Box<dyn Codec>,
}

impl Codecs {
    /// The codecs for a network of that many parameters.
    pub(crate) fn new(coding: Coding, parameters: usize) -> Result<Self, CompressionError> {
        let (message, center) =
            (coding.message.codec(parameters)?, coding.center.codec(parameters)?);
        Ok(Self { coding, parameters, message, center })
    }

    /// The network's parameters.
    pub(crate) fn parameters(&self) -> usize {
        self.parameters
    }

    /// Their names and options.
    pub(crate) fn coding(&self) -> Coding {
        self.coding
    }

    /// The bytes of a commit's message.
    pub(crate) fn message_len(&self) -> usize {
        self.message.encoded_len(self.parameters)
    }

    /// The bytes of a center variable.
    pub(crate) fn center_len(&self) -> usize {
        self.center.encoded_len(self.parameters)
    }

    /// Bytes of a message as f32 by those of its code.
    pub(crate) fn ratio(&self) -> f64 {
        ratio(&*self.message, self.parameters)
    }

    /// What reads a commit's message, unless it goes as it is.
    pub(crate) fn message(&self) -> Option<&dyn Codec> {
        compressed(self.coding.message).then_some(&*self.message)
    }

    /// What reads a center variable, unless it goes as it is.
    pub(crate) fn center(&self) -> Option<&dyn Codec> {
        compressed(self.coding.center).then_some(&*self.center)
    }

    /// What a worker writes its messages with, unless they go as they are.
    pub(crate) fn feedback(&self) -> Result<Option<ErrorFeedback>, CompressionError> {
        let spec = Some(self.coding.message).filter(|spec| compressed(*spec));
        spec.map(|spec| Ok(ErrorFeedback::new(spec.codec(self.parameters)?, self.parameters)))
            .transpose()
    }

    /// What the server writes a center variable with, unless it goes as it is.
    pub(crate) fn center_writer(&self) -> Result<Option<Box<dyn Codec>>, CompressionError> {
        let spec = Some(self.coding.center).filter(|spec| compressed(*spec));
        spec.map(|spec| spec.codec(self.parameters)).transpose()
    }
}

fn compressed(spec: CompressionSpec) -> bool {
    spec != CompressionSpec::None {}
}

/// Receives values in their code, piece by piece where the code has pieces; `see` is shown each of them. `code` is
/// memory to use again.
pub(crate) fn receive<E: From<LinkError> + From<PsError>>(
    link: &mut Link,
    timeouts: IoTimeouts,
    codec: &dyn Codec,
    code: &mut Vec<u8>,
    values: &mut [f32],
    mut on_piece: impl FnMut(&[f32]),
) -> Result<(), E> {
    let piece = match codec.grain() {
        Some(grain) => PIECE.next_multiple_of(grain),
        None => values.len().max(1),
    };
    for values in values.chunks_mut(piece) {
        code.resize(codec.encoded_len(values.len()), 0);
        link.read_exact(code, timeouts)?;
        codec.decode(code, values).map_err(PsError::from)?;
        on_piece(values);
    }
    Ok(())
}
