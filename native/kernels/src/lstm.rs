//! A step of an LSTM (Hochreiter and Schmidhuber, 1997) for a mini-batch, without its matrix products.
//!
//! The gates of a row lie side by side in PyTorch's order: input, forget, cell and output gate.

use crate::Gemm;
use crate::cells::{blocks, of_sigmoid, of_tanh};
use crate::simd::functions::{sigmoid, tanh};
use crate::simd::{Kernel, Simd};

/// The gates of a unit.
pub const GATES: usize = 4;

/// Computes the state and the hidden state from those before.
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
    state: &mut [f32],
    hidden: &mut [f32],
) {
    check(units, gates.len(), [before.len(), state.len(), hidden.len()]);
    assert_eq!(products.len(), gates.len(), "the products with the hidden state");
    gemm.level().run(Forward { units, gates, products, before, state, hidden });
}

/// Computes the gradients of a step.
///
/// `gates` holds the gates and receives the gradients of their products. `of_state` holds the gradient of the state that
/// comes from the next step and receives that of the state before.
///
/// # Panics
/// If the lengths do not fit.
pub fn backward(
    gemm: &Gemm,
    units: usize,
    gates: &mut [f32],
    before: &[f32],
    state: &[f32],
    of_hidden: &[f32],
    of_state: &mut [f32],
) {
    check(units, gates.len(), [before.len(), state.len(), of_hidden.len()]);
    assert_eq!(of_state.len(), state.len(), "the gradient of the state");
    gemm.level().run(Backward { units, gates, before, state, of_hidden, of_state });
}

fn check(units: usize, gates: usize, values: [usize; 3]) {
    assert!(
        values.iter().all(|&values| values * GATES == gates) && gates.is_multiple_of(units.max(1)),
        "the lengths of an LSTM's step: {units} units, {gates} gates, {values:?} values"
    );
}

/// The arguments of [`forward`].
struct Forward<'a> {
    units: usize,
    gates: &'a mut [f32],
    products: &'a [f32],
    before: &'a [f32],
    state: &'a mut [f32],
    hidden: &'a mut [f32],
}

