//! Functions of the rows of a matrix.

use multiversion::multiversion;

use crate::math::exp;
use crate::write::put;

/// Computes the softmax of each row of `size` values.
pub fn softmax(x: &[f32], size: usize, y: &mut [f32]) {
    for (x, y) in x.chunks_exact(size.max(1)).zip(y.chunks_exact_mut(size.max(1))) {
        let (_, sum) = exponentials(x, y);
        scale(y, 1.0 / sum);
    }
}

/// Computes the logarithm of the softmax of each row of `size` values.
pub fn log_softmax(x: &[f32], size: usize, y: &mut [f32]) {
    for (x, y) in x.chunks_exact(size.max(1)).zip(y.chunks_exact_mut(size.max(1))) {
        let (largest, sum) = exponentials(x, y);
        subtract(x, largest, sum.ln(), y);
    }
}

/// Computes the gradient of softmax's input from its result, `y (dy - sum(y dy))`, or adds it.
pub fn softmax_backward(y: &[f32], dy: &[f32], size: usize, adds: bool, dx: &mut [f32]) {
    let size = size.max(1);
    let rows = y.chunks_exact(size).zip(dy.chunks_exact(size)).zip(dx.chunks_exact_mut(size));
    for ((y, dy), dx) in rows {
        let sum = dot(y, dy);
        for ((dx, y), dy) in dx.iter_mut().zip(y).zip(dy) {
            let value = y * (dy - sum);
            put(dx, value, adds);
        }
    }
}

/// Computes the gradient of log-softmax's input from its result, `dy - exp(y) sum(dy)`, or adds it.
pub fn log_softmax_backward(y: &[f32], dy: &[f32], size: usize, adds: bool, dx: &mut [f32]) {
    let size = size.max(1);
    let rows = y.chunks_exact(size).zip(dy.chunks_exact(size)).zip(dx.chunks_exact_mut(size));
    for ((y, dy), dx) in rows {
        let sum: f32 = dy.iter().sum();
        for ((dx, y), dy) in dx.iter_mut().zip(y).zip(dy) {
            let value = dy - exp(*y) * sum;
            put(dx, value, adds);
        }
    }
}

/// Writes `exp(x - max(x))`; returns the largest value and the sum.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn exponentials(x: &[f32], y: &mut [f32]) -> (f32, f32) {
    let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for (y, x) in y.iter_mut().zip(x) {
        *y = exp(x - largest);
        sum += *y;
    }
    (largest, sum)
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn scale(values: &mut [f32], factor: f32) {
    for value in values {
        *value *= factor;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn subtract(x: &[f32], largest: f32, log_sum: f32, y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = x - largest - log_sum;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::{log_softmax, log_softmax_backward, softmax, softmax_backward};

    const X: [f32; 6] = [1.0, -2.0, 0.5, 100.0, 101.0, -300.0];

    fn of_f64(x: &[f32]) -> Vec<f64> {
        let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let e: Vec<f64> = x.iter().map(|x| (f64::from(*x) - f64::from(largest)).exp()).collect();
        let sum: f64 = e.iter().sum();
        e.iter().map(|e| e / sum).collect()
    }

    #[test]
    fn rows_are_normalised_without_overflow() {
        let (mut y, mut logs) = ([0.0; 6], [0.0; 6]);
        softmax(&X, 3, &mut y);
        log_softmax(&X, 3, &mut logs);
        for row in 0..2 {
            for (index, expected) in of_f64(&X[3 * row..3 * row + 3]).into_iter().enumerate() {
                let found = f64::from(y[3 * row + index]);
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
                if expected > 1e-30 {
                    assert!((f64::from(logs[3 * row + index]) - expected.ln()).abs() < 1e-4);
                }
            }
        }
    }

    #[test]
    fn gradients_are_differences() {
        let (mut y, mut logs) = ([0.0; 3], [0.0; 3]);
        softmax(&X[..3], 3, &mut y);
        log_softmax(&X[..3], 3, &mut logs);
        let dy = [0.3, -1.0, 2.0];
        let (mut dx, mut of_logs) = ([1.0; 3], [0.0; 3]);
        softmax_backward(&y, &dy, 3, true, &mut dx);
        log_softmax_backward(&logs, &dy, 3, false, &mut of_logs);
        for index in 0..3 {
            let slope = |log: bool| {
                let at = |step: f32| {
                    let mut x = X[..3].to_vec();
                    x[index] += step;
                    let found = of_f64(&x).into_iter().map(|p| if log { p.ln() } else { p });
                    found.zip(dy).map(|(p, dy)| p * f64::from(dy)).sum::<f64>()
                };
                (at(1e-2) - at(-1e-2)) / 2e-2
            };
            assert!((f64::from(dx[index]) - 1.0 - slope(false)).abs() < 1e-3);
            assert!((f64::from(of_logs[index]) - slope(true)).abs() < 1e-3);
        }
    }

    #[test]
    fn the_logarithm_keeps_the_digits_of_a_small_difference_of_large_values() {
        let mut y = [0.0; 2];
        log_softmax(&[10_000.0, 10_000.0], 2, &mut y);
        assert!((y[0] + 2_f32.ln()).abs() < 1e-6, "{}", y[0]);
        log_softmax(&[f32::NAN, 1.0], 2, &mut y);
        assert!(y[0].is_nan() && y[1].is_nan());
    }
}
