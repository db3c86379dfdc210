//! The channel to a server in the same process: it calls the session directly, without copying commits. If the fit
//! compresses, server and worker receive the decoded values that the peer of a socket would receive.

use std::sync::Arc;

use firesteel_core::compression::{Codec, CompressionError, encode_into};
use firesteel_core::{
    Answer, Assignment, Buffers, CancelFlag, ChannelError, Commit, ErrorCode, Granted,
    ParamChannel, Position, Registration, Save, Tally,
};

use crate::client::outgoing::Outgoing;
use crate::client::{HeartbeatTimer, check_len};
use crate::error::PsError;
use crate::model::{CenterReader, FiniteCheck, WindowReport};
use crate::store::{ClosedRound, Contribution, Store, Update, UpdateKind, WorkerSession};

/// A worker's session with a store in this process.
pub struct MemoryChannel {
    session: WorkerSession,
    cancel: CancelFlag,
    heartbeat_timer: HeartbeatTimer,
    /// The sequence number of the last contribution.
    contributed: u64,
    outgoing: Outgoing,
    /// The decoded values of a compressed message.
    decoded: Vec<f32>,
}

impl MemoryChannel {
    /// Creates a session without a registered worker.
    pub(crate) fn new(store: Arc<Store>, cancel: CancelFlag) -> Result<Self, PsError> {
        let outgoing = Outgoing::new(store.codecs())?;
        Ok(Self {
            session: WorkerSession::new(store),
            cancel,
            heartbeat_timer: HeartbeatTimer::new(),
            contributed: 0,
            outgoing,
            decoded: Vec::new(),
        })
    }

