//! Rounds: what has been contributed, and when a round closes.
//!
//! A contribution stays with its worker until the round closes over all live leases; only then are its mini-batches trained.
//! So what a worker that died has contributed is simply not there, and its retry goes on before it.

use std::time::Instant;

use firesteel_core::strategy::{Rhythm, Weight};
use firesteel_core::{Answer, ErrorCode, WorkerId};

use super::{CheckedUpdate, Control, DecidedAnswer, Evaluations, FreezeTicket, LeaseHolder};
use crate::error::PsError;
use crate::model::{Decision, Share, WindowSummary};
use crate::store::contribution::RoundContribution;
use crate::store::terms::Terms;
use crate::store::ticket::Ticket;
use crate::store::worker::PendingContribution;

/// A round to be applied in its turn.
#[derive(Debug)]
pub(crate) struct ClosingRound {
    pub(crate) ticket: Ticket,
    /// The contributions in the order of the workers.
    pub(crate) contributions: Vec<RoundContribution>,
    /// The learning rate where the server follows the schedule: that of the least advanced contributor.
    pub(crate) learning_rate: Option<f64>,
    /// Comes right behind the round.
    pub(crate) freeze: Option<FreezeTicket>,
}

/// A worker's window in a round that closes.
#[derive(Debug)]
struct RoundEntry {
    worker: WorkerId,
    window: WindowSummary,
    /// The reductions of the learning rate that the worker knew of.
    reductions_known: u32,
}

impl Control {
    /// Enters a contribution, once. Tells whether it is new.
    pub(crate) fn contribute(
        &mut self,
        terms: &Terms,
        holder: LeaseHolder,
        update: CheckedUpdate<'_>,
        mut contribution: RoundContribution,
        now: Instant,
    ) -> Result<(Answer, bool), PsError> {
        let window = *update.window;
        if let Some(pending) = &self.leased_worker(holder, now)?.pending {
            if pending.window.sequence == window.sequence {
                return Ok((self.answer(holder.worker, 0), false));
            }
            return Err(PsError::Protocol(format!(
                "worker {}: window {} before the round of window {} is closed",
                holder.worker, window.sequence, pending.window.sequence
            )));
        }
        if let Some(answer) = self.examine(terms, holder, &update, now)? {
            return Ok((answer, false));
        }
        contribution.rows = window.span.rows;
        contribution.weight = weight(&window, terms.weight);
        let worker = self.leased_worker(holder, now)?;
        worker.pending = Some(PendingContribution {
            window,
            contribution,
            reductions_known: worker.reductions_known,
        });
        Ok((self.answer(holder.worker, 0), true))
    }

    /// Closes the open round if every live worker has contributed, and all of the fit's have started.
    pub(crate) fn close_round(&mut self, terms: &Terms, now: Instant) -> Option<ClosingRound> {
        self.check_start(terms, now);
        if self.failure.is_some() || self.started() < terms.workers as usize {
            return None;
        }
        let mut live = self
            .workers
            .values()
            .filter(|worker| !worker.finished && worker.is_live(now, terms.lease))
            // One that has trained everything, and read what its last round gave, only waits for the epochs to be judged.
            .filter(|worker| worker.position.epoch < terms.epochs || worker.unread_round)
            .peekable();
        live.peek()?;
        if live.any(|worker| worker.pending.is_none()) {
            return None;
        }
        let (mut entries, mut contributions) = (Vec::new(), Vec::new());
        let (mut shares, mut lapsed) = (Vec::new(), Vec::new());
        for (id, worker) in &mut self.workers {
            let Some(pending) = worker.pending.take() else { continue };
            let attempt = worker.registration.attempt;
            if worker.is_live(now, terms.lease) {
                let (sequence, weight) = (pending.window.sequence, pending.contribution.weight);
                shares.push(Share { worker: *id, attempt, sequence, weight });
                entries.push(RoundEntry {
                    worker: *id,
                    window: pending.window,
                    reductions_known: pending.reductions_known,
                });
                contributions.push(pending.contribution);
            } else {
                // It fell silent: should it come back, it must not go on behind a window that nobody applied.
                worker.lease = None;
                lapsed.push((*id, attempt));
                self.ended.entry(id.partition).or_default().insert(attempt);
            }
        }
        let learning_rate =
            terms.follows_schedule.then(|| self.rate_of_round(terms, &entries)).flatten();
        self.decide(|| Decision::Close { shares, learning_rate });
        for (worker, attempt) in lapsed {
            self.decide(|| Decision::Forget { worker, attempt });
        }
        let ended = self.record(terms, &entries, contributions.iter().any(|one| one.weight > 0.0));
        let ticket = Ticket::issue(&mut self.tail, terms.ticket_steps);
        if ended {
            self.check_trained_all(terms);
        }
        let freeze = if ended { self.advance(terms, now) } else { None };
        Some(ClosingRound { ticket, contributions, learning_rate, freeze })
    }

