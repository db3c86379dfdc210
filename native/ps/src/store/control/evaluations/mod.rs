//! The evaluation of epochs: held-out rows are scored on a frozen center variable, and early stopping, the best epoch
//! and learning-rate reductions follow from the scores.
//!
//! When every worker has trained an epoch, the center variable and its buffers are frozen: a reference, not a copy.
//! Workers with held-out rows score them on it and send sums; the last sums complete the evaluation. Training continues
//! meanwhile, and a worker that has trained all of its epochs stays until all epochs are evaluated.
//!
//! The wait for absent workers is bounded: a worker that lost its lease, or never started, delays the evaluation of an
//! epoch for as long as a lease lasts, and then the others proceed without it. Its retry scores the epochs that are
//! still open.

mod progress;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use firesteel_core::epoch_monitor::EpochMonitor;
use firesteel_core::metrics::{MetricSet, MetricSums};
use firesteel_core::spec::{Monitor, ServerSpec};
use firesteel_core::{Answer, Assignment, ErrorCode, OptionError, WorkerId};

use super::{Control, LeaseHolder};
use crate::error::PsError;
use crate::model::status::ValidationStatus;
use crate::store::frozen::FrozenModel;
use crate::store::terms::Terms;
use crate::store::ticket::Ticket;

pub(crate) use progress::SavedEvaluations;

/// The evaluation of a fit's epochs.
#[derive(Debug)]
pub(crate) struct Evaluations {
    judge: EpochMonitor,
    set: MetricSet,
    /// True if rows are held out.
    pub(super) validated: bool,
    /// True if early stopping, the schedule or the best weights depend on the metrics of an epoch.
    needs_metrics: bool,
    restore_best: bool,
    /// The next epoch to evaluate.
    next: u32,
    open: Option<OpenEvaluation>,
    /// The time since which only workers that never started are missing.
    unstarted: Option<Instant>,
    best: Option<BestEpoch>,
    reductions: u32,
    ended: Vec<EndedEpoch>,
}

/// An epoch that is being scored.
#[derive(Debug)]
struct OpenEvaluation {
    epoch: u32,
    version: u64,
    /// The frozen model; `None` until it has been read.
    frozen: Option<Arc<FrozenModel>>,
    /// The workers whose scores are missing.
    waiting: BTreeSet<WorkerId>,
    scores: BTreeMap<WorkerId, MetricSums>,
}

/// An epoch that has been evaluated.
#[derive(Debug)]
pub(crate) struct EndedEpoch {
    pub(crate) version: u64,
    /// The results over all workers, including confusion matrices; `None` if no rows are held out.
    pub(crate) all: Option<ValidationStatus>,
    /// The results of each worker, without confusion matrices.
    pub(crate) by_worker: BTreeMap<WorkerId, ValidationStatus>,
}

/// The best epoch so far.
#[derive(Clone, Debug)]
pub(crate) struct BestEpoch {
    pub(crate) epoch: u32,
    pub(crate) version: u64,
    /// The model of that epoch, if it is to be restored.
    pub(crate) frozen: Option<Arc<FrozenModel>>,
}

/// The ticket with which the center variable is frozen for an epoch. Dropping it lets later tickets pass.
#[derive(Debug)]
pub(crate) struct FreezeTicket {
    pub(crate) ticket: Ticket,
    pub(crate) epoch: u32,
}

/// A worker's evaluation assignment, with the frozen model if it is to be scored.
#[derive(Clone, Debug)]
pub(crate) struct AssignedEvaluation {
    pub(crate) answer: Answer,
    pub(crate) assignment: Assignment,
    pub(crate) frozen: Option<Arc<FrozenModel>>,
}

impl Evaluations {
    /// Creates the evaluation of a fit's epochs; `None` if nothing depends on the end of an epoch.
    pub(crate) fn new(spec: &ServerSpec) -> Result<Option<Self>, OptionError> {
        let ServerSpec { controls, data, network, .. } = spec;
        let validated = data.validation.is_some();
        let needs_metrics = controls.monitors_epochs();
        if !(validated || needs_metrics) {
            return Ok(None);
        }
        Ok(Some(Self {
            judge: EpochMonitor::new(controls, validated),
            set: MetricSet::new(controls, &data.labels, network.outputs())?,
            validated,
            needs_metrics,
            restore_best: controls.stopping.restore_best,
            next: 0,
            open: None,
            unstarted: None,
            best: None,
            reductions: 0,
            ended: Vec::new(),
        }))
    }

    /// The number of sums that a worker sends for its held-out rows.
    pub(crate) fn numbers(&self) -> usize {
        self.set.encoded_len()
    }

    /// The epochs that have been evaluated, in order.
    pub(crate) fn ended(&self) -> &[EndedEpoch] {
        &self.ended
    }

    pub(crate) fn best(&self) -> Option<&BestEpoch> {
        self.best.as_ref()
    }

