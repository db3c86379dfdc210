//! A reply with the center variable, which is sent while later stripes are still being applied.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use firesteel_core::Buffers;
use firesteel_core::compression::{Codec, encode_into};

use crate::model::CenterReader;
use crate::net::{Link, LinkError};

/// The maximum number of slices of one system call.
const MAX_SLICES: usize = 16;

/// The bytes that must be queued before they are sent while later stripes are still being applied. With fewer bytes,
/// waking up the peer repeatedly costs more than the overlap gains.
const EAGER: u64 = 4 << 20;

/// One piece of the reply: the store's own memory without a copy, unless the center variable is compressed.
enum Piece {
    /// The head, or a compressed stripe.
    Bytes(Vec<u8>),
    Stripe(Arc<Vec<f32>>),
    Floats(Arc<Buffers>),
    Integers(Arc<Buffers>),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Stripe(values) => bytemuck::cast_slice(values),
            Self::Floats(buffers) => bytemuck::cast_slice(&buffers.floats),
            Self::Integers(buffers) => bytemuck::cast_slice(&buffers.integers),
        }
    }
}

/// The unsent pieces of a reply. Bytes that the connection does not accept at once are kept until [`Outbox::flush`], so
/// a slow peer delays only itself.
pub(crate) struct Outbox<'a> {
    link: &'a mut Link,
    writer: Option<Box<dyn Codec>>,
    pieces: VecDeque<Piece>,
    /// The sent bytes of the first piece.
    sent: usize,
    /// The unsent bytes of all pieces.
    unsent: u64,
    /// The bytes of the whole reply.
    total: u64,
    failed: Option<LinkError>,
}

impl<'a> Outbox<'a> {
    /// Creates a reply that begins with `head`; `writer` compresses the center variable.
    pub(crate) fn new(link: &'a mut Link, head: Vec<u8>, writer: Option<Box<dyn Codec>>) -> Self {
        let pieces = VecDeque::new();
        let mut outbox = Self { link, writer, pieces, sent: 0, unsent: 0, total: 0, failed: None };
        outbox.push(Piece::Bytes(head));
        outbox
    }

    /// Sends the rest; returns the length of the whole reply.
    pub(crate) fn flush(mut self, stall: Duration) -> Result<u64, LinkError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        // Runs at least once: with TLS, accepted bytes may still be unsent.
        loop {
            let mut slices = slices(&self.pieces, self.sent);
            let count = slices.len();
            self.link.write_all(&mut slices, stall)?;
            self.pieces.drain(..count);
            self.sent = 0;
            if self.pieces.is_empty() {
                return Ok(self.total);
            }
        }
    }

    fn push(&mut self, piece: Piece) {
        let length = piece.bytes().len() as u64;
        self.total += length;
        self.unsent += length;
        self.pieces.push_back(piece);
    }

    /// Sends as much as the kernel accepts without blocking, if enough is queued.
    fn send_eagerly(&mut self) {
        if self.failed.is_some() || self.unsent < EAGER {
            return;
        }
        match self.link.try_write(&slices(&self.pieces, self.sent)) {
            Ok(count) => {
                self.sent += count;
                self.unsent -= count as u64;
            }
            Err(error) => self.failed = Some(error.into()),
        }
        while let Some(length) = self.pieces.front().map(|piece| piece.bytes().len())
            && self.sent >= length
        {
            self.pieces.pop_front();
            self.sent -= length;
        }
    }
}

/// Returns the first pieces as slices.
fn slices(pieces: &VecDeque<Piece>, sent: usize) -> Vec<IoSlice<'_>> {
    let bytes = pieces.iter().take(MAX_SLICES).map(Piece::bytes);
    bytes
        .enumerate()
        .map(|(index, bytes)| IoSlice::new(if index == 0 { &bytes[sent..] } else { bytes }))
        .collect()
}

impl CenterReader for Outbox<'_> {
    fn stripe(&mut self, stripe: &Arc<Vec<f32>>) {
        let piece = match &mut self.writer {
            Some(writer) => {
                let mut code = Vec::new();
                encode_into(&mut **writer, stripe, &mut code);
                Piece::Bytes(code)
            }
            None => Piece::Stripe(Arc::clone(stripe)),
        };
        self.push(piece);
        self.send_eagerly();
    }

    fn buffers(&mut self, buffers: &Arc<Buffers>) {
        self.push(Piece::Floats(Arc::clone(buffers)));
        self.push(Piece::Integers(Arc::clone(buffers)));
    }
}
