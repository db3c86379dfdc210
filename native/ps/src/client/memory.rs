//! The channel to a server of the same process: the session itself, without a copy of what is committed.

use std::sync::Arc;

use firesteel_core::{
    Answer, Buffers, CancelFlag, ChannelError, Commit, ErrorCode, Granted, ParamChannel, Position,
    Registration, Save, Tally,
};

use crate::client::{Pulse, check_len};
use crate::error::PsError;
use crate::session::Session;
use crate::store::{Contribution, Deed, Finite, Offer, Reader, Store};
use crate::wire::Window;

/// A worker's session with a store of this process.
pub(super) struct Memory {
    session: Session,
    cancel: CancelFlag,
    pulse: Pulse,
    /// The number of the last contribution.
    contributed: u64,
}

impl Memory {
    /// A session in which nobody has registered yet.
    pub(super) fn new(store: Arc<Store>, cancel: CancelFlag) -> Self {
        Self { session: Session::new(store), cancel, pulse: Pulse::new(), contributed: 0 }
    }

    fn check_cancel(&self) -> Result<(), PsError> {
        if self.cancel.is_cancelled() { Err(PsError::Cancelled) } else { Ok(()) }
    }

    fn check(&self, parameters: usize, buffers: &Buffers) -> Result<(), PsError> {
        self.check_cancel()?;
        let shape = self.session.store().shape();
        check_len("parameters", parameters, shape.parameters)?;
        check_len("floating buffers", buffers.floats.len(), shape.floats)?;
        check_len("integer buffers", buffers.integers.len(), shape.integers)
    }

    fn apply(
        &mut self,
        deed: Deed,
        window: &Window,
        contribution: Contribution<'_>,
    ) -> Result<Answer, ChannelError> {
        self.check(contribution.message.len(), contribution.buffers)?;
        let answer = self.session.apply(&offer(deed, window, contribution))?;
        Ok(self.pulse.note(answer))
    }
}

impl ParamChannel for Memory {
    fn register(&mut self, registration: &Registration) -> Result<Granted, ChannelError> {
        self.check_cancel()?;
        let cancel = &self.cancel;
        let mut patience = || if cancel.is_cancelled() { Err(PsError::Cancelled) } else { Ok(()) };
        Ok(self.session.register(registration, &mut patience)?)
    }

    fn pull(&mut self, center: &mut [f32], buffers: &mut Buffers) -> Result<Answer, ChannelError> {
        self.check(center.len(), buffers)?;
        let target = self.session.pull(|answer| Target::new(answer, center, buffers))?;
        Ok(self.pulse.note(target.answer))
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<Answer, ChannelError> {
        let contribution = Contribution { message: commit.message, buffers: commit.buffers };
        self.apply(Deed::Commit, &commit.into(), contribution)
    }

    fn exchange(
        &mut self,
        commit: &Commit<'_>,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<Answer, ChannelError> {
        self.check(center.len(), buffers)?;
        self.check(commit.message.len(), commit.buffers)?;
        let (window, contribution) =
            (commit.into(), Contribution { message: commit.message, buffers: commit.buffers });
        let offer = offer(Deed::Commit, &window, contribution);
        let target =
            self.session.exchange(&offer, |answer| Target::new(answer, center, buffers))?;
        Ok(self.pulse.note(target.answer))
    }

    fn contribute(&mut self, commit: &Commit<'_>) -> Result<Answer, ChannelError> {
        self.check(commit.message.len(), commit.buffers)?;
        let (window, contribution) =
            (commit.into(), Contribution { message: commit.message, buffers: commit.buffers });
        let answer = self.session.contribute(&offer(Deed::Contribute, &window, contribution))?;
        self.contributed = commit.sequence;
        Ok(self.pulse.note(answer))
    }

    fn close_round(
        &mut self,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<Answer, ChannelError> {
        self.check(center.len(), buffers)?;
        let cancel = &self.cancel;
        let mut patience = || if cancel.is_cancelled() { Err(PsError::Cancelled) } else { Ok(()) };
        let closed = self.session.await_round(self.contributed, &mut patience)?;
        let target =
            self.session.take_round(closed, |answer| Target::new(answer, center, buffers))?;
        Ok(self.pulse.note(target.answer))
    }

    fn is_remote(&self) -> bool {
        false
    }

    fn save(&mut self, save: &Save<'_>) -> Result<Answer, ChannelError> {
        let contribution = Contribution { message: save.replica, buffers: save.buffers };
        self.apply(Deed::Save, &save.into(), contribution)
    }

    fn heartbeat(
        &mut self,
        position: Position,
        rows: u64,
        tally: Tally,
    ) -> Result<Answer, ChannelError> {
        self.check_cancel()?;
        match self.pulse.recent() {
            Some(answer) => Ok(answer),
            None => {
                let answer = self.session.heartbeat(position, rows, tally)?;
                Ok(self.pulse.note(answer))
            }
        }
    }

    fn abort(&mut self, code: ErrorCode, message: &str) -> Result<(), ChannelError> {
        Ok(self.session.abort(code, message)?)
    }

    fn finish(&mut self) -> Result<(), ChannelError> {
        self.check_cancel()?;
        Ok(self.session.finish()?)
    }
}

fn offer<'a>(deed: Deed, window: &'a Window, contribution: Contribution<'a>) -> Offer<'a> {
    Offer { deed, window, contribution, finite: Finite::of(contribution.message) }
}

/// Copies the center variable to where the worker wants it.
struct Target<'a> {
    answer: Answer,
    center: &'a mut [f32],
    filled: usize,
    buffers: &'a mut Buffers,
}

impl<'a> Target<'a> {
    fn new(answer: Answer, center: &'a mut [f32], buffers: &'a mut Buffers) -> Self {
        Self { answer, center, filled: 0, buffers }
    }
}

impl Reader for Target<'_> {
    fn stripe(&mut self, stripe: &Arc<Vec<f32>>) {
        let end = self.filled + stripe.len();
        self.center[self.filled..end].copy_from_slice(stripe);
        self.filled = end;
    }

    fn buffers(&mut self, buffers: &Arc<Buffers>) {
        self.buffers.floats.copy_from_slice(&buffers.floats);
        self.buffers.integers.copy_from_slice(&buffers.integers);
    }
}
