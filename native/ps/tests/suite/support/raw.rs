//! A worker that sends the protocol byte by byte, written from the table in `wire` without its code.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub const VERSION: u16 = 5;

/// The kinds of requests to the driver's server.
pub mod request {
    pub const REGISTER: u8 = 0;
    pub const PULL: u8 = 1;
    pub const COMMIT: u8 = 2;
    pub const EXCHANGE: u8 = 3;
    pub const SAVE: u8 = 4;
    pub const HEARTBEAT: u8 = 5;
    pub const ABORT: u8 = 6;
    pub const FINISH: u8 = 7;
    pub const CONTRIBUTE: u8 = 8;
    pub const CLOSE_ROUND: u8 = 9;
    pub const SCORE: u8 = 12;
}

/// The kinds of requests to the server of a shard.
pub mod shard_request {
    pub const STAGE: u8 = 0;
    pub const LOAD: u8 = 2;
    pub const DECIDE: u8 = 3;
    pub const END: u8 = 4;
}

/// The kinds of replies.
pub mod reply {
    pub const WELCOME: u8 = 0;
    pub const REGISTERED: u8 = 1;
    pub const ANSWER: u8 = 2;
    pub const CENTER: u8 = 3;
    pub const DONE: u8 = 5;
    pub const FAILURE: u8 = 7;
}

/// A bare connection.
pub struct Raw {
    pub stream: TcpStream,
}

/// A reply.
#[derive(Debug, PartialEq)]
pub struct Frame {
    pub kind: u8,
    pub fields: Vec<u8>,
    pub payload: Vec<u8>,
}

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
        assert_eq!(preamble, [b'F', b'S', b'P', b'S', 5, 0, 0, 0]);
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

    /// Sends a frame of these fields and parts of a payload.
    pub fn frame(&mut self, kind: u8, fields: &[u8], payload: &[&[u8]]) {
        let payload = payload.concat();
        self.header(kind, fields.len(), payload.len() as u64);
        self.send(fields);
        self.send(&payload);
    }

    /// Sends the header of a frame with these lengths.
    pub fn header(&mut self, kind: u8, fields: usize, payload: u64) {
        self.send(&payload.to_le_bytes());
        self.send(&u32::try_from(fields).unwrap().to_le_bytes());
        self.send(&[0, 0, 0, kind]);
    }

    /// Returns the next reply; `None` if the server has closed the connection.
    pub fn reply(&mut self) -> Option<Frame> {
        let mut header = [0; 16];
        self.stream.read_exact(&mut header).ok()?;
        let payload = u64::from_le_bytes(header[..8].try_into().unwrap());
        let fields = u32::from_le_bytes(header[8..12].try_into().unwrap());
        assert_eq!(header[12..15], [0; 3]);
        let mut fields = vec![0; fields as usize];
        self.stream.read_exact(&mut fields).ok()?;
        let mut payload = vec![0; usize::try_from(payload).unwrap()];
        self.stream.read_exact(&mut payload).ok()?;
        Some(Frame { kind: header[15], fields, payload })
    }

    /// Returns the code and text of a failure, which must come next.
    pub fn failure(&mut self) -> (u16, String) {
        let Frame { kind, fields, .. } = self.reply().expect("a failure");
        assert_eq!(kind, reply::FAILURE);
        let mut bytes = &fields[..];
        let code = read_varint(&mut bytes);
        assert_eq!(read_varint(&mut bytes), bytes.len() as u64, "the length of the text");
        (u16::try_from(code).unwrap(), String::from_utf8(bytes.to_vec()).unwrap())
    }

    pub fn register(&mut self, partition: u32, attempt: i64, batches: u32) {
        let rows = 10 * u64::from(batches);
        let fields = [
            varint(partition.into()),
            varint(0),
            zigzag(attempt),
            varint(rows),
            varint(7),
            varint(batches.into()),
            varint(0),
        ];
        self.frame(request::REGISTER, &fields.concat(), &[]);
    }

    /// Returns true if the server closes the connection without a reply.
    pub fn is_closed(&mut self) -> bool {
        self.reply().is_none()
    }
}

/// Encodes an unsigned number.
pub fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 128 {
        bytes.push((number % 128) as u8 | 128);
        number /= 128;
    }
    bytes.push(number as u8);
    bytes
}

/// Encodes a signed number.
pub fn zigzag(number: i64) -> Vec<u8> {
    let magnitude = number.unsigned_abs();
    varint(if number < 0 { 2 * magnitude - 1 } else { 2 * magnitude })
}

/// Takes an unsigned number from the front of `bytes`.
pub fn read_varint(bytes: &mut &[u8]) -> u64 {
    let last = bytes.iter().position(|byte| *byte < 128).unwrap();
    let (number, rest) = bytes.split_at(last + 1);
    *bytes = rest;
    number.iter().rev().fold(0, |sum, byte| sum << 7 | u64::from(byte % 128))
}

/// Encodes the fields of a window of one mini-batch of ten rows.
pub fn window(sequence: u64, epoch: u32, batch: u32) -> Vec<u8> {
    let mut bytes = [sequence, epoch.into(), batch.into(), 1, 10].map(varint).concat();
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
