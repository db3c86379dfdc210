//! A TLS connection over a socket whose calls may time out at any byte. Nothing is lost then, and the call can be
//! repeated.

use std::io::{self, BufReader, IoSlice, Read, Write};

use rustls::Connection;

use crate::net::socket::{Socket, closed_by_peer, is_transient};

/// The bytes received at once: several records, which have at most 16 KiB.
const INCOMING: usize = 64 * 1024;

/// The bytes encrypted before they are sent.
const OUTGOING: usize = 256 * 1024;

/// One end of a TLS connection. Dropping it sends the peer a close notification.
#[derive(Debug)]
pub(crate) struct TlsSession {
    connection: Connection,
    incoming: BufReader<Socket>,
}

impl TlsSession {
    /// A connection whose handshake has not begun.
    pub(super) fn new(mut connection: Connection, socket: Socket) -> Self {
        connection.set_buffer_limit(Some(OUTGOING));
        Self { connection, incoming: BufReader::with_capacity(INCOMING, socket) }
    }

    /// Continues the handshake; returns true once it has ended.
    pub(crate) fn drive_handshake(&mut self) -> io::Result<bool> {
        self.flush(0)?;
        if self.connection.is_handshaking() && self.receive()? == 0 {
            return Err(closed_by_peer());
        }
        Ok(!self.connection.is_handshaking() && !self.wants_write())
    }

    /// Reads decrypted bytes, after receiving once if there are none. Returns `WouldBlock` if no complete record has
    /// arrived.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut received = false;
        loop {
            match self.connection.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(closed_by_peer());
                }
                other => return other,
            }
            if received && self.incoming.buffer().is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.receive()?;
            received = true;
        }
    }

    /// Encrypts some of the slices, unless earlier encrypted bytes are still unsent, and sends as much as the kernel
    /// accepts. Returns the number of bytes encrypted; the unsent rest goes out with the next write or read.
    pub(crate) fn write(
        &mut self,
        slices: &[IoSlice<'_>],
        flags: libc::c_int,
    ) -> io::Result<usize> {
        let taken =
            if self.wants_write() { 0 } else { self.connection.writer().write_vectored(slices)? };
        match self.send(flags) {
            Err(error) if taken > 0 && is_transient(&error) => Ok(taken),
            other => other.map(|_| taken),
        }
    }

    /// Writes for as long as the kernel accepts encrypted bytes without blocking.
    pub(crate) fn write_at_once(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut slices = slices.to_vec();
        let mut left = &mut slices[..];
        let mut taken = 0;
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            match self.write(left, libc::MSG_DONTWAIT) {
                Ok(count) => {
                    taken += count;
                    IoSlice::advance_slices(&mut left, count);
                }
                Err(error) if is_transient(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Returns true if encrypted bytes are unsent.
    pub(crate) fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    /// Sends the peer a close notification, if the kernel accepts it without blocking.
    pub(crate) fn end(&mut self) {
        if !self.connection.is_handshaking() {
            self.connection.send_close_notify();
        }
        // A peer that misses it sees the connection end.
        let _unheard = self.flush(libc::MSG_DONTWAIT);
    }

    /// Receives once and decrypts complete records; returns the number of bytes received, 0 at the end.
    fn receive(&mut self) -> io::Result<usize> {
        // Sends the replies that TLS itself requires. They must not block: the peer may be waiting for this end to
        // read.
        if let Err(error) = self.flush(libc::MSG_DONTWAIT)
            && !is_transient(&error)
        {
            return Err(error);
        }
        let count = self.connection.read_tls(&mut self.incoming)?;
        if let Err(error) = self.connection.process_new_packets() {
            // The alert that tells the peer the reason.
            let _unheard = self.flush(libc::MSG_DONTWAIT);
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(count)
    }

    fn flush(&mut self, flags: libc::c_int) -> io::Result<()> {
        while self.wants_write() {
            self.send(flags)?;
        }
        Ok(())
    }

    fn send(&mut self, flags: libc::c_int) -> io::Result<usize> {
        self.connection.write_tls(&mut SocketWriter { socket: self.incoming.get_ref(), flags })
    }
}

impl Drop for TlsSession {
    fn drop(&mut self) {
        self.end();
    }
}

/// The socket as a writer for rustls.
struct SocketWriter<'a> {
    socket: &'a Socket,
    flags: libc::c_int,
}

impl Write for SocketWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.socket.send(slices, self.flags)? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            count => Ok(count),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
