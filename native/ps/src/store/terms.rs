//! The settings that are fixed for a fit.

use std::time::{Duration, Instant};

use firesteel_core::schedule::{Moment, learning_rate};
use firesteel_core::spec::{ClippingSpec, ScheduleSpec, WarmupSpec};
use firesteel_core::strategy::{Rhythm, Weight};

use crate::model::WindowSummary;

/// How long leases last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeaseTerms {
    /// After the last message.
    pub(crate) silence: Duration,
    /// After the connection was closed, for a reconnect.
    pub(crate) grace: Duration,
}

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
    /// Whether every worker trains a model of its own.
    pub(crate) keeps_members: bool,
    /// Whether the optimizer is here, and steps on the mean gradient.
    pub(crate) steps_on_server: bool,
    /// Whether the server's side of a round follows the schedule.
    pub(crate) follows_schedule: bool,
    pub(crate) schedule: Schedule,
    pub(crate) clipping: ClippingSpec,
    /// How long the training may take.
    pub(crate) max_duration: Option<Duration>,
    pub(crate) lease: LeaseTerms,
    /// The stops of a [`Ticket`].
    pub(crate) ticket_steps: usize,
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
    pub(crate) fn rate(
        &self,
        window: &WindowSummary,
        batches: u32,
        reductions: u32,
    ) -> Option<f64> {
        let WindowSummary { span, .. } = window;
        let batch = (span.start.batch + span.batches).saturating_sub(1);
        let moment = Moment { epoch: span.start.epoch, batch, batches, reductions };
        Some(learning_rate(&self.schedule, self.warmup.as_ref(), self.base?, moment))
    }
}
