//! Requests, without their payloads.

use firesteel_core::{ErrorCode, Position, Registration, Tally, WorkerId};
use postcard::ser_flavors::Size;
use serde::{Deserialize, Serialize};

use super::encodings::{error_code, text};
use super::frame::{FieldsKind, FrameLimits, Message};
use super::handshake::Caller;
use crate::model::{Decision, Flaw, PayloadKind, WindowReport};

/// A request of a worker to the driver's server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Takes the lease.
    Register(Registration),
    /// Reads the center variable.
    Pull,
    /// Commits the payload.
    Commit(WindowReport),
    /// Commits the payload and reads the center variable.
    Exchange(WindowReport),
    /// Saves the payload, a replica.
    Save(WindowReport),
    /// Renews the lease and reports the progress since the last commit or save.
    Heartbeat { position: Position, rows: u64, tally: Tally },
    /// Fails the fit.
    Abort {
        #[serde(with = "error_code")]
        code: ErrorCode,
        #[serde(with = "text")]
        message: String,
    },
    /// Releases the lease.
    Finish,
    /// Adds the payload to the open round.
    Contribute(WindowReport),
    /// Reads the result of the round of the contribution of this number, once the round is closed.
    CloseRound { sequence: u64 },
    /// Reports a number in this window's message that is NaN or infinite, found by a shard.
    Flawed { window: WindowReport, flaw: Flaw },
    /// Asks for the worker's evaluation assignment.
    Evaluate,
    /// Sends the sums over the held-out rows.
    Score { epoch: u32, sums: Vec<f64> },
}

impl Message for Request {}

impl Request {
    /// Returns the limits of this kind of request; `None` if there is no such kind.
    pub(crate) fn limits(kind: u8) -> Option<FrameLimits> {
        use FieldsKind::{Empty, Numbers, Sums, Text};
        use PayloadKind::{Message, Replica};
        // In the order of the variants.
        const LIMITS: [FrameLimits; 13] = [
            FrameLimits::of(Numbers),            // Register
            FrameLimits::of(Empty),              // Pull
            FrameLimits::with(Numbers, Message), // Commit
            FrameLimits::with(Numbers, Message), // Exchange
            FrameLimits::with(Numbers, Replica), // Save
            FrameLimits::of(Numbers),            // Heartbeat
            FrameLimits::of(Text),               // Abort
            FrameLimits::of(Empty),              // Finish
            FrameLimits::with(Numbers, Message), // Contribute
            FrameLimits::of(Numbers),            // CloseRound
            FrameLimits::of(Numbers),            // Flawed
            FrameLimits::of(Empty),              // Evaluate
            FrameLimits::of(Sums),               // Score
        ];
        LIMITS.get(usize::from(kind)).copied()
    }
}

/// A request of a worker or of the driver to the server of a shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum ShardRequest {
    /// Stages the payload, a part of a message, until the driver decides.
    Stage { worker: WorkerId, attempt: i64, sequence: u64 },
    /// Fetches the part of the center variable that this decision of the driver holds for the worker.
    Fetch { worker: WorkerId, decision: u64 },
    /// Loads the shard with the payload.
    Load,
    /// Sends decisions, in order; `first` is the number of the first one.
    Decide { first: u64, decisions: Vec<Decision> },
    /// Closes the shard at the end of the fit.
    End,
}

impl Message for ShardRequest {}

impl ShardRequest {
    /// Returns the limits of this kind of request; `None` if there is no such kind or `caller` must not send it.
    pub(crate) fn limits(kind: u8, caller: Caller) -> Option<FrameLimits> {
        use Caller::{Driver, Worker};
        use FieldsKind::{Decisions, Empty, Numbers};
        use PayloadKind::{Message, Replica};
        // In the order of the variants.
        const LIMITS: [(FrameLimits, &[Caller]); 5] = [
            (FrameLimits::with(Numbers, Message), &[Worker]), // Stage
            (FrameLimits::of(Numbers), &[Worker, Driver]),    // Fetch
            (FrameLimits::with(Empty, Replica), &[Driver]),   // Load
            (FrameLimits::of(Decisions), &[Driver]),          // Decide
            (FrameLimits::of(Empty), &[Driver]),              // End
        ];
        let (limits, callers) = LIMITS.get(usize::from(kind))?;
        callers.contains(&caller).then_some(*limits)
    }
}

/// Returns the length of an encoded decision in bytes.
pub(crate) fn decision_len(decision: &Decision) -> usize {
    postcard::serialize_with_flavor(decision, Size::default()).unwrap_or(usize::MAX)
}
