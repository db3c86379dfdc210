//! Functions of vectors.

#![expect(clippy::excessive_precision, reason = "coefficients as they are published")]

use super::Simd;

/// `1 / (1 + exp(-x))`.
///
/// The exponential is that of [`crate::math`], for arguments up to 86.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(simd: S, x: S::V) -> S::V {
    const LIMIT: f32 = 86.0;
    // Adding and subtracting 1.5 * 2^23 rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    let x = simd.sub(simd.zero(), x);
    let x = simd.min(simd.splat(LIMIT), simd.max(simd.splat(-LIMIT), x));
    let round = simd.splat(ROUND);
    let n = simd.sub(simd.mul_add(x, simd.splat(std::f32::consts::LOG2_E), round), round);
    let r = simd.mul_add(n, simd.splat(-0.693_359_4), x);
    let r = simd.mul_add(n, simd.splat(2.121_944_4e-4), r);
    let p = polynomial(
        simd,
        r,
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5],
    );
    let one = simd.splat(1.0);
    let fraction = simd.add(simd.mul_add(p, simd.mul(r, r), r), one);
    simd.div(one, simd.add(one, simd.scale(fraction, n)))
}

/// `tanh(x)`, by the quotient of polynomials that Eigen uses: its relative error is below 1e-6.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(simd: S, x: S::V) -> S::V {
    // Above, the quotient is 1.
    const LIMIT: f32 = 7.905_311;
    let x = simd.min(simd.splat(LIMIT), simd.max(simd.splat(-LIMIT), x));
    let square = simd.mul(x, x);
    let odd = polynomial(
        simd,
        square,
        [
            -2.760_768_477_423_55e-16,
            2.000_187_904_824_77e-13,
            -8.604_671_522_137_35e-11,
            5.122_297_090_371_14e-8,
            1.485_722_357_179_79e-5,
            6.372_619_288_754_36e-4,
            4.893_524_558_917_86e-3,
        ],
    );
    let even = polynomial(
        simd,
        square,
        [
            1.198_258_394_667_02e-6,
            1.185_347_056_866_54e-4,
            2.268_434_632_439e-3,
            4.893_525_185_543_85e-3,
        ],
    );
    simd.div(simd.mul(x, odd), even)
}

/// A polynomial, from its highest coefficient.
#[inline(always)]
fn polynomial<S: Simd, const COUNT: usize>(simd: S, x: S::V, by: [f32; COUNT]) -> S::V {
    let mut sum = simd.splat(by[0]);
    for &coefficient in &by[1..] {
        sum = simd.mul_add(sum, x, simd.splat(coefficient));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::{sigmoid, tanh};
    use crate::simd::{Kernel, Level, Simd};

    /// The sigmoid and tanh of values.
    struct Both<'a>(&'a [f32]);

    impl Kernel for Both<'_> {
        type Output = Vec<[f32; 2]>;

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Self::Output {
            let mut results = Vec::new();
            for x in self.0.chunks(S::LANES) {
                let (mut s, mut t) = (vec![0.0; x.len()], vec![0.0; x.len()]);
                let vector = simd.read(x);
                simd.write(&mut s, sigmoid(simd, vector));
                simd.write(&mut t, tanh(simd, vector));
                results.extend(s.into_iter().zip(t).map(|(s, t)| [s, t]));
            }
            results
        }
    }

    #[test]
    fn functions_are_those_of_f64_at_every_level() {
        let x: Vec<f32> = (-90_000..=90_000).map(|step| step as f32 * 1e-3).collect();
        for level in Level::all() {
            for (&x, [s, t]) in x.iter().zip(level.run(Both(&x))) {
                let wide = f64::from(x);
                let near = |found: f32, expected: f64| {
                    (f64::from(found) - expected).abs() <= 1e-6 * expected.abs() + 1e-37
                };
                assert!(near(s, 1.0 / (1.0 + (-wide).exp())), "{level:?}: sigmoid of {x} is {s}");
                assert!(near(t, wide.tanh()), "{level:?}: tanh of {x} is {t}");
            }
        }
    }

    #[test]
    fn infinities_have_limits_and_nan_stays() {
        for level in Level::all() {
            let found = level.run(Both(&[f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 0.0]));
            let near = |found: f32, expected: f32| (found - expected).abs() < 1e-6;
            assert!(near(found[0][0], 1.0) && near(found[0][1], 1.0), "{level:?}: {found:?}");
            assert!(near(found[1][0], 0.0) && near(found[1][1], -1.0), "{level:?}: {found:?}");
            assert!(found[2].iter().all(|value| value.is_nan()), "{level:?}: {found:?}");
            assert_eq!(found[3], [0.5, 0.0], "{level:?}");
        }
    }
}
