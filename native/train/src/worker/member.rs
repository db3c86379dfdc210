//! One of the workers that share a task.

use firesteel_core::channel::Registration;
use firesteel_core::{
    Answer, Buffers, Commit, ParamChannel, ParamLayout, Position, Rhythm, Save, Span, Tally,
    WorkerId, WorkerRule,
};
use firesteel_data::Shard;

use super::finite::first_not_finite;
use super::report::MemberReport;
use crate::error::TrainError;
use crate::network::Replica;
use crate::optimizer::Optimizer;

/// A worker with its replica, its optimizer and its place in the training.
pub(super) struct Member {
    pub(super) id: WorkerId,
    pub(super) channel: Box<dyn ParamChannel>,
    pub(super) replica: Replica,
    pub(super) optimizer: Box<dyn Optimizer>,
    pub(super) rule: Box<dyn WorkerRule>,
    pub(super) shard: Shard,
    /// The mini-batches of an epoch.
    pub(super) batches: u32,
    /// The next mini-batch.
    pub(super) position: Position,
    /// The rows of the epoch in their order, once it has begun.
    pub(super) order: Option<(u32, Vec<u32>)>,
    /// Commits and saves so far.
    pub(super) sequence: u64,
    pub(super) state: State,
    pub(super) report: MemberReport,
}

/// Whether a worker still trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Training,
    Finished,
}

/// Memory that the workers of a task use in turn.
pub(super) struct Scratch {
    pub(super) center: Vec<f32>,
    message: Vec<f32>,
    pub(super) buffers: Buffers,
    pulled: Buffers,
}

/// What a window trained.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) span: Span,
    pub(super) tally: Tally,
}

impl Scratch {
    pub(super) fn new(layout: &ParamLayout, buffers: &Buffers) -> Self {
        Self {
            center: vec![0.0; layout.parameters()],
            message: vec![0.0; layout.parameters()],
            buffers: buffers.clone(),
            pulled: buffers.clone(),
        }
    }
}

impl Member {
    /// Takes the lease and, if there is anything left to train, the center variable.
    pub(super) fn join(
        &mut self,
        attempt: i64,
        epochs: u32,
        scratch: &mut Scratch,
    ) -> Result<(), TrainError> {
        self.position = self.channel.register(&Registration {
            worker: self.id,
            attempt,
            rows: self.shard.len() as u64,
            content: self.shard.content(),
            batches: self.batches,
        })?;
        if self.position.batch >= self.batches {
            self.position = Position { epoch: self.position.epoch + 1, batch: 0 };
        }
        if self.batches == 0 || self.position.epoch >= epochs {
            return self.finish();
        }
        let answer = self.channel.pull(&mut scratch.center, &mut scratch.buffers)?;
        self.replica.parameters_mut().copy_from_slice(&scratch.center);
        self.replica.set_buffers(&scratch.buffers);
        self.rule.start(&scratch.center);
        if answer.stop { self.stop() } else { Ok(()) }
    }

    /// The rows of a mini-batch of the current epoch, in their order.
    pub(super) fn order(&mut self, seed: u64, shuffle: bool) -> &[u32] {
        let epoch = self.position.epoch;
        let shard = &self.shard;
        let current = self.order.take().filter(|(of, _)| *of == epoch);
        let (_, order) = self
            .order
            .insert(current.unwrap_or_else(|| (epoch, shard.order(seed, epoch, shuffle))));
        order
    }

    /// Commits or saves a window and goes on behind it.
    pub(super) fn close(
        &mut self,
        window: Window,
        rhythm: Rhythm,
        epochs: u32,
        scratch: &mut Scratch,
    ) -> Result<(), TrainError> {
        self.sequence += 1;
        let next = Position {
            epoch: window.span.start.epoch,
            batch: window.span.start.batch + window.span.batches,
        };
        self.position = if next.batch < self.batches {
            next
        } else {
            Position { epoch: next.epoch + 1, batch: 0 }
        };
        let last = self.position.epoch >= epochs;
        self.replica.copy_buffers(&mut scratch.buffers);
        let answer = match rhythm {
            Rhythm::Save => self.channel.save(&Save {
                sequence: self.sequence,
                replica: self.replica.parameters(),
                buffers: &scratch.buffers,
                span: window.span,
                tally: window.tally,
            })?,
            Rhythm::Batches(_) => self.commit(window, last, scratch)?,
        };
        self.report.commits += 1;
        self.report.staleness += answer.staleness;
        if last {
            self.finish()
        } else if answer.stop {
            self.stop()
        } else {
            Ok(())
        }
    }

    /// Commits, and takes the center variable unless this was the last window.
    fn commit(
        &mut self,
        window: Window,
        last: bool,
        scratch: &mut Scratch,
    ) -> Result<Answer, TrainError> {
        let Scratch { center, message, buffers, pulled } = scratch;
        self.rule.commit(self.replica.parameters_mut(), window.span.batches, message);
        let commit = Commit {
            sequence: self.sequence,
            message,
            buffers,
            span: window.span,
            tally: window.tally,
        };
        if last {
            return Ok(self.channel.commit(&commit)?);
        }
        // The worker keeps its own buffers; the server averages.
        let answer = self.channel.exchange(&commit, center, pulled)?;
        self.rule.receive(center, self.replica.parameters_mut());
        Ok(answer)
    }

    /// Ends early, as the driver asked.
    pub(super) fn stop(&mut self) -> Result<(), TrainError> {
        self.report.stopped = true;
        self.finish()
    }

    fn finish(&mut self) -> Result<(), TrainError> {
        self.channel.finish()?;
        self.state = State::Finished;
        Ok(())
    }

    /// Fails if a parameter or a buffer is NaN or infinite after mini-batch `batch`.
    pub(super) fn check_finite(&self, layout: &ParamLayout, batch: u32) -> Result<(), TrainError> {
        let Some((name, value)) = first_not_finite(layout, &self.replica) else { return Ok(()) };
        Err(self.diverged(&format!("'{name}'"), value, batch))
    }

    /// The error that something became `value` in mini-batch `batch` of the current epoch.
    pub(super) fn diverged(&self, what: &str, value: f64, batch: u32) -> TrainError {
        let became = if value.is_nan() { "NaN" } else { "infinite" };
        TrainError::Diverged {
            worker: self.id,
            what: format!("{what} became {became}"),
            epoch: self.position.epoch + 1,
            batch: batch + 1,
        }
    }
}
