//! The messages that a worker sends: uncompressed, or compressed with error feedback.

use firesteel_core::Commit;
use firesteel_core::compression::ErrorFeedback;

use crate::error::PsError;
use crate::model::{Codecs, WindowReport};

/// The outgoing messages of one worker.
#[derive(Debug, Default)]
pub(super) struct Outgoing(Option<ErrorFeedback>);

impl Outgoing {
    /// Creates the state of a worker that has sent nothing yet.
    pub(super) fn new(codecs: &Codecs) -> Result<Self, PsError> {
        Ok(Self(codecs.feedback()?))
    }

    /// Returns the report of a commit and, with compression, its compressed message. Called once for each commit,
    /// because it adds the error of earlier ones; a resend sends the same result. The message must have the network's
    /// length.
    pub(super) fn window(
        &mut self,
        commit: &Commit<'_>,
    ) -> Result<(WindowReport, Option<&[u8]>), PsError> {
        let mut window = WindowReport::from(commit);
        let Some(feedback) = &mut self.0 else { return Ok((window, None)) };
        window.distortion = feedback.compress(commit.message)?;
        Ok((window, Some(feedback.bytes())))
    }
}
