//! Functions of each value, and their derivatives.
//!
//! A derivative is computed from the function's result where that is enough, so that the input's memory can be that of
//! the output; [`Activation::needs_input`] says where it is not.

use multiversion::multiversion;

use crate::math::{erf, exp, sigmoid, softplus, tanh};

/// A function of one value, with PyTorch's formulas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `max(0, x)`.
    Relu,
    /// `min(max(0, x), 6)`.
    Relu6,
    /// `x`, or `slope x` below 0.
    LeakyRelu {
        /// The slope.
        slope: f32,
    },
    /// `x`, or `alpha (exp(x) - 1)` below 0.
    Elu {
        /// The limit far below 0, with its sign changed.
        alpha: f32,
    },
    /// `scale` times ELU (Klambauer et al., 2017).
    Selu,
    /// `x` times the normal distribution function.
    Gelu,
    /// GELU by its approximation with tanh.
    GeluTanh,
    /// `x sigmoid(x)`.
    Silu,
    /// `x tanh(softplus(x))`.
    Mish,
    /// `tanh(x)`.
    Tanh,
    /// `x` between -1 and 1.
    Hardtanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `ln(sigmoid(x))`.
    LogSigmoid,
    /// `min(max(0, x + 3), 6) / 6`.
    Hardsigmoid,
    /// `x hardsigmoid(x)`.
    Hardswish,
    /// `ln(1 + exp(x))`, or `x` above 20.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
}

/// The constants of SELU.
const SELU: (f32, f32) = (1.673_263_2, 1.050_701);
/// `1 / sqrt(2)`, `1 / sqrt(2 pi)` and `sqrt(2 / pi)`.
const ROOT_HALF: f32 = std::f32::consts::FRAC_1_SQRT_2;
const DENSITY: f32 = 0.398_942_3;
const ROOT_TWO_BY_PI: f32 = 0.797_884_6;
/// The coefficient of the cube in GELU's approximation (Hendrycks and Gimpel, 2016).
const CUBE: f32 = 0.044_715;
/// The value above which softplus is its argument.
const LINEAR: f32 = 20.0;

/// Calls a macro with each function's formula and its derivative, of `x` or of `y`.
macro_rules! formulas {
    ($activation:expr, $run:ident) => {
        match $activation {
            Activation::Relu => {
                $run!(|x| if x < 0.0 { 0.0 } else { x }, |_x, y| if y <= 0.0 { 0.0 } else { 1.0 })
            }
            Activation::Relu6 => $run!(|x| clamp(x, 0.0, 6.0), |x, _y| inside(x, 0.0, 6.0)),
            Activation::LeakyRelu { slope } => {
                $run!(|x| if x > 0.0 { x } else { x * slope }, |x, _y| if x > 0.0 {
                    1.0
                } else {
                    slope
                })
            }
            Activation::Elu { alpha } => {
                $run!(|x| if x > 0.0 { x } else { alpha * (exp(x) - 1.0) }, |x, _y| if x > 0.0 {
                    1.0
                } else {
                    alpha * exp(x)
                })
            }
            Activation::Selu => {
                $run!(|x| SELU.1 * if x > 0.0 { x } else { SELU.0 * (exp(x) - 1.0) }, |x, _y| SELU
                    .1
                    * if x > 0.0 { 1.0 } else { SELU.0 * exp(x) })
            }
            Activation::Gelu => {
                $run!(|x| x * normal(x), |x, _y| normal(x) + x * DENSITY * exp(-0.5 * x * x))
            }
            Activation::GeluTanh => $run!(|x| 0.5 * x * (1.0 + tanh(inner(x))), |x, _y| {
                let t = tanh(inner(x));
                let slope = ROOT_TWO_BY_PI * (1.0 + 3.0 * CUBE * x * x);
                0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope
            }),
            Activation::Silu => $run!(|x| x * sigmoid(x), |x, _y| {
                let s = sigmoid(x);
                s * (1.0 + x * (1.0 - s))
            }),
            Activation::Mish => $run!(|x| x * tanh(softplus(x)), |x, _y| {
                let t = tanh(softplus(x));
                t + x * (1.0 - t * t) * sigmoid(x)
            }),
            Activation::Tanh => $run!(|x| tanh(x), |_x, y| 1.0 - y * y),
            Activation::Hardtanh => {
                $run!(|x| clamp(x, -1.0, 1.0), |x, _y| inside(x, -1.0, 1.0))
            }
            Activation::Sigmoid => $run!(|x| sigmoid(x), |_x, y| y * (1.0 - y)),
            Activation::LogSigmoid => $run!(|x| -softplus(-x), |x, _y| 1.0 - sigmoid(x)),
            Activation::Hardsigmoid => {
                $run!(|x| clamp(x + 3.0, 0.0, 6.0) / 6.0, |x, _y| inside(x, -3.0, 3.0) / 6.0)
            }
            Activation::Hardswish => $run!(|x| x * clamp(x + 3.0, 0.0, 6.0) / 6.0, |x, _y| {
                if x <= -3.0 {
                    0.0
                } else if x < 3.0 {
                    x / 3.0 + 0.5
                } else {
                    1.0
                }
            }),
            Activation::Softplus => {
                $run!(|x| if x > LINEAR { x } else { softplus(x) }, |x, _y| if x > LINEAR {
                    1.0
                } else {
                    sigmoid(x)
                })
            }
            Activation::Softsign => $run!(|x| x / (1.0 + x.abs()), |x, _y| {
                let d = 1.0 + x.abs();
                1.0 / (d * d)
            }),
        }
    };
}

