//! The summary of a communication window.

use firesteel_core::compression::Distortion;
use firesteel_core::{Commit, Save, Span, Tally};

/// What a commit and a save say beside their payload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WindowSummary {
    /// Counts the attempt's commits and saves from 1.
    pub(crate) sequence: u64,
    /// The mini-batches that it holds.
    pub(crate) span: Span,
    /// Their losses.
    pub(crate) tally: Tally,
    /// What compression lost of the message.
    pub(crate) distortion: Distortion,
}

impl From<&Commit<'_>> for WindowSummary {
    fn from(commit: &Commit<'_>) -> Self {
        Self {
            sequence: commit.sequence,
            span: commit.span,
            tally: commit.tally,
            distortion: Distortion::default(),
        }
    }
}

impl From<&Save<'_>> for WindowSummary {
    fn from(save: &Save<'_>) -> Self {
        Self {
            sequence: save.sequence,
            span: save.span,
            tally: save.tally,
            distortion: Distortion::default(),
        }
    }
}
