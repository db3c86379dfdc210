//! Everything that changes under the control lock: leases, sequence numbers, progress, versions and turns.

mod evaluations;
mod leases;
mod report;
mod rounds;
mod saved;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use firesteel_core::epoch_monitor::StopReason;
use firesteel_core::schedule::{TrainingStep, learning_rate};
use firesteel_core::spec::{ClippingSpec, ScheduleSpec, WarmupSpec};
use firesteel_core::strategy::{CommitSchedule, Weight};
use firesteel_core::{Answer, Coded, ErrorCode, Position, Tally, WorkerId};

use crate::error::PsError;
use crate::store::journal::Journal;
use crate::store::status::{ResumedStatus, STALENESS_BINS};
use crate::store::turn::{Progress, Turn};
use crate::store::worker::{Activity, LeaseTerms, Worker};
use crate::wire::{Decision, Window};

pub(crate) use evaluations::{Evaluations, Freeze, SavedEvaluations};
pub(crate) use rounds::Closing;

/// The most warnings that are kept.
const MAX_WARNINGS: usize = 100;

/// What is fixed for a fit.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) fit: String,
    pub(crate) workers: u32,
    pub(crate) epochs: u32,
    pub(crate) commit_schedule: CommitSchedule,
    pub(crate) weight: Weight,
    /// When the store was made, and how long rounds wait from then on for all workers to start.
    pub(crate) opened: Instant,
    pub(crate) start_timeout: Duration,
    /// The strategy's name.
    pub(crate) strategy: &'static str,
    /// Whether every worker trains a model of its own.
    pub(crate) keeps_members: bool,
    /// Whether the optimizer is here, and steps on the mean gradient.
    pub(crate) steps: bool,
    /// Whether the server's side of a round follows the schedule.
    pub(crate) follows: bool,
    pub(crate) schedule: Schedule,
    pub(crate) clipping: ClippingSpec,
    /// How long the training may take.
    pub(crate) most: Option<Duration>,
    pub(crate) lease: LeaseTerms,
    /// The stops of a [`Turn`].
    pub(crate) stops: usize,
    /// Bytes of a message as f32 by those that are sent.
    pub(crate) compression_ratio: f64,
}

/// What the learning rate of a mini-batch follows from.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// The optimizer's rate, if the fit's optimizer is known here.
    pub(crate) base: Option<f64>,
    pub(crate) schedule: ScheduleSpec,
    pub(crate) warmup: Option<WarmupSpec>,
}

impl Schedule {
    /// The learning rate of a window's last mini-batch.
    fn rate(&self, window: &Window, batches: u32, reductions: u32) -> Option<f64> {
        let Window { span, .. } = window;
        let batch = (span.start.batch + span.batches).saturating_sub(1);
        let step = TrainingStep { epoch: span.start.epoch, batch, batches, reductions };
        Some(learning_rate(&self.schedule, self.warmup.as_ref(), self.base?, step))
    }
}

/// Who speaks: an attempt of a worker over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Speaker {
    pub(crate) worker: WorkerId,
    pub(crate) attempt: i64,
    pub(crate) session: u64,
}

/// Whether a window is committed, saved or given to a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Commit,
    Save,
    Contribute,
}

/// A window that asks to be applied.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) deed: Deed,
    pub(crate) window: &'a Window,
    /// Whether all of its numbers are finite, or which is not.
    pub(crate) finite: Result<(), String>,
    /// Whether the worker takes the center variable that results.
    pub(crate) pull: bool,
}

/// What became of a registration.
#[derive(Debug)]
pub(crate) enum Grant {
    /// It has the lease and goes on here.
    Granted(Position, Arc<Activity>),
    /// Another attempt holds it.
    Held,
}

/// An answer, and the number of the decision by which the other shards give what belongs to it; 0 where there are none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decided {
    pub(crate) answer: Answer,
    pub(crate) ticket: u64,
}

