//! Rounds: what has been contributed, and when a round closes.
//!
//! A contribution stays with its worker until the round closes over all live leases; only then are its mini-batches trained.
//! So what a worker that died has contributed is simply not there, and its retry goes on before it.

use std::time::Instant;

use firesteel_core::strategy::{CommitSchedule, Weight};
use firesteel_core::{Answer, ErrorCode, WorkerId};

use super::{Control, Decided, Entry, Evaluations, Freeze, Speaker, Terms};
use crate::error::PsError;
use crate::store::round::Kept;
use crate::store::turn::Turn;
use crate::store::worker::Pending;
use crate::wire::{Decision, Share, Window};

/// A round to be applied in its turn.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) turn: Turn,
    /// The contributions in the order of the workers.
    pub(crate) kept: Vec<Kept>,
    /// The learning rate where the server follows the schedule: that of the least advanced contributor.
    pub(crate) learning_rate: Option<f64>,
    /// Comes right behind the round.
    pub(crate) freeze: Option<Freeze>,
}

/// A worker's window, and the reductions of the learning rate that it knew of.
type Told = (WorkerId, Window, u32);

impl Control {
    /// Enters a contribution, once. Tells whether it is new.
    pub(crate) fn contribute(
        &mut self,
        terms: &Terms,
        speaker: Speaker,
        entry: Entry<'_>,
        mut kept: Kept,
        now: Instant,
    ) -> Result<(Answer, bool), PsError> {
        let window = *entry.window;
        if let Some(pending) = &self.holder(speaker, now)?.pending {
            if pending.window.sequence == window.sequence {
                return Ok((self.answer(speaker.worker, 0), false));
            }
            return Err(PsError::Protocol(format!(
                "worker {}: window {} before the round of window {} is closed",
                speaker.worker, window.sequence, pending.window.sequence
            )));
        }
        if let Some(answer) = self.examine(terms, speaker, &entry, now)? {
            return Ok((answer, false));
        }
        kept.rows = window.span.rows;
        kept.weight = weight(&window, terms.weight);
        let worker = self.holder(speaker, now)?;
        worker.pending = Some(Pending { window, kept, told: worker.told });
        Ok((self.answer(speaker.worker, 0), true))
    }

    /// Closes the open round if every live worker has contributed, and all of the fit's have started.
    pub(crate) fn close_round(&mut self, terms: &Terms, now: Instant) -> Option<Closing> {
        self.check_start(terms, now);
        if self.failure.is_some() || self.started() < terms.workers as usize {
            return None;
        }
        let mut live = self
            .workers
            .values()
            .filter(|worker| !worker.finished && worker.is_live(now, terms.lease))
            // One that has trained everything, and read what its last round gave, only waits for the epochs to be judged.
            .filter(|worker| worker.position.epoch < terms.epochs || worker.owed)
            .peekable();
        live.peek()?;
        if live.any(|worker| worker.pending.is_none()) {
            return None;
        }
        let (mut windows, mut kept) = (Vec::new(), Vec::new());
        let (mut shares, mut silent) = (Vec::new(), Vec::new());
        for (id, worker) in &mut self.workers {
            let Some(pending) = worker.pending.take() else { continue };
            let attempt = worker.registration.attempt;
            if worker.is_live(now, terms.lease) {
                let (sequence, weight) = (pending.window.sequence, pending.kept.weight);
                shares.push(Share { worker: *id, attempt, sequence, weight });
                windows.push((*id, pending.window, pending.told));
                kept.push(pending.kept);
            } else {
                // It fell silent: should it come back, it must not go on behind a window that nobody applied.
                worker.lease = None;
                silent.push((*id, attempt));
                self.ended.entry(id.partition).or_default().insert(attempt);
            }
        }
        let learning_rate = terms.follows.then(|| self.rate_of_round(terms, &windows)).flatten();
        self.decide(|| Decision::Close { shares, learning_rate });
        for (worker, attempt) in silent {
            self.decide(|| Decision::Forget { worker, attempt });
        }
        let ended = self.record(terms, &windows, kept.iter().any(|kept| kept.weight > 0.0));
        let turn = Turn::behind(&mut self.tail, terms.stops);
        if ended {
            self.check_trained_all(terms);
        }
        let freeze = if ended { self.advance(terms, now) } else { None };
        Some(Closing { turn, kept, learning_rate, freeze })
    }

