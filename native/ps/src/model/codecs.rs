//! The codecs of a fit's payloads, which both ends of a connection share.

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
    /// Creates the codecs for a network of `parameters` parameters.
    pub(crate) fn new(coding: Coding, parameters: usize) -> Result<Self, CompressionError> {
        let (message, center) =
            (coding.message.codec(parameters)?, coding.center.codec(parameters)?);
        Ok(Self { coding, parameters, message, center })
    }

    /// The network's parameters.
    pub(crate) fn parameters(&self) -> usize {
        self.parameters
    }

    /// The names and options of the codecs.
    pub(crate) fn coding(&self) -> Coding {
        self.coding
    }

    /// The encoded length of a commit's message in bytes.
    pub(crate) fn message_len(&self) -> usize {
        self.message.encoded_len(self.parameters)
    }

    /// The encoded length of a center variable in bytes.
    pub(crate) fn center_len(&self) -> usize {
        self.center.encoded_len(self.parameters)
    }

    /// The uncompressed size of a message divided by its encoded size.
    pub(crate) fn ratio(&self) -> f64 {
        ratio(&*self.message, self.parameters)
    }

    /// The decoder of commit messages; `None` without compression.
    pub(crate) fn message(&self) -> Option<&dyn Codec> {
        compressed(self.coding.message).then_some(&*self.message)
    }

    /// The decoder of center variables; `None` without compression.
    pub(crate) fn center(&self) -> Option<&dyn Codec> {
        compressed(self.coding.center).then_some(&*self.center)
    }

    /// Creates a worker's encoder of messages, which keeps the error feedback; `None` without compression.
    pub(crate) fn feedback(&self) -> Result<Option<ErrorFeedback>, CompressionError> {
        let spec = Some(self.coding.message).filter(|spec| compressed(*spec));
        spec.map(|spec| Ok(ErrorFeedback::new(spec.codec(self.parameters)?, self.parameters)))
            .transpose()
    }

    /// Creates the server's encoder of a center variable; `None` without compression.
    pub(crate) fn center_writer(&self) -> Result<Option<Box<dyn Codec>>, CompressionError> {
        let spec = Some(self.coding.center).filter(|spec| compressed(*spec));
        spec.map(|spec| spec.codec(self.parameters)).transpose()
    }
}

fn compressed(spec: CompressionSpec) -> bool {
    spec != CompressionSpec::None {}
}
