//! The server's record of one worker: its lease, its progress and its ledger.

mod progress;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use firesteel_core::compression::Distortion;
use firesteel_core::{Answer, Position, Registration, Tally};
use parking_lot::Mutex;

use crate::error::PsError;
use crate::model::status::{LedgerStatus, SpanStatus, WorkerState, WorkerStatus};
use crate::model::{CenterView, WindowReport};
use crate::store::contribution::RoundContribution;
use crate::store::terms::{LeaseTerms, Terms};

/// The lease of a worker's attempt.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) attempt: i64,
    /// The connection of the attempt's last registration.
    pub(crate) session: u64,
    /// The time of the last message.
    pub(crate) seen: Instant,
    /// The time at which that connection was closed, if it was.
    pub(crate) closed: Option<Instant>,
}

impl Lease {
    fn is_live(&self, now: Instant, terms: LeaseTerms) -> bool {
        now.saturating_duration_since(self.seen) < terms.silence
            && self.closed.is_none_or(|closed| now.saturating_duration_since(closed) < terms.grace)
    }
}

/// Times and bytes, which the sessions add up outside the control lock.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    wait_nanos: AtomicU64,
    apply_nanos: AtomicU64,
    bytes: AtomicU64,
    /// The version of the last pull and its view, if the strategy needs them.
    last_pull: Mutex<Option<(u64, Arc<CenterView>)>>,
}

impl Activity {
    /// Remembers a pull, unless a later pull is known.
    pub(crate) fn remember_pull(&self, version: u64, view: CenterView) {
        let mut last = self.last_pull.lock();
        if last.as_ref().is_none_or(|(known, _)| *known <= version) {
            *last = Some((version, Arc::new(view)));
        }
    }

    /// Returns the view of the last pull.
    pub(crate) fn last_pull(&self) -> Option<Arc<CenterView>> {
        self.last_pull.lock().as_ref().map(|(_, view)| Arc::clone(view))
    }

    /// Adds an operation that took `total`, of which it waited for `wait`.
    pub(crate) fn add_times(&self, wait: Duration, total: Duration) {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.wait_nanos.fetch_add(nanos(wait), Ordering::Relaxed);
        self.apply_nanos.fetch_add(nanos(total.saturating_sub(wait)), Ordering::Relaxed);
    }

    /// Adds bytes sent or received.
    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// One epoch of a worker.
#[derive(Debug, Default)]
struct LedgerEpoch {
    epoch: u32,
    rows: u64,
    tally: Tally,
    /// The learning rate of the last mini-batch, if it is known.
    learning_rate: Option<f64>,
    spans: Vec<SpanStatus>,
    superseded_rows: u64,
}

/// A contribution to an open round.
#[derive(Debug)]
pub(crate) struct PendingContribution {
    pub(crate) window: WindowReport,
    pub(crate) contribution: RoundContribution,
    /// The reductions of the learning rate that the worker knew of when it trained the window.
    pub(crate) reductions_known: u32,
}

/// The record of one worker.
#[derive(Debug)]
pub(crate) struct WorkerRecord {
    pub(crate) registration: Registration,
    pub(crate) lease: Option<Lease>,
    /// The attempts that wait for the lease.
    pub(crate) waiting: BTreeSet<i64>,
    /// True if an attempt has registered since the server was opened.
    pub(crate) started: bool,
    pub(crate) finished: bool,
    pub(crate) position: Position,
    /// The sequence number of this attempt's last update, and its answer.
    pub(crate) last: (u64, Answer),
    /// The version of the last pull.
    pub(crate) pulled: u64,
    /// The rows and losses of the open window, from heartbeats.
    pub(crate) open: (u64, Tally),
    /// The contribution to the open round.
    pub(crate) pending: Option<PendingContribution>,
    /// True if the round of the last contribution is closed and the worker has not read its result.
    pub(crate) unread_round: bool,
    /// The time since which the worker has had no lease, as far as that has been noticed.
    pub(crate) absent: Option<Instant>,
    /// The reductions of the learning rate that the worker has been told of.
    pub(crate) reductions_known: u32,
    latest: Option<Tally>,
    ledger: Vec<LedgerEpoch>,
    commits: u64,
    staleness_sum: u64,
    staleness_max: u64,
    distortion: Distortion,
    pub(crate) activity: Arc<Activity>,
}

impl WorkerRecord {
    /// Creates the record of a worker that registers for the first time. A worker without rows has nothing to train.
    pub(crate) fn new(registration: Registration, epochs: u32) -> Self {
        let position =
            Position { epoch: if registration.batches == 0 { epochs } else { 0 }, batch: 0 };
        Self {
            registration,
            lease: None,
            waiting: BTreeSet::new(),
            started: true,
            finished: false,
            position,
            last: (0, Answer::default()),
            pulled: 0,
            open: (0, Tally::default()),
            pending: None,
            unread_round: false,
            absent: None,
            reductions_known: 0,
            latest: None,
            ledger: Vec::new(),
            commits: 0,
            staleness_sum: 0,
            staleness_max: 0,
            distortion: Distortion::default(),
            activity: Arc::default(),
        }
    }

