//! The area under the receiver operating characteristic from histograms.
//!
//! The area is the share of pairs of a row of class 1 and one of class 0 in which the first has the larger score; a tie
//! counts half. Only the order of the scores matters, so the bins need not be of equal width: they are those of a
//! floating-point number with [`MANTISSA`] bits, which distinguish scores by their ratio and not by their distance, at
//! any scale of the network's outputs. Scores in one bin count as a tie, so the error of the area is at most half the
//! share of the pairs in one bin, and that bound is known from the histograms.

/// Bits behind the leading one: scores of a bin differ by less than a 256th of their size.
const MANTISSA: u32 = 8;

/// The exponent below which scores are distinguished by `2^(SMALLEST - MANTISSA)`.
const SMALLEST: i32 = -8;

/// The exponent from which scores are not distinguished: as logits, their probability is 1 to 1e-27.
const LARGEST: i32 = 6;

/// The bins of one sign: a linear part, and one part for each power of two.
const HALF: usize = ((LARGEST - SMALLEST + 1) as usize) << MANTISSA;

/// All bins.
const BINS: usize = 2 * HALF;

/// The weights of the rows of each class by their score.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ranking {
    zeros: Vec<f64>,
    ones: Vec<f64>,
}

impl Ranking {
    pub(super) fn new() -> Self {
        Self { zeros: vec![0.0; BINS], ones: vec![0.0; BINS] }
    }

    pub(super) fn add(&mut self, score: f32, one: bool, weight: f64) {
        let bins = if one { &mut self.ones } else { &mut self.zeros };
        bins[bin(score)] += weight;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (bins, theirs) in [(&mut self.zeros, &other.zeros), (&mut self.ones, &other.ones)] {
            bins.iter_mut().zip(theirs).for_each(|(bin, theirs)| *bin += theirs);
        }
    }

    /// Returns the area; `None` if a class has no weight.
    pub(super) fn area(&self) -> Option<f64> {
        let mut below = 0.0;
        let mut ordered = 0.0;
        for (&zeros, &ones) in self.zeros.iter().zip(&self.ones) {
            ordered += ones * (below + zeros / 2.0);
            below += zeros;
        }
        self.pairs().map(|pairs| ordered / pairs)
    }

    /// Returns the largest distance of the area from the exact one.
    pub(super) fn error_bound(&self) -> Option<f64> {
        let tied: f64 = self.zeros.iter().zip(&self.ones).map(|(zeros, ones)| zeros * ones).sum();
        self.pairs().map(|pairs| tied / 2.0 / pairs)
    }

    pub(super) fn slots(&mut self) -> impl Iterator<Item = &mut f64> {
        self.zeros.iter_mut().chain(&mut self.ones)
    }

    fn pairs(&self) -> Option<f64> {
        let pairs = self.zeros.iter().sum::<f64>() * self.ones.iter().sum::<f64>();
        (pairs > 0.0).then_some(pairs)
    }
}

/// The bin of a score, in the order of the scores. NaN is taken for 0.
fn bin(score: f32) -> usize {
    let size = f64::from(score.abs());
    let small = f64::from(SMALLEST).exp2();
    let steps = f64::from(1_u32 << MANTISSA);
    let of_size = if size < small {
        (size / small * steps) as usize
    } else {
        // The exponent and the first bits behind the leading one are the upper bits of the number.
        let bits = score.abs().to_bits() >> (f32::MANTISSA_DIGITS - 1 - MANTISSA);
        let first = (SMALLEST + 126) as u32;
        (bits.saturating_sub(first << MANTISSA) as usize).min(HALF - 1)
    };
    if score.is_nan() {
        HALF
    } else if score < 0.0 {
        HALF - 1 - of_size
    } else {
        HALF + of_size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_in_the_order_of_the_scores_and_use_the_whole_range() {
        let mut scores: Vec<f32> =
            (-4000..4000).map(|i| (i as f32 * 0.01).powi(3) * 1e-3).collect();
        scores.extend([
            f32::NEG_INFINITY,
            -1e30,
            -64.0,
            -0.0,
            0.0,
            1e-30,
            64.0,
            1e30,
            f32::INFINITY,
        ]);
        scores.sort_by(f32::total_cmp);
        assert!(scores.windows(2).all(|pair| bin(pair[0]) <= bin(pair[1])));
        assert_eq!((bin(f32::NEG_INFINITY), bin(f32::INFINITY)), (0, BINS - 1));
        assert_eq!((bin(0.0), bin(f32::NAN)), (HALF, HALF));
        assert_eq!(bin(63.999), BINS - 1);
    }

    #[test]
    fn scores_that_differ_by_a_128th_or_by_a_60000th_near_0_are_told_apart() {
        for score in [1.0e-4_f32, 0.004, 0.9, 1.0, 7.7, 60.0] {
            let other = (score * (1.0 + 1.0 / 128.0)).max(score + 2.0_f32.powi(-15));
            assert!(bin(score) < bin(other), "{score}");
            assert!(bin(-score) > bin(-other), "{score}");
        }
    }
}
