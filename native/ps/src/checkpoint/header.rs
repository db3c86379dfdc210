//! What a checkpoint says in JSON: whose it is, how far the fit was, and how long its arrays are.

use std::collections::BTreeSet;

use firesteel_core::compression::Distortion;
use firesteel_core::epoch_monitor::{EpochMonitorState, StopReason};
use firesteel_core::{Position, State, Tally, WorkerId};
use serde::{Deserialize, Serialize};

use super::{EARLIER, Lengths, Owner, damaged};
use crate::error::PsError;
use crate::store::status::{STALENESS_BINS, SpanStatus, ValidationStatus};

/// Counters stay below this, so that sums of several do not overflow.
const MOST: u64 = 1 << 53;

/// Everything but the arrays.
pub(super) struct Header {
    pub(super) owner: Owner,
    pub(super) progress: Progress,
    pub(super) lengths: Lengths,
    pub(super) stripe: usize,
    pub(super) rules: Vec<RuleShape>,
    pub(super) members: Vec<WorkerId>,
    pub(super) best: Vec<WorkerId>,
}

/// The lengths of a rule's state.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RuleShape {
    pub(super) numbers: usize,
    pub(super) values: usize,
}

impl RuleShape {
    pub(super) fn of(state: &State) -> Self {
        Self { numbers: state.numbers.len(), values: state.values.len() }
    }
}

/// The header as it is written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    fingerprint: String,
    layout: u64,
    strategy: String,
    workers: u32,
    epochs: u32,
    parameters: usize,
    floats: usize,
    integers: usize,
    stripe: usize,
    rules: Vec<RuleShape>,
    members: Vec<WorkerId>,
    best: Vec<WorkerId>,
    progress: Progress,
}

/// What changes under the control lock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Progress {
    pub(crate) version: u64,
    pub(crate) commits: u64,
    pub(crate) pulls: u64,
    pub(crate) bytes: u64,
    /// How long the fit had run, in milliseconds.
    pub(crate) millis: u64,
    /// How long its training had, from the first worker on.
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
    /// The sum of the learning rates with which workers ended it, and their number.
    pub(crate) rates: (f64, u32),
}

/// The ends of epochs, where anything follows from them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EvaluationProgress {
    /// The next epoch to end.
    pub(crate) next: u32,
    pub(crate) judge: EpochMonitorState,
    /// The best epoch and its version.
    pub(crate) best: Option<(u32, u64)>,
    pub(crate) ended: Vec<EndedProgress>,
}

/// An epoch that has been judged, and what the held-out rows of all workers and of each came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EndedProgress {
    pub(crate) version: u64,
    pub(crate) all: Option<ValidationStatus>,
    pub(crate) by_worker: Vec<(WorkerId, ValidationStatus)>,
}

/// One worker, without any attempt of it.
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

impl Header {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, PsError> {
        let document: Document = serde_json::from_slice(bytes)
            .map_err(|error| damaged(format!("its header cannot be read: {error}")))?;
        let Document { fingerprint, layout, strategy, workers, epochs, stripe, .. } = document;
        let Document { parameters, floats, integers, rules, members, best, progress, .. } =
            document;
        Ok(Self {
            owner: Owner { fingerprint, layout, strategy, workers, epochs },
            lengths: Lengths { parameters, floats, integers },
            stripe,
            rules,
            members,
            best,
            progress,
        })
    }

    pub(super) fn into_json(self) -> Result<Vec<u8>, PsError> {
        let Self { owner, progress, lengths, stripe, rules, members, best } = self;
        let Owner { fingerprint, layout, strategy, workers, epochs } = owner;
        let Lengths { parameters, floats, integers } = lengths;
        let document = Document {
            fingerprint,
            layout,
            strategy,
            workers,
            epochs,
            parameters,
            floats,
            integers,
            stripe,
            rules,
            members,
            best,
            progress,
        };
        serde_json::to_vec(&document)
            .map_err(|error| PsError::Internal(format!("a checkpoint's header: {error}")))
    }
}

impl Progress {
    /// The epoch of the worker that is behind the others.
    pub(crate) fn epoch(&self, owner: &Owner) -> u32 {
        let missing = self.workers.len() < owner.workers as usize;
        let behind = self.workers.iter().map(|worker| worker.position.epoch).min();
        if missing { 0 } else { behind.unwrap_or(0) }
    }

