//! The state under the control lock: leases, sequence numbers, progress, versions and tickets.

mod clock;
mod evaluations;
mod leases;
mod progress;
mod report;
mod rounds;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use firesteel_core::epoch_monitor::StopReason;
use firesteel_core::strategy::Protocol;
use firesteel_core::{Answer, Coded, ErrorCode, Position, Tally, WorkerId};

use crate::error::PsError;
use crate::model::status::{ResumedStatus, STALENESS_BINS};
use crate::model::{Decision, WindowReport};
use crate::store::decision_log::DecisionLog;
use crate::store::terms::Terms;
use crate::store::ticket::{Ticket, TicketProgress};
use crate::store::worker::{Activity, WorkerRecord};

pub(crate) use evaluations::{Evaluations, FreezeTicket, SavedEvaluations};
pub(crate) use rounds::ClosingRound;

/// The maximum number of warnings that are kept.
const MAX_WARNINGS: usize = 100;

/// The holder of a lease: an attempt of a worker on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeaseHolder {
    pub(crate) worker: WorkerId,
    pub(crate) attempt: i64,
    pub(crate) session: u64,
}

/// The kind of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpdateKind {
    Commit,
    Save,
    Contribute,
}

/// An update whose numbers have been checked.
#[derive(Clone, Debug)]
pub(crate) struct CheckedUpdate<'a> {
    pub(crate) kind: UpdateKind,
    pub(crate) window: &'a WindowReport,
    /// `Ok` if all numbers are finite, otherwise a description of the first that is not.
    pub(crate) finite: Result<(), String>,
    /// True if the worker also reads the resulting center variable.
    pub(crate) pull: bool,
}

/// The outcome of a registration.
#[derive(Debug)]
pub(crate) enum RegisterOutcome {
    /// The attempt holds the lease and continues at this position.
    Granted(Position, Arc<Activity>),
    /// Another attempt holds the lease.
    Held,
}

/// An answer, and the number of the decision by which the other shards hold their parts of it; 0 without shards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DecidedAnswer {
    pub(crate) answer: Answer,
    pub(crate) decision: u64,
}

/// The outcome of admitting an update.
#[derive(Debug)]
pub(crate) enum Admission {
    /// The update is to be applied in the order of this ticket.
    Apply(Ticket, DecidedAnswer, Option<FreezeTicket>),
    /// The update was applied before, with this answer.
    Repeat(Answer),
}

#[derive(Clone, Copy, Debug, Default)]
struct EpochTotal {
    rows: u64,
    tally: Tally,
    /// The sum of the learning rates with which workers ended the epoch, and the number of those workers.
    rates: (f64, u32),
}

/// The state under the control lock.
#[derive(Debug, Default)]
pub(crate) struct Control {
    version: u64,
    tail: Option<Arc<TicketProgress>>,
    workers: BTreeMap<WorkerId, WorkerRecord>,
    /// The attempts that Spark reported ended, by partition.
    ended: BTreeMap<u32, BTreeSet<i64>>,
    epochs: Vec<EpochTotal>,
    histogram: Vec<u64>,
    commits: u64,
    pulls: u64,
    warnings: Vec<String>,
    failure: Option<(ErrorCode, String)>,
    stop: Option<StopReason>,
    /// The start of the training in this process, and the time it had run before an interruption.
    clock: Option<Instant>,
    earlier: Duration,
    /// The end of the training's time limit, once the training has started.
    deadline: Option<Instant>,
    /// The evaluation of epochs, if anything depends on it.
    evaluations: Option<Evaluations>,
    /// The decisions for the other shards, if there are any.
    pub(crate) decision_log: Option<DecisionLog>,
    /// The progress at which an interrupted fit resumed, if this fit resumed from a checkpoint.
    resumed: Option<ResumedStatus>,
    /// True once the server is closing; nothing waits any longer.
    pub(crate) closed: bool,
}

impl Control {
    /// Creates the state of a fit that has not started.
    pub(crate) fn new(evaluations: Option<Evaluations>) -> Self {
        Self { evaluations, ..Self::default() }
    }

