//! A step of a GRU (Cho et al., 2014) for a mini-batch, without its matrix products.
//!
//! The gates of a row lie side by side in PyTorch's order: reset gate, update gate and new state. The reset gate applies
//! after the product with the hidden state, as in cuDNN and PyTorch.

use crate::Gemm;
use crate::cells::{blocks, of_sigmoid, of_tanh};
use crate::simd::functions::{sigmoid, tanh};
use crate::simd::{Kernel, Simd};

/// The gates of a unit.
pub const GATES: usize = 3;

/// Computes the hidden state from that before.
///
/// `gates` holds the products with the input and receives the gates; `products` holds those with the hidden state.
///
/// # Panics
/// If the lengths do not fit.
pub fn forward(
    gemm: &Gemm,
    units: usize,
    gates: &mut [f32],
    products: &[f32],
    before: &[f32],
    hidden: &mut [f32],
) {
    check(units, [gates.len(), products.len()], [before.len(), hidden.len()]);
    gemm.level().run(Forward { units, gates, products, before, hidden });
}

/// Computes the gradients of a step.
///
/// `gates` holds the gates and receives the gradients of the products with the input; `products` holds the products with
/// the hidden state and receives their gradients. `of_hidden` holds the gradient of the hidden state and receives the part
/// of the gradient of that before that does not come through the products.
///
/// # Panics
/// If the lengths do not fit.
pub fn backward(
    gemm: &Gemm,
    units: usize,
    gates: &mut [f32],
    products: &mut [f32],
    before: &[f32],
    of_hidden: &mut [f32],
) {
    check(units, [gates.len(), products.len()], [before.len(), of_hidden.len()]);
    gemm.level().run(Backward { units, gates, products, before, of_hidden });
}

fn check(units: usize, gates: [usize; 2], values: [usize; 2]) {
    assert!(
        values[0] == values[1]
            && gates.iter().all(|&gates| values[0] * GATES == gates)
            && values[0].is_multiple_of(units.max(1)),
        "the lengths of a GRU's step: {units} units, {gates:?} gates, {values:?} values"
    );
}

/// The arguments of [`forward`].
struct Forward<'a> {
    units: usize,
    gates: &'a mut [f32],
    products: &'a [f32],
    before: &'a [f32],
    hidden: &'a mut [f32],
}

