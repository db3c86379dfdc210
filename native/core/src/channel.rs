//! The worker's interface to the parameter server, over a socket or within the process.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Coded, ErrorCode};

/// A worker of a fit: the `index`-th one of the task that reads `partition`. It outlives the attempts of its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerId {
    /// The partition of the training data, counted from 0.
    pub partition: u32,
    /// The worker's number among those of the partition's task, counted from 0.
    pub index: u32,
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.partition, self.index)
    }
}

/// The registration by which a worker requests its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// The worker that registers.
    pub worker: WorkerId,
    /// Spark's `taskAttemptId`, unique in the application; a larger one is newer.
    pub attempt: i64,
    /// The number of this worker's rows.
    pub rows: u64,
    /// An order-independent hash of this worker's rows.
    pub content: u64,
    /// The mini-batches of one epoch over these rows.
    pub batches: u32,
    /// The number of this worker's rows that are held out for validation.
    pub held_out: u64,
}

/// The next mini-batch of a worker: everything before it is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// The epoch, counted from 0; equal to the fit's epochs when the worker is done.
    pub epoch: u32,
    /// The mini-batch within the epoch, counted from 0.
    pub batch: u32,
}

/// A granted lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Granted {
    /// The position at which the worker continues.
    pub position: Position,
    /// All workers of the fit, `p`.
    pub workers: u32,
}

/// The consecutive mini-batches of one epoch that a window covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// The first mini-batch.
    pub start: Position,
    /// The number of mini-batches.
    pub batches: u32,
    /// The number of rows in them.
    pub rows: u64,
}

/// Sums over the rows of a window, which the server adds up by epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// The sum of the rows' losses times their weights.
    pub loss: f64,
    /// The sum of the rows' weights.
    pub weight: f64,
}

impl Tally {
    /// Adds another tally to this one.
    pub fn add(&mut self, other: Self) {
        self.loss += other.loss;
        self.weight += other.weight;
    }
}

/// The buffers that travel beside the parameters (batch-norm statistics).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buffers {
    /// Floating buffers, in layout order.
    pub floats: Vec<f32>,
    /// Integer buffers, in layout order.
    pub integers: Vec<i64>,
}

/// The end of a communication window.
#[derive(Clone, Copy, Debug)]
pub struct Commit<'a> {
    /// Counts this attempt's commits and saves from 1; a resend carries the same number.
    pub sequence: u64,
    /// The message of the worker's rule, over the flat parameters.
    pub message: &'a [f32],
    /// The worker's buffers after the window.
    pub buffers: &'a Buffers,
    /// The mini-batches that the message covers.
    pub span: Span,
    /// The losses of these mini-batches.
    pub tally: Tally,
}

/// A replica that the server stores for a strategy without commits.
#[derive(Clone, Copy, Debug)]
pub struct Save<'a> {
    /// As in [`Commit::sequence`].
    pub sequence: u64,
    /// The whole replica.
    pub replica: &'a [f32],
    /// The worker's buffers.
    pub buffers: &'a Buffers,
    /// The mini-batches trained since the last save.
    pub span: Span,
    /// The losses of these mini-batches.
    pub tally: Tally,
}

/// The server's answer to every request but a registration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The number of updates of the center variable so far.
    pub version: u64,
    /// The updates applied between this worker's last pull and its commit; 0 if nothing was committed.
    pub staleness: u64,
    /// True if this worker must stop early.
    pub stop: bool,
    /// True if this worker must now score its held-out rows, by [`ParamChannel::evaluate`].
    pub evaluation: bool,
    /// The number of times that a plateau has reduced the learning rate.
    pub reductions: u32,
}

/// An evaluation assignment: the task of a worker for its held-out rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// Score the rows on the center variable that has been copied, which was frozen when all workers had trained this
    /// epoch.
    Score {
        /// The epoch, counted from 0.
        epoch: u32,
    },
    /// No rows to score now; ask again.
    Wait,
    /// No rows to score any more.
    Over,
}

/// A failed request to the server: an error code for programs and a text for people.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ChannelError {
    code: ErrorCode,
    message: String,
}

