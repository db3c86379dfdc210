//! The training of one task: its workers run in turn over the task's rows, a window each. In a strategy with rounds all
//! of them contribute before any waits.

mod batch_filler;
mod evaluate;
mod exchange;
mod finite;
mod learning;
mod report;
mod start;
mod step;
mod worker;

use std::num::NonZeroU32;
use std::sync::Arc;

use firesteel_core::spec::WorkerSpec;
use firesteel_core::{
    Answer, BufferKind, Buffers, CancelFlag, ChannelError, Coded, ErrorCode, FlushDenormals,
    ParamChannel, ParamLayout, Position, Span, Strategy, Tally, WorkerId, strategy,
};
use firesteel_data::Partition;

use self::batch_filler::BatchFiller;
use self::evaluate::Evaluator;
use self::learning::ZeroGradients;
use self::report::Clock;
pub use self::report::{Learning, OutputSample, Sample, Seconds, TaskReport, WorkerReport};
use self::worker::{FitOptions, Scratch, TrainedWindow, Worker, WorkerPhase};
use crate::build::define_for_training;
use crate::error::TrainError;
use crate::loss::Loss;
use crate::network::{Batch, Gradient, Network, NetworkDefinition};
use crate::torch;

/// Connects a worker of a task to the server, over a channel of its own.
pub type Connect<'a> = &'a mut dyn FnMut(WorkerId) -> Result<Box<dyn ParamChannel>, ChannelError>;

/// The trainer of one task, which runs its workers.
#[derive(Debug)]
pub struct TaskTrainer {
    spec: WorkerSpec,
    partition: Arc<Partition>,
}

impl TaskTrainer {
    /// Creates the workers of `spec` over the rows of a partition, which other fits may share.
    #[must_use]
    pub fn new(spec: WorkerSpec, partition: impl Into<Arc<Partition>>) -> Self {
        Self { spec, partition: partition.into() }
    }

    /// Trains from the server's position to the last epoch, on the calling thread.
    ///
    /// # Errors
    /// [`TrainError::InvalidSpec`], [`TrainError::Layer`] or [`TrainError::Option`] if the specification does not
    /// fit; [`TrainError::Data`] for a value that does not fit the network; [`TrainError::Diverged`] if the loss, a
    /// parameter or a buffer is NaN or infinite; [`TrainError::Channel`] if the channel fails;
    /// [`TrainError::Cancelled`]. A retry would fail with the first of these again, so they fail the whole fit.
    pub fn run(&self, connect: Connect<'_>, cancel: &CancelFlag) -> Result<TaskReport, TrainError> {
        torch::set_threads(self.spec.threads);
        let _flush = FlushDenormals::new();
        let mut workers = Vec::new();
        let result = self.train(connect, cancel, &mut workers);
        if let Err(error) = &result {
            self.report_to_driver(error, connect, workers.first_mut());
        }
        result
    }

    fn train(
        &self,
        connect: Connect<'_>,
        cancel: &CancelFlag,
        workers: &mut Vec<Worker>,
    ) -> Result<TaskReport, TrainError> {
        let mut clock = Clock::start();
        let mut training = Training::new(&self.spec, &self.partition, cancel)?;
        for index in 0..self.spec.workers_in_task {
            let id = WorkerId { partition: self.spec.partition, index };
            let worker = training.worker(id, connect(id)?)?;
            workers.push(worker);
        }
        tracing::info!(
            workers = workers.len(),
            "trains {} rows of partition {}",
            self.partition.rows_to_train(),
            self.spec.partition
        );
        clock.computed();
        for worker in workers.iter_mut() {
            let own = training.own_weights(worker)?;
            worker.begin(self.spec.epochs, &mut training.scratch, own)?;
        }
        clock.waited();
        while workers.iter().any(|worker| worker.phase != WorkerPhase::Finished) {
            for index in 0..workers.len() {
                if workers[index].phase == WorkerPhase::Training {
                    training.window(workers, index, &mut clock)?;
                    training.after_window(workers, index, &mut clock)?;
                }
            }
            for index in 0..workers.len() {
                if workers[index].phase == WorkerPhase::InRound {
                    training.close_round(&mut workers[index], &mut clock)?;
                    training.after_window(workers, index, &mut clock)?;
                }
            }
            training.evaluate_waiting(workers, &mut clock)?;
        }
        Ok(TaskReport {
            partition: self.spec.partition,
            attempt: self.spec.attempt,
            workers: workers.iter().map(|worker| worker.report.clone()).collect(),
            learning: training.learning(workers),
            seconds: clock.seconds(),
        })
    }

