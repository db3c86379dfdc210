//! Error feedback: the error of each compressed message is added to the next one.

use multiversion::multiversion;
use serde::{Deserialize, Serialize};

use super::{Codec, CompressionError};

/// The number of values that go through all steps together, to stay in a core's cache.
const PIECE: usize = 4096;

/// The bits of an f32's exponent, none of which is set in 0 and in denormal numbers.
const EXPONENT: u32 = 0x7f80_0000;

/// The number of sums that run side by side.
const LANES: usize = 16;

/// A worker's compression of its messages: sends `C(d + r)` and keeps `r = d + r - C(d + r)` (Seide et al., 1-Bit
/// Stochastic Gradient Descent, 2014; Karimireddy et al., Error Feedback Fixes SignSGD, 2019).
///
/// `r` is taken from what the receiver decodes, bit for bit.
#[derive(Debug)]
pub struct ErrorFeedback {
    codec: Box<dyn Codec>,
    residual: Vec<f32>,
    scratch: Vec<f32>,
    bytes: Vec<u8>,
}

impl ErrorFeedback {
    /// Creates an error feedback without residual, for messages of `elements` values.
    #[must_use]
    pub fn new(codec: Box<dyn Codec>, elements: usize) -> Self {
        let bytes = vec![0; codec.encoded_len(elements)];
        Self { codec, residual: vec![0.0; elements], scratch: Vec::new(), bytes }
    }

    /// The codec.
    #[must_use]
    pub fn codec(&self) -> &dyn Codec {
        &*self.codec
    }

    /// Returns the compression ratio: the bytes of a message as f32 over those of its code.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        ratio(&*self.codec, self.residual.len())
    }

    /// Returns the residual `r`, which has not been sent yet.
    #[must_use]
    pub fn residual(&self) -> &[f32] {
        &self.residual
    }

    /// Returns the code of the last message, for sending and resending. Before the first message it is not valid.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Compresses a message plus the residual of earlier ones into [`bytes`](Self::bytes). Nothing is allocated after
    /// the first message.
    ///
    /// # Errors
    /// Never: a codec reads what it wrote.
    ///
    /// # Panics
    /// When the message has another length than the ones it was built for.
    pub fn compress(&mut self, message: &[f32]) -> Result<Distortion, CompressionError> {
        let Self { codec, residual, scratch, bytes } = self;
        assert_eq!(message.len(), residual.len(), "a message of another length than built for");
        let piece = match codec.grain() {
            Some(grain) => PIECE.next_multiple_of(grain),
            None => message.len().max(1),
        };
        let mut distortion = Distortion::default();
        let codes = bytes.chunks_mut(codec.encoded_len(piece).max(1));
        let pieces = residual.chunks_mut(piece).zip(message.chunks(piece));
        for ((residual, message), code) in pieces.zip(codes) {
            distortion.signal += add(residual, message);
            codec.encode(residual, code);
            distortion.error += codec.subtract_decoded(code, residual, scratch)?;
        }
        Ok(distortion)
    }
}

/// Returns the bytes of a message of `elements` f32 over those of its code; 1 if both are 0.
#[must_use]
pub fn ratio(codec: &dyn Codec, elements: usize) -> f64 {
    match codec.encoded_len(elements) {
        0 => 1.0,
        bytes => (elements * size_of::<f32>()) as f64 / bytes as f64,
    }
}

/// The error of compression, summed over messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Distortion {
    /// The sum of the squares of the uncompressed values, `|d + r|^2`.
    pub signal: f64,
    /// The sum of the squares of the errors, `|d + r - C(d + r)|^2`.
    pub error: f64,
}

impl Distortion {
    /// Adds another message's distortion, unless it is not finite because the message held NaN.
    pub fn add(&mut self, other: Self) {
        if [other.signal, other.error].iter().all(|sum| sum.is_finite() && *sum >= 0.0) {
            self.signal += other.signal;
            self.error += other.error;
        }
    }

    /// The relative error `|d + r - C(d + r)| / |d + r|`, its root mean square over the messages; 0 if nothing was
    /// sent.
    #[must_use]
    pub fn relative_error(self) -> f64 {
        if self.signal > 0.0 { (self.error / self.signal).sqrt() } else { 0.0 }
    }
}

/// `r = d + r`; returns the sum of the squares of `r`.
fn add(residual: &mut [f32], message: &[f32]) -> f64 {
    combine(residual, message, |r, d| r + d)
}

/// `s = s - c`; returns the sum of the squares of `s`.
pub(super) fn subtract(sums: &mut [f32], decoded: &[f32]) -> f64 {
    combine(sums, decoded, |s, c| s - c)
}

/// Replaces each left value by `new` of both values; returns the sum of the squares. Denormal numbers become 0,
/// whatever the thread's mode.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn combine<F: Fn(f32, f32) -> f32>(left: &mut [f32], right: &[f32], new: F) -> f64 {
    let mut sum = 0.0;
    for (left, right) in left.chunks_mut(PIECE).zip(right.chunks(PIECE)) {
        for (left, right) in left.iter_mut().zip(right) {
            *left = flush(new(*left, flush(*right)));
        }
        sum += square_sum(left);
    }
    sum
}

#[inline(always)]
fn flush(value: f32) -> f32 {
    if value.to_bits() & EXPONENT == 0 { 0.0 } else { value }
}

/// The sum of the squares of `values`, added in the same order everywhere.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
pub(super) fn square_sum(values: &[f32]) -> f64 {
    let mut sums = [0.0_f64; LANES];
    let (values, last) = values.as_chunks::<LANES>();
    for values in values {
        for lane in 0..LANES {
            sums[lane] += f64::from(values[lane]) * f64::from(values[lane]);
        }
    }
    for (sum, value) in sums.iter_mut().zip(last) {
        *sum += f64::from(*value) * f64::from(*value);
    }
    sums.iter().sum()
}
