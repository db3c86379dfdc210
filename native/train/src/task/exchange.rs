//! A worker's channel, and the thread that exchanges with the server while the worker trains on.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};

use firesteel_core::{
    Answer, Buffers, ChannelError, Commit, FlushDenormals, ParamChannel, Position, Span, Tally,
    WorkerId,
};

use crate::error::TrainError;

/// The channel and the buffers of one exchange, which move to the exchange thread and back together.
struct ExchangeJob {
    channel: Box<dyn ParamChannel>,
    buffers: ExchangeBuffers,
}

/// The buffers of an exchange: the commit that it sends and the center variable that it receives.
pub(super) struct ExchangeBuffers {
    pub(super) sequence: u64,
    pub(super) span: Span,
    pub(super) tally: Tally,
    pub(super) message: Vec<f32>,
    pub(super) buffers: Buffers,
    pub(super) center: Vec<f32>,
    pulled: Buffers,
    answer: Option<Result<Answer, ChannelError>>,
}

impl ExchangeBuffers {
    /// Buffers for exchanges of `parameters` parameters; 0 if the worker does not overlap exchanges with training.
    pub(super) fn new(parameters: usize, buffers: &Buffers) -> Self {
        Self {
            sequence: 0,
            span: Span { start: Position::default(), batches: 0, rows: 0 },
            tally: Tally::default(),
            message: vec![0.0; parameters],
            buffers: buffers.clone(),
            center: vec![0.0; parameters],
            pulled: buffers.clone(),
            answer: None,
        }
    }

    pub(super) fn commit(&self) -> Commit<'_> {
        Commit {
            sequence: self.sequence,
            message: &self.message,
            buffers: &self.buffers,
            span: self.span,
            tally: self.tally,
        }
    }
}

impl ExchangeJob {
    fn run(&mut self) {
        let Self { channel, buffers } = self;
        let mut center = std::mem::take(&mut buffers.center);
        let mut pulled = std::mem::take(&mut buffers.pulled);
        let answer = channel.exchange(&buffers.commit(), &mut center, &mut pulled);
        (buffers.center, buffers.pulled) = (center, pulled);
        buffers.answer = Some(answer);
    }
}

/// The thread that runs the exchanges of one worker.
struct ExchangeThread {
    /// `None` after the last job.
    jobs: Option<SyncSender<ExchangeJob>>,
    finished: Receiver<ExchangeJob>,
    thread: Option<JoinHandle<()>>,
}

impl ExchangeThread {
    fn start(name: String) -> Result<Self, TrainError> {
        let (jobs, inbox) = sync_channel::<ExchangeJob>(1);
        let (outbox, finished) = sync_channel(1);
        let context = tracing::Span::current();
        let thread = thread::Builder::new().name(name).spawn(move || {
            let _flush = FlushDenormals::new();
            let _context = context.enter();
            for mut job in inbox {
                job.run();
                if outbox.send(job).is_err() {
                    return;
                }
            }
        });
        let thread = thread.map_err(|error| {
            TrainError::Internal(format!("cannot start the exchange thread: {error}"))
        })?;
        Ok(Self { jobs: Some(jobs), finished, thread: Some(thread) })
    }
}

impl Drop for ExchangeThread {
    /// Waits for a running exchange, which ends soon after the task is cancelled.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported as a job that did not come back.
            let _panicked = thread.join();
        }
    }
}

/// A worker's channel and exchange buffers, which the exchange thread holds during an exchange.
pub(super) struct ExchangeHandle {
    /// `None` while the exchange thread has it.
    idle: Option<ExchangeJob>,
    thread: Option<ExchangeThread>,
}

impl ExchangeHandle {
    /// An idle handle of a worker. With `overlap`, exchanges over a network run on a thread of their own.
    pub(super) fn new(
        worker: WorkerId,
        channel: Box<dyn ParamChannel>,
        buffers: ExchangeBuffers,
        overlap: bool,
    ) -> Result<Self, TrainError> {
        let thread = (overlap && channel.is_remote())
            .then(|| ExchangeThread::start(format!("firesteel-exchange-{worker}")))
            .transpose()?;
        Ok(Self { idle: Some(ExchangeJob { channel, buffers }), thread })
    }

    /// Waits for a running exchange and returns the channel and the buffers of the next one.
    pub(super) fn wait_idle(
        &mut self,
    ) -> Result<(&mut dyn ParamChannel, &mut ExchangeBuffers), TrainError> {
        if self.idle.is_none()
            && let Some(thread) = &self.thread
        {
            self.idle = thread.finished.recv().ok();
        }
        self.idle_job()
    }

    /// Returns the channel, or `None` during an exchange.
    pub(super) fn try_idle(&mut self) -> Result<Option<&mut dyn ParamChannel>, TrainError> {
        if self.idle.is_none()
            && let Some(thread) = &self.thread
        {
            match thread.finished.try_recv() {
                Ok(job) => self.idle = Some(job),
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => {}
            }
        }
        self.idle_job().map(|(channel, _)| Some(channel))
    }

    fn idle_job(&mut self) -> Result<(&mut dyn ParamChannel, &mut ExchangeBuffers), TrainError> {
        match &mut self.idle {
            Some(ExchangeJob { channel, buffers }) => Ok((&mut **channel, buffers)),
            None => Err(TrainError::Internal("the exchange thread panicked".to_owned())),
        }
    }

    /// Starts the exchange whose commit has been written to the buffers.
    pub(super) fn start(&mut self) -> Result<(), TrainError> {
        self.wait_idle()?;
        match (&self.thread, self.idle.take()) {
            (Some(ExchangeThread { jobs: Some(jobs), .. }), Some(job)) => {
                // A failure shows when the answer is waited for.
                let _gone = jobs.send(job);
            }
            (_, mut idle) => {
                idle.iter_mut().for_each(ExchangeJob::run);
                self.idle = idle;
            }
        }
        Ok(())
    }

    /// Waits for the last exchange and takes its answer; `None` if it has been taken already.
    pub(super) fn wait_answer(&mut self) -> Result<Option<Answer>, TrainError> {
        let (_, buffers) = self.wait_idle()?;
        Ok(buffers.answer.take().transpose()?)
    }
}
