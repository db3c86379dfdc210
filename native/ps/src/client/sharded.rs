//! The channel to several servers, each of which holds a part of the center variable.
//!
//! A message is split without a copy, and its parts are staged on all other shards in parallel. The first part goes
//! with the commit to the driver's server, which decides for all shards. The resulting center variable is then fetched
//! from all of them by the number of the decision.

use std::ops::Range;
use std::panic::resume_unwind;
use std::thread;

use firesteel_core::spec::ClientSpec;
use firesteel_core::{
    Answer, Assignment, Buffers, CancelFlag, ChannelError, Commit, ErrorCode, Granted,
    ParamChannel, Position, Registration, Save, Tally,
};

use crate::client::check_len;
use crate::client::remote::RemoteChannel;
use crate::error::PsError;
use crate::model::{Flaw, ShardRange, WindowReport};
use crate::wire::Request;

/// A worker's connections to the servers of its fit.
pub(super) struct ShardedChannel {
    driver: RemoteChannel,
    /// The end of the driver's range.
    first: usize,
    shards: Vec<RemoteShard>,
    parameters: usize,
    registration: Option<Registration>,
}

struct RemoteShard {
    remote: RemoteChannel,
    range: Range<usize>,
}

impl ShardedChannel {
    /// Connects to all servers.
    pub(super) fn connect(
        spec: &ClientSpec,
        layout_hash: u64,
        parameters: usize,
        cancel: &CancelFlag,
    ) -> Result<Self, PsError> {
        let count = u32::try_from(spec.shards.len() + 1).unwrap_or(u32::MAX);
        let shard_range = ShardRange::new(parameters, 0, count)?;
        let first = shard_range.range().end;
        let driver = RemoteChannel::connect(spec, shard_range.hash(layout_hash), first, cancel)?;
        let shards = (1..).zip(&spec.shards).map(|(number, shard)| {
            let shard_range = ShardRange::new(parameters, number, count)?;
            let spec = ClientSpec {
                host: shard.host.clone(),
                port: shard.port,
                shards: vec![],
                ..spec.clone()
            };
            let remote = RemoteChannel::connect_to_shard(
                &spec,
                None,
                number,
                &shard_range,
                layout_hash,
                cancel,
            )?;
            Ok(RemoteShard { remote, range: shard_range.range() })
        });
        let shards = shards.collect::<Result<_, PsError>>()?;
        Ok(Self { driver, first, shards, parameters, registration: None })
    }

    fn registration(&self) -> Result<Registration, PsError> {
        self.registration
            .ok_or_else(|| PsError::Protocol("a request before the registration".to_owned()))
    }

    /// Stages a message on all shards but the driver's. Fails the fit if a number is not finite.
    fn stage(&mut self, commit: &Commit<'_>) -> Result<(), ChannelError> {
        check_len("parameters", commit.message.len(), self.parameters)?;
        let Registration { worker, attempt, .. } = self.registration()?;
        let parts = self.shards.iter_mut().map(|RemoteShard { remote, range }| {
            let part = Commit { message: &commit.message[range.clone()], ..*commit };
            move || remote.stage(worker, attempt, &part)
        });
        let mut flaw = None;
        for (distortion, found) in in_parallel(parts.collect())? {
            self.driver.shard_distortion.add(distortion);
            flaw = flaw.or(found);
        }
        match flaw {
            None => Ok(()),
            // The reply is a failure, unless the window was applied before; then the message cannot be the same.
            Some(Flaw { index, value }) => {
                let window = WindowReport::from(commit);
                self.driver.tell(&Request::Flawed { window, flaw: Flaw { index, value } })?;
                let text = format!("parameter {index} of an applied window is {value}");
                Err(PsError::Protocol(text).into())
            }
        }
    }

    /// Fetches the parts of the driver's last answer; false if a shard has already sent its part, over a connection
    /// that broke.
    fn fetch(&mut self, center: &mut [f32]) -> Result<bool, ChannelError> {
        let worker = self.registration()?.worker;
        let decision = self.driver.decision()?;
        let (_, mut left) = center.split_at_mut(self.first);
        let mut parts = Vec::with_capacity(self.shards.len());
        for RemoteShard { remote, range } in &mut self.shards {
            let (part, others) = left.split_at_mut(range.len());
            left = others;
            parts.push(move || remote.fetch(worker, decision, part));
        }
        Ok(in_parallel(parts)?.into_iter().all(|there| there))
    }