    /// Copies the result of the round of this worker's last contribution, as [`ParamChannel::close_round`] does, but
    /// does not wait: returns `None` while the round is open.
    ///
    /// # Errors
    /// As [`ParamChannel::close_round`].
    pub fn try_close_round(
        &mut self,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<Option<Answer>, ChannelError> {
        self.check(center.len(), buffers)?;
        let Some(closed) = self.session.round(self.contributed)? else { return Ok(None) };
        Ok(Some(self.take_round(closed, center, buffers)?))
    }

    fn take_round(
        &mut self,
        closed: ClosedRound,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<Answer, PsError> {
        let writer = writer(&self.session)?;
        let target = self.session.take_round(closed, |decided| {
            CenterSink::new(decided.answer, writer, center, buffers)
        })?;
        Ok(self.heartbeat_timer.note(target.filled()?))
    }

    fn check_cancel(&self) -> Result<(), PsError> {
        if self.cancel.is_cancelled() { Err(PsError::Cancelled) } else { Ok(()) }
    }

    fn check(&self, parameters: usize, buffers: &Buffers) -> Result<(), PsError> {
        self.check_cancel()?;
        let shape = self.session.store().shape();
        check_len("parameters", parameters, shape.parameters)?;
        check_len("floating-point buffers", buffers.floats.len(), shape.floats)?;
        check_len("integer buffers", buffers.integers.len(), shape.integers)
    }

    /// Calls `send` with the update that the server receives for a commit.
    fn send<T>(
        &mut self,
        commit: &Commit<'_>,
        kind: UpdateKind,
        send: impl FnOnce(&WorkerSession, &Update<'_>) -> Result<T, PsError>,
    ) -> Result<T, PsError> {
        self.check(commit.message.len(), commit.buffers)?;
        let Self { session, outgoing, decoded, .. } = self;
        let (window, code) = outgoing.window(commit)?;
        let message = match (code, session.store().codecs().message()) {
            (Some(code), Some(codec)) => {
                decoded.resize(commit.message.len(), 0.0);
                codec.decode(code, decoded)?;
                decoded
            }
            _ => commit.message,
        };
        let contribution = Contribution { message, buffers: commit.buffers };
        send(session, &update(kind, &window, contribution))
    }
}

impl ParamChannel for MemoryChannel {
    fn register(&mut self, registration: &Registration) -> Result<Granted, ChannelError> {
        self.check_cancel()?;
        let cancel = &self.cancel;
        let mut keep_waiting =
            || if cancel.is_cancelled() { Err(PsError::Cancelled) } else { Ok(()) };
        Ok(self.session.register(registration, &mut keep_waiting)?)
    }

    fn pull(&mut self, center: &mut [f32], buffers: &mut Buffers) -> Result<Answer, ChannelError> {
        self.check(center.len(), buffers)?;
        let writer = writer(&self.session)?;
        let target = self
            .session
            .pull(|decided| CenterSink::new(decided.answer, writer, center, buffers))?;
        Ok(self.heartbeat_timer.note(target.filled()?))
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<Answer, ChannelError> {
        let answer = self.send(commit, UpdateKind::Commit, WorkerSession::apply)?;
        Ok(self.heartbeat_timer.note(answer))
    }

    fn exchange(
        &mut self,
        commit: &Commit<'_>,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<Answer, ChannelError> {
        self.check(center.len(), buffers)?;
        let writer = writer(&self.session)?;
        let target = self.send(commit, UpdateKind::Commit, |session, update| {
            session.exchange(update, |decided| {
                CenterSink::new(decided.answer, writer, center, buffers)
            })
        })?;
        let answer = target.filled()?;
        Ok(self.heartbeat_timer.note(answer))
    }

    fn contribute(&mut self, commit: &Commit<'_>) -> Result<Answer, ChannelError> {
        let answer = self.send(commit, UpdateKind::Contribute, WorkerSession::contribute)?;
        self.contributed = commit.sequence;
        Ok(self.heartbeat_timer.note(answer))
    }

    fn close_round(
        &mut self,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<Answer, ChannelError> {
        self.check(center.len(), buffers)?;
        let cancel = &self.cancel;
        let mut keep_waiting =
            || if cancel.is_cancelled() { Err(PsError::Cancelled) } else { Ok(()) };
        let closed = self.session.await_round(self.contributed, &mut keep_waiting)?;
        Ok(self.take_round(closed, center, buffers)?)
    }

    fn is_remote(&self) -> bool {
        false
    }

    fn save(&mut self, save: &Save<'_>) -> Result<Answer, ChannelError> {
        self.check(save.replica.len(), save.buffers)?;
        let contribution = Contribution { message: save.replica, buffers: save.buffers };
        let answer = self.session.apply(&update(UpdateKind::Save, &save.into(), contribution))?;
        Ok(self.heartbeat_timer.note(answer))
    }

    fn heartbeat(
        &mut self,
        position: Position,
        rows: u64,
        tally: Tally,
    ) -> Result<Answer, ChannelError> {
        self.check_cancel()?;
        match self.heartbeat_timer.recent() {
            Some(answer) => Ok(answer),
            None => {
                let answer = self.session.heartbeat(position, rows, tally)?;
                Ok(self.heartbeat_timer.note(answer))
            }
        }
    }

    fn evaluate(
        &mut self,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<(Answer, Assignment), ChannelError> {
        self.check(center.len(), buffers)?;
        let mut asked = Assignment::Wait;
        let target = self.session.evaluate(|answer, assignment| {
            asked = assignment;
            CenterSink::new(answer, None, center, buffers)
        })?;
        Ok((self.heartbeat_timer.note(target.filled()?), asked))
    }

    fn score(&mut self, epoch: u32, sums: &[f64]) -> Result<Answer, ChannelError> {
        self.check_cancel()?;
        let answer = self.session.score(epoch, sums)?;
        Ok(self.heartbeat_timer.note(answer))
    }

    fn abort(&mut self, code: ErrorCode, message: &str) -> Result<(), ChannelError> {
        Ok(self.session.abort(code, message)?)
    }

    fn finish(&mut self) -> Result<(), ChannelError> {
        self.check_cancel()?;
        Ok(self.session.finish()?)
    }
}

fn update<'a>(
    kind: UpdateKind,
    window: &'a WindowReport,
    contribution: Contribution<'a>,
) -> Update<'a> {
    Update { kind, window, contribution, finite: FiniteCheck::of(contribution.message) }
}

/// Returns the codec that compresses the center variable; `None` without compression.
fn writer(session: &WorkerSession) -> Result<Option<Box<dyn Codec>>, PsError> {
    Ok(session.store().codecs().center_writer()?)
}

/// A reader that copies the center variable to the worker's memory, through the codec if there is one.
struct CenterSink<'a> {
    answer: Answer,
    writer: Option<Box<dyn Codec>>,
    code: Vec<u8>,
    center: &'a mut [f32],
    filled: usize,
    buffers: &'a mut Buffers,
    failed: Option<CompressionError>,
}

impl<'a> CenterSink<'a> {
    fn new(
        answer: Answer,
        writer: Option<Box<dyn Codec>>,
        center: &'a mut [f32],
        buffers: &'a mut Buffers,
    ) -> Self {
        Self { answer, writer, code: Vec::new(), center, filled: 0, buffers, failed: None }
    }

    /// Returns the answer once everything has been copied.
    fn filled(self) -> Result<Answer, PsError> {
        match self.failed {
            None => Ok(self.answer),
            Some(error) => Err(error.into()),
        }
    }
}

impl CenterReader for CenterSink<'_> {
    fn stripe(&mut self, stripe: &Arc<Vec<f32>>) {
        let end = self.filled + stripe.len();
        let target = &mut self.center[self.filled..end];
        match &mut self.writer {
            Some(writer) => {
                encode_into(&mut **writer, stripe, &mut self.code);
                self.failed = self.failed.take().or(writer.decode(&self.code, target).err());
            }
            None => target.copy_from_slice(stripe),
        }
        self.filled = end;
    }

    fn buffers(&mut self, buffers: &Arc<Buffers>) {
        self.buffers.floats.copy_from_slice(&buffers.floats);
        self.buffers.integers.copy_from_slice(&buffers.integers);
    }
}