impl Activation {
    /// Returns true if the derivative is computed from the input. Otherwise the output is enough, and the input may be
    /// overwritten.
    #[must_use]
    pub fn needs_input(self) -> bool {
        !matches!(self, Self::Relu | Self::Tanh | Self::Sigmoid)
    }

    /// Computes `y = f(x)`.
    pub fn forward(self, x: &[f32], y: &mut [f32]) {
        forward(self, x, y);
    }

    /// Replaces each value by the function of it.
    pub fn forward_in_place(self, y: &mut [f32]) {
        forward_in_place(self, y);
    }

    /// Computes `dx = dy f'(x)`, or adds it. `y` is the function's result; `x` is only read if
    /// [`Self::needs_input`].
    pub fn backward(self, x: &[f32], y: &[f32], dy: &[f32], adds: bool, dx: &mut [f32]) {
        let x = if self.needs_input() { x } else { y };
        if adds {
            backward_add(self, x, y, dy, dx);
        } else {
            backward(self, x, y, dy, dx);
        }
    }

    /// Multiplies a gradient of the output by the derivative, where the result is enough for it.
    ///
    /// # Panics
    /// If [`Self::needs_input`].
    pub fn backward_in_place(self, y: &[f32], dy: &mut [f32]) {
        assert!(!self.needs_input(), "the derivative of {self:?} needs the input");
        backward_in_place(self, y, dy);
    }
}

#[inline(always)]
fn inside(x: f32, low: f32, high: f32) -> f32 {
    if x <= low || x >= high { 0.0 } else { 1.0 }
}

/// `x` within limits; NaN stays NaN, which `f32::max` and `f32::min` would hide.
#[inline(always)]
fn clamp(x: f32, low: f32, high: f32) -> f32 {
    if x < low {
        low
    } else if x > high {
        high
    } else {
        x
    }
}

/// The normal distribution function.
#[inline(always)]
fn normal(x: f32) -> f32 {
    0.5 * (1.0 + erf(x * ROOT_HALF))
}

