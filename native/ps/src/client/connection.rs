//! One connection to a server: dialling, the handshake, and requests with their replies.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use firesteel_core::compression::Coding;
use firesteel_core::spec::ClientSpec;
use firesteel_core::{Buffers, CancelFlag};
use socket2::{Domain, SockRef, Socket, Type};

use crate::client::CANCEL_INTERVAL;
use crate::error::PsError;
use crate::metrics;
use crate::model::{Codecs, PayloadKind, PayloadShape};
use crate::net::tls::{self, ALERT_LEN, Connector};
use crate::net::{IoTimeouts, Link, LinkError, ReceivedMessage, receive_coded, receive_message};
use crate::secret::{Role, Secret, Transcript, nonce};
use crate::wire::handshake::{CHALLENGE_LEN, Challenge, PREAMBLE_LEN, Preamble, Response};
use crate::wire::{Message, PROTOCOL_VERSION, Reply};

/// The size of the parameters, in bytes, from which a worker's message is large.
const LARGE: usize = 16 << 20;

/// The bytes of a large message that the kernel buffers while it cannot send them. Like the server, a host of many
/// workers must not run out of kernel memory for TCP.
const UNSENT: u32 = 1 << 20;

/// The reason why a request failed.
#[derive(Debug)]
pub(super) enum RequestError {
    /// The connection broke; the request may succeed over a new one.
    Broken(io::Error),
    /// The request would fail again. `usable` is true if the connection is still in sync with the server.
    Fatal { error: PsError, usable: bool },
}

impl RequestError {
    fn in_step(error: PsError) -> Self {
        Self::Fatal { error, usable: true }
    }
}

impl From<LinkError> for RequestError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Broken(error) => Self::Broken(error),
            LinkError::Interrupted => PsError::Cancelled.into(),
        }
    }
}

impl From<io::Error> for RequestError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<PsError> for RequestError {
    fn from(error: PsError) -> Self {
        Self::Fatal { error, usable: false }
    }
}

/// The server to connect to, and the credentials for it.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) spec: ClientSpec,
    /// The server's name in error messages.
    pub(super) name: String,
    /// The secret by which the server authenticates itself.
    pub(super) secret: Secret,
    /// The secret by which the client authenticates itself.
    pub(super) own: Secret,
    /// `None` for an unencrypted connection.
    pub(super) tls: Option<Connector>,
    pub(super) layout_hash: u64,
    pub(super) parameters: usize,
}

/// The payload of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payload<'a> {
    pub(super) parameters: Parameters<'a>,
    pub(super) buffers: &'a Buffers,
}

/// The parameters of a payload.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parameters<'a> {
    /// A commit's message, compressed.
    Coded(&'a [u8]),
    /// An uncompressed message, or a replica.
    Plain(&'a [f32]),
}

impl<'a> Parameters<'a> {
    fn bytes(self) -> &'a [u8] {
        match self {
            Self::Coded(bytes) => bytes,
            Self::Plain(values) => bytemuck::cast_slice(values),
        }
    }
}

/// The destination of a reply's center variable.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) center: &'a mut [f32],
    pub(super) buffers: &'a mut Buffers,
}

/// An authenticated connection to a server.
#[derive(Debug)]
pub(super) struct Connection {
    link: Link,
    shape: PayloadShape,
    codecs: Codecs,
    timeouts: IoTimeouts,
    scratch: Vec<u8>,
    /// A piece of a compressed center variable.
    code: Vec<u8>,
}