/// The arguments of [`backward`].
struct Backward<'a> {
    units: usize,
    gates: &'a mut [f32],
    products: &'a mut [f32],
    before: &'a [f32],
    of_hidden: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { units, gates, products, before, hidden } = self;
        for block in blocks(units, before.len(), S::LANES) {
            let [mut of_x, mut of_h] = [[simd.zero(); GATES]; 2];
            for number in 0..GATES {
                let at = block.of_gate(number, GATES);
                of_x[number] = simd.read(&gates[at.clone()]);
                of_h[number] = simd.read(&products[at]);
            }
            let r = sigmoid(simd, simd.add(of_x[0], of_h[0]));
            let z = sigmoid(simd, simd.add(of_x[1], of_h[1]));
            let n = tanh(simd, simd.mul_add(r, of_h[2], of_x[2]));
            for (number, gate) in [r, z, n].into_iter().enumerate() {
                simd.write(&mut gates[block.of_gate(number, GATES)], gate);
            }
            let before = simd.read(&before[block.values()]);
            simd.write(&mut hidden[block.values()], simd.mul_add(simd.sub(before, n), z, n));
        }
    }
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { units, gates, products, before, of_hidden } = self;
        for block in blocks(units, before.len(), S::LANES) {
            let values = block.values();
            let mut read = [simd.zero(); GATES];
            for (number, gate) in read.iter_mut().enumerate() {
                *gate = simd.read(&gates[block.of_gate(number, GATES)]);
            }
            let [r, z, n] = read;
            let of_n = simd.read(&products[block.of_gate(2, GATES)]);
            let dh = simd.read(&of_hidden[values.clone()]);
            let kept = simd.mul(dh, z);
            let change = simd.sub(simd.read(&before[values.clone()]), n);
            let dz = simd.mul(simd.mul(dh, change), of_sigmoid(simd, z));
            let dn = simd.mul(simd.sub(dh, kept), of_tanh(simd, n));
            let dr = simd.mul(simd.mul(dn, of_n), of_sigmoid(simd, r));
            for (number, of_gate) in [dr, dz, dn].into_iter().enumerate() {
                simd.write(&mut gates[block.of_gate(number, GATES)], of_gate);
            }
            for (number, of_product) in [dr, dz, simd.mul(dn, r)].into_iter().enumerate() {
                simd.write(&mut products[block.of_gate(number, GATES)], of_product);
            }
            simd.write(&mut of_hidden[values], kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Backward, Forward, GATES};
    use crate::Gemm;
    use crate::numbers::numbers;
    use crate::simd::Level;

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    /// The hidden state of a unit in f64, from its products with the input and the hidden state, and the one before.
    fn step(x: [f64; GATES], products: [f64; GATES], before: f64) -> f64 {
        let [r, z] = [0, 1].map(|gate| sigmoid(x[gate] + products[gate]));
        let n = (x[2] + r * products[2]).tanh();
        (1.0 - z) * n + z * before
    }

    proptest! {
        #[test]
        fn a_step_and_its_gradients_are_those_of_f64(
            rows in 0_usize..5,
            units in 1_usize..40,
            scale in prop::sample::select(vec![0.1_f32, 1.0, 8.0]),
            seed: u64,
        ) {
            let length = rows * units;
            let scaled = |seed| numbers(length * GATES, seed).iter().map(|x| scale * x).collect();
            let (x, by_hidden): (Vec<f32>, Vec<f32>) = (scaled(seed), scaled(seed ^ 1));
            let before = numbers(length, seed ^ 2);
            let dh = numbers(length, seed ^ 3);
            for level in Level::all() {
                let (mut gates, mut products) = (x.clone(), by_hidden.clone());
                let (mut hidden, mut of_before) = (vec![f32::NAN; length], dh.clone());
                level.run(Forward {
                    units,
                    gates: &mut gates,
                    products: &products,
                    before: &before,
                    hidden: &mut hidden,
                });
                level.run(Backward {
                    units,
                    gates: &mut gates,
                    products: &mut products,
                    before: &before,
                    of_hidden: &mut of_before,
                });
                for index in 0..length {
                    let at = |gate| (index / units * GATES + gate) * units + index % units;
                    let read = |from: &[f32]| -> [f64; GATES] {
                        std::array::from_fn(|gate| f64::from(from[at(gate)]))
                    };
                    let arguments = [read(&x), read(&by_hidden)];
                    let h = f64::from(before[index]);
                    let near = |found: f32, expected: f64| {
                        (f64::from(found) - expected).abs() < 3e-6 * f64::from(scale.max(1.0))
                    };
                    prop_assert!(near(hidden[index], step(arguments[0], arguments[1], h)), "forward");
                    // The slope along an argument, or along the hidden state before.
                    let along = |argument: Option<(usize, usize)>| {
                        let at = |by: f64| {
                            let (mut moved, mut from) = (arguments, h);
                            *argument.map_or(&mut from, |(of, gate)| &mut moved[of][gate]) += by;
                            f64::from(dh[index]) * step(moved[0], moved[1], from)
                        };
                        (at(1e-5) - at(-1e-5)) / 2e-5
                    };
                    prop_assert!(near(of_before[index], along(None)), "hidden state before");
                    for gate in 0..GATES {
                        prop_assert!(near(gates[at(gate)], along(Some((0, gate)))), "gate {gate}");
                        prop_assert!(near(products[at(gate)], along(Some((1, gate)))), "product {gate}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_step_hides_no_nan() {
        for gate in 0..GATES {
            let mut gates = [0.3; GATES];
            gates[gate] = f32::NAN;
            let mut hidden = [0.0];
            super::forward(&Gemm::portable(), 1, &mut gates, &[0.1; GATES], &[0.2], &mut hidden);
            assert!(hidden[0].is_nan(), "gate {gate}");
        }
    }
}
