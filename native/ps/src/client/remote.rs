//! The channel over a socket, whose requests survive a broken connection.

use std::thread;
use std::time::{Duration, Instant};

use firesteel_core::compression::{Coding, Distortion};
use firesteel_core::spec::ClientSpec;
use firesteel_core::{
    Answer, Assignment, Buffers, CancelFlag, ChannelError, Commit, ErrorCode, Granted,
    ParamChannel, Position, Registration, Save, Tally,
};

use crate::client::connection::{
    Connection, Parameters, Payload, Peer, RequestError, Target, unexpected,
};
use crate::client::outgoing::Outgoing;
use crate::client::{CANCEL_INTERVAL, HeartbeatTimer, check_len};
use crate::error::PsError;
use crate::metrics;
use crate::model::{PayloadShape, WindowReport};
use crate::net::tls::Connector;
use crate::secret::Secret;
use crate::wire::{Reply, Request};

/// The pause after the first failure, which doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The time limit of each step of an attempt to connect.
const STEP: Duration = Duration::from_secs(10);

/// A worker's connection to a server in another process, opened again when it breaks.
pub(crate) struct RemoteChannel {
    peer: Peer,
    cancel: CancelFlag,
    connection: Option<Connection>,
    /// The registration, repeated on every new connection.
    registration: Option<Registration>,
    heartbeat_timer: HeartbeatTimer,
    /// The sequence number of the last contribution.
    contributed: u64,
    /// The payload lengths and codecs of the server, once they are known.
    terms: Option<(PayloadShape, Coding)>,
    pub(super) outgoing: Outgoing,
    /// The compression error of the parts of the next message that went to other shards.
    pub(super) shard_distortion: Distortion,
    /// The number of the decision that produced the last center variable, with shards.
    decision: u64,
}

impl RemoteChannel {
    /// Connects to the server of a fit.
    pub(super) fn connect(
        spec: &ClientSpec,
        layout_hash: u64,
        parameters: usize,
        cancel: &CancelFlag,
    ) -> Result<Self, PsError> {
        let name = format!("{}:{}", spec.host, spec.port);
        Self::connect_as(spec, None, name, layout_hash, parameters, cancel)
    }

    /// Connects to the server that errors call `name`, and authenticates by `own` in place of the fit's secret.
    pub(super) fn connect_as(
        spec: &ClientSpec,
        own: Option<&Secret>,
        name: String,
        layout_hash: u64,
        parameters: usize,
        cancel: &CancelFlag,
    ) -> Result<Self, PsError> {
        let secret = Secret::parse(&spec.secret)?;
        let own = own.unwrap_or(&secret).clone();
        let tls = spec.tls.as_ref().map(|tls| Connector::new(tls, &spec.host)).transpose()?;
        let mut remote = Self {
            peer: Peer { spec: spec.clone(), name, secret, own, tls, layout_hash, parameters },
            cancel: cancel.clone(),
            connection: None,
            registration: None,
            heartbeat_timer: HeartbeatTimer::new(),
            contributed: 0,
            terms: None,
            outgoing: Outgoing::default(),
            shard_distortion: Distortion::default(),
            decision: 0,
        };
        remote.outgoing = remote.retry(|connection| Ok(Outgoing::new(connection.codecs())?))?;
        Ok(remote)
    }

