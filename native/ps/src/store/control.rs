//! Everything that changes under the control lock: leases, sequence numbers, progress, versions and turns.

mod leases;
mod report;
mod rounds;
mod saved;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use firesteel_core::strategy::{Rhythm, Weight};
use firesteel_core::{Answer, Coded, ErrorCode, Position, Tally, WorkerId};

use crate::error::PsError;
use crate::store::journal::Journal;
use crate::store::status::{ResumedStatus, STALENESS_BINS};
use crate::store::turn::{Progress, Turn};
use crate::store::worker::{Activity, LeaseTerms, Worker};
use crate::wire::{Decision, Window};

/// The most warnings that are kept.
const MAX_WARNINGS: usize = 100;

/// What is fixed for a fit.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) fit: String,
    pub(crate) workers: u32,
    pub(crate) epochs: u32,
    pub(crate) rhythm: Rhythm,
    pub(crate) weight: Weight,
    /// When the store was made, and how long rounds wait from then on for all workers to start.
    pub(crate) opened: Instant,
    pub(crate) start_timeout: Duration,
    /// The strategy's name.
    pub(crate) strategy: &'static str,
    pub(crate) lease: LeaseTerms,
    /// The stops of a [`Turn`].
    pub(crate) stops: usize,
    /// Bytes of a message as f32 by those that are sent.
    pub(crate) compression_ratio: f64,
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
    Apply(Turn, Decided),
    /// It was applied before and answered so.
    Repeat(Answer),
}

#[derive(Clone, Copy, Debug, Default)]
struct EpochTotal {
    rows: u64,
    tally: Tally,
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
    stop: bool,
    /// What the other shards are to follow, where there are any.
    pub(crate) journal: Option<Journal>,
    /// Where an interrupted fit had got to, if this one goes on from it.
    resumed: Option<ResumedStatus>,
    /// The server is closing: nobody waits any longer.
    pub(crate) closed: bool,
}

impl Control {
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
        let answer = self.answer(0);
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
        let answer = Answer { version: version + 1, staleness, stop: false };
        worker.record(window, answer, speaker.attempt);
        if pull {
            worker.pulled = version + 1;
            self.pulls += 1;
        }
        self.version += 1;
        self.commits += 1;
        self.count(window, staleness);
        let Speaker { worker, attempt, .. } = speaker;
        let sequence = window.sequence;
        let mut ticket = self.decide(|| Decision::Apply { worker, attempt, sequence, staleness });
        if pull {
            ticket = self.decide(|| Decision::Read { worker, round: false });
        }
        let answer = Answer { stop: self.stops(), ..answer };
        Ok(Admission::Apply(Turn::behind(&mut self.tail, terms.stops), Decided { answer, ticket }))
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
        let deed = deed_of(terms.rhythm).0;
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
            return Ok(Some(Answer { stop: self.stops(), ..recorded }));
        }
        if window.sequence != last + 1 {
            return Err(refused(format!("the next one is {}", last + 1)));
        }
        let (wanted, does) = deed_of(terms.rhythm);
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

    fn count(&mut self, window: &Window, staleness: u64) {
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
        Ok(self.answer(0))
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

    /// Tells all workers to stop.
    pub(crate) fn stop(&mut self) {
        self.stop = true;
    }

    /// The worker of a speaker that holds its lease, which is renewed.
    fn holder(&mut self, speaker: Speaker, now: Instant) -> Result<&mut Worker, PsError> {
        let Speaker { worker: id, attempt, session } = speaker;
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

    fn answer(&self, staleness: u64) -> Answer {
        Answer { version: self.version, staleness, stop: self.stops() }
    }

    fn stops(&self) -> bool {
        self.stop || self.failure.is_some()
    }
}

/// What the workers of a strategy do with their windows.
fn deed_of(rhythm: Rhythm) -> (Deed, &'static str) {
    match rhythm {
        Rhythm::Window(_) => (Deed::Commit, "commits"),
        Rhythm::Round(_) => (Deed::Contribute, "contributes to rounds"),
        Rhythm::Save => (Deed::Save, "saves"),
    }
}

fn fenced(worker: WorkerId, attempt: i64, reason: &str) -> PsError {
    PsError::Fenced { worker, attempt, reason: reason.to_owned() }
}
