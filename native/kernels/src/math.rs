//! Functions of one f32 without branches, so that loops over them are vectorized.
//!
//! The exponential is that of Cephes: `exp(x) = 2^n exp(r)` with `|r| <= ln(2) / 2` and a polynomial of degree 6 for
//! `exp(r)`; its relative error is below 2e-7.

#![expect(clippy::excessive_precision, reason = "coefficients as they are published")]

/// The largest argument whose exponential is finite, and the smallest whose exponential is normal.
const RANGE: (f32, f32) = (-87.336_54, 88.722_8);

/// `exp(x)`: 0 below the range of f32's normal numbers, infinity above.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let clamped = x.max(RANGE.0).min(RANGE.1);
    // Adding and subtracting 1.5 * 2^23 rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    let n = (clamped * std::f32::consts::LOG2_E + ROUND) - ROUND;
    // ln(2) in two parts, so that the remainder is exact.
    let r = (clamped - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 5.000_000_1e-1;
    let fraction = p * r * r + r + 1.0;
    // Two factors, since 2^128 is no f32.
    let half = (n as i32) >> 1;
    let rest = n as i32 - half;
    let result = fraction * power_of_two(half) * power_of_two(rest);
    if x < RANGE.0 {
        0.0
    } else if x > RANGE.1 {
        f32::INFINITY
    } else if x.is_nan() {
        x
    } else {
        result
    }
}

#[inline(always)]
fn power_of_two(exponent: i32) -> f32 {
    f32::from_bits(((exponent + 127) << 23) as u32)
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `tanh(x)`.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    // Near 0 the quotient of differences would lose its digits: the series of odd powers has them.
    let square = x * x;
    let near = x + x * square * (-0.333_333_3 + square * (0.133_333_3 - square * 0.053_968_25));
    let e = exp(2.0 * x.abs().min(20.0));
    let far = (1.0 - 2.0 / (e + 1.0)).copysign(x);
    if square < 0.04 {
        near
    } else if x.is_nan() {
        x
    } else {
        far
    }
}

/// `ln(1 + exp(x))`.
#[inline(always)]
pub(crate) fn softplus(x: f32) -> f32 {
    x.max(0.0) + exp(-x.abs()).ln_1p()
}

/// The error function (Abramowitz and Stegun, 7.1.26 has 1.5e-7; this series has the same error).
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * a);
    let p = t
        * (0.254_829_6
            + t * (-0.284_496_74 + t * (1.421_413_7 + t * (-1.453_152 + t * 1.061_405_4))));
    (1.0 - p * exp(-a * a)).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::{erf, exp, sigmoid, softplus, tanh};

    #[test]
    fn functions_are_those_of_f64_over_the_range() {
        for step in -90_000..=90_000 {
            let x = step as f32 * 1e-3;
            let wide = f64::from(x);
            let near = |found: f32, expected: f64, relative: f64| {
                let error = (f64::from(found) - expected).abs();
                assert!(error <= relative * expected.abs() + 1e-37, "{x}: {found} {expected}");
            };
            if (-87.3..=88.7).contains(&x) {
                near(exp(x), wide.exp(), 4e-7);
                near(sigmoid(x), 1.0 / (1.0 + (-wide).exp()), 6e-7);
            }
            near(tanh(x), wide.tanh(), 2e-6);
            near(softplus(x), wide.max(0.0) + (-wide.abs()).exp().ln_1p(), 6e-7);
        }
    }

    #[test]
    fn the_ends_of_the_range_are_zero_and_infinity() {
        assert_eq!((exp(-200.0), exp(200.0)), (0.0, f32::INFINITY));
        assert_eq!((exp(0.0), tanh(0.0), sigmoid(0.0)), (1.0, 0.0, 0.5));
        assert!(exp(f32::NAN).is_nan() && tanh(f32::NAN).is_nan() && erf(f32::NAN).is_nan());
        assert_eq!((tanh(100.0), tanh(-100.0)), (1.0, -1.0));
        assert_eq!((sigmoid(-200.0), sigmoid(200.0)), (0.0, 1.0));
    }

    #[test]
    fn the_error_function_has_six_digits() {
        for (x, expected) in [
            (0.0, 0.0),
            (0.1, 0.112_462_916),
            (0.5, 0.520_499_88),
            (1.0, 0.842_700_8),
            (-1.5, -0.966_105_15),
            (3.0, 0.999_977_9),
        ] {
            assert!((erf(x) - expected).abs() < 5e-7, "{x}: {}", erf(x));
        }
    }
}
