//! The settings that are fixed for a fit.

use std::time::{Duration, Instant};

use firesteel_core::schedule::{TrainingStep, learning_rate};
use firesteel_core::spec::{ClippingSpec, ScheduleSpec, WarmupSpec};
use firesteel_core::strategy::Protocol;

use crate::model::WindowReport;

/// The durations of leases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeaseTerms {
    /// The time after the last message.
    pub(crate) silence: Duration,
    /// The time after the connection was closed, for a reconnect.
    pub(crate) grace: Duration,
}

/// The settings that are fixed for a fit.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) fit: String,
    pub(crate) workers: u32,
    pub(crate) epochs: u32,
    pub(crate) protocol: Protocol,
    /// The time of the store's creation, and the time that rounds wait from then on for all workers to start.
    pub(crate) opened: Instant,
    pub(crate) start_timeout: Duration,
    /// The strategy's name.
    pub(crate) strategy: &'static str,
    pub(crate) schedule: Schedule,
    pub(crate) clipping: ClippingSpec,
    /// The time limit of the training.
    pub(crate) max_duration: Option<Duration>,
    pub(crate) lease: LeaseTerms,
    /// The number of steps of a [`Ticket`](super::Ticket).
    pub(crate) ticket_steps: usize,
    /// The uncompressed size of a message divided by its compressed size.
    pub(crate) compression_ratio: f64,
}

/// The learning-rate schedule.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// The optimizer's learning rate, if the server knows the fit's optimizer.
    pub(crate) base: Option<f64>,
    pub(crate) schedule: ScheduleSpec,
    pub(crate) warmup: Option<WarmupSpec>,
}

impl Schedule {
    /// Returns the learning rate of a window's last mini-batch.
    pub(crate) fn rate(&self, window: &WindowReport, batches: u32, reductions: u32) -> Option<f64> {
        let WindowReport { span, .. } = window;
        let batch = (span.start.batch + span.batches).saturating_sub(1);
        let step = TrainingStep { epoch: span.start.epoch, batch, batches, reductions };
        Some(learning_rate(&self.schedule, self.warmup.as_ref(), self.base?, step))
    }
}
