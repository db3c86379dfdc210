//! Plain copies over sockets, with the congestion control that the server requests: the default of some kernels paces
//! the loopback, which would flatter our results.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use socket2::SockRef;

/// A connection to a peer that receives and sends the requested numbers of bytes.
pub struct Plain {
    stream: TcpStream,
    sent: Arc<Vec<u8>>,
    received: Vec<u8>,
}

impl Plain {
    /// Creates a connection that sends a prefix of `sent` and receives at most `back` bytes. Its peer has `buffer`
    /// bytes of memory.
    pub fn new(sent: Arc<Vec<u8>>, back: usize, buffer: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            tune(&stream);
            let mut bytes = vec![1_u8; buffer];
            let mut lengths = [0_u8; 16];
            while stream.read_exact(&mut lengths).is_ok() {
                let [there, back] = [&lengths[..8], &lengths[8..]].map(|half| {
                    usize::try_from(u64::from_le_bytes(half.try_into().unwrap())).unwrap()
                });
                for piece in pieces(there, buffer) {
                    stream.read_exact(&mut bytes[..piece]).unwrap();
                }
                for piece in pieces(back, buffer) {
                    stream.write_all(&bytes[..piece]).unwrap();
                }
            }
        });
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        tune(&stream);
        Self { stream, sent, received: vec![0; back] }
    }

    /// Sends `there` bytes and receives `back` bytes.
    pub fn copy(&mut self, there: usize, back: usize) {
        let mut lengths = [0; 16];
        lengths[..8].copy_from_slice(&(there as u64).to_le_bytes());
        lengths[8..].copy_from_slice(&(back as u64).to_le_bytes());
        self.stream.write_all(&lengths).unwrap();
        self.stream.write_all(&self.sent[..there]).unwrap();
        self.stream.read_exact(&mut self.received[..back]).unwrap();
    }
}

/// The lengths of the pieces of a message that is longer than a buffer.
fn pieces(length: usize, buffer: usize) -> impl Iterator<Item = usize> {
    (0..length).step_by(buffer.max(1)).map(move |start| buffer.min(length - start))
}

fn tune(stream: &TcpStream) {
    stream.set_nodelay(true).unwrap();
    SockRef::from(stream).set_tcp_congestion(b"reno").unwrap();
}
