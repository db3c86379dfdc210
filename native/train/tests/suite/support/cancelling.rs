//! A channel that cancels its task.

use firesteel_core::channel::Registration;
use firesteel_core::{
    Answer, Assignment, Buffers, CancelFlag, ChannelError, Commit, ErrorCode, Granted,
    ParamChannel, Position, Save, Tally,
};

/// A channel that cancels its task after a number of commits or saves, or instead of sending its scores.
pub struct Cancelling {
    pub channel: Box<dyn ParamChannel>,
    pub commits: Option<u32>,
    pub scores: Option<u32>,
    pub cancel: CancelFlag,
}

/// Counts down; returns true at 0.
fn down(left: &mut Option<u32>) -> bool {
    if let Some(left) = left {
        *left = left.saturating_sub(1);
    }
    *left == Some(0)
}

impl Cancelling {
    fn count(&mut self) {
        if down(&mut self.commits) {
            self.cancel.cancel();
        }
    }
}

impl ParamChannel for Cancelling {
    fn register(&mut self, registration: &Registration) -> Result<Granted, ChannelError> {
        self.channel.register(registration)
    }

    fn pull(&mut self, center: &mut [f32], buffers: &mut Buffers) -> Result<Answer, ChannelError> {
        self.channel.pull(center, buffers)
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<Answer, ChannelError> {
        let answer = self.channel.commit(commit);
        self.count();
        answer
    }

    fn exchange(
        &mut self,
        commit: &Commit<'_>,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<Answer, ChannelError> {
        let answer = self.channel.exchange(commit, center, buffers);
        self.count();
        answer
    }

    fn contribute(&mut self, commit: &Commit<'_>) -> Result<Answer, ChannelError> {
        self.channel.contribute(commit)
    }

    fn close_round(
        &mut self,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<Answer, ChannelError> {
        let answer = self.channel.close_round(center, buffers);
        self.count();
        answer
    }

    fn is_remote(&self) -> bool {
        self.channel.is_remote()
    }

    fn save(&mut self, save: &Save<'_>) -> Result<Answer, ChannelError> {
        let answer = self.channel.save(save);
        self.count();
        answer
    }

    fn heartbeat(
        &mut self,
        position: Position,
        rows: u64,
        tally: Tally,
    ) -> Result<Answer, ChannelError> {
        self.channel.heartbeat(position, rows, tally)
    }

    fn evaluate(
        &mut self,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<(Answer, Assignment), ChannelError> {
        self.channel.evaluate(center, buffers)
    }

    fn score(&mut self, epoch: u32, sums: &[f64]) -> Result<Answer, ChannelError> {
        if down(&mut self.scores) {
            self.cancel.cancel();
        }
        self.channel.score(epoch, sums)
    }

    fn abort(&mut self, code: ErrorCode, message: &str) -> Result<(), ChannelError> {
        self.channel.abort(code, message)
    }

    fn finish(&mut self) -> Result<(), ChannelError> {
        self.channel.finish()
    }
}
