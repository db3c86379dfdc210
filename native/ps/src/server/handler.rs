//! One connection from its handshake to its end: reads requests, asks the session, writes replies.

use std::io::IoSlice;
use std::sync::Arc;

use firesteel_core::compression::Codec;
use firesteel_core::{Answer, Assignment, ErrorCode};

use crate::error::PsError;
use crate::metrics;
use crate::model::{FiniteCheck, PayloadKind, WindowSummary};
use crate::net::{
    Authenticator, BETWEEN_FRAMES, ConnectionError, Inbox, InboxPool, LINGER, Link, LinkError,
    Outbox, STALL, Service, WITHIN_FRAME, receive_parameters, refusal, waiting_notifier,
};
use crate::secret::Secret;
use crate::store::{Contribution, DecidedAnswer, Store, Update, UpdateKind, WorkerSession};
use crate::wire::frame::HEADER_LEN;
use crate::wire::{FrameHeader, Reply, Request};

/// What the connections of a server share.
pub(crate) struct FitService {
    pub(crate) store: Arc<Store>,
    pub(crate) secret: Secret,
    pub(crate) pool: InboxPool,
}

impl Service for FitService {
    fn serve(&self, link: Link, authenticated: impl FnOnce()) {
        let session = WorkerSession::new(Arc::clone(&self.store));
        let mut handler =
            Handler { service: self, link, session, scratch: Vec::with_capacity(256) };
        if let Err(ConnectionError::Refused(error)) = handler.run(authenticated)
            && handler.refuse(&error).is_ok()
        {
            handler.link.linger(LINGER);
        }
    }

    fn workers(&self) -> u32 {
        self.store.workers()
    }

    fn payload(&self) -> u64 {
        self.store.shape().payload_len(PayloadKind::Message)
    }

    fn panicked(&self, text: &str) {
        self.store.fail(ErrorCode::Panic, text);
    }
}

struct Handler<'a> {
    service: &'a FitService,
    link: Link,
    session: WorkerSession,
    scratch: Vec<u8>,
}

