//! Whether numbers are finite, piece by piece as they arrive.

use multiversion::multiversion;

/// The bits of an f32's exponent: all set in NaN and infinity only.
const EXPONENT: u32 = 0x7f80_0000;

/// Whether all numbers seen are finite.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FiniteCheck(bool);

impl FiniteCheck {
    /// Nothing seen yet.
    pub(crate) const fn new() -> Self {
        Self(true)
    }

    /// All of `values` seen.
    pub(crate) fn of(values: &[f32]) -> Self {
        let mut finite = Self::new();
        finite.update(values);
        finite
    }

    /// Sees more numbers, at memory speed.
    pub(crate) fn update(&mut self, values: &[f32]) {
        self.0 = self.0 && largest_exponent(values) < EXPONENT;
    }

    /// The first of the numbers seen that is not finite.
    pub(crate) fn first_non_finite(self, values: &[f32]) -> Option<usize> {
        if self.0 { None } else { values.iter().position(|value| !value.is_finite()) }
    }
}

/// The bits of the largest exponent, without branches so that it runs on vectors.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn largest_exponent(values: &[f32]) -> u32 {
    values.iter().fold(0, |largest, value| largest.max(value.to_bits() & EXPONENT))
}

#[cfg(test)]
mod tests {
    use super::FiniteCheck;

    #[test]
    fn nan_and_infinity_are_found_wherever_they_are_and_extremes_are_not() {
        let mut values = vec![f32::MAX; 10_000];
        values[1] = f32::MIN_POSITIVE / 2.0;
        values[2] = f32::MIN;
        assert_eq!(FiniteCheck::of(&values).first_non_finite(&values), None);
        for other in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for index in [0, 4095, 4096, 9_999] {
                let mut values = values.clone();
                values[index] = other;
                assert_eq!(FiniteCheck::of(&values).first_non_finite(&values), Some(index));
            }
        }
    }
}