    /// Returns true if an attempt holds the lease.
    pub(crate) fn is_live(&self, now: Instant, terms: LeaseTerms) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.is_live(now, terms))
    }

    /// Replaces the registration by that of a new attempt. If its rows differ from those of the attempt before, the
    /// epoch starts again, and the rows and losses applied so far are returned. A worker that had no rows starts with
    /// the `others`' epoch.
    pub(crate) fn replace(
        &mut self,
        registration: Registration,
        epochs: u32,
        others: u32,
    ) -> Option<(Position, u64, Tally)> {
        let known = std::mem::replace(&mut self.registration, registration);
        let changed = (known.rows, known.content, known.batches)
            != (registration.rows, registration.content, registration.batches);
        if changed && known.batches == 0 && others < epochs {
            self.finished = false;
            self.position = Position { epoch: others, batch: 0 };
            return Some((self.position, 0, Tally::default()));
        }
        if !changed || self.position.epoch >= epochs {
            return None;
        }
        let (mut rows, mut tally) = (0, Tally::default());
        if let Some(open) = self.ledger.last_mut().filter(|open| open.epoch == self.position.epoch)
        {
            (rows, tally) = (open.rows, open.tally);
            open.superseded_rows += rows;
            open.rows = 0;
            open.tally = Tally::default();
            open.spans.clear();
        }
        let restarted = Position { epoch: self.position.epoch, batch: 0 };
        self.position = if registration.batches == 0 {
            Position { epoch: epochs, batch: 0 }
        } else {
            restarted
        };
        Some((restarted, rows, tally))
    }

    /// Fails if a window does not continue where the last one ended, or exceeds the epoch.
    pub(crate) fn check(&self, window: &WindowReport, epochs: u32) -> Result<(), PsError> {
        let WindowReport { span, .. } = window;
        let refused = |problem: String| {
            Err(PsError::Protocol(format!(
                "worker {}: window {}: {problem}",
                self.registration.worker, window.sequence
            )))
        };
        if self.position.epoch >= epochs {
            return refused(format!("all {epochs} epochs have been trained"));
        }
        if span.start != self.position {
            return refused(format!(
                "it starts at epoch {} mini-batch {}, but the next one is epoch {} mini-batch {}",
                span.start.epoch, span.start.batch, self.position.epoch, self.position.batch
            ));
        }
        let left = self.registration.batches.saturating_sub(span.start.batch);
        if span.batches > left {
            return refused(format!(
                "{} mini-batches, but the epoch has {left} left",
                span.batches
            ));
        }
        let trained = self
            .ledger
            .last()
            .filter(|open| open.epoch == span.start.epoch)
            .map_or(0, |open| open.rows);
        let left = self.registration.rows.saturating_sub(trained);
        if span.rows > left {
            return refused(format!("{} rows, but the epoch has {left} left", span.rows));
        }
        Ok(())
    }

    /// Records a checked window and advances the position.
    pub(crate) fn record(
        &mut self,
        window: &WindowReport,
        answer: Answer,
        attempt: i64,
        learning_rate: Option<f64>,
    ) {
        let WindowReport { span, tally, sequence, distortion } = *window;
        let epoch = span.start.epoch;
        if self.ledger.last().is_none_or(|open| open.epoch != epoch) {
            self.ledger.push(LedgerEpoch { epoch, ..LedgerEpoch::default() });
        }
        if let Some(open) = self.ledger.last_mut() {
            open.rows += span.rows;
            open.tally.add(tally);
            open.learning_rate = learning_rate;
            match open.spans.last_mut().filter(|last| last.attempt == attempt) {
                Some(last) => {
                    last.batches += span.batches;
                    last.rows += span.rows;
                }
                None => open.spans.push(SpanStatus {
                    attempt,
                    start: span.start.batch,
                    batches: span.batches,
                    rows: span.rows,
                }),
            }
        }
        let batch = span.start.batch + span.batches;
        self.position = if batch == self.registration.batches {
            Position { epoch: epoch + 1, batch: 0 }
        } else {
            Position { epoch, batch }
        };
        self.last = (sequence, answer);
        self.latest = Some(tally);
        self.open = (0, Tally::default());
        self.commits += 1;
        self.staleness_sum += answer.staleness;
        self.staleness_max = self.staleness_max.max(answer.staleness);
        self.distortion.add(distortion);
    }

    /// Returns the losses of the latest and the open window.
    pub(crate) fn recent(&self) -> Tally {
        let mut recent = self.latest.unwrap_or_default();
        recent.add(self.open.1);
        recent
    }

    /// Returns the rows trained, including the open window.
    pub(crate) fn rows(&self) -> u64 {
        self.ledger.iter().map(|epoch| epoch.rows).sum::<u64>() + self.open.0
    }

    /// Returns the compression error of its messages.
    pub(crate) fn distortion(&self) -> Distortion {
        self.distortion
    }

    pub(crate) fn status(&self, now: Instant, terms: &Terms) -> WorkerStatus {
        let state = if self.finished {
            WorkerState::Finished
        } else if self.is_live(now, terms.lease) {
            WorkerState::Live
        } else {
            WorkerState::Lost
        };
        let seconds =
            |nanos: &AtomicU64| Duration::from_nanos(nanos.load(Ordering::Relaxed)).as_secs_f64();
        WorkerStatus {
            partition: self.registration.worker.partition,
            index: self.registration.worker.index,
            state,
            attempt: self.registration.attempt,
            epoch: self.position.epoch,
            batch: self.position.batch,
            batches: self.registration.batches,
            rows: self.rows(),
            commits: self.commits,
            staleness_sum: self.staleness_sum,
            staleness_max: self.staleness_max,
            bytes: self.activity.bytes.load(Ordering::Relaxed),
            wait_seconds: seconds(&self.activity.wait_nanos),
            apply_seconds: seconds(&self.activity.apply_nanos),
            compression_ratio: terms.compression_ratio,
            compression_error: self.distortion.relative_error(),
        }
    }

    pub(crate) fn ledger(&self) -> impl Iterator<Item = LedgerStatus> {
        self.ledger.iter().map(|epoch| LedgerStatus {
            partition: self.registration.worker.partition,
            index: self.registration.worker.index,
            epoch: epoch.epoch,
            rows: epoch.rows,
            loss: mean(epoch.tally),
            learning_rate: epoch.learning_rate,
            validation: None,
            spans: epoch.spans.clone(),
            superseded_rows: epoch.superseded_rows,
        })
    }
}

/// Returns the mean loss of a tally; `None` if its weight is 0.
pub(crate) fn mean(tally: Tally) -> Option<f64> {
    (tally.weight > 0.0).then(|| tally.loss / tally.weight)
}
