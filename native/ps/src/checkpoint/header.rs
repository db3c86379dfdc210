//! The JSON header of a checkpoint: its owner, the progress of the fit, and the lengths of its arrays.

use std::collections::BTreeSet;

use firesteel_core::epoch_monitor::EpochMonitorState;
use firesteel_core::{Position, State, WorkerId};
use serde::{Deserialize, Serialize};

use super::{Lengths, damaged};
use crate::error::PsError;
use crate::model::EARLIER_ATTEMPT;
use crate::model::checkpoint::{EvaluationProgress, FitProgress, Owner, WorkerProgress};
use crate::model::status::STALENESS_BINS;

/// The exclusive upper limit of counters, so that sums of several do not overflow.
const MAX_COUNTER: u64 = 1 << 53;

/// Everything but the arrays.
pub(super) struct CheckpointHeader {
    pub(super) owner: Owner,
    pub(super) progress: FitProgress,
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
struct HeaderDocument {
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
    progress: FitProgress,
}

impl CheckpointHeader {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, PsError> {
        let document: HeaderDocument = serde_json::from_slice(bytes)
            .map_err(|error| damaged(format!("its header cannot be read: {error}")))?;
        let HeaderDocument { fingerprint, layout, strategy, workers, epochs, stripe, .. } =
            document;
        let HeaderDocument { parameters, floats, integers, rules, members, best, progress, .. } =
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
        let document = HeaderDocument {
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

impl FitProgress {
    /// Fails if this progress is inconsistent or does not belong to such a fit. The store relies on these checks.
    pub(super) fn check(&self, owner: &Owner) -> Result<(), PsError> {
        let refused =
            |problem: String| Err(damaged(format!("its progress is inconsistent: {problem}")));
        let counters =
            [self.version, self.commits, self.pulls, self.bytes, self.millis, self.trained_millis];
        if counters.iter().chain(&self.histogram).any(|&counter| counter >= MAX_COUNTER) {
            return refused("a counter is too large".to_owned());
        }
        if self.histogram.len() > STALENESS_BINS || self.epochs.len() > owner.epochs as usize {
            return refused("more epochs or histogram bins than the fit has".to_owned());
        }
        let ids: BTreeSet<_> = self.workers.iter().map(|worker| worker.worker).collect();
        if ids.len() != self.workers.len() || ids.len() > owner.workers as usize {
            return refused(format!(
                "{} workers, but the fit has {}",
                self.workers.len(),
                owner.workers
            ));
        }
        let mut rows = vec![0_u64; self.epochs.len()];
        for worker in &self.workers {
            if let Err(problem) = worker.check(owner.epochs, &mut rows) {
                return refused(format!("worker {}: {problem}", worker.worker));
            }
        }
        if self.rows_trained() >= MAX_COUNTER {
            return refused("too many trained rows".to_owned());
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
        Err(damaged(
            "its progress is inconsistent: the evaluated epochs do not match the trained epochs",
        ))
    }
}

impl WorkerProgress {
    /// Checks one worker and adds its rows to those of the epochs.
    fn check(&self, epochs: u32, rows: &mut [u64]) -> Result<(), &'static str> {
        let own = [self.rows, self.commits, self.staleness_sum, self.staleness_max, self.bytes];
        if own.iter().chain([&self.wait_nanos, &self.apply_nanos]).any(|&own| own >= MAX_COUNTER) {
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
                return Err("its ledger has an unknown or repeated epoch");
            };
            next = entry.epoch + 1;
            if entry.rows >= MAX_COUNTER
                || entry.superseded_rows >= MAX_COUNTER
                || *total >= MAX_COUNTER
            {
                return Err("its ledger has too many rows");
            }
            *total += entry.rows;
            let mut batch = 0;
            for span in &entry.spans {
                if span.attempt != EARLIER_ATTEMPT || span.start != batch {
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
