//! The driver's view of a server, as documents for the JVM.

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
    /// The number of updates of the center variable.
    pub version: u64,
    /// The commits and saves that were applied.
    pub commits: u64,
    /// The pulls that were answered, including those of exchanges.
    pub pulls: u64,
    /// Bytes sent and received over sockets.
    pub bytes: u64,
    /// The workers that have registered, in order.
    pub workers: Vec<WorkerStatus>,
    /// The epochs begun, in order.
    pub epochs: Vec<EpochStatus>,
    /// The rows trained in all epochs, including those of open windows.
    pub rows_trained: u64,
    /// The mean loss of the latest windows of all workers; null before the first.
    pub recent_loss: Option<f64>,
    /// The warnings for the user, in order.
    pub warnings: Vec<String>,
    /// The progress at which an interrupted fit resumed, if this fit resumed from a checkpoint.
    pub resumed: Option<ResumedStatus>,
    /// The reason why the fit must fail, if it must.
    pub failure: Option<FailureStatus>,
    /// The reason why the training ends before its last epoch, if it does.
    pub stopped: Option<StopReason>,
    /// The best epoch so far by the monitored metric; null if epochs are not evaluated.
    pub best_epoch: Option<u32>,
    /// The number of reductions of the learning rate on plateaus.
    pub reductions: u32,
}

/// The progress of a fit that resumed from a checkpoint, at that checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResumedStatus {
    /// The epoch of the slowest worker, counted from 0.
    pub epoch: u32,
    /// The time that the fit had run until then, in milliseconds.
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
    /// The state of its training.
    pub state: WorkerState,
    /// The newest attempt that was granted the lease.
    pub attempt: i64,
    /// The epoch of its next mini-batch.
    pub epoch: u32,
    /// The index of its next mini-batch in the epoch.
    pub batch: u32,
    /// The number of mini-batches of each of its epochs.
    pub batches: u32,
    /// The rows it has trained in all epochs, including the open window.
    pub rows: u64,
    /// Its commits and saves.
    pub commits: u64,
    /// The sum of their staleness.
    pub staleness_sum: u64,
    /// The largest staleness.
    pub staleness_max: u64,
    /// The bytes it has sent and received over sockets.
    pub bytes: u64,
    /// The time its commits and pulls waited for those of others, in seconds.
    pub wait_seconds: f64,
    /// The time spent on its commits and pulls, without the waiting, in seconds.
    pub apply_seconds: f64,
    /// The uncompressed size of one of its messages divided by the compressed size; 1 without compression.
    pub compression_ratio: f64,
    /// The relative error of its messages, as a root mean square: the part that compression kept back for the next
    /// message divided by the part that was to be sent.
    pub compression_error: f64,
}

/// The state of a worker's training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WorkerState {
    /// An attempt holds the lease.
    Live,
    /// All epochs are trained.
    Finished,
    /// The last attempt ended, or its lease lapsed, before it was done.
    Lost,
}

/// One epoch over all workers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EpochStatus {
    /// The number of the epoch, counted from 0.
    pub epoch: u32,
    /// The weighted mean of the committed rows' losses; null before the first.
    pub loss: Option<f64>,
    /// The committed rows.
    pub rows: u64,
    /// The workers that have trained the epoch completely.
    pub finished_workers: u32,
    /// The mean of the workers' learning rates at its end; null before the first worker's end, or if the server does
    /// not know them.
    pub learning_rate: Option<f64>,
    /// The results on the held-out rows; null before they are scored.
    pub validation: Option<ValidationStatus>,
}

/// The results on held-out rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidationStatus {
    /// The version of the center variable that was scored.
    pub version: u64,
    /// The number of rows scored.
    pub rows: u64,
    /// The weighted mean of their losses.
    pub loss: Option<f64>,
    /// The metrics, in the order in which they were requested; confusion matrices only in
    /// [`ServerSummary::evaluations`].
    pub metrics: Vec<MetricValue>,
}

impl ValidationStatus {
    /// Computes the results from sums over held-out rows.
    pub(crate) fn of(set: &MetricSet, version: u64, sums: &MetricSums) -> Self {
        Self { version, rows: sums.rows(), loss: sums.loss(), metrics: set.values(sums) }
    }

    /// Returns the results without confusion matrices, which are large.
    pub(crate) fn without_matrices(&self) -> Self {
        let metrics = self.metrics.iter().filter(|metric| metric.matrix.is_none());
        Self { metrics: metrics.cloned().collect(), ..*self }
    }
}

/// The reason why a fit must fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureStatus {
    /// The number of the [`ErrorCode`](firesteel_core::ErrorCode).
    pub code: u16,
    /// The error message.
    pub message: String,
}

/// The details that are read at the end of a fit.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerSummary {
    /// The number of commits with a staleness of 0, 1, 2 and so on; the last of [`STALENESS_BINS`] also counts larger
    /// ones.
    pub staleness_histogram: Vec<u64>,
    /// The mini-batches that were applied, by worker and epoch.
    pub ledger: Vec<LedgerStatus>,
    /// As [`WorkerStatus::compression_ratio`].
    pub compression_ratio: f64,
    /// As [`WorkerStatus::compression_error`], over all workers.
    pub compression_error: f64,
    /// The results on the held-out rows of all workers, by epoch, including confusion matrices; empty if no rows are
    /// held out.
    pub evaluations: Vec<ValidationStatus>,
}

/// The maximum length of [`ServerSummary::staleness_histogram`].
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
    /// The weighted mean of their losses; null if their weights are 0.
    pub loss: Option<f64>,
    /// The learning rate of the last mini-batch; null if the server does not know it.
    pub learning_rate: Option<f64>,
    /// The results on this worker's held-out rows; null if it scored none.
    pub validation: Option<ValidationStatus>,
    /// The consecutive mini-batches that each attempt applied, in order.
    pub spans: Vec<SpanStatus>,
    /// The rows that had been applied before a retry with other rows restarted the epoch.
    pub superseded_rows: u64,
}

/// Consecutive mini-batches applied by one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpanStatus {
    /// The attempt; -1 for all attempts of an interrupted fit that has been resumed.
    pub attempt: i64,
    /// The first mini-batch.
    pub start: u32,
    /// The number of mini-batches.
    pub batches: u32,
    /// The number of rows.
    pub rows: u64,
}
