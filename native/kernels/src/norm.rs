//! Layer and batch normalisation: `y = (x - mean) / sqrt(variance + epsilon) * weight + bias`.
//!
//! Statistics are sums in f64, as libtorch's are.

use crate::write::put;

/// The scale and the shift of a normalisation; none of them, or a slice for each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Affine<'a> {
    /// The factors.
    pub weight: Option<&'a [f32]>,
    /// The summands.
    pub bias: Option<&'a [f32]>,
}

impl Affine<'_> {
    fn factor(&self, index: usize) -> f32 {
        self.weight.map_or(1.0, |weight| weight[index])
    }

    fn summand(&self, index: usize) -> f32 {
        self.bias.map_or(0.0, |bias| bias[index])
    }
}

/// The mean of some values, and `1 / sqrt(variance + epsilon)`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// The mean.
    pub mean: f32,
    /// The factor that gives the values a variance of 1.
    pub scale: f32,
}

/// Returns the mean and the variance, which divides by the number of values.
fn moments(values: impl Iterator<Item = f32> + Clone) -> (f64, f64, usize) {
    let (mut sum, mut count) = (0.0, 0_usize);
    for value in values.clone() {
        sum += f64::from(value);
        count += 1;
    }
    let mean = sum / count.max(1) as f64;
    let mut squares = 0.0;
    for value in values {
        let error = f64::from(value) - mean;
        squares += error * error;
    }
    (mean, squares / count.max(1) as f64, count)
}

impl Moments {
    /// The moments of values with this mean and variance.
    #[must_use]
    pub fn new(mean: f64, variance: f64, epsilon: f64) -> Self {
        Self { mean: mean as f32, scale: (1.0 / (variance + epsilon).sqrt()) as f32 }
    }
}

/// Normalises each group of `size` values, and keeps the moments of each.
pub fn layer_forward(
    x: &[f32],
    size: usize,
    epsilon: f64,
    affine: Affine<'_>,
    kept: &mut [Moments],
    y: &mut [f32],
) {
    let groups = x.chunks_exact(size.max(1)).zip(y.chunks_exact_mut(size.max(1)));
    for ((x, y), kept) in groups.zip(kept) {
        let (mean, variance, _) = moments(x.iter().copied());
        *kept = Moments::new(mean, variance, epsilon);
        for (index, (y, x)) in y.iter_mut().zip(x).enumerate() {
            let normal = (x - kept.mean) * kept.scale;
            *y = normal * affine.factor(index) + affine.summand(index);
        }
    }
}

/// Computes the gradient of the input of [`layer_forward`], or adds it.
pub fn layer_backward(
    x: &[f32],
    dy: &[f32],
    size: usize,
    affine: Affine<'_>,
    kept: &[Moments],
    adds: bool,
    dx: &mut [f32],
) {
    let size = size.max(1);
    let groups = x.chunks_exact(size).zip(dy.chunks_exact(size)).zip(dx.chunks_exact_mut(size));
    for (((x, dy), dx), kept) in groups.zip(kept) {
        let (mut sum, mut along) = (0.0, 0.0);
        for (index, (x, dy)) in x.iter().zip(dy).enumerate() {
            let slope = f64::from(dy * affine.factor(index));
            sum += slope;
            along += slope * f64::from((x - kept.mean) * kept.scale);
        }
        let (sum, along) = ((sum / size as f64) as f32, (along / size as f64) as f32);
        for (index, ((dx, x), dy)) in dx.iter_mut().zip(x).zip(dy).enumerate() {
            let normal = (x - kept.mean) * kept.scale;
            let value = kept.scale * (dy * affine.factor(index) - sum - normal * along);
            put(dx, value, adds);
        }
    }
}

