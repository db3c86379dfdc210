//! What leaves a worker: its messages as they are, or compressed with error feedback.

use firesteel_core::Commit;
use firesteel_core::compression::ErrorFeedback;

use crate::error::PsError;
use crate::model::{Codecs, WindowSummary};

/// The outgoing messages of one worker.
#[derive(Debug, Default)]
pub(super) struct Outgoing(Option<ErrorFeedback>);

impl Outgoing {
    /// Nothing has been sent yet.
    pub(super) fn new(codecs: &Codecs) -> Result<Self, PsError> {
        Ok(Self(codecs.feedback()?))
    }

    /// The fields of a commit and, where it is compressed, the code of its message. To be called once a commit: it
    /// takes what earlier ones lost along, so a resend sends what this gave. The message must have the network's
    /// length.
    pub(super) fn window(
        &mut self,
        commit: &Commit<'_>,
    ) -> Result<(WindowSummary, Option<&[u8]>), PsError> {
        let mut window = WindowSummary::from(commit);
        let Some(feedback) = &mut self.0 else { return Ok((window, None)) };
        window.distortion = feedback.compress(commit.message)?;
        Ok((window, Some(feedback.bytes())))
    }
}