/// What became of a window.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It is to be applied in this turn.
    Apply(Turn, Decided, Option<Freeze>),
    /// It was applied before and answered so.
    Repeat(Answer),
}

#[derive(Clone, Copy, Debug, Default)]
struct EpochTotal {
    rows: u64,
    tally: Tally,
    /// The sum of the learning rates with which workers ended it, and their number.
    rates: (f64, u32),
}

/// The state under the control lock.
#[derive(Debug, Default)]
pub(crate) struct Control {
    version: u64,
    tail: Option<Arc<Progress>>,
    workers: BTreeMap<WorkerId, Worker>,
    /// Attempts that Spark reported ended, by partition.
    ended: BTreeMap<u32, BTreeSet<i64>>,
    epochs: Vec<EpochTotal>,
    histogram: Vec<u64>,
    commits: u64,
    pulls: u64,
    warnings: Vec<String>,
    failure: Option<(ErrorCode, String)>,
    stop: Option<StopReason>,
    /// Since when the training runs, and how long it had run before it was interrupted.
    clock: Option<Instant>,
    earlier: Duration,
    /// When the training's time is over, once it has begun.
    deadline: Option<Instant>,
    /// What follows from the epochs' ends, where anything does.
    evaluations: Option<Evaluations>,
    /// What the other shards are to follow, where there are any.
    pub(crate) journal: Option<Journal>,
    /// Where an interrupted fit had got to, if this one goes on from it.
    resumed: Option<ResumedStatus>,
    /// The server is closing: nobody waits any longer.
    pub(crate) closed: bool,
}

impl Control {
    /// Nothing has happened yet.
    pub(crate) fn new(evaluations: Option<Evaluations>) -> Self {
        Self { evaluations, ..Self::default() }
    }