/// Computes the gradients of the weight and of the bias of [`layer_forward`].
pub fn layer_parameters(
    x: &[f32],
    dy: &[f32],
    kept: &[Moments],
    dw: &mut [f32],
    mut db: Option<&mut [f32]>,
) {
    let size = dw.len().max(1);
    dw.fill(0.0);
    if let Some(db) = db.as_deref_mut() {
        db.fill(0.0);
    }
    for ((x, dy), kept) in x.chunks_exact(size).zip(dy.chunks_exact(size)).zip(kept) {
        for ((dw, x), dy) in dw.iter_mut().zip(x).zip(dy) {
            *dw += dy * (x - kept.mean) * kept.scale;
        }
        if let Some(db) = db.as_deref_mut() {
            db.iter_mut().zip(dy).for_each(|(db, dy)| *db += dy);
        }
    }
}

/// The places of a feature in a mini-batch: each row has `features` runs of `run` values, one run for each feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// The number of features.
    pub features: usize,
    /// The values of a row for one feature.
    pub run: usize,
}

impl Features {
    /// The values of a feature, over all rows.
    fn of<'a>(self, values: &'a [f32], feature: usize) -> impl Iterator<Item = f32> + Clone + 'a {
        let row = (self.features * self.run).max(1);
        let start = feature * self.run;
        values.chunks_exact(row).flat_map(move |row| row[start..start + self.run].iter().copied())
    }
}

/// The moments of the values of one feature, with the number of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeatureMoments {
    /// The mean.
    pub mean: f64,
    /// The variance, which divides by the number of values.
    pub variance: f64,
    /// The number of values.
    pub count: usize,
}

/// Returns the moments of each feature over the rows of a mini-batch.
pub fn batch_moments(
    x: &[f32],
    features: Features,
) -> impl Iterator<Item = FeatureMoments> + use<'_> {
    (0..features.features).map(move |feature| {
        let (mean, variance, count) = moments(features.of(x, feature));
        FeatureMoments { mean, variance, count }
    })
}

impl FeatureMoments {
    /// The moments as a normalisation takes them.
    #[must_use]
    pub fn normalising(self, epsilon: f64) -> Moments {
        Moments::new(self.mean, self.variance, epsilon)
    }

    /// The variance that divides by one value less, as running statistics do.
    #[must_use]
    pub fn unbiased(self) -> f64 {
        let count = self.count as f64;
        self.variance * count / (count - 1.0)
    }
}

/// Normalises each feature by its moments.
pub fn batch_forward(
    x: &[f32],
    features: Features,
    affine: Affine<'_>,
    by: &[Moments],
    y: &mut [f32],
) {
    let row = (features.features * features.run).max(1);
    for (x, y) in x.chunks_exact(row).zip(y.chunks_exact_mut(row)) {
        let run = features.run.max(1);
        let each = x.chunks_exact(run).zip(y.chunks_exact_mut(run)).zip(by).enumerate();
        for (feature, ((x, y), by)) in each {
            let factor = by.scale * affine.factor(feature);
            let summand = affine.summand(feature);
            for (y, x) in y.iter_mut().zip(x) {
                *y = (x - by.mean) * factor + summand;
            }
        }
    }
}

/// The sums of a feature that the gradients of a batch normalisation need: of `dy`, and of `dy` times the normal value.
pub fn batch_sums(
    x: &[f32],
    dy: &[f32],
    features: Features,
    by: &[Moments],
) -> impl Iterator<Item = (f64, f64)> {
    by.iter().enumerate().map(move |(feature, by)| {
        let both = features.of(x, feature).zip(features.of(dy, feature));
        both.fold((0.0, 0.0), |(sum, along), (x, dy)| {
            let normal = f64::from((x - by.mean) * by.scale);
            (sum + f64::from(dy), along + f64::from(dy) * normal)
        })
    })
}