    /// Reports an error to the driver that a retry would meet again.
    fn report_to_driver(
        &self,
        error: &TrainError,
        connect: Connect<'_>,
        worker: Option<&mut Worker>,
    ) {
        if !matches!(
            error.code(),
            ErrorCode::InvalidSpec | ErrorCode::InvalidData | ErrorCode::Diverged
        ) {
            return;
        }
        let message = error.to_string();
        let reported = match worker.and_then(|worker| worker.exchange.wait_idle().ok()) {
            Some((channel, _)) => channel.abort(error.code(), &message),
            None => connect(WorkerId { partition: self.spec.partition, index: 0 })
                .and_then(|mut channel| channel.abort(error.code(), &message)),
        };
        if let Err(failure) = reported {
            // The task fails with its own error in any case, which Spark reports to the driver.
            tracing::warn!(%failure, "cannot report the failure of the fit to the driver");
        }
    }
}

/// The state that the workers of a task share.
struct Training<'a> {
    spec: &'a WorkerSpec,
    partition: &'a Partition,
    cancel: &'a CancelFlag,
    definition: Box<dyn NetworkDefinition>,
    strategy: Box<dyn Strategy>,
    loss: Loss,
    network: Box<dyn Network>,
    gradient: Gradient,
    zero_gradients: ZeroGradients,
    filler: BatchFiller,
    batch: Batch,
    scratch: Scratch,
    /// The evaluation at the end of an epoch, if anything depends on it.
    evaluator: Option<Evaluator>,
}

impl<'a> Training<'a> {
    fn new(
        spec: &'a WorkerSpec,
        partition: &'a Partition,
        cancel: &'a CancelFlag,
    ) -> Result<Self, TrainError> {
        for (name, value) in [
            ("batchSize", spec.batch_size as u64),
            ("epochs", u64::from(spec.epochs)),
            ("workersInTask", u64::from(spec.workers_in_task)),
        ] {
            if value == 0 {
                return Err(TrainError::InvalidSpec(format!("{name} must be at least 1")));
            }
        }
        let strategy = strategy::resolve(&spec.strategy, Some(&spec.optimizer))?;
        let definition = define_for_training(&spec.network, &spec.data)?;
        let layout = definition.layout();
        let controls = &spec.controls;
        controls.check(&spec.data, spec.network.outputs())?;
        let loss = Loss::resolve(&spec.losses, &definition.inspect(), &spec.data.labels)?
            .with_classes(&spec.losses, &controls.class_weights, controls.label_smoothing)?;
        // A mini-batch never has more rows than the partition.
        let capacity = spec.batch_size.min(partition.rows_to_train()).max(1);
        let batch = Batch::new(&*definition, &loss, spec.data.weight.is_some(), capacity)?;
        let buffers = Buffers {
            floats: vec![0.0; layout.len_of(BufferKind::FloatBuffer)],
            integers: vec![0; layout.len_of(BufferKind::IntegerBuffer)],
        };
        Ok(Self {
            spec,
            partition,
            cancel,
            strategy,
            filler: BatchFiller::new(&*definition, &spec.data, &loss)?,
            scratch: Scratch::new(layout, &buffers),
            network: definition.network()?,
            gradient: Gradient::new(&*definition)?,
            zero_gradients: ZeroGradients::new(layout),
            evaluator: Evaluator::new(spec, &*definition, &loss, partition.rows())?,
            loss,
            batch,
            definition,
        })
    }

    fn layout(&self) -> &ParamLayout {
        self.definition.layout()
    }