impl Connection {
    /// Dials the server; both sides authenticate each other, within `limit` for each step.
    pub(super) fn open(
        peer: &Peer,
        cancel: &CancelFlag,
        limit: Duration,
    ) -> Result<Self, RequestError> {
        let stream = dial(&peer.spec.host, peer.spec.port, cancel, limit)?;
        if peer.parameters * size_of::<f32>() > LARGE {
            // Best effort: failure only costs kernel memory.
            let _unbounded = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
        }
        let link = Link::new(Arc::new(stream), cancel.clone(), CANCEL_INTERVAL)?;
        let timeouts = IoTimeouts { first: Some(limit), stall: limit };
        let shape = PayloadShape::plain(peer.parameters, 0, 0);
        let codecs = Codecs::new(Coding::PLAIN, peer.parameters).map_err(PsError::from)?;
        let scratch = Vec::with_capacity(256);
        let mut connection = Self { link, shape, codecs, timeouts, scratch, code: Vec::new() };
        // With TLS a worker may begin before the server has checked its certificate, so a refusal can come at any of
        // these steps.
        connection.secure(peer, limit).and_then(|()| connection.handshake(peer)).map_err(
            |failed| match failed {
                RequestError::Broken(error) => match tls::refusal(&error, &peer.name) {
                    Some(refusal) => refusal.into(),
                    None => RequestError::Broken(error),
                },
                certain => certain,
            },
        )?;
        connection.timeouts = IoTimeouts {
            first: Some(Duration::from_millis(peer.spec.timeout_millis)),
            stall: Duration::from_millis(peer.spec.timeout_millis),
        };
        Ok(connection)
    }

    fn secure(&mut self, peer: &Peer, limit: Duration) -> Result<(), RequestError> {
        let Some(tls) = &peer.tls else { return Ok(()) };
        let session = tls.session(self.link.socket())?;
        Ok(self.link.secure(session, limit)?)
    }

    fn handshake(&mut self, peer: &Peer) -> Result<(), RequestError> {
        let client = nonce()?;
        let mut out = Vec::with_capacity(PREAMBLE_LEN + client.len());
        Preamble::OURS.encode(&mut out);
        out.extend_from_slice(&client);
        self.write(&out)?;
        let mut preamble = [0; PREAMBLE_LEN];
        self.link.read_exact(&mut preamble[..ALERT_LEN], self.timeouts)?;
        if let Some(error) =
            preamble.first_chunk().and_then(|alert| tls::alerted(alert, &peer.name))
        {
            return Err(error.into());
        }
        self.link.read_exact(&mut preamble[ALERT_LEN..], self.timeouts)?;
        Preamble::decode(&preamble)?.check()?;
        let mut challenge = [0; CHALLENGE_LEN];
        self.link.read_exact(&mut challenge, self.timeouts)?;
        let challenge = Challenge::decode(&challenge);
        let transcript = Transcript {
            version: PROTOCOL_VERSION,
            fit: &peer.spec.fit,
            client: &client,
            server: &challenge.nonce,
        };
        if !peer.secret.verify(Role::Server, &transcript, &challenge.proof)? {
            return Err(
                PsError::Authentication(format!("the parameter server at {}", peer.name)).into()
            );
        }
        let proof = peer.own.prove(Role::Client, &transcript)?;
        let response =
            Response { proof, layout_hash: peer.layout_hash, parameters: peer.parameters as u64 };
        out.clear();
        response.encode(&mut out);
        self.write(&out)?;
        match self.reply(None)? {
            Reply::Welcome { floats, integers, coding } => {
                let count = |count| {
                    usize::try_from(count)
                        .map_err(|_| unexpected("more buffers than memory can hold"))
                };
                self.codecs = Codecs::new(coding, peer.parameters)
                    .map_err(|error| unexpected(&error.to_string()))?;
                self.shape = PayloadShape::plain(peer.parameters, count(floats)?, count(integers)?)
                    .coded(&self.codecs);
                Ok(())
            }
            Reply::Failure { code, message } => Err(PsError::Reported { code, message }.into()),
            other => Err(unexpected(&format!("{other:?} instead of a welcome")).into()),
        }
    }

    /// The lengths of the payloads that are exchanged with the server.
    pub(super) fn shape(&self) -> PayloadShape {
        self.shape
    }

    /// The codecs of the payloads.
    pub(super) fn codecs(&self) -> &Codecs {
        &self.codecs
    }

