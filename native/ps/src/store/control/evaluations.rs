//! The epochs' ends: held-out rows are scored on a frozen center variable, and what follows is decided.
//!
//! When every worker has trained an epoch, the center variable and its buffers are frozen: a reference, not a copy. Workers
//! that hold rows out score them on it and send sums; with the last of them the epoch is judged. Training goes on
//! meanwhile, and a worker that has trained all of its epochs stays until all are judged.
//!
//! Nobody is waited for who may not come: a worker that lost its lease, or never started, holds an epoch's end up for as
//! long as a lease lasts, and the others go on without it. Its retry scores what is still open.

mod saved;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use firesteel_core::epoch_monitor::{EpochMonitor, StopReason};
use firesteel_core::metrics::{MetricSet, MetricSums};
use firesteel_core::spec::{ControlError, Monitor, ServerSpec};
use firesteel_core::{Answer, Assignment, ErrorCode, WorkerId};

use super::{Control, Speaker, Terms};
use crate::error::PsError;
use crate::store::evaluation::Frozen;
use crate::store::status::ValidationStatus;
use crate::store::turn::Turn;

pub(crate) use self::saved::SavedEvaluations;

/// The ends of a fit's epochs.
#[derive(Debug)]
pub(crate) struct Evaluations {
    judge: EpochMonitor,
    set: MetricSet,
    /// Whether rows are held out.
    pub(super) validated: bool,
    /// Whether something depends on what an epoch comes to.
    judged: bool,
    restore_best: bool,
    /// The next epoch to end.
    next: u32,
    open: Option<Open>,
    /// Since when workers that never started are all that is waited for.
    unstarted: Option<Instant>,
    best: Option<Best>,
    reductions: u32,
    ended: Vec<Ended>,
}

/// An epoch that is being scored.
#[derive(Debug)]
struct Open {
    epoch: u32,
    version: u64,
    /// `None` until it has been read.
    frozen: Option<Arc<Frozen>>,
    /// Whose scores are missing.
    waiting: BTreeSet<WorkerId>,
    scores: BTreeMap<WorkerId, MetricSums>,
}

/// An epoch that has been judged.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) version: u64,
    /// Over all workers, confusion matrices included; `None` where no rows are held out.
    pub(crate) all: Option<ValidationStatus>,
    /// Without matrices.
    pub(crate) by_worker: BTreeMap<WorkerId, ValidationStatus>,
}

/// The best epoch so far.
#[derive(Clone, Debug)]
pub(crate) struct Best {
    pub(crate) epoch: u32,
    pub(crate) version: u64,
    /// Its model, where it is to be restored.
    pub(crate) frozen: Option<Arc<Frozen>>,
}

/// The center variable is to be frozen in this turn, for this epoch. Dropped, it lets those behind it pass.
#[derive(Debug)]
pub(crate) struct Freeze {
    pub(crate) turn: Turn,
    pub(crate) epoch: u32,
}

/// What is asked of a worker, with the frozen center variable where it is to be scored.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) answer: Answer,
    pub(crate) assignment: Assignment,
    pub(crate) frozen: Option<Arc<Frozen>>,
}

impl Evaluations {
    /// `None` where nothing depends on the end of an epoch.
    pub(crate) fn new(spec: &ServerSpec) -> Result<Option<Self>, ControlError> {
        let ServerSpec { controls, data, network, .. } = spec;
        let validated = data.validation.is_some();
        let judged = controls.monitors_epochs();
        if !(validated || judged) {
            return Ok(None);
        }
        Ok(Some(Self {
            judge: EpochMonitor::new(controls, validated),
            set: MetricSet::new(controls, &data.labels, network.outputs())?,
            validated,
            judged,
            restore_best: controls.stopping.restore_best,
            next: 0,
            open: None,
            unstarted: None,
            best: None,
            reductions: 0,
            ended: Vec::new(),
        }))
    }

    /// How many numbers a worker's sums over its held-out rows take.
    pub(crate) fn numbers(&self) -> usize {
        self.set.encoded_len()
    }

    /// The epochs that have been judged, in order.
    pub(crate) fn ended(&self) -> &[Ended] {
        &self.ended
    }

