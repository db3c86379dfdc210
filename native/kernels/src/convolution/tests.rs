use proptest::prelude::*;

use super::{Convolution, Geometry};
use crate::activation::Activation;
use crate::simd::Level;

fn numbers(len: usize, seed: usize) -> Vec<f32> {
    (0..len).map(|index| ((index * 7 + seed * 13) as f32 * 0.37).sin()).collect()
}

/// Calls a function with the places in the image, the weights and the result of each product of a convolution.
fn products(geometry: &Geometry, rows: usize, mut product: impl FnMut(usize, usize, usize)) {
    let Geometry { inputs, outputs, groups, image, result, kernel, .. } = *geometry;
    let (of_group, per_group) = (inputs / groups, outputs / groups);
    let places = |axis: usize| {
        let g = *geometry;
        (0..result[axis]).flat_map(move |to| {
            (0..kernel[axis]).filter_map(move |tap| {
                let from = (to * g.stride[axis] + tap * g.dilation[axis])
                    .checked_sub(g.padding[axis])
                    .filter(|&from| from < image[axis])?;
                Some((to, tap, from))
            })
        })
    };
    for row in 0..rows {
        for output in 0..outputs {
            for input in 0..of_group {
                let channel = row * inputs + output / per_group * of_group + input;
                for (y, ky, iy) in places(0) {
                    for (x, kx, ix) in places(1) {
                        product(
                            (channel * image[0] + iy) * image[1] + ix,
                            ((output * of_group + input) * kernel[0] + ky) * kernel[1] + kx,
                            ((row * outputs + output) * result[0] + y) * result[1] + x,
                        );
                    }
                }
            }
        }
    }
}

/// Sums in f64, each with the sum of the sizes of its terms: rounding is relative to that.
struct Sums(Vec<(f64, f64)>);

impl Sums {
    fn new(values: impl Iterator<Item = f64>) -> Self {
        Self(values.map(|value| (value, value.abs())).collect())
    }

    fn add(&mut self, index: usize, a: f32, b: f32) {
        let product = f64::from(a) * f64::from(b);
        self.0[index].0 += product;
        self.0[index].1 += product.abs();
    }
}

fn near(what: &str, found: &[f32], expected: &Sums) -> Result<(), TestCaseError> {
    for (index, (a, (b, size))) in found.iter().zip(&expected.0).enumerate() {
        let is_near = (f64::from(*a) - b).abs() <= 1e-6 * (1.0 + size);
        prop_assert!(is_near, "{what}, value {index}: {a} for {b}, terms of {size}");
    }
    prop_assert_eq!(found.len(), expected.0.len());
    Ok(())
}

fn axis() -> impl Strategy<Value = [usize; 6]> {
    (1_usize..14, 1_usize..5, 1_usize..4, 0_usize..4, 1_usize..3).prop_map(
        |(length, kernel, stride, padding, dilation)| {
            let span = dilation * (kernel - 1) + 1;
            let length = length.max(span.saturating_sub(2 * padding));
            [length, kernel, stride, padding, dilation, (length + 2 * padding - span) / stride + 1]
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_convolution_and_its_gradients_are_those_of_f64_for_every_geometry(
        (vertical, horizontal) in (axis(), axis()),
        (inputs, outputs, groups) in (1_usize..4, 1_usize..7, 1_usize..4),
        rows in prop::sample::select(vec![0_usize, 1, 2, 5, 40]),
        (biased, adds, seed) in (any::<bool>(), any::<bool>(), 0_usize..100),
    ) {
        let each = |number: usize| [vertical[number], horizontal[number]];
        let (inputs, outputs) = (inputs * groups, outputs * groups);
        let geometry = Geometry {
            inputs,
            outputs,
            groups,
            image: each(0),
            kernel: each(1),
            stride: each(2),
            padding: each(3),
            dilation: each(4),
            result: each(5),
        };
        let size = |channels: usize, shape: [usize; 2]| channels * shape[0] * shape[1];
        let (of_x, of_y) = (size(inputs, geometry.image), size(outputs, geometry.result));
        let (x, dy) = (numbers(rows * of_x, seed), numbers(rows * of_y, seed + 1));
        let w = numbers(outputs * size(inputs / groups, geometry.kernel), seed + 2);
        let bias = numbers(outputs, seed + 3);
        let plane = geometry.result[0] * geometry.result[1];
        let before = if adds { 0.5 } else { 0.0 };
        let of_bias = |index: usize| f64::from(bias[index / plane % outputs]);
        let mut y64 = Sums::new(
            (0..rows * of_y).map(|index| if biased { of_bias(index) } else { 0.0 })
        );
        let mut dx64 = Sums::new((0..rows * of_x).map(|_| before));
        let mut dw64 = Sums::new(w.iter().map(|_| 0.0));
        products(&geometry, rows, |of_x, of_w, of_y| {
            y64.add(of_y, x[of_x], w[of_w]);
            dx64.add(of_x, w[of_w], dy[of_y]);
            dw64.add(of_w, x[of_x], dy[of_y]);
        });
        y64.0.iter_mut().for_each(|(y, _)| *y = y.max(0.0));
        let mut db64 = Sums::new((0..outputs).map(|_| 0.0));
        for (index, dy) in dy.iter().enumerate() {
            db64.add(index / plane % outputs, *dy, 1.0);
        }
        for level in Level::all() {
            let convolution = Convolution::with(geometry, level);
            let mut scratch = vec![f32::NAN; convolution.scratch()];
            let mut y = vec![f32::NAN; y64.0.len()];
            let bias = biased.then_some(&bias[..]);
            convolution.forward(&x, &w, bias, Some(Activation::Relu), &mut y, &mut scratch);
            near("forward", &y, &y64)?;
            scratch.fill(f32::NAN);
            let mut dw = vec![f32::NAN; w.len()];
            convolution.of_weight(&x, &dy, &mut dw, &mut scratch);
            near("of_weight", &dw, &dw64)?;
            scratch.fill(f32::NAN);
            let mut dx = vec![if adds { 0.5 } else { f32::NAN }; dx64.0.len()];
            convolution.of_input(&w, &dy, adds, &mut dx, &mut scratch);
            near("of_input", &dx, &dx64)?;
            let mut db = vec![f32::NAN; outputs];
            convolution.of_bias(&dy, &mut db);
            near("of_bias", &db, &db64)?;
        }
    }
}
