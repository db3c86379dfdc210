//! `topk`: only the values of largest magnitude, with their places (Aji and Heafield, Sparse Communication for
//! Distributed Gradient Descent, 2017).
//!
//! Of `n` values `k = ceil(ratio n)` are kept: first their indices as u32, ascending, then the values as f32. Of equal
//! magnitudes the earlier ones are kept; NaN is the largest magnitude of all, then infinity, so that neither is ever
//! left out unseen.

use multiversion::multiversion;

use super::feedback::square_sum;
use super::half::MAGNITUDE;
use super::{Codec, CompressionError, assert_len, check_len};
use crate::options::Range;

const NAME: &str = "topk";

/// The bytes of an index, and of a value.
const WORD: usize = 4;

/// The number of values scanned together: most such groups hold nothing that is kept.
const GROUP: usize = 16;

/// The number of values for each sample from which the smallest kept magnitude is estimated.
const STRIDE: usize = 256;

/// The smallest number of samples for an estimate.
const FEWEST_SAMPLES: usize = 4096;

/// The largest number of samples for an estimate.
const MOST_SAMPLES: usize = 65_536;

/// The largest values of a message. The memory that finding them takes is kept from message to message.
#[derive(Debug)]
pub(super) struct TopK {
    ratio: f64,
    /// Indices of values that may be kept, ascending.
    candidates: Vec<u32>,
    magnitudes: Vec<u32>,
}

impl TopK {
    /// A codec that keeps this share of a message.
    pub(super) fn new(ratio: f64, elements: usize) -> Result<Self, CompressionError> {
        Range::SHARE.check("ratio", ratio).map_err(|error| error.of("compression", NAME))?;
        if u32::try_from(elements).is_err() {
            let most = u64::from(u32::MAX);
            return Err(CompressionError::TooLong { compression: NAME, most, elements });
        }
        Ok(Self { ratio, candidates: Vec::new(), magnitudes: Vec::new() })
    }

    /// Returns the number of values that are kept of `elements`.
    fn kept(&self, elements: usize) -> usize {
        ((self.ratio * elements as f64).ceil() as usize).min(elements)
    }

    /// Collects indices of at least `kept` values, those of the `kept` largest magnitudes among them.
    fn collect(&mut self, values: &[f32], kept: usize) {
        let samples = (values.len() / STRIDE).clamp(FEWEST_SAMPLES, MOST_SAMPLES);
        if samples >= values.len() {
            return self.gather(values, 0);
        }
        self.sample(values, samples);
        // The rank that the smallest kept magnitude has in the sample, with four standard deviations to spare.
        let rank = kept as f64 / values.len() as f64 * samples as f64;
        let mut rank = (rank + 4.0 * rank.sqrt()).ceil() as usize + 8;
        while rank < samples {
            let (_, &mut floor, _) = self.magnitudes.select_nth_unstable_by(rank, |a, b| b.cmp(a));
            self.gather(values, floor);
            if self.candidates.len() >= kept {
                return;
            }
            rank *= 4;
        }
        self.gather(values, 0);
    }

    /// Draws magnitudes, one at a place of its own in each of as many equal parts, always the same ones: an even
    /// stride would meet the rows of a matrix always at the same column.
    fn sample(&mut self, values: &[f32], samples: usize) {
        let part = values.len() / samples;
        self.magnitudes.clear();
        self.magnitudes.extend((0..samples).map(|sample| {
            let place = (sample as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            magnitude(values[sample * part + place as usize % part])
        }));
    }

    /// Replaces those of `values` that `bytes` hold by what `new` makes of a value and the one sent for it.
    fn place(
        &self,
        bytes: &[u8],
        values: &mut [f32],
        new: impl Fn(f32, f32) -> f32,
    ) -> Result<(), CompressionError> {
        let (indices, sent) = bytes.split_at(bytes.len() / 2);
        let mut next = 0;
        for (index, sent) in indices.as_chunks().0.iter().zip(sent.as_chunks().0) {
            let index = u32::from_le_bytes(*index) as usize;
            let Some(value) = values.get_mut(index).filter(|_| index >= next) else {
                return Err(CompressionError::malformed(
                    NAME,
                    format!("index {index} is out of order or beyond the parameters"),
                ));
            };
            *value = new(*value, f32::from_le_bytes(*sent));
            next = index + 1;
        }
        Ok(())
    }

    fn gather(&mut self, values: &[f32], floor: u32) {
        self.candidates.clear();
        gather(values, floor, &mut self.candidates);
    }
}

impl Codec for TopK {
    fn name(&self) -> &'static str {
        NAME
    }

    fn encoded_len(&self, elements: usize) -> usize {
        2 * WORD * self.kept(elements)
    }

    fn grain(&self) -> Option<usize> {
        None
    }

    fn encode(&mut self, values: &[f32], out: &mut [u8]) {
        assert_len(self, values, out);
        let kept = self.kept(values.len());
        if kept == 0 {
            return;
        }
        self.collect(values, kept);
        self.magnitudes.clear();
        let magnitudes = self.candidates.iter().map(|&index| magnitude(values[index as usize]));
        self.magnitudes.extend(magnitudes);
        let (above, &mut smallest, _) =
            self.magnitudes.select_nth_unstable_by(kept - 1, |a, b| b.cmp(a));
        let mut ties = kept - above.iter().filter(|&&other| other > smallest).count();
        let (indices, kept_values) = out.split_at_mut(WORD * kept);
        let places = indices.as_chunks_mut().0.iter_mut().zip(kept_values.as_chunks_mut().0);
        let chosen = self.candidates.iter().filter(|&&index| {
            let magnitude = magnitude(values[index as usize]);
            let tie = magnitude == smallest && ties > 0;
            ties -= usize::from(tie);
            magnitude > smallest || tie
        });
        for ((place, kept_value), index) in places.zip(chosen) {
            *place = index.to_le_bytes();
            *kept_value = values[*index as usize].to_le_bytes();
        }
    }

    fn decode(&self, bytes: &[u8], out: &mut [f32]) -> Result<(), CompressionError> {
        check_len(self, bytes, out.len())?;
        out.fill(0.0);
        self.place(bytes, out, |_, sent| sent)
    }

    /// Sent values are exact, so that only the others are left.
    fn subtract_decoded(
        &self,
        bytes: &[u8],
        values: &mut [f32],
        _: &mut Vec<f32>,
    ) -> Result<f64, CompressionError> {
        check_len(self, bytes, values.len())?;
        self.place(bytes, values, |value, sent| value - sent)?;
        Ok(square_sum(values))
    }
}

#[inline(always)]
fn magnitude(value: f32) -> u32 {
    value.to_bits() & MAGNITUDE
}

/// Appends the indices of the values whose magnitude is at least `floor`.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn gather(values: &[f32], floor: u32, indices: &mut Vec<u32>) {
    let mut first = 0;
    for group in values.chunks(GROUP) {
        let largest = group.iter().fold(0, |largest: u32, value| largest.max(magnitude(*value)));
        if largest >= floor {
            let mut found = [0; GROUP];
            let mut count = 0;
            for (index, value) in (first..).zip(group) {
                found[count % GROUP] = index;
                count += usize::from(magnitude(*value) >= floor);
            }
            indices.extend_from_slice(&found[..count]);
        }
        first += GROUP as u32;
    }
}
