//! What the driver sees of a server, as documents for the JVM.

use firesteel_core::epoch_monitor::StopReason;
use firesteel_core::metrics::{MetricSet, MetricSums, MetricValue};
use serde::{Deserialize, Serialize};

/// The state of a server, cheap enough to be read several times a second.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerStatus {
    /// The fit.
    pub fit: String,
    /// The port that the server listens on.
    pub port: u16,
    /// How often the center variable has been updated.
    pub version: u64,
    /// Commits and saves applied.
    pub commits: u64,
    /// Pulls answered, those of exchanges included.
    pub pulls: u64,
    /// Bytes sent and received over sockets.
    pub bytes: u64,
    /// The workers that have registered, in order.
    pub workers: Vec<WorkerStatus>,
    /// The epochs begun, in order.
    pub epochs: Vec<EpochStatus>,
    /// Rows trained in all epochs, those of open windows included.
    pub rows_trained: u64,
    /// The mean loss of the latest windows of all workers; null before the first.
    pub recent_loss: Option<f64>,
    /// What the user should know, in order.
    pub warnings: Vec<String>,
    /// Where an interrupted fit had got to, if this one goes on from its checkpoint.
    pub resumed: Option<ResumedStatus>,
    /// Why the fit must fail, if it must.
    pub failure: Option<FailureStatus>,
    /// Why the training ends before its last epoch, if it does.
    pub stopped: Option<StopReason>,
    /// The best epoch so far by what is monitored; null where nothing is judged.
    pub best_epoch: Option<u32>,
    /// How often a plateau has reduced the learning rate.
    pub reductions: u32,
}

/// What a fit that goes on from a checkpoint found there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResumedStatus {
    /// The epoch of the worker that was behind the others, counted from 0.
    pub epoch: u32,
    /// How long the fit had run until then, in milliseconds.
    pub millis: u64,
}

/// The state of one worker.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerStatus {
    /// Its partition.
    pub partition: u32,
    /// Its index in the partition's task.
    pub index: u32,
    /// Whether somebody trains it.
    pub state: WorkerState,
    /// The newest attempt that was granted the lease.
    pub attempt: i64,
    /// The epoch of its next mini-batch.
    pub epoch: u32,
    /// Its next mini-batch.
    pub batch: u32,
    /// The mini-batches of one of its epochs.
    pub batches: u32,
    /// The rows it has trained in all epochs, the open window included.
    pub rows: u64,
    /// Its commits and saves.
    pub commits: u64,
    /// The sum of their staleness.
    pub staleness_sum: u64,
    /// The largest staleness.
    pub staleness_max: u64,
    /// Bytes it has sent and received over sockets.
    pub bytes: u64,
    /// How long its commits and pulls waited for those of others, in seconds.
    pub wait_seconds: f64,
    /// How long its commits and pulls were worked on, the waiting not included, in seconds.
    pub apply_seconds: f64,
    /// Bytes of one of its messages as f32 by those that are sent for it; 1 without compression.
    pub compression_ratio: f64,
    /// The relative error of its messages, the root mean square: what compression kept back for the next one by what
    /// was to be sent.
    pub compression_error: f64,
}

/// Whether somebody trains a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WorkerState {
    /// An attempt holds the lease.
    Live,
    /// All epochs are trained.
    Finished,
    /// The last attempt ended or fell silent before it was done.
    Lost,
}

/// One epoch over all workers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EpochStatus {
    /// The epoch.
    pub epoch: u32,
    /// The weighted mean of the committed rows' losses; null before the first.
    pub loss: Option<f64>,
    /// The committed rows.
    pub rows: u64,
    /// The workers that are through with it.
    pub finished_workers: u32,
    /// The mean of the workers' learning rates at its end; null before the first, or where they are not known here.
    pub learning_rate: Option<f64>,
    /// What the held-out rows came to; null before they are scored.
    pub validation: Option<ValidationStatus>,
}

/// What held-out rows came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidationStatus {
    /// The version of the center variable that was scored.
    pub version: u64,
    /// The rows.
    pub rows: u64,
    /// The weighted mean of their losses.
    pub loss: Option<f64>,
    /// The metrics, in the order in which they were asked for; a confusion matrix only in [`ServerSummary::evaluations`].
    pub metrics: Vec<MetricValue>,
}

impl ValidationStatus {
    /// What these sums come to.
    pub(crate) fn of(set: &MetricSet, version: u64, sums: &MetricSums) -> Self {
        Self { version, rows: sums.rows(), loss: sums.loss(), metrics: set.values(sums) }
    }

    /// All but the confusion matrix, which is large.
    pub(crate) fn without_matrices(&self) -> Self {
        let metrics = self.metrics.iter().filter(|metric| metric.matrix.is_none());
        Self { metrics: metrics.cloned().collect(), ..*self }
    }
}

/// Why a fit must fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureStatus {
    /// The number of the [`ErrorCode`](firesteel_core::ErrorCode).
    pub code: u16,
    /// The text.
    pub message: String,
}

/// What is kept for the end of a fit.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerSummary {
    /// How many commits had a staleness of 0, 1, 2 and so on; the last of [`STALENESS_BINS`] counts larger ones too.
    pub staleness_histogram: Vec<u64>,
    /// Which mini-batches of which epoch were applied, by worker and epoch.
    pub ledger: Vec<LedgerStatus>,
    /// As [`WorkerStatus::compression_ratio`].
    pub compression_ratio: f64,
    /// As [`WorkerStatus::compression_error`], over all workers.
    pub compression_error: f64,
    /// What the held-out rows of all workers came to, by epoch, confusion matrices included; empty where none are held out.
    pub evaluations: Vec<ValidationStatus>,
}

/// The most entries of [`ServerSummary::staleness_histogram`].
pub const STALENESS_BINS: usize = 257;

/// One epoch of one worker in the ledger.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerStatus {
    /// The worker's partition.
    pub partition: u32,
    /// The worker's index in the partition's task.
    pub index: u32,
    /// The epoch.
    pub epoch: u32,
    /// The rows applied.
    pub rows: u64,
    /// The weighted mean of their losses; null where they weigh nothing.
    pub loss: Option<f64>,
    /// The learning rate of the last mini-batch; null where it is not known here.
    pub learning_rate: Option<f64>,
    /// What this worker's held-out rows came to; null where it scored none.
    pub validation: Option<ValidationStatus>,
    /// The consecutive mini-batches that each attempt applied, in order.
    pub spans: Vec<SpanStatus>,
    /// Rows that had been applied when a retry brought other rows and the epoch started again.
    pub superseded_rows: u64,
}

/// Consecutive mini-batches applied by one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpanStatus {
    /// The attempt; -1 for all those of a fit that was interrupted and has been resumed.
    pub attempt: i64,
    /// The first mini-batch.
    pub start: u32,
    /// How many.
    pub batches: u32,
    /// Their rows.
    pub rows: u64,
}