/// Computes the gradient of the input of [`batch_forward`], or adds it. `sums` are those of [`batch_sums`] if the moments
/// are those of the mini-batch itself; none if they do not depend on it.
#[expect(clippy::too_many_arguments, reason = "the operands of one formula")]
pub fn batch_backward(
    x: &[f32],
    dy: &[f32],
    features: Features,
    affine: Affine<'_>,
    by: &[Moments],
    sums: Option<&[(f64, f64)]>,
    adds: bool,
    dx: &mut [f32],
) {
    let row = (features.features * features.run).max(1);
    let run = features.run.max(1);
    let count = (x.len() / row * run) as f64;
    let rows = x.chunks_exact(row).zip(dy.chunks_exact(row)).zip(dx.chunks_exact_mut(row));
    for ((x, dy), dx) in rows {
        let each = x.chunks_exact(run).zip(dy.chunks_exact(run)).zip(dx.chunks_exact_mut(run));
        for (feature, (((x, dy), dx), by)) in each.zip(by).enumerate() {
            let factor = by.scale * affine.factor(feature);
            let (mean, along) = sums.map_or((0.0, 0.0), |sums| {
                let (sum, along) = sums[feature];
                ((sum / count) as f32, (along / count) as f32)
            });
            for ((dx, x), dy) in dx.iter_mut().zip(x).zip(dy) {
                let normal = (x - by.mean) * by.scale;
                let value = factor * (dy - mean - normal * along);
                put(dx, value, adds);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(len: usize, seed: u32) -> Vec<f32> {
        let at = |index: usize| (index as f32 * 1.7 + seed as f32).sin() * 2.0;
        (0..len).map(at).collect()
    }

    /// Checks gradients of `sum(y g)` by differences.
    fn check(run: &dyn Fn(&[f32]) -> Vec<f32>, x: &[f32], g: &[f32], dx: &[f32]) {
        let value = |x: &[f32]| -> f64 {
            run(x).iter().zip(g).map(|(y, g)| f64::from(*y) * f64::from(*g)).sum()
        };
        for index in 0..x.len() {
            let at = |step: f32| {
                let mut x = x.to_vec();
                x[index] += step;
                value(&x)
            };
            let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
            assert!((f64::from(dx[index]) - slope).abs() < 0.02, "{index}: {} {slope}", dx[index]);
        }
    }

    proptest! {
        #[test]
        fn a_layer_norm_has_the_slopes_of_its_values(
            rows in 1_usize..4, size in 2_usize..9, seed in 0_u32..100
        ) {
            let (x, g) = (numbers(rows * size, seed), numbers(rows * size, seed + 7));
            let (weight, bias) = (numbers(size, seed + 1), numbers(size, seed + 2));
            let affine = Affine { weight: Some(&weight), bias: Some(&bias) };
            let run = |x: &[f32]| {
                let mut y = vec![0.0; x.len()];
                layer_forward(x, size, 0.1, affine, &mut vec![Moments::default(); rows], &mut y);
                y
            };
            let mut kept = vec![Moments::default(); rows];
            let mut y = vec![0.0; x.len()];
            layer_forward(&x, size, 0.1, affine, &mut kept, &mut y);
            let mut dx = vec![1.0; x.len()];
            layer_backward(&x, &g, size, affine, &kept, true, &mut dx);
            dx.iter_mut().for_each(|dx| *dx -= 1.0);
            check(&run, &x, &g, &dx);
        }

        #[test]
        fn a_batch_norm_has_the_slopes_of_its_values(
            rows in 2_usize..5, features in 1_usize..4, run in 1_usize..4, seed in 0_u32..100
        ) {
            let features = Features { features, run };
            let len = rows * features.features * run;
            let (x, g) = (numbers(len, seed), numbers(len, seed + 7));
            let weight = numbers(features.features, seed + 1);
            let affine = Affine { weight: Some(&weight), bias: None };
            let moments = |x: &[f32]| -> Vec<Moments> {
                batch_moments(x, features).map(|moments| moments.normalising(0.1)).collect()
            };
            let run = |x: &[f32]| {
                let mut y = vec![0.0; x.len()];
                batch_forward(x, features, affine, &moments(x), &mut y);
                y
            };
            let by = moments(&x);
            let sums: Vec<_> = batch_sums(&x, &g, features, &by).collect();
            let mut dx = vec![0.0; x.len()];
            batch_backward(&x, &g, features, affine, &by, Some(&sums), false, &mut dx);
            check(&run, &x, &g, &dx);
        }
    }
}
