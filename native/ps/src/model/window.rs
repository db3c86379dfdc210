//! The report of a communication window.

use firesteel_core::compression::Distortion;
use firesteel_core::{Commit, Save, Span, Tally};
use serde::{Deserialize, Serialize};

/// The report of a window, which accompanies the payload of a commit, save or contribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct WindowReport {
    /// The number of the commit or save within its attempt, counted from 1.
    pub(crate) sequence: u64,
    /// The mini-batches of the window.
    pub(crate) span: Span,
    /// The sum of their losses and weights.
    pub(crate) tally: Tally,
    /// The compression error of the message.
    pub(crate) distortion: Distortion,
}

impl From<&Commit<'_>> for WindowReport {
    fn from(commit: &Commit<'_>) -> Self {
        Self {
            sequence: commit.sequence,
            span: commit.span,
            tally: commit.tally,
            distortion: Distortion::default(),
        }
    }
}

impl From<&Save<'_>> for WindowReport {
    fn from(save: &Save<'_>) -> Self {
        Self {
            sequence: save.sequence,
            span: save.span,
            tally: save.tally,
            distortion: Distortion::default(),
        }
    }
}