    /// Keeps a warning for the user, unless there are too many.
    pub(crate) fn warn(&mut self, warning: String) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(warning);
        }
    }

    /// Takes a turn for reading the center variable.
    pub(crate) fn pull(
        &mut self,
        terms: &Terms,
        speaker: Speaker,
        now: Instant,
    ) -> Result<(Turn, Decided), PsError> {
        let version = self.version;
        self.holder(speaker, now)?.pulled = version;
        self.pulls += 1;
        let ticket = self.decide(|| Decision::Read { worker: speaker.worker, round: false });
        let answer = self.answer(speaker.worker, 0);
        Ok((Turn::behind(&mut self.tail, terms.stops), Decided { answer, ticket }))
    }

    /// Takes a turn for reading the center variable outside of any worker, or on behalf of one.
    pub(crate) fn view(&mut self, terms: &Terms, worker: WorkerId) -> (Turn, u64, u64) {
        let ticket = self.decide(|| Decision::Read { worker, round: false });
        (Turn::behind(&mut self.tail, terms.stops), self.version, ticket)
    }

    /// Has the other shards follow a decision, in the order of turns. Returns its number; 0 where there are none.
    fn decide(&mut self, decision: impl FnOnce() -> Decision) -> u64 {
        self.journal.as_mut().map_or(0, |journal| journal.append(decision()))
    }

    /// Enters a window, once, and takes the turn in which it is to be applied.
    pub(crate) fn admit(
        &mut self,
        terms: &Terms,
        speaker: Speaker,
        entry: Entry<'_>,
        now: Instant,
    ) -> Result<Admission, PsError> {
        if let Some(answer) = self.examine(terms, speaker, &entry, now)? {
            return Ok(Admission::Repeat(answer));
        }
        let Entry { deed, window, pull, .. } = entry;
        let version = self.version;
        let worker = self.holder(speaker, now)?;
        let staleness = if deed == Deed::Save { 0 } else { version - worker.pulled };
        let answer = Answer { version: version + 1, staleness, ..Answer::default() };
        let rate = terms.schedule.rate(window, worker.registration.batches, worker.told);
        worker.record(window, answer, speaker.attempt, rate);
        let ended = worker.position.batch == 0;
        let rate = rate.filter(|_| ended);
        if pull {
            worker.pulled = version + 1;
            self.pulls += 1;
        }
        self.version += 1;
        self.commits += 1;
        self.count(window, staleness, rate);
        let Speaker { worker, attempt, .. } = speaker;
        let sequence = window.sequence;
        let mut ticket = self.decide(|| Decision::Apply { worker, attempt, sequence, staleness });
        if pull {
            ticket = self.decide(|| Decision::Read { worker, round: false });
        }
        let turn = Turn::behind(&mut self.tail, terms.stops);
        if ended {
            self.check_trained_all(terms);
        }
        // Right behind the window that ended the epoch, so that nothing of the next one is in it but what others have
        // committed.
        let freeze = if ended { self.advance(terms, now) } else { None };
        let answer = self.complete(worker, answer);
        Ok(Admission::Apply(turn, Decided { answer, ticket }, freeze))
    }

    /// Fails the fit with what a shard found in the worker's next window.
    pub(crate) fn flawed(
        &mut self,
        terms: &Terms,
        speaker: Speaker,
        window: &Window,
        problem: String,
        now: Instant,
    ) -> Result<(), PsError> {
        let deed = deed_of(terms.commit_schedule).0;
        let entry = Entry { deed, window, finite: Err(problem), pull: false };
        self.examine(terms, speaker, &entry, now).map(|_| ())
    }

    /// Fails unless a window is the worker's next one and finite; gives the answer of one that was applied before.
    fn examine(
        &mut self,
        terms: &Terms,
        speaker: Speaker,
        entry: &Entry<'_>,
        now: Instant,
    ) -> Result<Option<Answer>, PsError> {
        let Entry { deed, window, finite, .. } = entry;
        let worker = self.holder(speaker, now)?;
        let refused = |problem: String| {
            PsError::Protocol(format!(
                "worker {}: window {}: {problem}",
                speaker.worker, window.sequence
            ))
        };
        let (last, recorded) = worker.last;
        if window.sequence == last && last > 0 {
            return Ok(Some(self.complete(speaker.worker, recorded)));
        }
        if window.sequence != last + 1 {
            return Err(refused(format!("the next one is {}", last + 1)));
        }
        let (wanted, does) = deed_of(terms.commit_schedule);
        if *deed != wanted {
            return Err(refused(format!("strategy '{}' {does}, and nothing else", terms.strategy)));
        }
        worker.check(window, terms.epochs)?;
        if let Err(problem) = finite {
            let Window { span, sequence, .. } = window;
            let error = PsError::Diverged(format!(
                "worker {}, epoch {}, window {sequence} from mini-batch {}: {problem}",
                speaker.worker, span.start.epoch, span.start.batch
            ));
            self.fail(error.code(), &error.to_string());
            return Err(error);
        }
        Ok(None)
    }

    /// Adds a window to the totals, with the learning rate of its last mini-batch where that ends an epoch.
    fn count(&mut self, window: &Window, staleness: u64, rate: Option<f64>) {
        let bin = usize::try_from(staleness).unwrap_or(usize::MAX).min(STALENESS_BINS - 1);
        if self.histogram.len() <= bin {
            self.histogram.resize(bin + 1, 0);
        }
        self.histogram[bin] += 1;
        let epoch = window.span.start.epoch as usize;
        if self.epochs.len() <= epoch {
            self.epochs.resize(epoch + 1, EpochTotal::default());
        }
        self.epochs[epoch].rows += window.span.rows;
        self.epochs[epoch].tally.add(window.tally);
        if let Some(rate) = rate {
            self.epochs[epoch].rates.0 += rate;
            self.epochs[epoch].rates.1 += 1;
        }
    }

    /// Renews the lease and notes the progress of the open window.
    pub(crate) fn heartbeat(
        &mut self,
        speaker: Speaker,
        position: Position,
        rows: u64,
        tally: Tally,
        now: Instant,
    ) -> Result<Answer, PsError> {
        let worker = self.holder(speaker, now)?;
        if position < worker.position {
            return Err(PsError::Protocol(format!(
                "worker {}: a heartbeat from before its last commit",
                speaker.worker
            )));
        }
        worker.open = (rows, tally);
        Ok(self.answer(speaker.worker, 0))
    }

    /// Renews the lease while its holder waits inside the server.
    pub(crate) fn renew(&mut self, speaker: Speaker, now: Instant) -> Result<(), PsError> {
        self.holder(speaker, now).map(|_| ())
    }

    /// Gives the lease back.
    pub(crate) fn finish(
        &mut self,
        terms: &Terms,
        speaker: Speaker,
        now: Instant,
    ) -> Result<(), PsError> {
        if self
            .workers
            .get(&speaker.worker)
            .is_some_and(|worker| worker.finished && worker.registration.attempt == speaker.attempt)
        {
            return Ok(());
        }
        let stop = self.stops();
        let worker = self.holder(speaker, now)?;
        if worker.position.epoch < terms.epochs && !stop {
            return Err(PsError::Protocol(format!(
                "worker {} finishes at epoch {} mini-batch {} of {} epochs",
                speaker.worker, worker.position.epoch, worker.position.batch, terms.epochs
            )));
        }
        worker.finished = true;
        worker.lease = None;
        worker.pending = None;
        Ok(())
    }

    /// Notes why the fit must fail; the first reason stands.
    pub(crate) fn fail(&mut self, code: ErrorCode, message: &str) {
        self.failure.get_or_insert_with(|| (code, message.to_owned()));
    }

    /// The worker of a speaker that holds its lease, which is renewed.
    fn holder(&mut self, speaker: Speaker, now: Instant) -> Result<&mut Worker, PsError> {
        let Speaker { worker: id, attempt, session } = speaker;
        self.check_time(now);
        let Some(worker) = self.workers.get_mut(&id) else {
            return Err(PsError::Internal(format!("worker {id} speaks without having registered")));
        };
        let newest = worker.registration.attempt;
        match &mut worker.lease {
            Some(lease) if lease.attempt == attempt => {
                lease.seen = now;
                if lease.session == session {
                    lease.closed = None;
                }
                Ok(worker)
            }
            _ if newest > attempt => {
                Err(fenced(id, attempt, &format!("attempt {newest} has taken over")))
            }
            _ if worker.finished => Err(fenced(id, attempt, "the worker has finished")),
            _ => Err(fenced(id, attempt, "Spark reported it ended")),
        }
    }

    /// What a worker that holds its lease is answered.
    pub(crate) fn answer_to(&mut self, speaker: Speaker, now: Instant) -> Result<Answer, PsError> {
        self.holder(speaker, now)?;
        Ok(self.answer(speaker.worker, 0))
    }

    fn answer(&mut self, worker: WorkerId, staleness: u64) -> Answer {
        let answer = Answer { version: self.version, staleness, ..Answer::default() };
        self.complete(worker, answer)
    }

    /// An answer with what is asked of the worker by now.
    fn complete(&mut self, worker: WorkerId, answer: Answer) -> Answer {
        let (evaluation, reductions) = self.asks(worker);
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.told = reductions;
        }
        Answer { stop: self.stops(), evaluation, reductions, ..answer }
    }

    fn stops(&self) -> bool {
        self.stop.is_some() || self.failure.is_some()
    }
}

/// What the workers of a strategy do with their windows.
fn deed_of(commit_schedule: CommitSchedule) -> (Deed, &'static str) {
    match commit_schedule {
        CommitSchedule::Window(_) => (Deed::Commit, "commits"),
        CommitSchedule::Round(_) => (Deed::Contribute, "contributes to rounds"),
        CommitSchedule::Save => (Deed::Save, "saves"),
    }
}

fn fenced(worker: WorkerId, attempt: i64, reason: &str) -> PsError {
    PsError::Fenced { worker, attempt, reason: reason.to_owned() }
}