/// The arguments of [`backward`].
struct Backward<'a> {
    units: usize,
    gates: &'a mut [f32],
    before: &'a [f32],
    state: &'a [f32],
    of_hidden: &'a [f32],
    of_state: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { units, gates, products, before, state, hidden } = self;
        for block in blocks(units, before.len(), S::LANES) {
            let mut sums = [simd.zero(); GATES];
            for (number, sum) in sums.iter_mut().enumerate() {
                let at = block.of_gate(number, GATES);
                *sum = simd.add(simd.read(&gates[at.clone()]), simd.read(&products[at]));
            }
            let [i, f, g, o] = sums;
            let [i, f] = [sigmoid(simd, i), sigmoid(simd, f)];
            let [g, o] = [tanh(simd, g), sigmoid(simd, o)];
            for (number, gate) in [i, f, g, o].into_iter().enumerate() {
                simd.write(&mut gates[block.of_gate(number, GATES)], gate);
            }
            let values = block.values();
            let new = simd.mul_add(f, simd.read(&before[values.clone()]), simd.mul(i, g));
            simd.write(&mut state[values.clone()], new);
            simd.write(&mut hidden[values], simd.mul(o, tanh(simd, new)));
        }
    }
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { units, gates, before, state, of_hidden, of_state } = self;
        for block in blocks(units, before.len(), S::LANES) {
            let values = block.values();
            let mut read = [simd.zero(); GATES];
            for (number, gate) in read.iter_mut().enumerate() {
                *gate = simd.read(&gates[block.of_gate(number, GATES)]);
            }
            let [i, f, g, o] = read;
            let squashed = tanh(simd, simd.read(&state[values.clone()]));
            let dh = simd.read(&of_hidden[values.clone()]);
            let through = simd.mul(simd.mul(dh, o), of_tanh(simd, squashed));
            let dc = simd.add(simd.read(&of_state[values.clone()]), through);
            let of_f = simd.mul(dc, simd.read(&before[values.clone()]));
            let of_gates = [
                simd.mul(simd.mul(dc, g), of_sigmoid(simd, i)),
                simd.mul(of_f, of_sigmoid(simd, f)),
                simd.mul(simd.mul(dc, i), of_tanh(simd, g)),
                simd.mul(simd.mul(dh, squashed), of_sigmoid(simd, o)),
            ];
            for (number, of_gate) in of_gates.into_iter().enumerate() {
                simd.write(&mut gates[block.of_gate(number, GATES)], of_gate);
            }
            simd.write(&mut of_state[values], simd.mul(dc, f));
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

    /// State and hidden state of a unit in f64, from its gates' arguments and the state before.
    fn step(gates: [f64; GATES], before: f64) -> (f64, f64) {
        let [i, f, g, o] = gates;
        let state = sigmoid(f) * before + sigmoid(i) * g.tanh();
        (state, sigmoid(o) * state.tanh())
    }

    proptest! {
        #[test]
        fn a_step_and_its_gradients_are_those_of_f64(
            rows in 0_usize..5,
            units in 1_usize..40,
            scale in prop::sample::select(vec![0.1_f32, 1.0, 20.0]),
            seed: u64,
        ) {
            let length = rows * units;
            let scaled = |seed| numbers(length * GATES, seed).iter().map(|x| scale * x).collect();
            let (x, products): (Vec<f32>, Vec<f32>) = (scaled(seed), scaled(seed ^ 1));
            let before = numbers(length, seed ^ 2);
            let (dh, dc) = (numbers(length, seed ^ 3), numbers(length, seed ^ 4));
            for level in Level::all() {
                let (mut gates, mut of_before) = (x.clone(), dc.clone());
                let (mut state, mut hidden) = (vec![f32::NAN; length], vec![f32::NAN; length]);
                level.run(Forward {
                    units,
                    gates: &mut gates,
                    products: &products,
                    before: &before,
                    state: &mut state,
                    hidden: &mut hidden,
                });
                level.run(Backward {
                    units,
                    gates: &mut gates,
                    before: &before,
                    state: &state,
                    of_hidden: &dh,
                    of_state: &mut of_before,
                });
                for index in 0..length {
                    let at = |gate| (index / units * GATES + gate) * units + index % units;
                    let arguments: [f64; GATES] =
                        std::array::from_fn(|gate| f64::from(x[at(gate)] + products[at(gate)]));
                    let c = f64::from(before[index]);
                    let near = |found: f32, expected: f64| (f64::from(found) - expected).abs() < 3e-6;
                    let (new, h) = step(arguments, c);
                    prop_assert!(near(state[index], new) && near(hidden[index], h), "forward");
                    // The slope of what the gradients belong to, along a gate or the state before.
                    let along = |gate: Option<usize>| {
                        let at = |by: f64| {
                            let (mut moved, mut from) = (arguments, c);
                            *gate.map_or(&mut from, |gate| &mut moved[gate]) += by;
                            let (state, hidden) = step(moved, from);
                            f64::from(dc[index]) * state + f64::from(dh[index]) * hidden
                        };
                        (at(1e-5) - at(-1e-5)) / 2e-5
                    };
                    prop_assert!(near(of_before[index], along(None)), "state before");
                    for gate in 0..GATES {
                        prop_assert!(near(gates[at(gate)], along(Some(gate))), "gate {gate}");
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
            let (mut state, mut hidden) = ([0.0], [0.0]);
            super::forward(
                &Gemm::portable(),
                1,
                &mut gates,
                &[0.1; GATES],
                &[0.2],
                &mut state,
                &mut hidden,
            );
            assert!(hidden[0].is_nan(), "gate {gate}");
        }
    }
}