    /// Runs an operation over a connection, and again over a new one when it breaks, within the timeout of the
    /// specification.
    pub(super) fn retry<T>(
        &mut self,
        mut operation: impl FnMut(&mut Connection) -> Result<T, RequestError>,
    ) -> Result<T, PsError> {
        let limit = Duration::from_millis(self.peer.spec.timeout_millis);
        let mut start = None;
        let mut pause = FIRST_PAUSE;
        loop {
            if self.cancel.is_cancelled() {
                return Err(PsError::Cancelled);
            }
            let begun = *start.get_or_insert_with(Instant::now);
            let cause = match self
                .attempt(&mut operation, limit.saturating_sub(begun.elapsed()).min(STEP))
            {
                Ok(done) => return Ok(done),
                Err(RequestError::Fatal { error, usable }) => {
                    if !usable {
                        self.connection = None;
                    }
                    return Err(error);
                }
                Err(RequestError::Broken(cause)) => {
                    // The time that a working connection took before it broke does not count.
                    if self.connection.take().is_some() {
                        start = Some(Instant::now());
                        pause = FIRST_PAUSE;
                    }
                    cause
                }
            };
            let begun = *start.get_or_insert_with(Instant::now);
            if begun.elapsed() + pause >= limit {
                return Err(PsError::Unreachable {
                    server: self.peer.name.clone(),
                    seconds: begun.elapsed().as_secs_f64(),
                    cause: cause.to_string(),
                });
            }
            self.sleep(jitter(pause))?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Makes one attempt, over the open connection if there is one.
    fn attempt<T>(
        &mut self,
        operation: &mut impl FnMut(&mut Connection) -> Result<T, RequestError>,
        limit: Duration,
    ) -> Result<T, RequestError> {
        if let Some(connection) = &mut self.connection {
            return operation(connection);
        }
        let mut connection = Connection::open(&self.peer, &self.cancel, limit)?;
        let terms = (connection.shape(), connection.codecs().coding());
        if *self.terms.get_or_insert(terms) != terms {
            return Err(unexpected(
                "other payload lengths or codecs than over the last connection",
            )
            .into());
        }
        if let Some(registration) = self.registration {
            registered(connection.call(&Request::Register(registration), None, None)?)?;
        }
        operation(self.connection.insert(connection))
    }

    fn sleep(&self, pause: Duration) -> Result<(), PsError> {
        let end = Instant::now() + pause;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            if self.cancel.is_cancelled() {
                return Err(PsError::Cancelled);
            }
            thread::sleep(left.min(CANCEL_INTERVAL));
        }
        Ok(())
    }

    /// Sends a request whose reply is an [`Answer`], with a center variable if `target` is given.
    fn ask(
        &mut self,
        request: &Request,
        payload: Option<Payload<'_>>,
        mut target: Option<(&mut [f32], &mut Buffers)>,
    ) -> Result<Answer, ChannelError> {
        let (answer, decision) = self.retry(|connection| {
            let target = target.as_mut().map(|(center, buffers)| Target { center, buffers });
            let wanted = target.is_some();
            match connection.call(request, payload, target)? {
                Reply::Answer(answer) if !wanted => Ok((answer, 0)),
                Reply::Center(answer) if wanted => Ok((answer, 0)),
                Reply::Decided { answer, decision } if wanted => Ok((answer, decision)),
                other => Err(unexpected(&format!("{other:?} instead of an answer")).into()),
            }
        })?;
        if target.is_some() {
            self.decision = decision;
        }
        Ok(self.heartbeat_timer.note(answer))
    }

    /// Sends a commit, compressed if the fit compresses.
    fn send(
        &mut self,
        commit: &Commit<'_>,
        request: impl FnOnce(WindowReport) -> Request,
        target: Option<(&mut [f32], &mut Buffers)>,
    ) -> Result<Answer, ChannelError> {
        self.check(commit.message.len(), commit.buffers)?;
        if let Some((center, buffers)) = &target {
            self.check(center.len(), buffers)?;
        }
        let mut outgoing = std::mem::take(&mut self.outgoing);
        let answer =
            outgoing.window(commit).map_err(ChannelError::from).and_then(|(mut window, code)| {
                window.distortion.add(std::mem::take(&mut self.shard_distortion));
                let parameters = match code {
                    Some(code) => Parameters::Coded(code),
                    None => Parameters::Plain(commit.message),
                };
                let payload = Payload { parameters, buffers: commit.buffers };
                self.ask(&request(window), Some(payload), target)
            });
        self.outgoing = outgoing;
        answer
    }

    /// Fails if the lengths differ from the server's layout.
    fn check(&self, parameters: usize, buffers: &Buffers) -> Result<(), PsError> {
        let Some((shape, _)) = self.terms else { return Ok(()) };
        check_len("parameters", parameters, shape.parameters)?;
        check_len("floating-point buffers", buffers.floats.len(), shape.floats)?;
        check_len("integer buffers", buffers.integers.len(), shape.integers)
    }

    /// The number of the decision by which the other shards hold their parts of the last answer's center variable.
    pub(super) fn decision(&self) -> Result<u64, PsError> {
        match self.decision {
            0 => Err(unexpected("a center variable without the number of its decision")),
            decision => Ok(decision),
        }
    }

    /// Sends a request whose reply is `Done`.
    pub(super) fn tell(&mut self, request: &Request) -> Result<(), ChannelError> {
        Ok(self.retry(|connection| match connection.call(request, None, None)? {
            Reply::Done => Ok(()),
            other => Err(unexpected(&format!("{other:?} instead of an acknowledgement")).into()),
        })?)
    }
}

impl ParamChannel for RemoteChannel {
    fn register(&mut self, registration: &Registration) -> Result<Granted, ChannelError> {
        self.registration = None;
        let request = Request::Register(*registration);
        let granted =
            self.retry(|connection| registered(connection.call(&request, None, None)?))?;
        self.registration = Some(*registration);
        Ok(granted)
    }

