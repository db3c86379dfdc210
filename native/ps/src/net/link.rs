//! A TCP connection, plain or within TLS, whose reads and writes can be interrupted and do not wait for a dead peer for ever.

use std::io::{self, IoSlice, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use firesteel_core::CancelFlag;
use socket2::SockRef;

use crate::net::socket::{Socket, closed_by_peer, is_transient};
use crate::net::tls::TlsSession;

/// Why bytes did not get through.
#[derive(Debug)]
pub(crate) enum LinkError {
    /// The connection is no more.
    Broken(io::Error),
    /// The flag was set.
    Interrupted,
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// How long to wait for a peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IoTimeouts {
    /// For the first byte; without end where there is none.
    pub(crate) first: Option<Duration>,
    /// Between bytes from then on.
    pub(crate) stall: Duration,
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Link {
    socket: Socket,
    /// None while bytes go as they are.
    tls: Option<Box<TlsSession>>,
    interrupted: CancelFlag,
}

impl Link {
    /// Takes a connected stream; `interrupted` is looked at every `poll`.
    pub(crate) fn new(
        stream: Arc<TcpStream>,
        interrupted: CancelFlag,
        poll: Duration,
    ) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        if stream.peer_addr()?.ip() == stream.local_addr()?.ip() {
            // Both ends on one host: there is no network to be gentle to, and a host whose default paces what it sends
            // (BBR) moves half as much. Where this one is not to be had, the default does.
            let _default = SockRef::from(&*stream).set_tcp_congestion(b"reno");
        }
        stream.set_read_timeout(Some(poll))?;
        stream.set_write_timeout(Some(poll))?;
        Ok(Self { socket: Socket(stream), tls: None, interrupted })
    }

    /// What a TLS session of this connection sends and receives through.
    pub(crate) fn socket(&self) -> Socket {
        self.socket.clone()
    }

    /// Encrypts all that follows with a session over the socket of this link; the handshake must end within `limit`.
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

    /// Writes all of the slices, and what an earlier write left behind.
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

    /// Writes what the system takes at once, which may be nothing. Within TLS some of it may be left for the next write.
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

    /// Ends the sending side and waits a moment for the peer to end its own, so that it can still read what was sent last.
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

    /// Reads what there is; within TLS nothing is until a whole record has come.
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

/// Fails unless the error only means that nothing has happened for a moment.
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
            let text = format!("no byte went through for {:.1} s", limit.as_secs_f64());
            Err(io::Error::new(io::ErrorKind::TimedOut, text).into())
        }
        None => Ok(()),
    }
}

/// Since when nothing has happened, and how long that may be.
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
