//! The check that numbers are finite, piece by piece as they arrive.

use multiversion::multiversion;

/// The bits of an f32's exponent: all set in NaN and infinity only.
const EXPONENT: u32 = 0x7f80_0000;

/// True while all numbers checked so far are finite.
#[derive(Clone, Copy, Debug)]
pub struct FiniteCheck(bool);

impl Default for FiniteCheck {
    fn default() -> Self {
        Self::new()
    }
}

impl FiniteCheck {
    /// Creates a check of no numbers.
    #[must_use]
    pub const fn new() -> Self {
        Self(true)
    }

    /// Checks all of `values`.
    #[must_use]
    pub fn of(values: &[f32]) -> Self {
        let mut finite = Self::new();
        finite.update(values);
        finite
    }

    /// Checks more numbers, at memory speed.
    pub fn update(&mut self, values: &[f32]) {
        self.0 = self.0 && largest_exponent(values) < EXPONENT;
    }

    /// Returns the index of the first number that is not finite. `values` must be the numbers that were checked.
    #[must_use]
    pub fn first_non_finite(self, values: &[f32]) -> Option<usize> {
        if self.0 { None } else { values.iter().position(|value| !value.is_finite()) }
    }
}

/// Returns the bits of the largest exponent. It has no branches, so that the compiler vectorizes it.
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
        values[3] = -0.0;
        assert_eq!(FiniteCheck::of(&values).first_non_finite(&values), None);
        for other in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for index in [0, 1023, 1024, 4095, 4096, 9_999] {
                let mut values = values.clone();
                values[index] = other;
                assert_eq!(FiniteCheck::of(&values).first_non_finite(&values), Some(index));
            }
        }
        assert_eq!(FiniteCheck::of(&[]).first_non_finite(&[]), None);
    }
}
