//! A worker that sends the protocol byte by byte, written from the table in `wire` without its code.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub const VERSION: u16 = 4;

/// A bare connection.
pub struct Raw {
    pub stream: TcpStream,
}

/// A reply: its kind, and all that follows its header.
pub type Frame = (u8, Vec<u8>);

impl Raw {
    pub fn dial(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Self { stream }
    }

    /// Dials and authenticates; `hash` and `parameters` describe the layout.
    pub fn open(port: u16, fit: &str, secret: &str, hash: u64, parameters: u64) -> Self {
        let mut raw = Self::dial(port);
        let (nonce, server) = raw.handshake(VERSION);
        raw.send(&proof(
            secret,
            b"firesteel parameter server, client side",
            fit,
            &nonce,
            &server[..32],
        ));
        raw.send(&hash.to_le_bytes());
        raw.send(&parameters.to_le_bytes());
        raw
    }

    /// Sends message 1 and reads message 2; returns the client's nonce, and the server's nonce and proof.
    pub fn handshake(&mut self, version: u16) -> ([u8; 32], [u8; 64]) {
        let nonce = [9; 32];
        self.send(b"FSPS");
        self.send(&version.to_le_bytes());
        self.send(&[0, 0]);
        self.send(&nonce);
        let mut preamble = [0; 8];
        self.stream.read_exact(&mut preamble).unwrap();
        assert_eq!(preamble, [b'F', b'S', b'P', b'S', 4, 0, 0, 0]);
        let mut challenge = [0; 64];
        if version == VERSION {
            self.stream.read_exact(&mut challenge).unwrap();
        }
        (nonce, challenge)
    }

    /// Sends bytes; a connection that the server has closed is not a failure.
    pub fn send(&mut self, bytes: &[u8]) {
        let _closed = self.stream.write_all(bytes);
    }

    pub fn frame(&mut self, kind: u8, parts: &[&[u8]]) {
        let body = parts.concat();
        self.header(body.len() as u64, kind);
        self.send(&body);
    }

    pub fn header(&mut self, length: u64, kind: u8) {
        self.send(&length.to_le_bytes());
        self.send(&[kind, 0, 0, 0]);
    }

    /// Returns the next reply; `None` if the server has closed the connection.
    pub fn reply(&mut self) -> Option<Frame> {
        let mut header = [0; 12];
        self.stream.read_exact(&mut header).ok()?;
        let length = u64::from_le_bytes(header[..8].try_into().unwrap());
        let mut body = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut body).ok()?;
        Some((header[8], body))
    }

    /// Returns the code and text of a failure, which must come next.
    pub fn failure(&mut self) -> (u16, String) {
        let (kind, body) = self.reply().expect("a failure");
        assert_eq!(kind, 134);
        (u16::from_le_bytes([body[0], body[1]]), String::from_utf8(body[2..].to_vec()).unwrap())
    }

    pub fn register(&mut self, partition: u32, attempt: i64, batches: u32) {
        let rows = 10 * u64::from(batches);
        self.frame(
            1,
            &[
                &partition.to_le_bytes(),
                &0_u32.to_le_bytes(),
                &attempt.to_le_bytes(),
                &rows.to_le_bytes(),
                &7_u64.to_le_bytes(),
                &batches.to_le_bytes(),
                &0_u64.to_le_bytes(),
            ],
        );
    }

    /// Returns true if the server closes the connection without a reply.
    pub fn is_closed(&mut self) -> bool {
        self.reply().is_none()
    }
}

/// Encodes the fields of a window of one mini-batch of ten rows.
pub fn window(sequence: u64, epoch: u32, batch: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(sequence.to_le_bytes());
    bytes.extend(epoch.to_le_bytes());
    bytes.extend(batch.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(10_u64.to_le_bytes());
    bytes.extend(5.0_f64.to_le_bytes());
    bytes.extend(10.0_f64.to_le_bytes());
    bytes.extend([0; 16]);
    bytes
}

/// Encodes a payload of this value for every parameter, with the tests' buffers.
pub fn payload(parameters: usize, value: f32) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        std::iter::repeat_n(value.to_le_bytes(), parameters).flatten().collect();
    bytes.extend([0; 16]);
    bytes
}

pub fn proof(secret: &str, role: &[u8], fit: &str, client: &[u8], server: &[u8]) -> [u8; 32] {
    let key: Vec<u8> = (0..32)
        .map(|index| u8::from_str_radix(&secret[2 * index..2 * index + 2], 16).unwrap())
        .collect();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(role);
    mac.update(&VERSION.to_le_bytes());
    mac.update(&(fit.len() as u64).to_le_bytes());
    mac.update(fit.as_bytes());
    mac.update(client);
    mac.update(server);
    mac.finalize().into_bytes().into()
}