    /// Keeps a warning for the user, unless there are too many.
    pub(crate) fn warn(&mut self, warning: String) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(warning);
        }
    }

    /// Issues a ticket for a worker's pull.
    pub(crate) fn pull(
        &mut self,
        terms: &Terms,
        holder: LeaseHolder,
        now: Instant,
    ) -> Result<(Ticket, DecidedAnswer), PsError> {
        let version = self.version;
        self.leased_worker(holder, now)?.pulled = version;
        self.pulls += 1;
        let decision = self.decide(|| Decision::Read { worker: holder.worker, round: false });
        let answer = self.answer(holder.worker, 0);
        Ok((Ticket::issue(&mut self.tail, terms.ticket_steps), DecidedAnswer { answer, decision }))
    }

    /// Issues a ticket for reading the center variable on behalf of the driver or of a worker.
    pub(crate) fn view(&mut self, terms: &Terms, worker: WorkerId) -> (Ticket, u64, u64) {
        let decision = self.decide(|| Decision::Read { worker, round: false });
        (Ticket::issue(&mut self.tail, terms.ticket_steps), self.version, decision)
    }

    /// Logs a decision for the other shards, in the order of the tickets. Returns its number; 0 without shards.
    fn decide(&mut self, decision: impl FnOnce() -> Decision) -> u64 {
        self.decision_log.as_mut().map_or(0, |decision_log| decision_log.append(decision()))
    }

    /// Records an update exactly once, and issues the ticket to apply it.
    pub(crate) fn admit(
        &mut self,
        terms: &Terms,
        holder: LeaseHolder,
        update: CheckedUpdate<'_>,
        now: Instant,
    ) -> Result<Admission, PsError> {
        if let Some(answer) = self.examine(terms, holder, &update, now)? {
            return Ok(Admission::Repeat(answer));
        }
        let CheckedUpdate { kind, window, pull, .. } = update;
        let version = self.version;
        let worker = self.leased_worker(holder, now)?;
        let staleness = if kind == UpdateKind::Save { 0 } else { version - worker.pulled };
        let answer = Answer { version: version + 1, staleness, ..Answer::default() };
        let rate =
            terms.schedule.rate(window, worker.registration.batches, worker.reductions_known);
        worker.record(window, answer, holder.attempt, rate);
        let ended = worker.position.batch == 0;
        let rate = rate.filter(|_| ended);
        if pull {
            worker.pulled = version + 1;
            self.pulls += 1;
        }
        self.version += 1;
        self.commits += 1;
        self.count(window, staleness, rate);
        let LeaseHolder { worker, attempt, .. } = holder;
        let sequence = window.sequence;
        let mut decision = self.decide(|| Decision::Apply { worker, attempt, sequence, staleness });
        if pull {
            decision = self.decide(|| Decision::Read { worker, round: false });
        }
        let ticket = Ticket::issue(&mut self.tail, terms.ticket_steps);
        if ended {
            self.check_trained_all(terms);
        }
        // Directly behind the window that ended the epoch, so that the frozen model contains nothing of the next epoch
        // but other workers' commits.
        let freeze = if ended { self.advance(terms, now) } else { None };
        let answer = self.complete(worker, answer);
        Ok(Admission::Apply(ticket, DecidedAnswer { answer, decision }, freeze))
    }

    /// Fails the fit because a shard found a number that is not finite in the worker's next window.
    pub(crate) fn flawed(
        &mut self,
        terms: &Terms,
        holder: LeaseHolder,
        window: &WindowReport,
        problem: String,
        now: Instant,
    ) -> Result<(), PsError> {
        let kind = expected_kind(terms.protocol).0;
        let update = CheckedUpdate { kind, window, finite: Err(problem), pull: false };
        self.examine(terms, holder, &update, now).map(|_| ())
    }

    /// Fails if a window is not the worker's next one or not finite; returns the answer of a window that was applied
    /// before.
    fn examine(
        &mut self,
        terms: &Terms,
        holder: LeaseHolder,
        update: &CheckedUpdate<'_>,
        now: Instant,
    ) -> Result<Option<Answer>, PsError> {
        let CheckedUpdate { kind, window, finite, .. } = update;
        let worker = self.leased_worker(holder, now)?;
        let refused = |problem: String| {
            PsError::Protocol(format!(
                "worker {}: window {}: {problem}",
                holder.worker, window.sequence
            ))
        };
        let (last, recorded) = worker.last;
        if window.sequence == last && last > 0 {
            return Ok(Some(self.complete(holder.worker, recorded)));
        }
        if window.sequence != last + 1 {
            return Err(refused(format!("the next window is {}", last + 1)));
        }
        let (wanted, does) = expected_kind(terms.protocol);
        if *kind != wanted {
            return Err(refused(format!("strategy '{}' only {does}", terms.strategy)));
        }
        worker.check(window, terms.epochs)?;
        if let Err(problem) = finite {
            let WindowReport { span, sequence, .. } = window;
            let error = PsError::Diverged(format!(
                "worker {}, epoch {}, window {sequence} from mini-batch {}: {problem}",
                holder.worker, span.start.epoch, span.start.batch
            ));
            self.fail(error.code(), &error.to_string());
            return Err(error);
        }
        Ok(None)
    }

    /// Adds a window to the totals, and the learning rate of its last mini-batch if it ends an epoch.
    fn count(&mut self, window: &WindowReport, staleness: u64, rate: Option<f64>) {
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

    /// Fails the fit; only the first reason is kept.
    pub(crate) fn fail(&mut self, code: ErrorCode, message: &str) {
        self.failure.get_or_insert_with(|| (code, message.to_owned()));
    }

    /// Returns an answer for a worker that holds its lease.
    pub(crate) fn answer_to(
        &mut self,
        holder: LeaseHolder,
        now: Instant,
    ) -> Result<Answer, PsError> {
        self.leased_worker(holder, now)?;
        Ok(self.answer(holder.worker, 0))
    }

    fn answer(&mut self, worker: WorkerId, staleness: u64) -> Answer {
        let answer = Answer { version: self.version, staleness, ..Answer::default() };
        self.complete(worker, answer)
    }

    /// Adds the requests for the worker to an answer.
    fn complete(&mut self, worker: WorkerId, answer: Answer) -> Answer {
        let (evaluation, reductions) = self.requests_for(worker);
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.reductions_known = reductions;
        }
        Answer { stop: self.is_stopping(), evaluation, reductions, ..answer }
    }

    fn is_stopping(&self) -> bool {
        self.stop.is_some() || self.failure.is_some()
    }
}

/// Returns the kind of update that a strategy's workers send, and its name for error messages.
fn expected_kind(protocol: Protocol) -> (UpdateKind, &'static str) {
    match protocol {
        Protocol::Asynchronous { .. } => (UpdateKind::Commit, "commits"),
        Protocol::Rounds { .. } => (UpdateKind::Contribute, "contributes to rounds"),
        Protocol::Local { .. } => (UpdateKind::Save, "saves"),
    }
}
