//! One connection of a server, from the handshake to its end: it reads requests, calls the session and writes replies.

use std::io::IoSlice;
use std::sync::Arc;

use firesteel_core::compression::Codec;
use firesteel_core::{Assignment, ErrorCode};

use crate::error::PsError;
use crate::metrics;
use crate::model::{FiniteCheck, PayloadKind, WindowReport};
use crate::net::{
    Authenticator, BETWEEN_FRAMES, ConnectionError, Flow, Inbox, InboxPool, LINGER, Link,
    LinkError, Outbox, ReceivedMessage, STALL, Service, WITHIN_FRAME, receive_message,
    receive_parameters, refusal, waiting_notifier,
};
use crate::secret::Secret;
use crate::store::{Contribution, DecidedAnswer, Store, Update, UpdateKind, WorkerSession};
use crate::wire::{Message, Reply, Request};

/// The state that the connections of a server share.
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
        if let Err(ConnectionError::Fatal(error)) = handler.run(authenticated)
            && handler.refuse(&error).is_ok()
        {
            handler.link.linger(LINGER);
        }
    }

    fn fit(&self) -> &str {
        self.store.fit()
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

    /// Refuses a peer of another version, without the secret, or with another network.
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
        let ReceivedMessage { message, frame_len, .. } = receive_message::<_, ConnectionError>(
            &mut self.link,
            [BETWEEN_FRAMES, WITHIN_FRAME],
            Request::limits,
            &self.service.store.shape(),
            &mut self.scratch,
        )?;
        self.received(frame_len);
        match self.answer(message) {
            Ok(Flow::Reply(reply)) => Ok(self.reply(&reply)?),
            Ok(Flow::Streamed(bytes)) => {
                self.sent(bytes);
                Ok(())
            }
            Err(ConnectionError::Refused(error)) => self.refuse(&error),
            Err(error) => Err(error),
        }
    }

    fn answer(&mut self, request: Request) -> Result<Flow, ConnectionError> {
        let session = &mut self.session;
        let reply = match request {
            Request::Register(registration) => {
                let mut keep_waiting = waiting_notifier(&mut self.link);
                session.register(&registration, &mut keep_waiting).map(Reply::Registered)
            }
            Request::Pull => return self.pull(),
            Request::Commit(window) => return self.window(UpdateKind::Commit, &window),
            Request::Save(window) => return self.window(UpdateKind::Save, &window),
            Request::Contribute(window) => return self.window(UpdateKind::Contribute, &window),
            Request::Exchange(window) => return self.exchange(&window),
            Request::CloseRound { sequence } => return self.close_round(sequence),
            Request::Evaluate => return self.evaluate(),
            Request::Score { epoch, sums } => session.score(epoch, &sums).map(Reply::Answer),
            Request::Heartbeat { position, rows, tally } => {
                session.heartbeat(position, rows, tally).map(Reply::Answer)
            }
            Request::Abort { code, message } => session.abort(code, &message).map(|()| Reply::Done),
            Request::Finish => session.finish().map(|()| Reply::Done),
            Request::Flawed { window, flaw } => session.flawed(&window, flaw).map(|()| Reply::Done),
        };
        reply.map(Flow::Reply).map_err(ConnectionError::Refused)
    }

    fn pull(&mut self) -> Result<Flow, ConnectionError> {
        let Self { service, link, session, .. } = self;
        let start = CenterReply::of(&service.store)?;
        stream(session.pull(|decided| start.outbox(link, decided)))
    }

    fn evaluate(&mut self) -> Result<Flow, ConnectionError> {
        let Self { service, link, session, .. } = self;
        let payload = service.store.shape().payload_len(PayloadKind::Replica);
        stream(session.evaluate(|answer, assignment| {
            let mut head = Vec::with_capacity(64);
            match assignment {
                Assignment::Score { epoch } => {
                    Reply::Frozen { answer, epoch }.encode(payload, &mut head);
                }
                Assignment::Wait => Reply::Unassigned { answer, over: false }.encode(0, &mut head),
                Assignment::Over => Reply::Unassigned { answer, over: true }.encode(0, &mut head),
            }
            Outbox::new(link, head, None)
        }))
    }

    fn window(&mut self, kind: UpdateKind, window: &WindowReport) -> Result<Flow, ConnectionError> {
        let Self { service, link, session, .. } = self;
        let mut pooled = service.pool.take(|| service.store.check_open())?;
        let codec = service.store.codecs().message().filter(|_| kind != UpdateKind::Save);
        let finite = receive(link, &mut pooled.inbox, codec)?;
        let update = update(kind, window, &pooled.inbox, finite);
        let answer = match kind {
            UpdateKind::Contribute => session.contribute(&update),
            UpdateKind::Commit | UpdateKind::Save => session.apply(&update),
        };
        answer.map(|answer| Flow::Reply(Reply::Answer(answer))).map_err(ConnectionError::Refused)
    }

    fn close_round(&mut self, sequence: u64) -> Result<Flow, ConnectionError> {
        let Self { service, link, session, .. } = self;
        let start = CenterReply::of(&service.store)?;
        let closed = session.await_round(sequence, &mut waiting_notifier(link));
        stream(
            closed.and_then(|closed| {
                session.take_round(closed, |decided| start.outbox(link, decided))
            }),
        )
    }

    fn exchange(&mut self, window: &WindowReport) -> Result<Flow, ConnectionError> {
        let Self { service, link, session, .. } = self;
        let start = CenterReply::of(&service.store)?;
        let mut pooled = service.pool.take(|| service.store.check_open())?;
        let finite = receive(link, &mut pooled.inbox, service.store.codecs().message())?;
        let update = update(UpdateKind::Commit, window, &pooled.inbox, finite);
        let outbox = session.exchange(&update, |decided| start.outbox(link, decided));
        drop(pooled);
        stream(outbox)
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

/// Sends the rest of a reply, unless the request failed.
fn stream(outbox: Result<Outbox<'_>, PsError>) -> Result<Flow, ConnectionError> {
    let outbox = outbox.map_err(ConnectionError::Refused)?;
    Ok(Flow::Streamed(outbox.flush(STALL)?))
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
    window: &'a WindowReport,
    inbox: &'a Inbox,
    finite: FiniteCheck,
) -> Update<'a> {
    let contribution = Contribution { message: &inbox.message, buffers: &inbox.buffers };
    Update { kind, window, contribution, finite }
}

/// The first part of a reply that carries the center variable.
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
            0 => Reply::Center(answer),
            decision => Reply::Decided { answer, decision },
        };
        reply.encode(self.payload, &mut head);
        Outbox::new(link, head, self.writer)
    }
}
