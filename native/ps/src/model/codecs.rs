//! The codes of a fit's payloads, as both ends of a connection have them.

use firesteel_core::compression::{
    Codec, Coding, CompressionError, CompressionSpec, ErrorFeedback, ratio,
};

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