#[inline(always)]
fn inner(x: f32) -> f32 {
    ROOT_TWO_BY_PI * (x + CUBE * x * x * x)
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn forward(activation: Activation, x: &[f32], y: &mut [f32]) {
    macro_rules! run {
        (|$x:ident| $f:expr, |$a:ident, $b:ident| $d:expr) => {
            for (y, &$x) in y.iter_mut().zip(x) {
                *y = $f;
            }
        };
    }
    formulas!(activation, run);
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn forward_in_place(activation: Activation, y: &mut [f32]) {
    macro_rules! run {
        (|$x:ident| $f:expr, |$a:ident, $b:ident| $d:expr) => {
            for y in y.iter_mut() {
                let $x = *y;
                *y = $f;
            }
        };
    }
    formulas!(activation, run);
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn backward(activation: Activation, x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32]) {
    macro_rules! run {
        (|$x:ident| $f:expr, |$a:ident, $b:ident| $d:expr) => {
            for (((dx, &$a), &$b), dy) in dx.iter_mut().zip(x).zip(y).zip(dy) {
                *dx = dy * ($d);
            }
        };
    }
    formulas!(activation, run);
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn backward_add(activation: Activation, x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32]) {
    macro_rules! run {
        (|$x:ident| $f:expr, |$a:ident, $b:ident| $d:expr) => {
            for (((dx, &$a), &$b), dy) in dx.iter_mut().zip(x).zip(y).zip(dy) {
                *dx += dy * ($d);
            }
        };
    }
    formulas!(activation, run);
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn backward_in_place(activation: Activation, y: &[f32], dy: &mut [f32]) {
    macro_rules! run {
        (|$x:ident| $f:expr, |$a:ident, $b:ident| $d:expr) => {
            for (dy, &$b) in dy.iter_mut().zip(y) {
                let $a = $b;
                *dy *= $d;
            }
        };
    }
    formulas!(activation, run);
}

#[cfg(test)]
mod tests {
    use super::Activation;

    const ALL: [Activation; 17] = [
        Activation::Relu,
        Activation::Relu6,
        Activation::LeakyRelu { slope: 0.1 },
        Activation::Elu { alpha: 0.7 },
        Activation::Selu,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Silu,
        Activation::Mish,
        Activation::Tanh,
        Activation::Hardtanh,
        Activation::Sigmoid,
        Activation::LogSigmoid,
        Activation::Hardsigmoid,
        Activation::Hardswish,
        Activation::Softplus,
        Activation::Softsign,
    ];

    fn values() -> Vec<f32> {
        // None is a place where a derivative jumps.
        (0..4001).map(|step| (step as f32 - 2000.0) * 0.005 + 0.001).collect()
    }

    #[test]
    fn a_derivative_is_the_slope_of_the_function() {
        let x = values();
        let of = |activation: Activation, x: &[f32]| {
            let mut y = vec![0.0; x.len()];
            activation.forward(x, &mut y);
            y
        };
        for activation in ALL {
            let y = of(activation, &x);
            let step = 2e-3;
            let above = of(activation, &x.iter().map(|x| x + step).collect::<Vec<_>>());
            let below = of(activation, &x.iter().map(|x| x - step).collect::<Vec<_>>());
            let ones = vec![1.0; x.len()];
            let mut found = vec![0.0; x.len()];
            activation.backward(&x, &y, &ones, false, &mut found);
            let mut wrong = 0;
            for index in 0..x.len() {
                let slope = (above[index] - below[index]) / (2.0 * step);
                wrong += usize::from((found[index] - slope).abs() > 3e-3);
            }
            // Where a derivative jumps within a step.
            assert!(wrong <= 3, "{activation:?}: {wrong}");
        }
    }

    #[test]
    fn sums_and_results_in_place_are_the_same() {
        let x = values();
        for activation in ALL {
            let mut y = vec![0.0; x.len()];
            activation.forward(&x, &mut y);
            let mut same = x.clone();
            activation.forward_in_place(&mut same);
            assert_eq!(y, same, "{activation:?}");
            let dy: Vec<f32> = x.iter().map(|x| 0.5 - x).collect();
            let (mut dx, mut sum) = (vec![9.0; x.len()], vec![1.0; x.len()]);
            activation.backward(&x, &y, &dy, false, &mut dx);
            activation.backward(&x, &y, &dy, true, &mut sum);
            let near = sum.iter().zip(&dx).all(|(sum, dx)| (sum - 1.0 - dx).abs() < 1e-5);
            assert!(near, "{activation:?}");
            if !activation.needs_input() {
                let mut in_place = dy;
                activation.backward_in_place(&y, &mut in_place);
                assert_eq!(in_place, dx, "{activation:?}");
            }
        }
    }

    #[test]
    fn no_function_hides_nan() {
        for activation in ALL {
            let mut y = [0.0; 2];
            activation.forward(&[f32::NAN, 1.0], &mut y);
            assert!(y[0].is_nan() && !y[1].is_nan(), "{activation:?}: {y:?}");
        }
    }
}
