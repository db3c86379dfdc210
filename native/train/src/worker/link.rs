//! A worker's channel, and the thread on which it exchanges while the worker trains on.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};

use firesteel_core::{
    Answer, Buffers, ChannelError, Commit, FlushDenormals, ParamChannel, Position, Span, Tally,
};

use crate::error::TrainError;

/// The channel and the memory of an exchange. They move together: to the thread and back.
struct Parcel {
    channel: Box<dyn ParamChannel>,
    exchange: Exchange,
}

/// What an exchange sends and what it brings back.
pub(super) struct Exchange {
    pub(super) sequence: u64,
    pub(super) span: Span,
    pub(super) tally: Tally,
    pub(super) message: Vec<f32>,
    pub(super) buffers: Buffers,
    pub(super) center: Vec<f32>,
    pulled: Buffers,
    answer: Option<Result<Answer, ChannelError>>,
}

impl Exchange {
    /// Memory for exchanges of this size; 0 where the worker does not overlap.
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

impl Parcel {
    fn run(&mut self) {
        let Self { channel, exchange } = self;
        let mut center = std::mem::take(&mut exchange.center);
        let mut pulled = std::mem::take(&mut exchange.pulled);
        let answer = channel.exchange(&exchange.commit(), &mut center, &mut pulled);
        (exchange.center, exchange.pulled) = (center, pulled);
        exchange.answer = Some(answer);
    }
}

/// The thread that exchanges for one worker.
struct Courier {
    /// None once no more is to be sent.
    out: Option<SyncSender<Parcel>>,
    back: Receiver<Parcel>,
    thread: Option<JoinHandle<()>>,
}

impl Courier {
    fn start() -> Result<Self, TrainError> {
        let (out, inbox) = sync_channel::<Parcel>(1);
        let (outbox, back) = sync_channel(1);
        let thread =
            thread::Builder::new().name("firesteel-exchange".to_owned()).spawn(move || {
                let _flush = FlushDenormals::new();
                for mut parcel in inbox {
                    parcel.run();
                    if outbox.send(parcel).is_err() {
                        return;
                    }
                }
            });
        let thread = thread.map_err(|error| {
            TrainError::Internal(format!("a thread for exchanges could not be started: {error}"))
        })?;
        Ok(Self { out: Some(out), back, thread: Some(thread) })
    }
}

impl Drop for Courier {
    /// Waits for an exchange under way, which ends soon after the task is cancelled.
    fn drop(&mut self) {
        self.out = None;
        if let Some(thread) = self.thread.take() {
            // A panic in there has been met as a parcel that did not come back.
            let _panicked = thread.join();
        }
    }
}

/// A worker's channel: here, or under way with an exchange.
pub(super) struct Link {
    here: Option<Parcel>,
    courier: Option<Courier>,
}

impl Link {
    /// A channel that is here. `overlap` says whether exchanges run on a thread, which they do only where they wait for a
    /// network.
    pub(super) fn new(
        channel: Box<dyn ParamChannel>,
        exchange: Exchange,
        overlap: bool,
    ) -> Result<Self, TrainError> {
        let courier = (overlap && channel.is_remote()).then(Courier::start).transpose()?;
        Ok(Self { here: Some(Parcel { channel, exchange }), courier })
    }

    /// The channel and the memory of the next exchange, once the one under way has come back.
    pub(super) fn here(&mut self) -> Result<(&mut dyn ParamChannel, &mut Exchange), TrainError> {
        if self.here.is_none()
            && let Some(courier) = &self.courier
        {
            self.here = courier.back.recv().ok();
        }
        self.present()
    }

    /// The channel, unless an exchange is under way.
    pub(super) fn idle(&mut self) -> Result<Option<&mut dyn ParamChannel>, TrainError> {
        if self.here.is_none()
            && let Some(courier) = &self.courier
        {
            match courier.back.try_recv() {
                Ok(parcel) => self.here = Some(parcel),
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => {}
            }
        }
        self.present().map(|(channel, _)| Some(channel))
    }

    fn present(&mut self) -> Result<(&mut dyn ParamChannel, &mut Exchange), TrainError> {
        match &mut self.here {
            Some(Parcel { channel, exchange }) => Ok((&mut **channel, exchange)),
            None => Err(TrainError::Internal("an exchange ended with a panic".to_owned())),
        }
    }

    /// Begins the exchange that has been written to its memory.
    pub(super) fn send(&mut self) -> Result<(), TrainError> {
        self.here()?;
        match (&self.courier, self.here.take()) {
            (Some(Courier { out: Some(out), .. }), Some(parcel)) => {
                // Whatever becomes of it shows when it is waited for.
                let _gone = out.send(parcel);
            }
            (_, mut here) => {
                here.iter_mut().for_each(Parcel::run);
                self.here = here;
            }
        }
        Ok(())
    }

    /// Waits for the exchange that was begun last; `None` if its answer has been taken already.
    pub(super) fn answer(&mut self) -> Result<Option<Answer>, TrainError> {
        let (_, exchange) = self.here()?;
        Ok(exchange.answer.take().transpose()?)
    }
}