    pub(crate) fn best(&self) -> Option<&Best> {
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
    /// Judges the open epoch if nobody's scores are missing any longer, and freezes the next one if it is due.
    pub(crate) fn advance(&mut self, terms: &Terms, now: Instant) -> Option<Freeze> {
        if self.evaluations.is_none() || self.stops() {
            return None;
        }
        self.note_absent(terms, now);
        self.forget_absent(terms, now);
        self.judge_open();
        self.freeze(terms, now)
    }

    /// Notes since when workers have had no lease.
    fn note_absent(&mut self, terms: &Terms, now: Instant) {
        for worker in self.workers.values_mut() {
            if worker.finished || worker.is_live(now, terms.lease) {
                worker.absent = None;
            } else if worker.started {
                worker.absent.get_or_insert(now);
            }
        }
    }

    /// Takes the turn in which the center variable is frozen, if all workers have trained the next epoch.
    pub(crate) fn freeze(&mut self, terms: &Terms, now: Instant) -> Option<Freeze> {
        let started = self.started();
        let evaluations = self.evaluations.as_mut()?;
        let epoch = evaluations.next;
        if evaluations.open.is_some() || epoch >= terms.epochs {
            return None;
        }
        let patient = |since: Instant| now.saturating_duration_since(since) < terms.lease.silence;
        let mut through = false;
        let mut without = Vec::new();
        for (id, worker) in &self.workers {
            let here = worker.finished || worker.is_live(now, terms.lease);
            if worker.position.epoch > epoch {
                through |= here;
            } else if !worker.started {
                // Of a fit that was interrupted, and not back yet.
            } else if here || worker.absent.is_none_or(patient) {
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
            if patient(*evaluations.unstarted.get_or_insert(now)) {
                return None;
            }
            without.push(format!("{unstarted} that have not started"));
        }
        let waiting = self.workers.iter().filter(|(_, worker)| {
            // A worker without rows to train has no model of its own.
            let model = !terms.keeps_members || worker.registration.batches > 0;
            let scores = worker.registration.held_out > 0 && model;
            scores && worker.started && !worker.finished && worker.position.epoch > epoch
        });
        evaluations.open = Some(Open {
            epoch,
            version: self.version,
            frozen: None,
            waiting: waiting.map(|(id, _)| *id).collect(),
            scores: BTreeMap::new(),
        });
        if !without.is_empty() {
            self.warn(format!(
                "epoch {epoch} is judged without workers {}, which have not trained it",
                without.join(", ")
            ));
        }
        Some(Freeze { turn: Turn::behind(&mut self.tail, terms.stops), epoch })
    }

    /// Takes what was frozen for an epoch, which is judged at once if nobody scores it.
    pub(crate) fn frozen(&mut self, epoch: u32, frozen: Frozen) {
        let open = self.evaluations.as_mut().and_then(|evaluations| evaluations.open.as_mut());
        if let Some(open) = open.filter(|open| open.epoch == epoch) {
            // Of an ensemble, a worker may not have saved a model yet.
            open.waiting.retain(|worker| frozen.has(*worker));
            open.frozen = Some(Arc::new(frozen));
        }
        self.judge_open();
    }

    /// Gives up on the scores of workers that have been absent for too long.
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
                "epoch {epoch} is judged without the held-out rows of worker {id}, which has gone"
            ));
        }
    }

    /// Judges the open epoch if all scores are there.
    fn judge_open(&mut self) {
        let Some(evaluations) = &mut self.evaluations else { return };
        let ready = |open: &mut Open| open.waiting.is_empty() && open.frozen.is_some();
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
        let ended = Ended {
            version: open.version,
            all: validated.then(|| ValidationStatus::of(&evaluations.set, open.version, &sums)),
            by_worker: by_worker.collect(),
        };
        evaluations.ended.push(ended);
        if empty {
            self.judge_nothing(open.epoch);
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
            evaluations.best = Some(Best { epoch: open.epoch, version: open.version, frozen });
        }
        if let Some(reason) = verdict.stop {
            self.stop_for(reason);
        }
    }

    /// An epoch without a single score: it says nothing, and if nobody holds rows out, none ever will.
    fn judge_nothing(&mut self, epoch: u32) {
        let held_out = self.workers.values().any(|worker| worker.registration.held_out > 0);
        let judged = self.evaluations.as_ref().is_some_and(|evaluations| evaluations.judged);
        if held_out {
            self.warn(format!("epoch {epoch} is not judged: no held-out row was scored"));
        } else if judged {
            self.fail(
                ErrorCode::InvalidData,
                "no row is held out for validation, but the schedule or the stopping depends on such rows: mark some, or \
                 hold a larger fraction out",
            );
        } else if epoch == 0 {
            self.warn("no row is held out for validation: there are no metrics".to_owned());
        }
    }

    /// What is asked of a worker's held-out rows.
    pub(crate) fn assign(
        &mut self,
        speaker: Speaker,
        terms: &Terms,
        now: Instant,
    ) -> Result<Asked, PsError> {
        self.holder(speaker, now)?;
        let answer = self.answer(speaker.worker, 0);
        let stops = self.stops();
        let asked = |assignment, frozen| Asked { answer, assignment, frozen };
        let Some(evaluations) = self.evaluations.as_ref().filter(|_| !stops) else {
            return Ok(asked(Assignment::Over, None));
        };
        Ok(match &evaluations.open {
            Some(Open { epoch, frozen: Some(frozen), waiting, .. })
                if waiting.contains(&speaker.worker) =>
            {
                asked(Assignment::Score { epoch: *epoch }, Some(Arc::clone(frozen)))
            }
            None if evaluations.next >= terms.epochs => asked(Assignment::Over, None),
            _ => asked(Assignment::Wait, None),
        })
    }

    /// Takes a worker's scores. Those of an epoch that is not open, or that it has given, change nothing.
    pub(crate) fn score(
        &mut self,
        speaker: Speaker,
        epoch: u32,
        numbers: &[f64],
        now: Instant,
    ) -> Result<(), PsError> {
        let held_out = self.holder(speaker, now)?.registration.held_out;
        let refused = |problem: &str| {
            let worker = speaker.worker;
            Err(PsError::Protocol(format!(
                "worker {worker}: the scores of epoch {epoch}: {problem}"
            )))
        };
        let Some(evaluations) = &mut self.evaluations else {
            return refused("nothing is scored in this fit");
        };
        let Some(sums) = evaluations.set.decode(numbers) else {
            return refused("these are not the sums of the fit's metrics");
        };
        if sums.rows() > held_out {
            return refused("more rows than were held out");
        }
        if let Some(open) = evaluations.open.as_mut().filter(|open| open.epoch == epoch)
            && open.waiting.remove(&speaker.worker)
        {
            open.scores.insert(speaker.worker, sums);
        }
        Ok(())
    }

    /// Whether a worker's held-out rows are to be scored, and how often the learning rate has been reduced.
    pub(super) fn asks(&self, worker: WorkerId) -> (bool, u32) {
        match &self.evaluations {
            Some(evaluations) => {
                (!self.stops() && evaluations.waits_for(worker), evaluations.reductions)
            }
            None => (false, 0),
        }
    }

    /// Ends the training for a reason; the first one stands.
    pub(crate) fn stop_for(&mut self, reason: StopReason) {
        self.stop.get_or_insert(reason);
    }

    /// Ends the training when its time is over.
    pub(super) fn check_time(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            self.stop_for(StopReason::MaxSeconds);
        }
    }

    /// How long the training has run, before an interruption and since.
    pub(super) fn trained_for(&self, now: Instant) -> Duration {
        let since = self.clock.map(|start| now.saturating_duration_since(start));
        self.earlier.saturating_add(since.unwrap_or_default())
    }

    /// Stops the clock when every worker has trained everything: what is left is to judge it.
    pub(super) fn check_trained_all(&mut self, terms: &Terms) {
        let all = self.workers.len() == terms.workers as usize;
        if all && self.workers.values().all(|worker| worker.position.epoch >= terms.epochs) {
            self.deadline = None;
        }
    }

    /// Starts the clock with the first worker. What it took before it was interrupted counts.
    pub(super) fn start_clock(&mut self, most: Option<Duration>, now: Instant) {
        if self.clock.is_some() {
            return;
        }
        self.clock = Some(now);
        if let Some(most) = most {
            self.deadline = now.checked_add(most.saturating_sub(self.earlier));
        }
    }
}
