//! One connection to a shard: of a worker, which stages and fetches, or of the driver, which sends decisions.

use std::io::IoSlice;
use std::sync::Arc;

use firesteel_core::WorkerId;
use firesteel_core::compression::Codec;

use super::store::ShardStore;
use crate::error::PsError;
use crate::metrics;
use crate::model::{FiniteCheck, PayloadKind};
use crate::net::{
    Authenticator, BETWEEN_FRAMES, ConnectionError, Flow, LINGER, Link, LinkError, Outbox,
    ReceivedMessage, STALL, Service, WITHIN_FRAME, receive_message, receive_parameters, refusal,
    waiting_notifier,
};
use crate::secret::Secret;
use crate::wire::{Caller, HEADER_LEN, Message, Reply, ShardRequest};

/// The state that the connections of a shard share.
pub(super) struct ShardService {
    pub(super) store: Arc<ShardStore>,
    pub(super) secret: Secret,
    pub(super) driver: Secret,
}

impl Service for ShardService {
    fn serve(&self, link: Link, authenticated: impl FnOnce()) {
        let mut handler =
            Handler { service: self, link, scratch: Vec::with_capacity(256), code: Vec::new() };
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
        self.store.fail(text);
    }
}

struct Handler<'a> {
    service: &'a ShardService,
    link: Link,
    scratch: Vec<u8>,
    /// A piece of a compressed message.
    code: Vec<u8>,
}

impl Handler<'_> {
    fn run(&mut self, authenticated: impl FnOnce()) -> Result<(), ConnectionError> {
        let ShardService { store, secret, driver } = self.service;
        let authenticator = Authenticator { fit: store.fit(), secret, driver: Some(driver) };
        let (response, caller) = authenticator.accept(&mut self.link, &mut metrics::count_sent)?;
        authenticated();
        store.check_layout(response.layout_hash, response.parameters)?;
        self.reply(&Reply::Welcome { floats: 0, integers: 0, coding: store.codecs().coding() })?;
        loop {
            self.request(caller)?;
        }
    }

    /// Reads one request and answers it.
    fn request(&mut self, caller: Caller) -> Result<(), ConnectionError> {
        let store = &self.service.store;
        let ReceivedMessage { message, frame_len, .. } = receive_message::<_, ConnectionError>(
            &mut self.link,
            [BETWEEN_FRAMES, WITHIN_FRAME],
            |kind| ShardRequest::limits(kind, caller),
            &store.shape(),
            &mut self.scratch,
        )?;
        metrics::count_received(frame_len);
        match self.answer(caller, message) {
            Ok(Flow::Reply(reply)) => Ok(self.reply(&reply)?),
            Ok(Flow::Streamed(bytes)) => {
                metrics::count_sent(bytes);
                Ok(())
            }
            Err(ConnectionError::Refused(error)) => self.refuse(&error),
            Err(error) => Err(error),
        }
    }

    fn answer(&mut self, caller: Caller, request: ShardRequest) -> Result<Flow, ConnectionError> {
        let store = &self.service.store;
        let reply = match request {
            ShardRequest::Stage { worker, attempt, sequence } => {
                let (part, finite) = self.receive(store.codecs().message())?;
                let mut keep_waiting = waiting_notifier(&mut self.link);
                store
                    .stage(worker, attempt, sequence, part, finite, &mut keep_waiting)
                    .map(|flaw| Reply::Staged { flaw })
            }
            ShardRequest::Fetch { worker, decision } => {
                return self.fetch(caller, worker, decision);
            }
            ShardRequest::Load => {
                let (values, _) = self.receive(None)?;
                store.load(&values);
                store.note_driver_contact();
                Ok(Reply::Done)
            }
            ShardRequest::Decide { first, decisions } => {
                store.follow(first, decisions).map(|()| Reply::Done)
            }
            ShardRequest::End => {
                self.reply(&Reply::Done)?;
                store.end();
                return Err(ConnectionError::Closed);
            }
        };
        reply.map(Flow::Reply).map_err(ConnectionError::Refused)
    }

    /// Receives the parameters of this shard, encoded by `codec` if they are compressed, and checks them.
    fn receive(
        &mut self,
        codec: Option<&dyn Codec>,
    ) -> Result<(Vec<f32>, FiniteCheck), ConnectionError> {
        let mut part = self.service.store.memory();
        let Self { link, code, .. } = self;
        let finite = receive_parameters::<ConnectionError>(link, codec, code, &mut part)?;
        Ok((part, finite))
    }

    fn fetch(
        &mut self,
        caller: Caller,
        worker: WorkerId,
        decision: u64,
    ) -> Result<Flow, ConnectionError> {
        let store = &self.service.store;
        let view = store
            .fetch(worker, decision, &mut waiting_notifier(&mut self.link))
            .map_err(ConnectionError::Refused)?;
        let Some(view) = view else { return Ok(Flow::Reply(Reply::Gone)) };
        let (reply, payload, writer) = match caller {
            Caller::Worker => (
                Reply::Slice,
                PayloadKind::Center,
                store.codecs().center_writer().map_err(PsError::from)?,
            ),
            Caller::Driver => (Reply::Exact, PayloadKind::Replica, None),
        };
        let mut head = Vec::with_capacity(HEADER_LEN);
        reply.encode(store.shape().payload_len(payload), &mut head);
        let mut outbox = Outbox::new(&mut self.link, head, writer);
        view.give(&mut outbox);
        // The outbox holds the stripes that it still needs, so later decisions need not copy the others.
        drop(view);
        Ok(Flow::Streamed(outbox.flush(STALL)?))
    }

    fn refuse(&mut self, error: &PsError) -> Result<(), ConnectionError> {
        Ok(self.reply(&refusal(error)?)?)
    }

    fn reply(&mut self, reply: &Reply) -> Result<(), LinkError> {
        let mut out = std::mem::take(&mut self.scratch);
        reply.encode(0, &mut out);
        let written = self.link.write_all(&mut [IoSlice::new(&out)], STALL);
        metrics::count_sent(out.len() as u64);
        self.scratch = out;
        written
    }
}
