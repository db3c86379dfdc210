//! A connected TCP socket, and the errors of its calls.

use std::io::{self, IoSlice, Read};
use std::net::TcpStream;
use std::sync::Arc;

use socket2::SockRef;

/// A connected stream, whose calls are bounded by its timeouts.
#[derive(Clone, Debug)]
pub(crate) struct Socket(pub(super) Arc<TcpStream>);

impl Socket {
    /// Sends slices. Unlike `write`, it does not raise SIGPIPE in a process that does not ignore it.
    pub(crate) fn send(&self, slices: &[IoSlice<'_>], flags: libc::c_int) -> io::Result<usize> {
        SockRef::from(&*self.0).send_vectored_with_flags(slices, flags | libc::MSG_NOSIGNAL)
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

/// Returns the error for a connection that the peer closed.
pub(crate) fn closed_by_peer() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed the connection")
}

/// Returns true if the same call may succeed a moment later.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
