//! One worker of a task.

use firesteel_core::strategy::{PullOrder, WindowSummary};
use firesteel_core::{
    Answer, Buffers, Commit, Optimizer, ParamLayout, Position, Protocol, Save, Span, Tally,
    WorkerId, WorkerRule,
};
use firesteel_data::WorkerRows;

use super::exchange::ExchangeHandle;
use super::finite::first_not_finite;
use super::report::WorkerReport;
use crate::error::TrainError;
use crate::network::Replica;

/// A worker with its replica, its optimizer and its position in the training.
pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) exchange: ExchangeHandle,
    pub(super) replica: Replica,
    pub(super) optimizer: Box<dyn Optimizer>,
    pub(super) rule: Box<dyn WorkerRule>,
    pub(super) rows: WorkerRows,
    /// The held-out rows of the partition that it scores.
    pub(super) held_out: Vec<u32>,
    /// The mini-batches of an epoch.
    pub(super) batches: u32,
    /// The next mini-batch.
    pub(super) position: Position,
    /// The rows of the epoch in their order, after its first mini-batch.
    pub(super) order: Option<(u32, Vec<u32>)>,
    /// Commits, contributions and saves so far.
    pub(super) sequence: u64,
    /// The number of plateau reductions of the learning rate in the latest answer.
    pub(super) reductions: u32,
    pub(super) phase: WorkerPhase,
    /// Pulls the center variable when a window begins instead of right after a commit: the task has other workers, which
    /// commit in between.
    pub(super) pulls_late: bool,
    /// The next window begins with a pull.
    pub(super) pull_due: bool,
    pub(super) report: WorkerReport,
}

/// The phase of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WorkerPhase {
    Training,
    /// The worker has contributed to a round that it has not seen closed.
    InRound,
    /// The worker has trained everything and scores held-out rows until the fit is over.
    Scoring,
    Finished,
}

/// Scratch memory that the workers of a task use in turn.
pub(super) struct Scratch {
    pub(super) center: Vec<f32>,
    message: Vec<f32>,
    pub(super) buffers: Buffers,
    pulled: Buffers,
}

/// The mini-batches of a window and their losses.
#[derive(Clone, Copy)]
pub(super) struct TrainedWindow {
    pub(super) span: Span,
    pub(super) tally: Tally,
}

/// The properties that all windows of a task share.
#[derive(Clone, Copy)]
pub(super) struct FitOptions {
    pub(super) protocol: Protocol,
    pub(super) epochs: u32,
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

impl Worker {
    /// Pulls the center variable if anything is left to train. `own` is the initial weights of a worker that trains its
    /// own model.
    pub(super) fn begin(
        &mut self,
        epochs: u32,
        scratch: &mut Scratch,
        own: Option<(Vec<f32>, Buffers)>,
    ) -> Result<(), TrainError> {
        if self.position.batch >= self.batches {
            self.position = Position { epoch: self.position.epoch + 1, batch: 0 };
        }
        if self.batches == 0 || self.position.epoch >= epochs {
            return self.end();
        }
        let (channel, _) = self.exchange.wait_idle()?;
        let answer = channel.pull(&mut scratch.center, &mut scratch.buffers)?;
        if let Some((parameters, buffers)) = own {
            scratch.center.copy_from_slice(&parameters);
            scratch.buffers.clone_from(&buffers);
        }
        self.replica.parameters_mut().copy_from_slice(&scratch.center);
        self.replica.set_buffers(&scratch.buffers);
        self.rule.start(&scratch.center);
        // The others of the task commit before its turn comes.
        self.pull_due = self.pulls_late && self.id.index > 0;
        if answer.stop { self.stop() } else { Ok(()) }
    }

    /// Pulls the center variable before a window, if the last commit left that for later.
    pub(super) fn begin_window(&mut self, scratch: &mut Scratch) -> Result<(), TrainError> {
        if !std::mem::take(&mut self.pull_due) {
            return Ok(());
        }
        let (channel, _) = self.exchange.wait_idle()?;
        let answer = channel.pull(&mut scratch.center, &mut scratch.pulled)?;
        self.rule.receive(&scratch.center, self.replica.parameters_mut());
        self.note_reductions(answer);
        if answer.stop { self.stop() } else { Ok(()) }
    }

    /// Returns the rows of the current epoch in their order.
    pub(super) fn order(&mut self, seed: u64, shuffle: bool) -> &[u32] {
        let epoch = self.position.epoch;
        let rows = &self.rows;
        let current = self.order.take().filter(|(of, _)| *of == epoch);
        let (_, order) =
            self.order.insert(current.unwrap_or_else(|| (epoch, rows.order(seed, epoch, shuffle))));
        order
    }

    /// Commits, contributes or saves a window and moves to the position after it.
    pub(super) fn close(
        &mut self,
        window: TrainedWindow,
        fit: FitOptions,
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
        let last = self.position.epoch >= fit.epochs;
        let answer = match fit.protocol {
            Protocol::Local { .. } => self.save(window, scratch)?,
            Protocol::Rounds { .. } => self.contribute(window, scratch)?,
            Protocol::Asynchronous { overlap: true, .. } => self.send(window, last)?,
            Protocol::Asynchronous { pull, .. } => self.commit(window, last, pull, scratch)?,
        };
        self.note_reductions(answer);
        self.report.commits += 1;
        self.report.staleness += answer.staleness;
        if self.phase == WorkerPhase::InRound {
            Ok(())
        } else if last {
            self.end()
        } else if answer.stop {
            self.stop()
        } else {
            Ok(())
        }
    }

