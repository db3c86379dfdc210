//! The training of one task: its workers in turn over the task's rows, a window each. In a strategy with rounds all of them
//! contribute before any waits.

mod evaluate;
mod fill;
mod finite;
mod learning;
mod link;
mod member;
mod report;
mod start;

use std::sync::Arc;

use firesteel_core::clipping::clip;
use firesteel_core::schedule::{Moment, learning_rate};
use firesteel_core::spec::WorkerSpec;
use firesteel_core::{
    Answer, Buffers, CancelFlag, ChannelError, Coded, Element, ErrorCode, FlushDenormals,
    ParamChannel, ParamLayout, Position, Rhythm, Span, Strategy, Tally, WorkerId, strategy,
};
use firesteel_data::Partition;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use self::evaluate::Evaluator;
use self::fill::Filler;
use self::learning::Untouched;
pub use self::learning::{Learning, OutputSample, Sample};
use self::member::{Member, Scratch, State, Terms, Window};
use self::report::Clock;
pub use self::report::{MemberReport, Seconds, WorkerReport};
use crate::definition::{Definition, define_over};
use crate::error::TrainError;
use crate::loss::Loss;
use crate::network::{Batch, Gradient, Network};
use crate::torch;

/// How a worker reaches the server: one channel for each worker of a task.
pub type Connect<'a> = &'a mut dyn FnMut(WorkerId) -> Result<Box<dyn ParamChannel>, ChannelError>;

/// The workers of one task.
#[derive(Debug)]
pub struct Worker {
    spec: WorkerSpec,
    partition: Arc<Partition>,
}

impl Worker {
    /// The workers that `spec` describes, over the rows of a partition, which those of other fits may share.
    #[must_use]
    pub fn new(spec: WorkerSpec, partition: impl Into<Arc<Partition>>) -> Self {
        Self { spec, partition: partition.into() }
    }

    /// Trains from where the server says to the last epoch, on the calling thread.
    ///
    /// # Errors
    /// [`TrainError::InvalidSpec`], [`TrainError::Layer`] or [`TrainError::Strategy`] where the specification does not fit;
    /// [`TrainError::Data`] at a value that the network cannot take; [`TrainError::Diverged`] when the loss, a parameter or
    /// a buffer is NaN or infinite; [`TrainError::Channel`] as the channel fails; [`TrainError::Cancelled`]. The first
    /// three a retry would meet again, so the driver is told to fail the fit.
    pub fn run(
        &self,
        connect: Connect<'_>,
        cancel: &CancelFlag,
    ) -> Result<WorkerReport, TrainError> {
        torch::set_threads(self.spec.threads);
        let _flush = FlushDenormals::new();
        let mut members = Vec::new();
        let result = self.train(connect, cancel, &mut members);
        if let Err(error) = &result {
            self.tell_driver(error, connect, members.first_mut());
        }
        result
    }

    fn train(
        &self,
        connect: Connect<'_>,
        cancel: &CancelFlag,
        members: &mut Vec<Member>,
    ) -> Result<WorkerReport, TrainError> {
        let mut clock = Clock::start();
        let mut training = Training::new(&self.spec, &self.partition, cancel)?;
        for index in 0..self.spec.workers_in_task {
            let id = WorkerId { partition: self.spec.partition, index };
            let member = training.member(id, connect(id)?)?;
            members.push(member);
        }
        clock.computed();
        for member in members.iter_mut() {
            let own = training.own_weights(member)?;
            member.join(self.spec.epochs, &mut training.scratch, own)?;
        }
        clock.waited();
        while members.iter().any(|member| member.state != State::Finished) {
            for index in 0..members.len() {
                if members[index].state == State::Training {
                    training.window(members, index, &mut clock)?;
                    training.after_window(members, index, &mut clock)?;
                }
            }
            for index in 0..members.len() {
                if members[index].state == State::InRound {
                    training.close_round(&mut members[index], &mut clock)?;
                    training.after_window(members, index, &mut clock)?;
                }
            }
            training.serve_all(members, &mut clock)?;
        }
        Ok(WorkerReport {
            partition: self.spec.partition,
            attempt: self.spec.attempt,
            workers: members.iter().map(|member| member.report.clone()).collect(),
            learning: training.learning(members),
            seconds: clock.seconds(),
        })
    }

