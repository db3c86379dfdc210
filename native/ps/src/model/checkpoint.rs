//! The state of a fit from which another process resumes it. The module `checkpoint` encodes it.

use firesteel_core::compression::Distortion;
use firesteel_core::epoch_monitor::{EpochMonitorState, StopReason};
use firesteel_core::{Buffers, Position, State, Tally, WorkerId};
use serde::{Deserialize, Serialize};

use super::status::{SpanStatus, ValidationStatus};

/// One worker's model, in strategies whose workers train models of their own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WorkerModel {
    pub(crate) worker: WorkerId,
    pub(crate) parameters: Vec<f32>,
    pub(crate) buffers: Buffers,
}

/// The state of a fit at one version of its center variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    pub(crate) owner: Owner,
    pub(crate) progress: FitProgress,
    pub(crate) center: Vec<f32>,
    pub(crate) buffers: Buffers,
    /// The state of the server's rule for each stripe.
    pub(crate) rules: Vec<State>,
    pub(crate) stripe: usize,
    pub(crate) members: Vec<WorkerModel>,
    /// The model of the best epoch, if it is kept: one for each worker, or one for all.
    pub(crate) best: Vec<WorkerModel>,
}

/// The fit to which a checkpoint belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The caller's fingerprint of settings and data.
    pub(crate) fingerprint: String,
    /// The hash of the network's layout.
    pub(crate) layout: u64,
    pub(crate) strategy: String,
    pub(crate) workers: u32,
    pub(crate) epochs: u32,
}

/// The part of a fit's state that changes under the control lock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FitProgress {
    pub(crate) version: u64,
    pub(crate) commits: u64,
    pub(crate) pulls: u64,
    pub(crate) bytes: u64,
    /// The time that the fit had run, in milliseconds.
    pub(crate) millis: u64,
    /// The time that the training had run, from the first worker on, in milliseconds.
    pub(crate) trained_millis: u64,
    pub(crate) stop: Option<StopReason>,
    pub(crate) histogram: Vec<u64>,
    pub(crate) warnings: Vec<String>,
    pub(crate) epochs: Vec<EpochProgress>,
    pub(crate) evaluations: Option<EvaluationProgress>,
    pub(crate) workers: Vec<WorkerProgress>,
}

/// One epoch over all workers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EpochProgress {
    pub(crate) rows: u64,
    pub(crate) tally: Tally,
    /// The sum of the learning rates with which workers ended the epoch, and the number of those workers.
    pub(crate) rates: (f64, u32),
}

/// The progress of epoch evaluation, in fits that evaluate epochs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EvaluationProgress {
    /// The next epoch to evaluate.
    pub(crate) next: u32,
    pub(crate) judge: EpochMonitorState,
    /// The best epoch and its version.
    pub(crate) best: Option<(u32, u64)>,
    pub(crate) ended: Vec<EndedProgress>,
}

/// An evaluated epoch: the validation results over all workers, and those of each worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EndedProgress {
    pub(crate) version: u64,
    pub(crate) all: Option<ValidationStatus>,
    pub(crate) by_worker: Vec<(WorkerId, ValidationStatus)>,
}

/// The progress of one worker, over all of its attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WorkerProgress {
    pub(crate) worker: WorkerId,
    pub(crate) rows: u64,
    pub(crate) content: u64,
    pub(crate) batches: u32,
    pub(crate) held_out: u64,
    pub(crate) position: Position,
    pub(crate) finished: bool,
    pub(crate) latest: Option<Tally>,
    pub(crate) commits: u64,
    pub(crate) staleness_sum: u64,
    pub(crate) staleness_max: u64,
    pub(crate) bytes: u64,
    pub(crate) wait_nanos: u64,
    pub(crate) apply_nanos: u64,
    pub(crate) distortion: Distortion,
    pub(crate) ledger: Vec<WorkerEpoch>,
}

/// One epoch of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WorkerEpoch {
    pub(crate) epoch: u32,
    pub(crate) rows: u64,
    pub(crate) tally: Tally,
    pub(crate) learning_rate: Option<f64>,
    pub(crate) spans: Vec<SpanStatus>,
    pub(crate) superseded_rows: u64,
}

impl FitProgress {
    /// The epoch of the slowest worker.
    pub(crate) fn epoch(&self, owner: &Owner) -> u32 {
        let missing = self.workers.len() < owner.workers as usize;
        let slowest = self.workers.iter().map(|worker| worker.position.epoch).min();
        if missing { 0 } else { slowest.unwrap_or(0) }
    }

    /// The rows trained in all epochs.
    pub(crate) fn rows_trained(&self) -> u64 {
        self.epochs.iter().fold(0, |sum, epoch| sum.saturating_add(epoch.rows))
    }
}
