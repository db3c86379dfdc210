//! Gradient clipping, as `torch.nn.utils.clip_grad_value_` and `clip_grad_norm_` do over all parameters together.

use crate::spec::ClippingSpec;

/// The constant that PyTorch adds to the norm before dividing by it.
const EPSILON: f64 = 1e-6;

/// The number of values whose squares are summed in f32 before they go to the f64 sum.
const BLOCK: usize = 1024;

/// The number of sums that run side by side, for the processor's vector units.
const LANES: usize = 16;

impl ClippingSpec {
    /// Returns true if no clipping is configured.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.value.is_none() && self.norm.is_none()
    }
}

/// The clipping of a gradient whose norm is known, applied stripe by stripe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    value: Option<f32>,
    scale: f32,
}

impl Bound {
    /// No clipping.
    pub const NONE: Self = Self { value: None, scale: 1.0 };

    /// Computes the clipping of a whole gradient from its stripes.
    #[must_use]
    pub fn of<'a>(spec: &ClippingSpec, stripes: impl Iterator<Item = &'a mut [f32]>) -> Self {
        let value = spec.value.map(|value| value as f32);
        let Some(norm) = spec.norm else { return Self { value, scale: 1.0 } };
        let squares: f64 = stripes.map(|stripe| bounded_squares(stripe, value)).sum();
        Self { value, scale: scale(norm, squares) }
    }

    /// Clips one stripe.
    pub fn apply(&self, stripe: &mut [f32]) {
        if let Some(value) = self.value {
            clamp(stripe, value);
        }
        if self.scale < 1.0 {
            stripe.iter_mut().for_each(|g| *g *= self.scale);
        }
    }
}

/// Clips a flat gradient in place, by value and then by norm. One pass clamps and computes the norm; a second one
/// scales only if the norm is too large.
pub fn clip(spec: &ClippingSpec, gradient: &mut [f32]) {
    let Some(norm) = spec.norm else {
        if let Some(value) = spec.value {
            clamp(gradient, value as f32);
        }
        return;
    };
    let squares = bounded_squares(gradient, spec.value.map(|value| value as f32));
    let scale = scale(norm, squares);
    if scale < 1.0 {
        gradient.iter_mut().for_each(|g| *g *= scale);
    }
}

/// Clips by value and sums the squares in one pass.
fn bounded_squares(gradient: &mut [f32], value: Option<f32>) -> f64 {
    let mut squares = 0.0;
    for block in gradient.chunks_mut(BLOCK) {
        if let Some(value) = value {
            clamp(block, value);
        }
        squares += sum_of_squares(block);
    }
    squares
}

/// Returns the factor that scales a gradient with this sum of squares.
fn scale(norm: f64, squares: f64) -> f32 {
    // NaN stays NaN: the check of the replica finds its gradient later.
    let scale = norm / (squares.sqrt() + EPSILON);
    if scale < 1.0 { scale as f32 } else { 1.0 }
}

/// Clamps values to `-limit..limit`; NaN stays NaN, so that it is found later.
fn clamp(values: &mut [f32], limit: f32) {
    values.iter_mut().for_each(|value| *value = value.clamp(-limit, limit));
}

/// Sums the squares, in f64 if they leave the range of f32.
fn sum_of_squares(block: &[f32]) -> f64 {
    let mut lanes = [0.0_f32; LANES];
    let mut chunks = block.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += x * x;
        }
    }
    let rest: f32 = chunks.remainder().iter().map(|x| x * x).sum();
    let sum = f64::from(lanes.iter().sum::<f32>() + rest);
    if sum > f64::from(f32::MIN_POSITIVE) * BLOCK as f64 * 1e8 && sum.is_finite() {
        return sum;
    }
    block.iter().map(|&x| f64::from(x) * f64::from(x)).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clipped(spec: ClippingSpec, gradient: &[f32]) -> Vec<f32> {
        let mut gradient = gradient.to_vec();
        clip(&spec, &mut gradient);
        gradient
    }

    fn norm_of(values: &[f32]) -> f64 {
        values.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt()
    }

    #[test]
    fn a_gradient_within_its_bounds_stays_as_it_is() {
        let gradient = [0.3, -0.4, 0.0];
        assert_eq!(clipped(ClippingSpec::default(), &gradient), gradient);
        let wide = ClippingSpec { value: Some(0.5), norm: Some(1.0) };
        assert_eq!(clipped(wide, &gradient), gradient);
        assert!(ClippingSpec::default().is_none() && !wide.is_none());
    }

    #[test]
    fn the_value_is_bounded_before_the_norm() {
        let spec = ClippingSpec { value: Some(3.0), norm: Some(2.5) };
        let found = clipped(spec, &[100.0, -4.0]);
        let expected = 3.0 * 2.5 / (18.0_f32.sqrt() + 1e-6);
        assert!(
            (found[0] - expected).abs() < 1e-6 && (found[1] + expected).abs() < 1e-6,
            "{found:?}"
        );
    }

    #[test]
    fn norms_beyond_what_an_f32_squares_are_found() {
        for size in [1e30_f32, 1e-30, 3e-23] {
            let limit = f64::from(size) / 10.0;
            let found = clipped(ClippingSpec { value: None, norm: Some(limit) }, &[size; 5000]);
            let expected =
                limit.min(limit * norm_of(&[size; 5000]) / (norm_of(&[size; 5000]) + EPSILON));
            assert!(norm_of(&found) <= expected * 1.0001, "{size}: {}", norm_of(&found));
        }
    }

    #[test]
    fn what_is_not_finite_stays_not_finite() {
        let spec = ClippingSpec { value: Some(1.0), norm: Some(1.0) };
        assert!(clipped(spec, &[f32::NAN, 1.0])[0].is_nan());
    }

    #[test]
    fn a_bound_found_over_all_stripes_bounds_each_as_the_whole() {
        let whole: Vec<f32> = (0..100).map(|i| ((i * 37) % 19) as f32 - 9.0).collect();
        for spec in [
            ClippingSpec { value: Some(3.0), norm: Some(4.0) },
            ClippingSpec { value: None, norm: Some(4.0) },
            ClippingSpec { value: Some(3.0), norm: None },
            ClippingSpec::default(),
        ] {
            let bound = Bound::of(&spec, whole.clone().chunks_mut(7));
            let mut stripes = whole.clone();
            stripes.chunks_mut(13).for_each(|stripe| bound.apply(stripe));
            for (found, expected) in stripes.iter().zip(clipped(spec, &whole)) {
                assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{spec:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_norm_is_bounded_and_the_direction_kept(
            gradient in prop::collection::vec(-10.0_f32..10.0, 1..3000), limit in 0.1_f64..20.0,
        ) {
            let found = clipped(ClippingSpec { value: None, norm: Some(limit) }, &gradient);
            let before = norm_of(&gradient);
            let expected = (limit / (before + EPSILON)).min(1.0);
            for (found, given) in found.iter().zip(&gradient) {
                prop_assert!((f64::from(*found) - f64::from(*given) * expected).abs() <= 1e-5 * f64::from(given.abs()));
            }
        }
    }
}