    /// Sends a request and waits for its reply, for as long as the server sends `Waiting` frames.
    pub(super) fn call(
        &mut self,
        request: &impl Message,
        payload: Option<Payload<'_>>,
        mut target: Option<Target<'_>>,
    ) -> Result<Reply, RequestError> {
        let empty: &[u8] = &[];
        let (message, floats, integers) = payload.map_or((empty, empty, empty), |payload| {
            (
                payload.parameters.bytes(),
                bytemuck::cast_slice(&payload.buffers.floats),
                bytemuck::cast_slice(&payload.buffers.integers),
            )
        });
        let length = (message.len() + floats.len() + integers.len()) as u64;
        let mut head = std::mem::take(&mut self.scratch);
        request.encode(length, &mut head);
        let sent = head.len() as u64 + length;
        let mut slices = [&head, message, floats, integers].map(IoSlice::new);
        let written = self.link.write_all(&mut slices, self.timeouts.stall);
        self.scratch = head;
        written?;
        metrics::count_sent(sent);
        loop {
            match self.reply(target.as_mut())? {
                Reply::Waiting => {}
                Reply::Failure { code, message } => {
                    return Err(RequestError::in_step(PsError::Reported { code, message }));
                }
                reply => return Ok(reply),
            }
        }
    }

    /// Reads one reply, and its center variable into `target`.
    fn reply(&mut self, target: Option<&mut Target<'_>>) -> Result<Reply, RequestError> {
        let ReceivedMessage { message, payload, frame_len } = receive_message::<_, RequestError>(
            &mut self.link,
            [self.timeouts; 2],
            Reply::limits,
            &self.shape,
            &mut self.scratch,
        )?;
        match (payload, target) {
            (PayloadKind::None, _) => {}
            (payload, Some(target)) => self.receive_payload(payload, target)?,
            (_, None) => return Err(unexpected("an unexpected center variable").into()),
        }
        metrics::count_received(frame_len);
        Ok(message)
    }

    fn receive_payload(
        &mut self,
        payload: PayloadKind,
        target: &mut Target<'_>,
    ) -> Result<(), RequestError> {
        let Self { link, codecs, code, timeouts, .. } = self;
        let Target { center, buffers } = target;
        match codecs.center().filter(|_| payload == PayloadKind::Center) {
            Some(codec) => {
                receive_coded::<RequestError>(link, *timeouts, codec, code, center, |_| {})?;
            }
            None => link.read_exact(bytemuck::cast_slice_mut(center), *timeouts)?,
        }
        link.read_exact(bytemuck::cast_slice_mut(&mut buffers.floats), *timeouts)?;
        link.read_exact(bytemuck::cast_slice_mut(&mut buffers.integers), *timeouts)?;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), RequestError> {
        self.link.write_all(&mut [IoSlice::new(bytes)], self.timeouts.stall)?;
        metrics::count_sent(bytes.len() as u64);
        Ok(())
    }
}

/// Returns the error for a reply that the protocol does not allow here.
pub(super) fn unexpected(what: &str) -> PsError {
    PsError::Protocol(format!("the server sent {what}"))
}

/// Connects to the first address of a host that accepts the connection, checking for cancellation meanwhile.
fn dial(
    host: &str,
    port: u16,
    cancel: &CancelFlag,
    limit: Duration,
) -> Result<TcpStream, RequestError> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match dial_address(address, cancel, limit) {
            Err(RequestError::Broken(error)) => last = error,
            other => return other,
        }
    }
    Err(last.into())
}

fn dial_address(
    address: SocketAddr,
    cancel: &CancelFlag,
    limit: Duration,
) -> Result<TcpStream, RequestError> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        other => other?,
    }
    let end = Instant::now() + limit;
    let mut pause = Duration::from_micros(50);
    while socket.peer_addr().is_err() {
        if let Some(error) = socket.take_error()? {
            return Err(error.into());
        }
        if cancel.is_cancelled() {
            return Err(PsError::Cancelled.into());
        }
        if Instant::now() >= end {
            return Err(io::Error::from(io::ErrorKind::TimedOut).into());
        }
        thread::sleep(pause);
        pause = (pause * 2).min(CANCEL_INTERVAL);
    }
    Ok(socket.into())
}