    /// Tells the driver of an error that a retry would meet again.
    fn tell_driver(&self, error: &TrainError, connect: Connect<'_>, member: Option<&mut Member>) {
        if !matches!(
            error.code(),
            ErrorCode::InvalidSpec | ErrorCode::InvalidData | ErrorCode::Diverged
        ) {
            return;
        }
        let message = error.to_string();
        let told = match member.and_then(|member| member.link.here().ok()) {
            Some((channel, _)) => channel.abort(error.code(), &message),
            None => connect(WorkerId { partition: self.spec.partition, index: 0 })
                .and_then(|mut channel| channel.abort(error.code(), &message)),
        };
        if let Err(failure) = told {
            // The task fails with its own error in any case; the driver then learns it through Spark.
            tracing::warn!(%failure, "the driver could not be told to stop the fit");
        }
    }
}

/// What the workers of a task share.
struct Training<'a> {
    spec: &'a WorkerSpec,
    partition: &'a Partition,
    cancel: &'a CancelFlag,
    definition: Box<dyn Definition>,
    strategy: Box<dyn Strategy>,
    loss: Loss,
    network: Box<dyn Network>,
    gradient: Gradient,
    untouched: Untouched,
    filler: Filler,
    batch: Batch,
    scratch: Scratch,
    /// Where something follows from the end of an epoch.
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
        let definition = define_over(&spec.network, &spec.data)?;
        let layout = definition.layout();
        let controls = &spec.controls;
        controls.check(&spec.data, spec.network.outputs())?;
        let loss = Loss::resolve(&spec.losses, &definition.inspect(), &spec.data.labels)?
            .with_classes(&spec.losses, &controls.class_weights, controls.label_smoothing)?;
        // A mini-batch never has more rows than there are.
        let capacity = spec.batch_size.min(partition.rows_to_train()).max(1);
        let batch = Batch::new(&*definition, &loss, spec.data.weight.is_some(), capacity)?;
        let buffers = Buffers {
            floats: vec![0.0; layout.len_of(Element::FloatBuffer)],
            integers: vec![0; layout.len_of(Element::IntegerBuffer)],
        };
        Ok(Self {
            spec,
            partition,
            cancel,
            strategy,
            filler: Filler::new(&*definition, &spec.data, &loss)?,
            scratch: Scratch::new(layout, &buffers),
            network: definition.network()?,
            gradient: Gradient::new(&*definition)?,
            untouched: Untouched::new(layout),
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
        members: &mut [Member],
        index: usize,
        clock: &mut Clock,
    ) -> Result<(), TrainError> {
        members[index].begin_window(&mut self.scratch)?;
        clock.waited();
        if members[index].state != State::Training {
            return Ok(());
        }
        let start = members[index].position;
        let batches = members[index].batches;
        let end = match self.strategy.rhythm() {
            Rhythm::Window(window) | Rhythm::Round(window) => {
                start.batch.saturating_add(window.get()).min(batches)
            }
            Rhythm::Save => batches,
        };
        let mut window =
            Window { span: Span { start, batches: 0, rows: 0 }, tally: Tally::default() };
        for batch in start.batch..end {
            if self.cancel.is_cancelled() {
                return Err(TrainError::Cancelled);
            }
            let (rows, tally) = self.step(&mut members[index], batch, clock)?;
            window.span.batches += 1;
            window.span.rows += rows;
            window.tally.add(tally);
            let answer = beat(members, index, &window)?;
            clock.waited();
            members[index].hear(answer);
            if answer.stop || (answer.evaluation && self.serve(members, index, clock)?) {
                return self.close(&mut members[index], window, clock, true);
            }
        }
        self.close(&mut members[index], window, clock, false)
    }

    /// Scores held-out rows if an epoch has ended.
    fn after_window(
        &mut self,
        members: &mut [Member],
        index: usize,
        clock: &mut Clock,
    ) -> Result<(), TrainError> {
        let member = &members[index];
        let ended = member.position.batch == 0 && member.state == State::Training;
        if ended && self.serve(members, index, clock)? {
            members[index].stop()?;
        }
        Ok(())
    }

    fn close(
        &mut self,
        member: &mut Member,
        window: Window,
        clock: &mut Clock,
        stop: bool,
    ) -> Result<(), TrainError> {
        let last = window.span.start.batch + window.span.batches - 1;
        member.check_finite(self.layout(), last)?;
        clock.computed();
        let terms = Terms { strategy: &*self.strategy, epochs: self.spec.epochs };
        member.close(window, terms, &mut self.scratch)?;
        if stop && member.state == State::Training {
            member.stop()?;
        }
        clock.waited();
        Ok(())
    }

    /// Waits until the round of a worker is closed.
    fn close_round(&mut self, member: &mut Member, clock: &mut Clock) -> Result<(), TrainError> {
        let terms = Terms { strategy: &*self.strategy, epochs: self.spec.epochs };
        member.close_round(terms, &mut self.scratch)?;
        clock.waited();
        Ok(())
    }

    /// Trains one mini-batch; gives its rows and their losses.
    fn step(
        &mut self,
        member: &mut Member,
        batch: u32,
        clock: &mut Clock,
    ) -> Result<(u64, Tally), TrainError> {
        let size = self.spec.batch_size;
        let order = member.order(self.spec.seed, self.spec.shuffle);
        let first = batch as usize * size;
        let rows = &order[first..order.len().min(first.saturating_add(size))];
        self.filler.fill(&mut self.batch, self.partition, rows)?;
        clock.gathered();
        let trained = rows.len() as u64;
        member.rule.look_ahead(member.replica.parameters_mut());
        member.replica.seed(self.seed_of(member.id, member.position.epoch, batch));
        let tally = self.network.forward_backward(
            &mut member.replica,
            &self.batch,
            &self.loss,
            &mut self.gradient,
        )?;
        if !tally.loss.is_finite() {
            return Err(member.diverged("the loss", tally.loss, batch));
        }
        self.untouched.see(self.definition.layout(), &self.gradient);
        if !self.strategy.steps_on_server() {
            clip(&self.spec.controls.clipping, self.gradient.flat_mut());
            member.optimizer.set_learning_rate(self.rate(member, batch));
        }
        let Member { rule, replica, optimizer, .. } = member;
        rule.step(replica.parameters_mut(), self.gradient.flat(), &mut **optimizer);
        member.report.batches += 1;
        member.report.rows_trained += trained;
        clock.computed();
        Ok((trained, tally))
    }

    /// The learning rate of a mini-batch.
    fn rate(&self, member: &Member, batch: u32) -> f64 {
        let WorkerSpec { controls, optimizer, .. } = self.spec;
        let Member { position, batches, reductions, .. } = *member;
        let moment = Moment { epoch: position.epoch, batch, batches, reductions };
        let base = optimizer.learning_rate();
        learning_rate(&controls.schedule, controls.warmup.as_ref(), base, moment)
    }

    /// The seed of a mini-batch's dropout: a retry that comes back to it draws the same masks.
    fn seed_of(&self, worker: WorkerId, epoch: u32, batch: u32) -> u64 {
        let mut place = [0_u8; 16];
        for (bytes, number) in
            place.chunks_exact_mut(4).zip([worker.partition, worker.index, epoch, batch])
        {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        xxh3_64_with_seed(&place, self.spec.seed)
    }
}

/// Renews the leases of all workers of the task while one of them trains; gives what that one was answered.
fn beat(members: &mut [Member], index: usize, window: &Window) -> Result<Answer, TrainError> {
    let mut answer = Answer::default();
    for (other, member) in members.iter_mut().enumerate() {
        if other == index {
            let start = window.span.start;
            let next = Position { epoch: start.epoch, batch: start.batch + window.span.batches };
            if let Some(channel) = member.link.idle()? {
                answer = channel.heartbeat(next, window.span.rows, window.tally)?;
            }
        } else if member.state != State::Finished {
            let position = member.position;
            if let Some(channel) = member.link.idle()? {
                channel.heartbeat(position, 0, Tally::default())?;
            }
        }
    }
    Ok(answer)
}

/// Renews the leases of all workers of the task.
fn heartbeats(members: &mut [Member]) -> Result<(), TrainError> {
    for member in members.iter_mut().filter(|member| member.state != State::Finished) {
        let position = member.position;
        if let Some(channel) = member.link.idle()? {
            channel.heartbeat(position, 0, Tally::default())?;
        }
    }
    Ok(())
}