    fn save(&mut self, window: TrainedWindow, scratch: &mut Scratch) -> Result<Answer, TrainError> {
        self.replica.copy_buffers(&mut scratch.buffers);
        let (channel, _) = self.exchange.wait_idle()?;
        Ok(channel.save(&Save {
            sequence: self.sequence,
            replica: self.replica.parameters(),
            buffers: &scratch.buffers,
            span: window.span,
            tally: window.tally,
        })?)
    }

    fn summary(&self, window: TrainedWindow) -> WindowSummary {
        WindowSummary {
            batches: window.span.batches,
            learning_rate: self.optimizer.learning_rate(),
        }
    }

    /// Commits and pulls the center variable: before the commit if the strategy needs that, otherwise after it, unless
    /// this was the last window or the next one begins with a pull.
    fn commit(
        &mut self,
        window: TrainedWindow,
        last: bool,
        pull: PullOrder,
        scratch: &mut Scratch,
    ) -> Result<Answer, TrainError> {
        let summary = self.summary(window);
        let Scratch { center, message, buffers, pulled } = scratch;
        let (channel, _) = self.exchange.wait_idle()?;
        if pull == PullOrder::BeforeCommit {
            channel.pull(center, pulled)?;
            self.rule.receive(center, self.replica.parameters_mut());
        }
        self.rule.commit(self.replica.parameters_mut(), summary, message);
        self.replica.copy_buffers(buffers);
        let commit = Commit {
            sequence: self.sequence,
            message,
            buffers,
            span: window.span,
            tally: window.tally,
        };
        self.pull_due = self.pulls_late && !last;
        if last || self.pull_due || pull == PullOrder::BeforeCommit {
            return Ok(channel.commit(&commit)?);
        }
        // The worker keeps its own buffers; the server averages.
        let answer = channel.exchange(&commit, center, pulled)?;
        self.rule.receive(center, self.replica.parameters_mut());
        Ok(answer)
    }

    /// Merges the result of the last exchange and starts the next one, or commits the last window. Returns the last
    /// exchange's answer.
    fn send(&mut self, window: TrainedWindow, last: bool) -> Result<Answer, TrainError> {
        let summary = self.summary(window);
        let merged = self.exchange.wait_answer()?;
        let (channel, exchange) = self.exchange.wait_idle()?;
        if merged.is_some() {
            self.rule.merge(&exchange.center, self.replica.parameters_mut());
        }
        self.rule.commit(self.replica.parameters_mut(), summary, &mut exchange.message);
        self.replica.copy_buffers(&mut exchange.buffers);
        (exchange.sequence, exchange.span, exchange.tally) =
            (self.sequence, window.span, window.tally);
        let mut answer = merged.unwrap_or_default();
        if last {
            let committed = channel.commit(&exchange.commit())?;
            answer.staleness += committed.staleness;
        } else {
            self.exchange.start()?;
        }
        Ok(answer)
    }

    fn contribute(
        &mut self,
        window: TrainedWindow,
        scratch: &mut Scratch,
    ) -> Result<Answer, TrainError> {
        let summary = self.summary(window);
        self.rule.commit(self.replica.parameters_mut(), summary, &mut scratch.message);
        self.replica.copy_buffers(&mut scratch.buffers);
        let (channel, _) = self.exchange.wait_idle()?;
        let answer = channel.contribute(&Commit {
            sequence: self.sequence,
            message: &scratch.message,
            buffers: &scratch.buffers,
            span: window.span,
            tally: window.tally,
        })?;
        self.phase = WorkerPhase::InRound;
        Ok(answer)
    }

    /// Waits until the round is closed and takes its result.
    pub(super) fn close_round(
        &mut self,
        fit: FitOptions,
        scratch: &mut Scratch,
    ) -> Result<(), TrainError> {
        let (channel, _) = self.exchange.wait_idle()?;
        let answer = channel.close_round(&mut scratch.center, &mut scratch.pulled)?;
        self.note_reductions(answer);
        self.phase = WorkerPhase::Training;
        if answer.stop {
            return self.stop();
        }
        self.rule.receive(&scratch.center, self.replica.parameters_mut());
        if !fit.protocol.returns_former_center() {
            self.replica.set_buffers(&scratch.pulled);
        }
        if self.position.epoch >= fit.epochs { self.end() } else { Ok(()) }
    }

    /// Records the plateau reductions that the server reports.
    pub(super) fn note_reductions(&mut self, answer: Answer) {
        self.reductions = self.reductions.max(answer.reductions);
    }

    /// Ends the training after everything is trained.
    fn end(&mut self) -> Result<(), TrainError> {
        if self.held_out.is_empty() {
            return self.finish();
        }
        self.phase = WorkerPhase::Scoring;
        Ok(())
    }

    /// Stops early at the server's request.
    pub(super) fn stop(&mut self) -> Result<(), TrainError> {
        self.report.stopped = true;
        self.finish()
    }

    pub(super) fn finish(&mut self) -> Result<(), TrainError> {
        if let Some(answer) = self.exchange.wait_answer()? {
            self.report.staleness += answer.staleness;
        }
        self.exchange.wait_idle()?.0.finish()?;
        self.phase = WorkerPhase::Finished;
        Ok(())
    }

    /// Fails if a parameter or a buffer is NaN or infinite after mini-batch `batch`.
    pub(super) fn check_finite(&self, layout: &ParamLayout, batch: u32) -> Result<(), TrainError> {
        let Some((name, value)) = first_not_finite(layout, &self.replica) else { return Ok(()) };
        Err(self.diverged(&format!("'{name}'"), value, batch))
    }

    /// Returns the error that a value became NaN or infinite in mini-batch `batch` of the current epoch.
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
