//! A TCP connection, plain or with TLS, whose reads and writes can be interrupted and time out if the peer is dead.

use std::io::{self, IoSlice, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use firesteel_core::CancelFlag;
use socket2::SockRef;

use crate::net::socket::{Socket, closed_by_peer, is_transient};
use crate::net::tls::TlsSession;

/// The reason why a read or a write failed.
#[derive(Debug)]
pub(crate) enum LinkError {
    /// The connection broke.
    Broken(io::Error),
    /// The interruption flag was set.
    Interrupted,
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// The time limits of a read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IoTimeouts {
    /// The limit for the first byte; `None` for no limit.
    pub(crate) first: Option<Duration>,
    /// The limit between later bytes.
    pub(crate) stall: Duration,
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Link {
    socket: Socket,
    /// `None` for an unencrypted connection.
    tls: Option<Box<TlsSession>>,
    interrupted: CancelFlag,
}

impl Link {
    /// Takes a connected stream; `interrupted` is checked every `poll`.
    pub(crate) fn new(
        stream: Arc<TcpStream>,
        interrupted: CancelFlag,
        poll: Duration,
    ) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        if stream.peer_addr()?.ip() == stream.local_addr()?.ip() {
            // Both ends are on one host, so there is no network to protect, and a default congestion control with
            // pacing (BBR) halves the throughput. If `reno` is not available, the default stays.
            let _default = SockRef::from(&*stream).set_tcp_congestion(b"reno");
        }
        stream.set_read_timeout(Some(poll))?;
        stream.set_write_timeout(Some(poll))?;
        Ok(Self { socket: Socket(stream), tls: None, interrupted })
    }

    /// Describes the peer by its address.
    pub(crate) fn peer(&self) -> String {
        let address = self.socket.0.peer_addr();
        address.map_or_else(|error| error.to_string(), |address| address.to_string())
    }

    /// The socket, for a TLS session over this connection.
    pub(crate) fn socket(&self) -> Socket {
        self.socket.clone()
    }

    /// Encrypts everything from here on with a session over the socket of this link; the TLS handshake must end within
    /// `limit`.
    pub(crate) fn secure(&mut self, session: TlsSession, limit: Duration) -> Result<(), LinkError> {
        let session = self.tls.insert(Box::new(session));
        let idle = IdleTimer::new(Some(limit));
        loop {
            let waits = match session.drive_handshake() {
                Ok(true) => return Ok(()),
                Ok(false) => io::ErrorKind::WouldBlock.into(),
                Err(error) => error,
            };
            retry_or_fail(waits, &idle, &self.interrupted)?;
        }
    }

    /// Fills the buffer.
    pub(crate) fn read_exact(
        &mut self,
        buffer: &mut [u8],
        timeouts: IoTimeouts,
    ) -> Result<(), LinkError> {
        let mut filled = 0;
        let mut idle = IdleTimer::new(timeouts.first);
        while filled < buffer.len() {
            match self.receive(&mut buffer[filled..]) {
                Ok(0) => return Err(closed_by_peer().into()),
                Ok(count) => {
                    filled += count;
                    idle = IdleTimer::new(Some(timeouts.stall));
                }
                Err(error) => retry_or_fail(error, &idle, &self.interrupted)?,
            }
        }
        Ok(())
    }

    /// Writes all of the slices, and the bytes that an earlier write left unsent.
    pub(crate) fn write_all(
        &mut self,
        mut slices: &mut [IoSlice<'_>],
        stall: Duration,
    ) -> Result<(), LinkError> {
        let mut idle = IdleTimer::new(Some(stall));
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() || self.has_unsent_bytes() {
            let sent = match &mut self.tls {
                None => self.socket.send(slices, 0),
                Some(session) => session.write(slices, 0),
            };
            match sent {
                Ok(0) if self.tls.is_none() => {
                    return Err(io::Error::from(io::ErrorKind::WriteZero).into());
                }
                Ok(count) => {
                    IoSlice::advance_slices(&mut slices, count);
                    idle = IdleTimer::new(Some(stall));
                }
                Err(error) => retry_or_fail(error, &idle, &self.interrupted)?,
            }
        }
        Ok(())
    }

    /// Writes as much as the kernel accepts without blocking, which may be nothing. With TLS, a part may stay unsent
    /// until the next write.
    pub(crate) fn try_write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let sent = match &mut self.tls {
            None => self.socket.send(slices, libc::MSG_DONTWAIT),
            Some(session) => session.write_at_once(slices),
        };
        match sent {
            Err(error) if is_transient(&error) => Ok(0),
            other => other,
        }
    }

    /// Shuts down the sending side and waits up to `time` for the peer to do the same, so that the peer can read the
    /// last bytes.
    pub(crate) fn linger(&mut self, time: Duration) {
        let end = Instant::now() + time;
        let mut bin = [0; 16 * 1024];
        if let Some(session) = &mut self.tls {
            session.end();
        }
        if self.socket.0.shutdown(std::net::Shutdown::Write).is_err() {
            return;
        }
        while Instant::now() < end && !self.interrupted.is_cancelled() {
            match self.socket.read(&mut bin) {
                Ok(0) => return,
                Err(error) if !is_transient(&error) => return,
                _ => {}
            }
        }
    }

    /// Reads available bytes; with TLS, whole records.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.read(buffer),
            Some(session) => session.read(buffer),
        }
    }

    fn has_unsent_bytes(&self) -> bool {
        self.tls.as_ref().is_some_and(|session| session.wants_write())
    }
}

/// Maps would-block and timeout errors to `Ok` until the idle limit or an interruption.
fn retry_or_fail(
    error: io::Error,
    idle: &IdleTimer,
    interrupted: &CancelFlag,
) -> Result<(), LinkError> {
    if !is_transient(&error) {
        return Err(error.into());
    }
    if interrupted.is_cancelled() {
        return Err(LinkError::Interrupted);
    }
    match idle.exceeded() {
        Some(limit) => {
            let text = format!("no bytes were transferred for {:.1} s", limit.as_secs_f64());
            Err(io::Error::new(io::ErrorKind::TimedOut, text).into())
        }
        None => Ok(()),
    }
}

/// The time since the last progress, and its limit.
struct IdleTimer {
    since: Instant,
    limit: Option<Duration>,
}

impl IdleTimer {
    fn new(limit: Option<Duration>) -> Self {
        Self { since: Instant::now(), limit }
    }

    fn exceeded(&self) -> Option<Duration> {
        self.limit.filter(|limit| self.since.elapsed() >= *limit)
    }
}
