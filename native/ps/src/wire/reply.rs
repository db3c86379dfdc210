//! Replies, without their payloads.

use firesteel_core::compression::Coding;
use firesteel_core::{Answer, ErrorCode, Granted};
use serde::{Deserialize, Serialize};

use super::encodings::{CodingEncoding, error_code, text};
use super::frame::{FieldsKind, FrameLimits, Message};
use crate::model::{Flaw, PayloadKind};

/// A reply of a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// Authentication has succeeded and the layouts agree. The layout has these numbers of buffers, and the codecs are
    /// these.
    Welcome {
        floats: u64,
        integers: u64,
        #[serde(with = "CodingEncoding")]
        coding: Coding,
    },
    /// The lease is granted.
    Registered(Granted),
    /// The state after the request.
    Answer(Answer),
    /// The state after the request; the payload is the center variable.
    Center(Answer),
    /// As `Center`, from a server with shards, which hold the other parts by the decision of this number.
    Decided { answer: Answer, decision: u64 },
    /// The request is done.
    Done,
    /// The request is still being worked on; the reply follows later.
    Waiting,
    /// The request failed.
    Failure {
        #[serde(with = "error_code")]
        code: ErrorCode,
        #[serde(with = "text")]
        message: String,
    },
    /// A part of a message is staged, unless one of its numbers is NaN or infinite; the first of them, if any.
    Staged { flaw: Option<Flaw> },
    /// The payload is the part that a worker fetches.
    Slice,
    /// The payload is the part that the driver fetches, never compressed.
    Exact,
    /// The part has already been fetched, or a later decision has replaced it.
    Gone,
    /// The payload is the center variable that was frozen at the end of this epoch, for the worker to score.
    Frozen { answer: Answer, epoch: u32 },
    /// The worker has no held-out rows to score now, or none any more if `over`.
    Unassigned { answer: Answer, over: bool },
}

impl Message for Reply {}

impl Reply {
    /// Returns the limits of this kind of reply; `None` if there is no such kind.
    pub(crate) fn limits(kind: u8) -> Option<FrameLimits> {
        use FieldsKind::{Empty, Numbers, Text};
        use PayloadKind::{Center, Replica};
        // In the order of the variants.
        const LIMITS: [FrameLimits; 14] = [
            FrameLimits::of(Numbers),            // Welcome
            FrameLimits::of(Numbers),            // Registered
            FrameLimits::of(Numbers),            // Answer
            FrameLimits::with(Numbers, Center),  // Center
            FrameLimits::with(Numbers, Center),  // Decided
            FrameLimits::of(Empty),              // Done
            FrameLimits::of(Empty),              // Waiting
            FrameLimits::of(Text),               // Failure
            FrameLimits::of(Numbers),            // Staged
            FrameLimits::with(Empty, Center),    // Slice
            FrameLimits::with(Empty, Replica),   // Exact
            FrameLimits::of(Empty),              // Gone
            FrameLimits::with(Numbers, Replica), // Frozen
            FrameLimits::of(Numbers),            // Unassigned
        ];
        LIMITS.get(usize::from(kind)).copied()
    }
}