    /// The rows trained in all epochs.
    pub(crate) fn rows_trained(&self) -> u64 {
        self.epochs.iter().fold(0, |sum, epoch| sum.saturating_add(epoch.rows))
    }

    /// Fails unless it can be the progress of such a fit: the store relies on what is checked here.
    pub(super) fn check(&self, owner: &Owner) -> Result<(), PsError> {
        let refused = |problem: String| Err(damaged(format!("its progress cannot be: {problem}")));
        let counters =
            [self.version, self.commits, self.pulls, self.bytes, self.millis, self.trained_millis];
        if counters.iter().chain(&self.histogram).any(|&counter| counter >= MOST) {
            return refused("a counter is too large".to_owned());
        }
        if self.histogram.len() > STALENESS_BINS || self.epochs.len() > owner.epochs as usize {
            return refused(
                "it has more epochs or more of the histogram than a fit has".to_owned(),
            );
        }
        let ids: BTreeSet<_> = self.workers.iter().map(|worker| worker.worker).collect();
        if ids.len() != self.workers.len() || ids.len() > owner.workers as usize {
            return refused(format!("{} workers of {}", self.workers.len(), owner.workers));
        }
        let mut rows = vec![0_u64; self.epochs.len()];
        for worker in &self.workers {
            if let Err(problem) = worker.check(owner.epochs, &mut rows) {
                return refused(format!("worker {}: {problem}", worker.worker));
            }
        }
        if self.rows_trained() >= MOST {
            return refused("it has trained too many rows".to_owned());
        }
        if let Some(evaluations) = &self.evaluations {
            evaluations.check(owner.epochs)?;
        }
        if rows.iter().ne(self.epochs.iter().map(|epoch| &epoch.rows)) {
            return refused("the workers' rows do not add up to those of the epochs".to_owned());
        }
        Ok(())
    }
}

impl EvaluationProgress {
    fn check(&self, epochs: u32) -> Result<(), PsError> {
        let EpochMonitorState { waited, bad, cooling, reductions, .. } = self.judge;
        let counted = [self.next, waited, bad, reductions].iter().all(|&count| count <= epochs);
        let judged = self.ended.len() == self.next as usize && cooling < u32::MAX;
        if counted && judged && self.best.is_none_or(|(epoch, _)| epoch < self.next) {
            return Ok(());
        }
        Err(damaged("its progress cannot be: it has judged other epochs than it has trained"))
    }
}

impl WorkerProgress {
    /// Checks one worker and adds its rows to those of the epochs.
    fn check(&self, epochs: u32, rows: &mut [u64]) -> Result<(), &'static str> {
        let own = [self.rows, self.commits, self.staleness_sum, self.staleness_max, self.bytes];
        if own.iter().chain([&self.wait_nanos, &self.apply_nanos]).any(|&own| own >= MOST) {
            return Err("a counter is too large");
        }
        let Position { epoch, batch } = self.position;
        if epoch > epochs || (epoch == epochs && batch > 0) || (batch > 0 && batch >= self.batches)
        {
            return Err("its position is behind the end");
        }
        let mut next = 0;
        for entry in &self.ledger {
            let Some(total) = rows.get_mut(entry.epoch as usize).filter(|_| entry.epoch >= next)
            else {
                return Err("its ledger has an epoch that the fit has not, or twice");
            };
            next = entry.epoch + 1;
            if entry.rows >= MOST || entry.superseded_rows >= MOST || *total >= MOST {
                return Err("its ledger has too many rows");
            }
            *total += entry.rows;
            let mut batch = 0;
            for span in &entry.spans {
                if span.attempt != EARLIER || span.start != batch {
                    return Err("its ledger has a gap or an attempt");
                }
                batch = span.start.checked_add(span.batches).ok_or("its ledger is too long")?;
            }
            if entry.spans.iter().try_fold(0_u64, |sum, span| sum.checked_add(span.rows))
                != Some(entry.rows)
            {
                return Err("its ledger does not add up");
            }
        }
        Ok(())
    }
}