    fn rate_of_round(&self, terms: &Terms, windows: &[Told]) -> Option<f64> {
        let (id, window, _) = windows.iter().min_by_key(|(_, window, _)| window.span.start)?;
        let reductions = self.evaluations.as_ref().map_or(0, Evaluations::reductions);
        terms.schedule.rate(window, self.workers.get(id)?.registration.batches, reductions)
    }

    /// Writes the windows of a closed round down; one in which nobody trained is no update.
    /// Tells whether an epoch ended for anybody.
    fn record(&mut self, terms: &Terms, windows: &[Told], trained: bool) -> bool {
        self.version += u64::from(trained);
        let answer = Answer { version: self.version, ..Answer::default() };
        let mut ended = false;
        for (id, window, told) in windows {
            let mut last = None;
            if let Some(worker) = self.workers.get_mut(id) {
                let rate = terms.schedule.rate(window, worker.registration.batches, *told);
                worker.owed = true;
                worker.record(window, answer, worker.registration.attempt, rate);
                if worker.position.batch == 0 {
                    ended = true;
                    last = rate;
                }
            }
            self.commits += 1;
            self.count(window, 0, last);
        }
        ended
    }

    /// Takes a turn for reading what the round of a contribution gave; `None` while the round is open.
    pub(crate) fn round(
        &mut self,
        terms: &Terms,
        speaker: Speaker,
        sequence: u64,
        now: Instant,
    ) -> Result<Option<(Turn, Decided)>, PsError> {
        let (version, failed) = (self.version, self.failure.is_some());
        let worker = self.holder(speaker, now)?;
        let waits =
            worker.pending.as_ref().is_some_and(|pending| pending.window.sequence == sequence);
        if !waits && (sequence == 0 || worker.last.0 != sequence) {
            return Err(PsError::Protocol(format!(
                "worker {}: window {sequence} is in no round",
                speaker.worker
            )));
        }
        // A fit that ends early closes its last round as any other: over what all live workers have given.
        if waits && !failed {
            self.renew_task(speaker, now);
            return Ok(None);
        }
        worker.owed = false;
        worker.pulled = version;
        self.pulls += 1;
        let ticket = self.decide(|| Decision::Read { worker: speaker.worker, round: true });
        let answer = self.answer(speaker.worker, 0);
        Ok(Some((Turn::behind(&mut self.tail, terms.stops), Decided { answer, ticket })))
    }

    /// Renews the leases of all workers of a task: they share its thread, and one of them waits.
    fn renew_task(&mut self, speaker: Speaker, now: Instant) {
        let partition = speaker.worker.partition;
        let task = WorkerId { partition, index: 0 }..=WorkerId { partition, index: u32::MAX };
        for (_, worker) in self.workers.range_mut(task) {
            if let Some(lease) = &mut worker.lease
                && lease.attempt == speaker.attempt
            {
                lease.seen = now;
            }
        }
    }

    /// Fails the fit if its strategy has rounds and not all workers have started in time.
    pub(crate) fn check_start(&mut self, terms: &Terms, now: Instant) {
        let (there, all) = (self.started(), terms.workers);
        if !matches!(terms.commit_schedule, CommitSchedule::Round(_)) || there >= all as usize {
            return;
        }
        if now.saturating_duration_since(terms.opened) >= terms.start_timeout {
            let message = format!(
                "{there} of {all} workers have started within {:.1} s, but strategy '{}' trains in rounds of all of them: \
                 give the fit {all} slots at a time, or fewer workers",
                terms.start_timeout.as_secs_f64(),
                terms.strategy
            );
            self.fail(ErrorCode::StartTimeout, &message);
        }
    }
}

/// What a window counts in its round: nothing if nothing was trained.
fn weight(window: &Window, weight: Weight) -> f64 {
    match weight {
        _ if window.span.batches == 0 => 0.0,
        Weight::Rows => window.span.rows as f64,
        Weight::Worker => 1.0,
    }
}
