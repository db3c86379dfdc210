//! The parameter server as a worker sees it, whether over a socket or in the same process.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Coded, ErrorCode};

/// A worker of a fit: the `index`-th one of the task that reads `partition`. It outlives the attempts of its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerId {
    /// The partition of the training data, counted from 0.
    pub partition: u32,
    /// Which of the workers that share this partition's task, counted from 0.
    pub index: u32,
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.partition, self.index)
    }
}

/// What a worker says of itself when it asks for its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// Who asks.
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

/// A lease as it was granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Granted {
    /// Where the worker goes on.
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
    /// How many mini-batches.
    pub batches: u32,
    /// How many rows they hold.
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
    /// What the worker's rule sends for the parameters.
    pub message: &'a [f32],
    /// The worker's buffers after the window.
    pub buffers: &'a Buffers,
    /// Which mini-batches the message holds.
    pub span: Span,
    /// Their losses.
    pub tally: Tally,
}

/// A replica that a strategy without commits leaves with the server.
#[derive(Clone, Copy, Debug)]
pub struct Save<'a> {
    /// As in [`Commit::sequence`].
    pub sequence: u64,
    /// The whole replica.
    pub replica: &'a [f32],
    /// The worker's buffers.
    pub buffers: &'a Buffers,
    /// Which mini-batches were trained since the last save.
    pub span: Span,
    /// Their losses.
    pub tally: Tally,
}

/// What the server answers to everything but a registration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// How often the center variable has been updated.
    pub version: u64,
    /// Updates applied between this worker's last pull and its commit; 0 where nothing was committed.
    pub staleness: u64,
    /// Whether the fit is over for this worker (stopped early).
    pub stop: bool,
    /// Whether this worker's held-out rows are to be scored now, by [`ParamChannel::evaluate`].
    pub evaluation: bool,
    /// How often a plateau has reduced the learning rate so far.
    pub reductions: u32,
}

/// What is asked of a worker's held-out rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// They are to be scored on the center variable that has been copied, which was frozen when all workers had trained
    /// this epoch.
    Score {
        /// The epoch, counted from 0.
        epoch: u32,
    },
    /// Nothing for now.
    Wait,
    /// Nothing any more.
    Over,
}

/// A failed exchange with the server: a code to decide by and a text for people.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ChannelError {
    code: ErrorCode,
    message: String,
}

impl ChannelError {
    /// An error of this kind with this text.
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
/// A broken connection is retried with backoff inside; what comes out as an error is final. Every call renews the lease.
/// All methods block the calling thread and end soon after the cancel flag given at connect is set.
pub trait ParamChannel: Send {
    /// Takes the lease of a worker, waiting while an older attempt still holds it, and tells where to go on.
    ///
    /// # Errors
    /// [`ErrorCode::Fenced`] when a newer attempt holds the lease.
    fn register(&mut self, registration: &Registration) -> Result<Granted, ChannelError>;

    /// Copies the center variable and its buffers, one version of both.
    ///
    /// # Errors
    /// [`ErrorCode::Protocol`] when the lengths are not the server's.
    fn pull(&mut self, center: &mut [f32], buffers: &mut Buffers) -> Result<Answer, ChannelError>;

    /// Applies a commit exactly once.
    ///
    /// # Errors
    /// [`ErrorCode::Fenced`] when this attempt no longer holds the lease.
    fn commit(&mut self, commit: &Commit<'_>) -> Result<Answer, ChannelError>;

    /// A commit and the pull that follows it in one round trip.
    ///
    /// # Errors
    /// As [`commit`](Self::commit) and [`pull`](Self::pull).
    fn exchange(
        &mut self,
        commit: &Commit<'_>,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<Answer, ChannelError>;

    /// Gives a window to the open round, exactly once and without waiting for the others. The window counts as trained once
    /// the round closes, so the next call but heartbeats must be [`close_round`](Self::close_round).
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    fn contribute(&mut self, commit: &Commit<'_>) -> Result<Answer, ChannelError>;

    /// Waits until the round that this worker contributed to last is closed, and copies what it gives: the center variable,
    /// or that from before the round where the strategy says so. The leases of all workers of the task are renewed
    /// meanwhile.
    ///
    /// # Errors
    /// [`ErrorCode::Fenced`] when the lease ended and the round was closed without the contribution.
    fn close_round(
        &mut self,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<Answer, ChannelError>;

    /// Whether an exchange waits for a network, so that training on meanwhile pays.
    fn is_remote(&self) -> bool;

    /// Stores the replica of a strategy that never commits; the last one stored is what a retry starts from.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    fn save(&mut self, save: &Save<'_>) -> Result<Answer, ChannelError>;

    /// Renews the lease and tells what has been trained since the last commit or save, for the progress line. Cheap to call
    /// at every step: it sends only when some time has passed.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    fn heartbeat(
        &mut self,
        position: Position,
        rows: u64,
        tally: Tally,
    ) -> Result<Answer, ChannelError>;

    /// Asks what is to be done with the held-out rows, and copies the frozen center variable and its buffers if they are to
    /// be scored.
    ///
    /// A worker asks at the end of each of its epochs and whenever an answer says so. One that has trained all of its
    /// epochs asks again and again until it is over, and only then finishes.
    ///
    /// # Errors
    /// As [`pull`](Self::pull).
    fn evaluate(
        &mut self,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<(Answer, Assignment), ChannelError>;

    /// Gives the sums over the held-out rows, as [`MetricSums::encode`](crate::metrics::MetricSums::encode) writes them;
    /// once for each epoch, a resend changes nothing.
    ///
    /// # Errors
    /// [`ErrorCode::Protocol`] when the numbers are not those of the fit's metrics.
    fn score(&mut self, epoch: u32, sums: &[f64]) -> Result<Answer, ChannelError>;

    /// Tells the driver that the whole fit must fail with this error, which a retry would meet again.
    ///
    /// # Errors
    /// When the server cannot be reached.
    fn abort(&mut self, code: ErrorCode, message: &str) -> Result<(), ChannelError>;

    /// Gives the lease back: everything is trained and applied.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    fn finish(&mut self) -> Result<(), ChannelError>;
}