impl ChannelError {
    /// Creates an error with this code and text.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl Coded for ChannelError {
    fn code(&self) -> ErrorCode {
        self.code
    }
}

/// One worker's connection to the parameter server of its fit.
///
/// A broken connection is retried with back-off inside the channel; an error that it returns is final. Every call
/// renews the lease. All methods block the calling thread and return soon after the cancel flag given at connect is
/// set.
pub trait ParamChannel: Send {
    /// Requests the lease of a worker, waiting while an older attempt still holds it, and returns the position at which
    /// to continue.
    ///
    /// # Errors
    /// [`ErrorCode::Fenced`] when a newer attempt holds the lease.
    fn register(&mut self, registration: &Registration) -> Result<Granted, ChannelError>;

    /// Copies the center variable and its buffers, both of one version.
    ///
    /// # Errors
    /// [`ErrorCode::Protocol`] when the lengths are not the server's.
    fn pull(&mut self, center: &mut [f32], buffers: &mut Buffers) -> Result<Answer, ChannelError>;

    /// Applies a commit exactly once.
    ///
    /// # Errors
    /// [`ErrorCode::Fenced`] when this attempt no longer holds the lease.
    fn commit(&mut self, commit: &Commit<'_>) -> Result<Answer, ChannelError>;

    /// Commits and pulls in one round trip.
    ///
    /// # Errors
    /// As [`commit`](Self::commit) and [`pull`](Self::pull).
    fn exchange(
        &mut self,
        commit: &Commit<'_>,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<Answer, ChannelError>;

    /// Contributes a window to the open round, exactly once and without waiting for the other workers. The window
    /// counts as trained once the round closes, so the next call other than heartbeats must be
    /// [`close_round`](Self::close_round).
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    fn contribute(&mut self, commit: &Commit<'_>) -> Result<Answer, ChannelError>;

    /// Waits until the round of this worker's last contribution closes, and copies its result: the center variable, or
    /// the one from before the round if the strategy needs it. The leases of all workers of the task are renewed
    /// meanwhile.
    ///
    /// # Errors
    /// [`ErrorCode::Fenced`] when the lease ended and the round was closed without the contribution.
    fn close_round(
        &mut self,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<Answer, ChannelError>;

    /// Returns true if an exchange goes over a network, so that overlapping it with training pays.
    fn is_remote(&self) -> bool;

    /// Stores the replica of a strategy that never commits; a retry starts from the last one stored.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    fn save(&mut self, save: &Save<'_>) -> Result<Answer, ChannelError>;

    /// Renews the lease and reports the rows trained since the last commit or save, for the progress line. Cheap to
    /// call at every step: a message is sent only after some time has passed.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    fn heartbeat(
        &mut self,
        position: Position,
        rows: u64,
        tally: Tally,
    ) -> Result<Answer, ChannelError>;

    /// Requests the evaluation assignment for the held-out rows, and copies the frozen center variable and its buffers
    /// if they must be scored.
    ///
    /// A worker calls it at the end of each epoch and whenever an answer has `evaluation` set. A worker that has
    /// trained all of its epochs calls it until the assignment is [`Assignment::Over`], and only then finishes.
    ///
    /// # Errors
    /// As [`pull`](Self::pull).
    fn evaluate(
        &mut self,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<(Answer, Assignment), ChannelError>;

    /// Sends the sums over the held-out rows, as [`MetricSums::encode`](crate::metrics::MetricSums::encode) writes
    /// them, once for each epoch; a resend changes nothing.
    ///
    /// # Errors
    /// [`ErrorCode::Protocol`] when the numbers are not those of the fit's metrics.
    fn score(&mut self, epoch: u32, sums: &[f64]) -> Result<Answer, ChannelError>;

    /// Makes the whole fit fail with this error, which a retry would meet again.
    ///
    /// # Errors
    /// When the server cannot be reached.
    fn abort(&mut self, code: ErrorCode, message: &str) -> Result<(), ChannelError>;

    /// Returns the lease after everything is trained and applied.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    fn finish(&mut self) -> Result<(), ChannelError>;
}