    fn pull(&mut self, center: &mut [f32], buffers: &mut Buffers) -> Result<Answer, ChannelError> {
        self.check(center.len(), buffers)?;
        let answer = self.ask(&Request::Pull, None, Some((center, buffers)))?;
        metrics::count_pull();
        Ok(answer)
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<Answer, ChannelError> {
        let answer = self.send(commit, Request::Commit, None)?;
        metrics::count_commit(answer.staleness, commit.span.rows, false);
        Ok(answer)
    }

    fn exchange(
        &mut self,
        commit: &Commit<'_>,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<Answer, ChannelError> {
        let answer = self.send(commit, Request::Exchange, Some((center, buffers)))?;
        metrics::count_commit(answer.staleness, commit.span.rows, true);
        Ok(answer)
    }

    fn contribute(&mut self, commit: &Commit<'_>) -> Result<Answer, ChannelError> {
        let answer = self.send(commit, Request::Contribute, None)?;
        self.contributed = commit.sequence;
        metrics::count_commit(0, commit.span.rows, false);
        Ok(answer)
    }

    fn close_round(
        &mut self,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<Answer, ChannelError> {
        self.check(center.len(), buffers)?;
        let request = Request::CloseRound { sequence: self.contributed };
        let answer = self.ask(&request, None, Some((center, buffers)))?;
        metrics::count_pull();
        Ok(answer)
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn save(&mut self, save: &Save<'_>) -> Result<Answer, ChannelError> {
        self.check(save.replica.len(), save.buffers)?;
        let parameters = Parameters::Plain(save.replica);
        let payload = Payload { parameters, buffers: save.buffers };
        let answer = self.ask(&Request::Save(save.into()), Some(payload), None)?;
        metrics::count_commit(answer.staleness, save.span.rows, false);
        Ok(answer)
    }

    fn heartbeat(
        &mut self,
        position: Position,
        rows: u64,
        tally: Tally,
    ) -> Result<Answer, ChannelError> {
        if self.cancel.is_cancelled() {
            return Err(PsError::Cancelled.into());
        }
        match self.heartbeat_timer.recent() {
            Some(answer) => Ok(answer),
            None => self.ask(&Request::Heartbeat { position, rows, tally }, None, None),
        }
    }

    fn evaluate(
        &mut self,
        center: &mut [f32],
        buffers: &mut Buffers,
    ) -> Result<(Answer, Assignment), ChannelError> {
        self.check(center.len(), buffers)?;
        let (answer, assignment) = self.retry(|connection| {
            let target = Target { center: &mut *center, buffers: &mut *buffers };
            match connection.call(&Request::Evaluate, None, Some(target))? {
                Reply::Frozen { answer, epoch } => Ok((answer, Assignment::Score { epoch })),
                Reply::Unassigned { answer, over: false } => Ok((answer, Assignment::Wait)),
                Reply::Unassigned { answer, over: true } => Ok((answer, Assignment::Over)),
                other => Err(unexpected(&format!("{other:?} instead of an assignment")).into()),
            }
        })?;
        Ok((self.heartbeat_timer.note(answer), assignment))
    }

    fn score(&mut self, epoch: u32, sums: &[f64]) -> Result<Answer, ChannelError> {
        self.ask(&Request::Score { epoch, sums: sums.to_vec() }, None, None)
    }

    fn abort(&mut self, code: ErrorCode, message: &str) -> Result<(), ChannelError> {
        self.tell(&Request::Abort { code, message: message.to_owned() })
    }

    fn finish(&mut self) -> Result<(), ChannelError> {
        self.tell(&Request::Finish)
    }
}

fn registered(reply: Reply) -> Result<Granted, RequestError> {
    match reply {
        Reply::Registered(granted) => Ok(granted),
        other => Err(unexpected(&format!("{other:?} instead of a lease")).into()),
    }
}

/// Returns between half of a pause and all of it, so that workers that lost the same server do not return at the same
/// moment.
fn jitter(pause: Duration) -> Duration {
    let mut random = [0; 2];
    // Without random bytes every pause is the shortest.
    let _unavailable = getrandom::fill(&mut random);
    pause.mul_f64(0.5 + 0.5 * f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX))
}
