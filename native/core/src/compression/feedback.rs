//! Error feedback: what a message lost on its way is added to the next one.

use multiversion::multiversion;
use serde::{Deserialize, Serialize};

use super::Codec;

/// Values that go through all steps together, while they are in a core's cache.
const PIECE: usize = 4096;

/// Sums that run side by side.
const LANES: usize = 16;

/// A worker's compression of its messages: sends `C(d + r)` and keeps `r = d + r - C(d + r)` (Seide et al., 1-Bit Stochastic Gradient
/// Descent, 2014; Karimireddy et al., Error Feedback Fixes SignSGD, 2019).
///
/// `r` is taken from what the receiver decodes, bit for bit.
#[derive(Debug)]
pub struct ErrorFeedback {
    codec: Box<dyn Codec>,
    residual: Vec<f32>,
}

impl ErrorFeedback {
    /// Nothing lost yet, for messages of `elements` values.
    #[must_use]
    pub fn new(codec: Box<dyn Codec>, elements: usize) -> Self {
        Self { codec, residual: vec![0.0; elements] }
    }

    /// What has not been sent yet, `r`.
    #[must_use]
    pub fn residual(&self) -> &[f32] {
        &self.residual
    }

    /// Forgets what has not been sent.
    pub fn reset(&mut self) {
        self.residual.fill(0.0);
    }

    /// Compresses `message` with what earlier ones lost: writes its code to `bytes`, and to `message` what the receiver decodes. The
    /// memory of `bytes` is used again; once it has grown to a message's length, nothing is allocated.
    ///
    /// # Panics
    /// When the message has another length than the ones it was built for.
    pub fn compress(&mut self, message: &mut [f32], bytes: &mut Vec<u8>) -> CompressionTally {
        let elements = self.residual.len();
        assert_eq!(message.len(), elements, "a message of another length than built for");
        let codec = &mut *self.codec;
        bytes.resize(codec.encoded_len(elements), 0);
        let piece = match codec.grain() {
            Some(grain) => PIECE.next_multiple_of(grain),
            None => elements.max(1),
        };
        let mut tally = CompressionTally {
            original: size_of_val(message) as u64,
            compressed: bytes.len() as u64,
            ..CompressionTally::default()
        };
        let bytes = bytes.chunks_mut(codec.encoded_len(piece).max(1));
        let pieces = message.chunks_mut(piece).zip(self.residual.chunks_mut(piece));
        for ((message, residual), bytes) in pieces.zip(bytes) {
            add(residual, message);
            codec.encode(residual, bytes);
            // A codec reads what it wrote.
            let decoded = codec.decode(bytes, message);
            debug_assert_eq!(decoded, Ok(()));
            let (signal, error) = settle(residual, message);
            tally.signal += signal;
            tally.error += error;
        }
        tally
    }
}

/// What compression saved and what it cost, summed over messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompressionTally {
    /// Bytes of the messages as f32.
    pub original: u64,
    /// Bytes of their codes.
    pub compressed: u64,
    /// The sum of the squares of what was to be sent, `|d + r|^2`.
    pub signal: f64,
    /// The sum of the squares of what was not, `|d + r - C(d + r)|^2`.
    pub error: f64,
}

impl CompressionTally {
    /// Adds another tally to this one.
    pub fn add(&mut self, other: Self) {
        self.original += other.original;
        self.compressed += other.compressed;
        self.signal += other.signal;
        self.error += other.error;
    }

    /// Bytes before by bytes after; 1 where nothing was sent.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        if self.compressed == 0 { 1.0 } else { self.original as f64 / self.compressed as f64 }
    }

    /// The relative error `|d + r - C(d + r)| / |d + r|`, its root mean square over the messages; 0 where nothing was sent.
    #[must_use]
    pub fn relative_error(&self) -> f64 {
        if self.signal == 0.0 { 0.0 } else { (self.error / self.signal).sqrt() }
    }
}

/// `r = d + r`.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn add(residual: &mut [f32], message: &[f32]) {
    for (r, d) in residual.iter_mut().zip(message) {
        *r += d;
    }
}

/// `r = s - C(s)` of `s`, which `residual` holds; gives the sums of the squares of `s` and of `r`, added in the same order everywhere.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn settle(residual: &mut [f32], decoded: &[f32]) -> (f64, f64) {
    let (mut signal, mut error) = ([0.0_f64; LANES], [0.0_f64; LANES]);
    let mut lane = |residual: &mut f32, decoded: f32, lane: usize| {
        let sum = *residual;
        *residual = sum - decoded;
        signal[lane] += f64::from(sum) * f64::from(sum);
        error[lane] += f64::from(*residual) * f64::from(*residual);
    };
    let (residual, last_residual) = residual.as_chunks_mut::<LANES>();
    let (decoded, last_decoded) = decoded.as_chunks::<LANES>();
    for (residual, decoded) in residual.iter_mut().zip(decoded) {
        for index in 0..LANES {
            lane(&mut residual[index], decoded[index], index);
        }
    }
    for (index, (residual, decoded)) in last_residual.iter_mut().zip(last_decoded).enumerate() {
        lane(residual, *decoded, index);
    }
    (signal.iter().sum(), error.iter().sum())
}