    fn rate_of_round(&self, terms: &Terms, entries: &[RoundEntry]) -> Option<f64> {
        let RoundEntry { worker, window, .. } =
            entries.iter().min_by_key(|entry| entry.window.span.start)?;
        let reductions = self.evaluations.as_ref().map_or(0, Evaluations::reductions);
        terms.schedule.rate(window, self.workers.get(worker)?.registration.batches, reductions)
    }

    /// Writes the windows of a closed round down; one in which nobody trained is no update.
    /// Tells whether an epoch ended for anybody.
    fn record(&mut self, terms: &Terms, entries: &[RoundEntry], trained: bool) -> bool {
        self.version += u64::from(trained);
        let answer = Answer { version: self.version, ..Answer::default() };
        let mut ended = false;
        for RoundEntry { worker, window, reductions_known } in entries {
            let mut last = None;
            if let Some(worker) = self.workers.get_mut(worker) {
                let rate =
                    terms.schedule.rate(window, worker.registration.batches, *reductions_known);
                worker.unread_round = true;
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
        holder: LeaseHolder,
        sequence: u64,
        now: Instant,
    ) -> Result<Option<(Ticket, DecidedAnswer)>, PsError> {
        let (version, failed) = (self.version, self.failure.is_some());
        let worker = self.leased_worker(holder, now)?;
        let waits =
            worker.pending.as_ref().is_some_and(|pending| pending.window.sequence == sequence);
        if !waits && (sequence == 0 || worker.last.0 != sequence) {
            return Err(PsError::Protocol(format!(
                "worker {}: window {sequence} is in no round",
                holder.worker
            )));
        }
        // A fit that ends early closes its last round as any other: over what all live workers have given.
        if waits && !failed {
            self.renew_task(holder, now);
            return Ok(None);
        }
        worker.unread_round = false;
        worker.pulled = version;
        self.pulls += 1;
        let decision = self.decide(|| Decision::Read { worker: holder.worker, round: true });
        let answer = self.answer(holder.worker, 0);
        Ok(Some((
            Ticket::issue(&mut self.tail, terms.ticket_steps),
            DecidedAnswer { answer, decision },
        )))
    }

    /// Renews the leases of all workers of a task: they share its thread, and one of them waits.
    fn renew_task(&mut self, holder: LeaseHolder, now: Instant) {
        let partition = holder.worker.partition;
        let task = WorkerId { partition, index: 0 }..=WorkerId { partition, index: u32::MAX };
        for (_, worker) in self.workers.range_mut(task) {
            if let Some(lease) = &mut worker.lease
                && lease.attempt == holder.attempt
            {
                lease.seen = now;
            }
        }
    }

    /// Fails the fit if its strategy has rounds and not all workers have started in time.
    pub(crate) fn check_start(&mut self, terms: &Terms, now: Instant) {
        let (there, all) = (self.started(), terms.workers);
        if !matches!(terms.rhythm, Rhythm::Round(_)) || there >= all as usize {
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
fn weight(window: &WindowSummary, weight: Weight) -> f64 {
    match weight {
        _ if window.span.batches == 0 => 0.0,
        Weight::Rows => window.span.rows as f64,
        Weight::Worker => 1.0,
    }
}
