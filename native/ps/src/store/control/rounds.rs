//! Rounds: the contributions, and the closing of a round.
//!
//! A contribution stays with its worker until the round closes over all live leases; only then do its mini-batches
//! count as trained. If a worker dies, its contribution is dropped, and its retry resumes before it.

use std::time::Instant;

use firesteel_core::strategy::{Protocol, Weight};
use firesteel_core::{Answer, ErrorCode, WorkerId};

use super::{CheckedUpdate, Control, DecidedAnswer, Evaluations, FreezeTicket, LeaseHolder};
use crate::error::PsError;
use crate::model::{Decision, Share, WindowReport};
use crate::store::contribution::RoundContribution;
use crate::store::terms::Terms;
use crate::store::ticket::Ticket;
use crate::store::worker::PendingContribution;

/// A round that is to be closed in the order of its ticket.
#[derive(Debug)]
pub(crate) struct ClosingRound {
    pub(crate) ticket: Ticket,
    /// The contributions, in the order of the workers.
    pub(crate) contributions: Vec<RoundContribution>,
    /// The learning rate of the least advanced contributor, if the server follows the schedule.
    pub(crate) learning_rate: Option<f64>,
    /// The ticket to freeze the center variable directly behind the round.
    pub(crate) freeze: Option<FreezeTicket>,
}

/// A worker's window in a round that closes.
#[derive(Debug)]
struct RoundEntry {
    worker: WorkerId,
    window: WindowReport,
    /// The reductions of the learning rate that the worker knew of.
    reductions_known: u32,
}

impl Control {
    /// Records a contribution exactly once. Returns true if it is new.
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
                "worker {}: window {} arrived before the round of window {} closed",
                holder.worker, window.sequence, pending.window.sequence
            )));
        }
        if let Some(answer) = self.examine(terms, holder, &update, now)? {
            return Ok((answer, false));
        }
        contribution.rows = window.span.rows;
        contribution.weight = weight(&window, terms.protocol);
        let worker = self.leased_worker(holder, now)?;
        worker.pending = Some(PendingContribution {
            window,
            contribution,
            reductions_known: worker.reductions_known,
        });
        Ok((self.answer(holder.worker, 0), true))
    }

    /// Closes the open round if every live worker has contributed and all workers of the fit have started.
    pub(crate) fn close_round(&mut self, terms: &Terms, now: Instant) -> Option<ClosingRound> {
        self.check_start(terms, now);
        if self.failure.is_some() || self.started() < terms.workers as usize {
            return None;
        }
        let mut live = self
            .workers
            .values()
            .filter(|worker| !worker.finished && worker.is_live(now, terms.lease))
            // A worker that has trained everything, and has read the result of its last round, only waits for the
            // evaluation of epochs.
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
                // The lease lapsed: if the attempt returns, it must not continue after a window that was not applied.
                worker.lease = None;
                lapsed.push((*id, attempt));
                self.ended.entry(id.partition).or_default().insert(attempt);
            }
        }
        let learning_rate = terms
            .protocol
            .follows_schedule()
            .then(|| self.rate_of_round(terms, &entries))
            .flatten();
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

    /// Records the windows of a closed round; a round in which nothing was trained is not an update. Returns true if a
    /// worker's epoch ended.
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

    /// Issues a ticket to read the result of a contribution's round; `None` while the round is open.
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
                "worker {}: window {sequence} does not belong to a round",
                holder.worker
            )));
        }
        // A fit that ends early closes its last round like any other, over the contributions of all live workers.
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
        if !matches!(terms.protocol, Protocol::Rounds { .. }) || there >= all as usize {
            return;
        }
        if now.saturating_duration_since(terms.opened) >= terms.start_timeout {
            let message = format!(
                "{there} of {all} workers have started within {:.1} s, but strategy '{}' trains in rounds of all workers: \
                 give the fit {all} slots at the same time, or use fewer workers",
                terms.start_timeout.as_secs_f64(),
                terms.strategy
            );
            self.fail(ErrorCode::StartTimeout, &message);
        }
    }
}

/// Returns the weight of a window in its round: 0 if nothing was trained.
fn weight(window: &WindowReport, protocol: Protocol) -> f64 {
    match protocol {
        _ if window.span.batches == 0 => 0.0,
        Protocol::Rounds { weight: Weight::Worker, .. } => 1.0,
        _ => window.span.rows as f64,
    }
}
