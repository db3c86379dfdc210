//! The messages and buffers that workers send.

use firesteel_core::Buffers;

/// The data that a worker contributes to the center variable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contribution<'a> {
    /// The message for the parameters.
    pub(crate) message: &'a [f32],
    /// The worker's buffers.
    pub(crate) buffers: &'a Buffers,
}

/// A contribution that is kept until its round closes.
#[derive(Debug, Default)]
pub(crate) struct RoundContribution {
    pub(crate) message: Vec<f32>,
    pub(crate) buffers: Buffers,
    pub(crate) rows: u64,
    /// The weight of the message; 0 if nothing was trained.
    pub(crate) weight: f64,
}