    pub(crate) fn reductions(&self) -> u32 {
        self.reductions
    }

    fn waits_for(&self, worker: WorkerId) -> bool {
        self.open.as_ref().is_some_and(|open| open.waiting.contains(&worker))
    }
}

impl Control {
    /// Completes the evaluation of the open epoch if no scores are missing, and returns the ticket to freeze the next
    /// one if it is due.
    pub(crate) fn advance(&mut self, terms: &Terms, now: Instant) -> Option<FreezeTicket> {
        if self.evaluations.is_none() || self.is_stopping() {
            return None;
        }
        self.note_absent(terms, now);
        self.forget_absent(terms, now);
        self.evaluate_open();
        self.freeze(terms, now)
    }

    /// Records the time since which workers have had no lease.
    fn note_absent(&mut self, terms: &Terms, now: Instant) {
        for worker in self.workers.values_mut() {
            if worker.finished || worker.is_live(now, terms.lease) {
                worker.absent = None;
            } else if worker.started {
                worker.absent.get_or_insert(now);
            }
        }
    }

    /// Issues the ticket to freeze the center variable, if all workers have trained the next epoch.
    pub(crate) fn freeze(&mut self, terms: &Terms, now: Instant) -> Option<FreezeTicket> {
        let started = self.started();
        let evaluations = self.evaluations.as_mut()?;
        let epoch = evaluations.next;
        if evaluations.open.is_some() || epoch >= terms.epochs {
            return None;
        }
        let within_grace =
            |since: Instant| now.saturating_duration_since(since) < terms.lease.silence;
        let mut through = false;
        let mut without = Vec::new();
        for (id, worker) in &self.workers {
            let here = worker.finished || worker.is_live(now, terms.lease);
            if worker.position.epoch > epoch {
                through |= here;
            } else if !worker.started {
                // The worker belongs to an interrupted fit and has not come back yet.
            } else if here || worker.absent.is_none_or(within_grace) {
                return None;
            } else {
                without.push(id.to_string());
            }
        }
        if !through {
            return None;
        }
        let unstarted = terms.workers as usize - started;
        if unstarted > 0 {
            if within_grace(*evaluations.unstarted.get_or_insert(now)) {
                return None;
            }
            without.push(format!("{unstarted} that have not started"));
        }
        let waiting = self.workers.iter().filter(|(_, worker)| {
            // A worker without rows to train has no model of its own.
            let model = !terms.protocol.keeps_members() || worker.registration.batches > 0;
            let scores = worker.registration.held_out > 0 && model;
            scores && worker.started && !worker.finished && worker.position.epoch > epoch
        });
        evaluations.open = Some(OpenEvaluation {
            epoch,
            version: self.version,
            frozen: None,
            waiting: waiting.map(|(id, _)| *id).collect(),
            scores: BTreeMap::new(),
        });
        if !without.is_empty() {
            self.warn(format!(
                "epoch {epoch} is evaluated without workers {}, which have not trained it",
                without.join(", ")
            ));
        }
        Some(FreezeTicket { ticket: Ticket::issue(&mut self.tail, terms.ticket_steps), epoch })
    }

    /// Stores the frozen model of an epoch. Its evaluation completes at once if no worker scores it.
    pub(crate) fn frozen(&mut self, epoch: u32, frozen: FrozenModel) {
        let open = self.evaluations.as_mut().and_then(|evaluations| evaluations.open.as_mut());
        if let Some(open) = open.filter(|open| open.epoch == epoch) {
            // A worker of an ensemble may not have saved a model yet.
            open.waiting.retain(|worker| frozen.has(*worker));
            open.frozen = Some(Arc::new(frozen));
        }
        self.evaluate_open();
    }

    /// Stops waiting for the scores of workers that have been absent for too long.
    fn forget_absent(&mut self, terms: &Terms, now: Instant) {
        let Some(open) = self.evaluations.as_mut().and_then(|all| all.open.as_mut()) else {
            return;
        };
        let lapsed = |since: Instant| now.saturating_duration_since(since) >= terms.lease.silence;
        let workers = &self.workers;
        let gone: Vec<WorkerId> = open
            .waiting
            .iter()
            .filter(|id| {
                workers
                    .get(id)
                    .is_none_or(|worker| worker.finished || worker.absent.is_some_and(lapsed))
            })
            .copied()
            .collect();
        let epoch = open.epoch;
        gone.iter().for_each(|id| {
            open.waiting.remove(id);
        });
        for id in gone {
            self.warn(format!(
                "epoch {epoch} is evaluated without the held-out rows of worker {id}, which is gone"
            ));
        }
    }

