//! The end of the training, and the time that it has run.

use std::time::{Duration, Instant};

use firesteel_core::epoch_monitor::StopReason;

use super::Control;
use crate::store::terms::Terms;

impl Control {
    /// Ends the training; only the first reason is kept.
    pub(crate) fn stop_for(&mut self, reason: StopReason) {
        self.stop.get_or_insert(reason);
    }

    /// Ends the training if its time limit has passed.
    pub(super) fn check_time(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            self.stop_for(StopReason::MaxSeconds);
        }
    }

    /// Returns the time that the training has run, before an interruption and since.
    pub(super) fn trained_for(&self, now: Instant) -> Duration {
        let since = self.clock.map(|start| now.saturating_duration_since(start));
        self.earlier.saturating_add(since.unwrap_or_default())
    }

    /// Stops the clock when every worker has trained all epochs: only their evaluation is left.
    pub(super) fn check_trained_all(&mut self, terms: &Terms) {
        let all = self.workers.len() == terms.workers as usize;
        if all && self.workers.values().all(|worker| worker.position.epoch >= terms.epochs) {
            self.deadline = None;
        }
    }

    /// Starts the clock with the first worker. The time before an interruption counts.
    pub(super) fn start_clock(&mut self, max_duration: Option<Duration>, now: Instant) {
        if self.clock.is_some() {
            return;
        }
        self.clock = Some(now);
        if let Some(max_duration) = max_duration {
            self.deadline = now.checked_add(max_duration.saturating_sub(self.earlier));
        }
    }
}