impl Handler<'_> {
    fn run(&mut self, authenticated: impl FnOnce()) -> Result<(), ConnectionError> {
        self.handshake(authenticated)?;
        loop {
            self.request()?;
        }
    }

    /// Refuses a peer of another version or without the secret, and one with another network.
    fn handshake(&mut self, authenticated: impl FnOnce()) -> Result<(), ConnectionError> {
        let store = &self.service.store;
        let authenticator =
            Authenticator { fit: store.fit(), secret: &self.service.secret, driver: None };
        let (response, _) = authenticator.accept(&mut self.link, &mut |bytes| {
            metrics::count_sent(bytes);
            self.session.add_bytes(bytes);
        })?;
        authenticated();
        store.check_layout(response.layout_hash, response.parameters)?;
        let shape = store.shape();
        self.reply(&Reply::Welcome {
            floats: shape.floats as u64,
            integers: shape.integers as u64,
            coding: self.service.store.codecs().coding(),
        })?;
        Ok(())
    }

    /// Reads one request and answers it.
    fn request(&mut self) -> Result<(), ConnectionError> {
        let mut header = [0; HEADER_LEN];
        self.link.read_exact(&mut header, BETWEEN_FRAMES)?;
        let header = FrameHeader::decode(&header)?;
        let (length, _) =
            header.split(Request::body(header.kind).as_ref(), self.service.store.shape())?;
        self.scratch.resize(length, 0);
        self.link.read_exact(&mut self.scratch, WITHIN_FRAME)?;
        let request = Request::decode(header.kind, &self.scratch)?;
        self.received(HEADER_LEN as u64 + header.length);
        let done = match request {
            Request::Register(registration) => {
                let mut keep_waiting = waiting_notifier(&mut self.link);
                self.session.register(&registration, &mut keep_waiting).map(Reply::Registered)
            }
            Request::Pull => match self.pull()? {
                Ok(()) => return Ok(()),
                Err(error) => Err(error),
            },
            Request::Commit(window) => self.window(UpdateKind::Commit, &window)?,
            Request::Save(window) => self.window(UpdateKind::Save, &window)?,
            Request::Exchange(window) => match self.exchange(&window)? {
                Ok(()) => return Ok(()),
                Err(error) => Err(error),
            },
            Request::Evaluate => match self.evaluate()? {
                Ok(()) => return Ok(()),
                Err(error) => Err(error),
            },
            Request::Score { epoch, sums } => self.session.score(epoch, &sums).map(plain),
            Request::Heartbeat { position, rows, tally } => {
                self.session.heartbeat(position, rows, tally).map(plain)
            }
            Request::Abort { code, message } => {
                self.session.abort(code, &message).map(|()| Reply::Done)
            }
            Request::Finish => self.session.finish().map(|()| Reply::Done),
            Request::Contribute(window) => self.window(UpdateKind::Contribute, &window)?,
            Request::CloseRound { sequence } => match self.close_round(sequence)? {
                Ok(()) => return Ok(()),
                Err(error) => Err(error),
            },
            Request::Flawed { window, flaw } => {
                self.session.flawed(&window, flaw).map(|()| Reply::Done)
            }
            Request::Stage { .. }
            | Request::Fetch { .. }
            | Request::Load
            | Request::Decide { .. }
            | Request::End => {
                // A payload may follow that nobody takes.
                return Err(PsError::Protocol("a request that is for a shard".to_owned()).into());
            }
        };
        match done {
            Ok(reply) => Ok(self.reply(&reply)?),
            Err(error) => self.refuse(&error),
        }
    }

    fn pull(&mut self) -> Result<Result<(), PsError>, ConnectionError> {
        let Self { service, link, session, .. } = self;
        let start = CenterReply::of(&service.store)?;
        let sent = match session.pull(|decided| start.outbox(link, decided)) {
            Ok(outbox) => outbox.flush(STALL)?,
            Err(error) => return Ok(Err(error)),
        };
        self.sent(sent);
        Ok(Ok(()))
    }

    fn evaluate(&mut self) -> Result<Result<(), PsError>, ConnectionError> {
        let Self { service, link, session, .. } = self;
        let payload = service.store.shape().payload_len(PayloadKind::Frozen);
        let outbox = session.evaluate(|answer, assignment| {
            let follows = matches!(assignment, Assignment::Score { .. });
            let mut head = Vec::with_capacity(64);
            Reply::Assigned { answer, assignment }
                .encode(if follows { payload } else { 0 }, &mut head);
            Outbox::new(link, head, None)
        });
        let sent = match outbox {
            Ok(outbox) => outbox.flush(STALL)?,
            Err(error) => return Ok(Err(error)),
        };
        self.sent(sent);
        Ok(Ok(()))
    }

    fn window(
        &mut self,
        kind: UpdateKind,
        window: &WindowSummary,
    ) -> Result<Result<Reply, PsError>, ConnectionError> {
        let Self { service, link, session, .. } = self;
        let mut lent = service.pool.take(|| service.store.check_open())?;
        let codec = service.store.codecs().message().filter(|_| kind != UpdateKind::Save);
        let finite = receive(link, &mut lent.inbox, codec)?;
        let update = update(kind, window, &lent.inbox, finite);
        let answer = match kind {
            UpdateKind::Contribute => session.contribute(&update),
            UpdateKind::Commit | UpdateKind::Save => session.apply(&update),
        };
        Ok(answer.map(plain))
    }

    fn close_round(&mut self, sequence: u64) -> Result<Result<(), PsError>, ConnectionError> {
        let Self { service, link, session, .. } = self;
        let start = CenterReply::of(&service.store)?;
        let closed = session.await_round(sequence, &mut waiting_notifier(link));
        let outbox = closed
            .and_then(|closed| session.take_round(closed, |decided| start.outbox(link, decided)));
        let sent = match outbox {
            Ok(outbox) => outbox.flush(STALL)?,
            Err(error) => return Ok(Err(error)),
        };
        self.sent(sent);
        Ok(Ok(()))
    }

    fn exchange(&mut self, window: &WindowSummary) -> Result<Result<(), PsError>, ConnectionError> {
        let Self { service, link, session, .. } = self;
        let start = CenterReply::of(&service.store)?;
        let mut lent = service.pool.take(|| service.store.check_open())?;
        let finite = receive(link, &mut lent.inbox, service.store.codecs().message())?;
        let update = update(UpdateKind::Commit, window, &lent.inbox, finite);
        let outbox = session.exchange(&update, |decided| start.outbox(link, decided));
        drop(lent);
        let sent = match outbox {
            Ok(outbox) => outbox.flush(STALL)?,
            Err(error) => return Ok(Err(error)),
        };
        self.sent(sent);
        Ok(Ok(()))
    }

    fn refuse(&mut self, error: &PsError) -> Result<(), ConnectionError> {
        Ok(self.reply(&refusal(error)?)?)
    }

    fn reply(&mut self, reply: &Reply) -> Result<(), LinkError> {
        let mut out = std::mem::take(&mut self.scratch);
        reply.encode(0, &mut out);
        let written = self.write(&out);
        self.scratch = out;
        written
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.link.write_all(&mut [IoSlice::new(bytes)], STALL)?;
        self.sent(bytes.len() as u64);
        Ok(())
    }

    fn sent(&self, bytes: u64) {
        metrics::count_sent(bytes);
        self.session.add_bytes(bytes);
    }

    fn received(&self, bytes: u64) {
        metrics::count_received(bytes);
        self.session.add_bytes(bytes);
    }
}

/// Receives a payload, whose parameters are encoded by `codec` if they are compressed.
fn receive(
    link: &mut Link,
    inbox: &mut Inbox,
    codec: Option<&dyn Codec>,
) -> Result<FiniteCheck, ConnectionError> {
    let Inbox { message, code, buffers } = inbox;
    let finite = receive_parameters::<ConnectionError>(link, codec, code, message)?;
    link.read_exact(bytemuck::cast_slice_mut(&mut buffers.floats), WITHIN_FRAME)?;
    link.read_exact(bytemuck::cast_slice_mut(&mut buffers.integers), WITHIN_FRAME)?;
    Ok(finite)
}

fn update<'a>(
    kind: UpdateKind,
    window: &'a WindowSummary,
    inbox: &'a Inbox,
    finite: FiniteCheck,
) -> Update<'a> {
    let contribution = Contribution { message: &inbox.message, buffers: &inbox.buffers };
    Update { kind, window, contribution, finite }
}

/// What a reply that carries the center variable begins with.
struct CenterReply {
    payload: u64,
    writer: Option<Box<dyn Codec>>,
}

impl CenterReply {
    fn of(store: &Store) -> Result<Self, PsError> {
        let payload = store.shape().payload_len(PayloadKind::Center);
        Ok(Self { payload, writer: store.codecs().center_writer()? })
    }

    fn outbox(self, link: &mut Link, decided: DecidedAnswer) -> Outbox<'_> {
        let mut head = Vec::with_capacity(64);
        let DecidedAnswer { answer, decision } = decided;
        let reply = match decision {
            0 => Reply::Answer { answer, payload: true },
            decision => Reply::Decided { answer, decision },
        };
        reply.encode(self.payload, &mut head);
        Outbox::new(link, head, self.writer)
    }
}

fn plain(answer: Answer) -> Reply {
    Reply::Answer { answer, payload: false }
}