    /// Asks the driver until all parts of an answer have arrived.
    fn read(
        &mut self,
        center: &mut [f32],
        buffers: &mut Buffers,
        ask: fn(&mut RemoteChannel, &mut [f32], &mut Buffers) -> Result<Answer, ChannelError>,
    ) -> Result<Answer, ChannelError> {
        check_len("parameters", center.len(), self.parameters)?;
        loop {
            let answer = ask(&mut self.driver, &mut center[..self.first], buffers)?;
            if self.fetch(center)? {
                return Ok(answer);
            }
        }
    }
}

/// Runs all tasks in parallel, the last one on this thread. Returns the first failure.
fn in_parallel<T: Send>(
    mut tasks: Vec<impl FnOnce() -> Result<T, PsError> + Send>,
) -> Result<Vec<T>, PsError> {
    let Some(last) = tasks.pop() else { return Ok(Vec::new()) };
    thread::scope(|scope| {
        let others: Vec<_> = tasks.into_iter().map(|task| scope.spawn(task)).collect();
        let last = last();
        let joined = others
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        let mut done: Vec<_> = joined.collect();
        done.push(last);
        done.into_iter().collect()
    })
}

impl ParamChannel for ShardedChannel {
    fn register(&mut self, registration: &Registration) -> Result<Granted, ChannelError> {
        self.registration = None;
        let granted = self.driver.register(registration)?;
        self.registration = Some(*registration);
        Ok(granted)
    }

    fn pull(&mut self, center: &mut [f32], buffers: &mut Buffers) -> Result<Answer, ChannelError> {
        self.read(center, buffers, RemoteChannel::pull)
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<Answer, ChannelError> {
        self.stage(commit)?;
        self.driver.commit(&self.first_part(commit))
    }

    fn exchange(
        &mut self,
        commit: &Commit<'_>,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<Answer, ChannelError> {
        check_len("parameters", center.len(), self.parameters)?;
        self.stage(commit)?;
        let first = self.first_part(commit);
        let answer = self.driver.exchange(&first, &mut center[..self.first], buffers)?;
        if self.fetch(center)? {
            return Ok(answer);
        }
        let now = self.read(center, buffers, RemoteChannel::pull)?;
        Ok(Answer { staleness: answer.staleness, ..now })
    }

    fn contribute(&mut self, commit: &Commit<'_>) -> Result<Answer, ChannelError> {
        self.stage(commit)?;
        self.driver.contribute(&self.first_part(commit))
    }

    fn close_round(
        &mut self,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<Answer, ChannelError> {
        self.read(center, buffers, RemoteChannel::close_round)
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn save(&mut self, save: &Save<'_>) -> Result<Answer, ChannelError> {
        let Save { sequence, replica: message, buffers, span, tally } = *save;
        self.stage(&Commit { sequence, message, buffers, span, tally })?;
        self.driver.save(&Save { replica: &save.replica[..self.first], ..*save })
    }

    fn heartbeat(
        &mut self,
        position: Position,
        rows: u64,
        tally: Tally,
    ) -> Result<Answer, ChannelError> {
        self.driver.heartbeat(position, rows, tally)
    }

    /// A center variable on several servers is never scored; the driver's server only reports the end of training.
    fn evaluate(
        &mut self,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<(Answer, Assignment), ChannelError> {
        check_len("parameters", center.len(), self.parameters)?;
        match self.driver.evaluate(&mut center[..self.first], buffers)? {
            (_, Assignment::Score { .. }) => {
                let text =
                    "the server asked to score a part of a frozen center variable".to_owned();
                Err(PsError::Protocol(text).into())
            }
            asked => Ok(asked),
        }
    }

    fn score(&mut self, epoch: u32, sums: &[f64]) -> Result<Answer, ChannelError> {
        self.driver.score(epoch, sums)
    }

    fn abort(&mut self, code: ErrorCode, message: &str) -> Result<(), ChannelError> {
        self.driver.abort(code, message)
    }

    fn finish(&mut self) -> Result<(), ChannelError> {
        self.driver.finish()
    }
}

impl ShardedChannel {
    /// Returns a commit with the part of its message that the driver's server takes.
    fn first_part<'a>(&self, commit: &Commit<'a>) -> Commit<'a> {
        Commit { message: &commit.message[..self.first], ..*commit }
    }
}