    /// Evaluates the open epoch if all scores have arrived.
    fn evaluate_open(&mut self) {
        let Some(evaluations) = &mut self.evaluations else { return };
        let ready = |open: &mut OpenEvaluation| open.waiting.is_empty() && open.frozen.is_some();
        let Some(open) = evaluations.open.take_if(ready) else { return };
        evaluations.next = open.epoch + 1;
        let mut sums = evaluations.set.empty();
        open.scores.values().for_each(|scores| sums.merge(scores));
        let validated = evaluations.validated;
        let empty = validated && sums.rows() == 0;
        let by_worker = open.scores.iter().map(|(worker, scores)| {
            (
                *worker,
                ValidationStatus::of(&evaluations.set, open.version, scores).without_matrices(),
            )
        });
        let ended = EndedEpoch {
            version: open.version,
            all: validated.then(|| ValidationStatus::of(&evaluations.set, open.version, &sums)),
            by_worker: by_worker.collect(),
        };
        evaluations.ended.push(ended);
        if empty {
            self.note_empty_evaluation(open.epoch);
            return;
        }
        let total = self.epochs.get(open.epoch as usize).map(|total| total.tally);
        let training =
            total.filter(|tally| tally.weight > 0.0).map(|tally| tally.loss / tally.weight);
        let set = &evaluations.set;
        let verdict = evaluations.judge.update(|monitor| match monitor {
            Monitor::TrainingLoss => training,
            other => set.monitored(&sums, other),
        });
        evaluations.reductions = verdict.reductions;
        if verdict.best {
            let frozen = open.frozen.filter(|_| evaluations.restore_best);
            evaluations.best = Some(BestEpoch { epoch: open.epoch, version: open.version, frozen });
        }
        if let Some(reason) = verdict.stop {
            self.stop_for(reason);
        }
    }

    /// Handles an epoch without scores: it is not evaluated, and if no worker holds out rows, the fit may have to fail.
    fn note_empty_evaluation(&mut self, epoch: u32) {
        let held_out = self.workers.values().any(|worker| worker.registration.held_out > 0);
        let needs_metrics =
            self.evaluations.as_ref().is_some_and(|evaluations| evaluations.needs_metrics);
        if held_out {
            self.warn(format!("epoch {epoch} is not evaluated: no held-out row was scored"));
        } else if needs_metrics {
            self.fail(
                ErrorCode::InvalidData,
                "no row is held out for validation, but the schedule or early stopping depends on such rows: mark some, or \
                 hold out a larger fraction",
            );
        } else if epoch == 0 {
            self.warn("no row is held out for validation: there are no metrics".to_owned());
        }
    }

    /// Returns the worker's evaluation assignment.
    pub(crate) fn assign(
        &mut self,
        holder: LeaseHolder,
        terms: &Terms,
        now: Instant,
    ) -> Result<AssignedEvaluation, PsError> {
        self.leased_worker(holder, now)?;
        let answer = self.answer(holder.worker, 0);
        let stopping = self.is_stopping();
        let asked = |assignment, frozen| AssignedEvaluation { answer, assignment, frozen };
        let Some(evaluations) = self.evaluations.as_ref().filter(|_| !stopping) else {
            return Ok(asked(Assignment::Over, None));
        };
        Ok(match &evaluations.open {
            Some(OpenEvaluation { epoch, frozen: Some(frozen), waiting, .. })
                if waiting.contains(&holder.worker) =>
            {
                asked(Assignment::Score { epoch: *epoch }, Some(Arc::clone(frozen)))
            }
            None if evaluations.next >= terms.epochs => asked(Assignment::Over, None),
            _ => asked(Assignment::Wait, None),
        })
    }

    /// Stores a worker's scores. Scores of an epoch that is not open, or that the worker has already sent, change
    /// nothing.
    pub(crate) fn score(
        &mut self,
        holder: LeaseHolder,
        epoch: u32,
        numbers: &[f64],
        now: Instant,
    ) -> Result<(), PsError> {
        let held_out = self.leased_worker(holder, now)?.registration.held_out;
        let refused = |problem: &str| {
            let worker = holder.worker;
            Err(PsError::Protocol(format!(
                "worker {worker}: the scores of epoch {epoch}: {problem}"
            )))
        };
        let Some(evaluations) = &mut self.evaluations else {
            return refused("this fit has no evaluation");
        };
        let Some(sums) = evaluations.set.decode(numbers) else {
            return refused("the sums do not match the fit's metrics");
        };
        if sums.rows() > held_out {
            return refused("they cover more rows than were held out");
        }
        if let Some(open) = evaluations.open.as_mut().filter(|open| open.epoch == epoch)
            && open.waiting.remove(&holder.worker)
        {
            open.scores.insert(holder.worker, sums);
        }
        Ok(())
    }

    /// Returns true if the worker's held-out rows are to be scored, and the number of learning-rate reductions.
    pub(super) fn requests_for(&self, worker: WorkerId) -> (bool, u32) {
        match &self.evaluations {
            Some(evaluations) => {
                (!self.is_stopping() && evaluations.waits_for(worker), evaluations.reductions)
            }
            None => (false, 0),
        }
    }
}