    /// Trains one window of a worker and commits it.
    fn window(
        &mut self,
        workers: &mut [Worker],
        index: usize,
        clock: &mut Clock,
    ) -> Result<(), TrainError> {
        workers[index].begin_window(&mut self.scratch)?;
        clock.waited();
        if workers[index].phase != WorkerPhase::Training {
            return Ok(());
        }
        let start = workers[index].position;
        let batches = workers[index].batches;
        let window = self.strategy.protocol().window().map_or(batches, NonZeroU32::get);
        let end = start.batch.saturating_add(window).min(batches);
        let mut window =
            TrainedWindow { span: Span { start, batches: 0, rows: 0 }, tally: Tally::default() };
        for batch in start.batch..end {
            if self.cancel.is_cancelled() {
                return Err(TrainError::Cancelled);
            }
            let (rows, tally) = self.step(&mut workers[index], batch, clock)?;
            window.span.batches += 1;
            window.span.rows += rows;
            window.tally.add(tally);
            let answer = heartbeat_all(workers, index, &window)?;
            clock.waited();
            workers[index].note_reductions(answer);
            if answer.stop
                || (answer.evaluation && self.evaluate_assigned(workers, index, clock)?)
            {
                return self.close(&mut workers[index], window, clock, true);
            }
        }
        self.close(&mut workers[index], window, clock, false)
    }

    /// Evaluates held-out rows if an epoch has ended.
    fn after_window(
        &mut self,
        workers: &mut [Worker],
        index: usize,
        clock: &mut Clock,
    ) -> Result<(), TrainError> {
        let worker = &workers[index];
        let ended = worker.position.batch == 0 && worker.phase == WorkerPhase::Training;
        if ended && self.evaluate_assigned(workers, index, clock)? {
            workers[index].stop()?;
        }
        Ok(())
    }

    fn close(
        &mut self,
        worker: &mut Worker,
        window: TrainedWindow,
        clock: &mut Clock,
        stop: bool,
    ) -> Result<(), TrainError> {
        let last = window.span.start.batch + window.span.batches - 1;
        worker.check_finite(self.layout(), last)?;
        clock.computed();
        let fit = FitOptions { protocol: self.strategy.protocol(), epochs: self.spec.epochs };
        worker.close(window, fit, &mut self.scratch)?;
        if stop && worker.phase == WorkerPhase::Training {
            worker.stop()?;
        }
        clock.waited();
        Ok(())
    }

    /// Waits until the round of a worker is closed.
    fn close_round(&mut self, worker: &mut Worker, clock: &mut Clock) -> Result<(), TrainError> {
        let fit = FitOptions { protocol: self.strategy.protocol(), epochs: self.spec.epochs };
        worker.close_round(fit, &mut self.scratch)?;
        clock.waited();
        Ok(())
    }
}

/// Renews the leases of all workers of the task while one of them trains; returns the answer to that one.
fn heartbeat_all(
    workers: &mut [Worker],
    index: usize,
    window: &TrainedWindow,
) -> Result<Answer, TrainError> {
    let mut answer = Answer::default();
    for (other, worker) in workers.iter_mut().enumerate() {
        if other == index {
            let start = window.span.start;
            let next = Position { epoch: start.epoch, batch: start.batch + window.span.batches };
            if let Some(channel) = worker.exchange.try_idle()? {
                answer = channel.heartbeat(next, window.span.rows, window.tally)?;
            }
        } else if worker.phase != WorkerPhase::Finished {
            let position = worker.position;
            if let Some(channel) = worker.exchange.try_idle()? {
                channel.heartbeat(position, 0, Tally::default())?;
            }
        }
    }
    Ok(answer)
}

/// Renews the leases of all workers of the task.
fn renew_leases(workers: &mut [Worker]) -> Result<(), TrainError> {
    for worker in workers.iter_mut().filter(|worker| worker.phase != WorkerPhase::Finished) {
        let position = worker.position;
        if let Some(channel) = worker.exchange.try_idle()? {
            channel.heartbeat(position, 0, Tally::default())?;
        }
    }
    Ok(())
}
