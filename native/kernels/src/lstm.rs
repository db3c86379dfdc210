//! A step of an LSTM (Hochreiter and Schmidhuber, 1997) for a mini-batch, without its matrix products.
//!
//! The gates of a row lie side by side in PyTorch's order: input, forget, cell and output gate.

use multiversion::multiversion;

use crate::math::{sigmoid, tanh};

/// The gates of a unit.
pub const GATES: usize = 4;

/// Splits the gates of a row.
#[inline(always)]
fn split(gates: &mut [f32], units: usize) -> [&mut [f32]; GATES] {
    let (first, second) = gates.split_at_mut(2 * units);
    let (i, f) = first.split_at_mut(units);
    let (g, o) = second.split_at_mut(units);
    [i, f, &mut g[..units], &mut o[..units]]
}

/// Computes the state and the hidden state from those before.
///
/// `gates` holds the products with the input and receives the gates; `products` holds those with the hidden state.
///
/// # Panics
/// If the lengths do not fit.
pub fn forward(
    units: usize,
    gates: &mut [f32],
    products: &[f32],
    before: &[f32],
    state: &mut [f32],
    hidden: &mut [f32],
) {
    check(units, gates.len(), [before.len(), state.len(), hidden.len()]);
    assert_eq!(products.len(), gates.len(), "the products with the hidden state");
    if units > 0 {
        forward_rows(units, gates, products, before, state, hidden);
    }
}

/// Computes the gradients of a step.
///
/// `gates` holds the gates and receives the gradients of their products. `of_state` holds the gradient of the state that
/// comes from the next step and receives that of the state before.
///
/// # Panics
/// If the lengths do not fit.
pub fn backward(
    units: usize,
    gates: &mut [f32],
    before: &[f32],
    state: &[f32],
    of_hidden: &[f32],
    of_state: &mut [f32],
) {
    check(units, gates.len(), [before.len(), state.len(), of_hidden.len()]);
    assert_eq!(of_state.len(), state.len(), "the gradient of the state");
    if units > 0 {
        backward_rows(units, gates, before, state, of_hidden, of_state);
    }
}

fn check(units: usize, gates: usize, values: [usize; 3]) {
    assert!(
        values.iter().all(|&values| values * GATES == gates) && gates.is_multiple_of(units.max(1)),
        "the lengths of an LSTM's step: {units} units, {gates} gates, {values:?} values"
    );
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn forward_rows(
    units: usize,
    gates: &mut [f32],
    products: &[f32],
    before: &[f32],
    state: &mut [f32],
    hidden: &mut [f32],
) {
    let rows = gates.chunks_exact_mut(GATES * units).zip(products.chunks_exact(GATES * units));
    let values = before.chunks_exact(units).zip(state.chunks_exact_mut(units));
    let values = values.zip(hidden.chunks_exact_mut(units));
    for ((gates, products), ((before, state), hidden)) in rows.zip(values) {
        let [i, f, g, o] = split(gates, units);
        let (first, second) = products.split_at(2 * units);
        let (of_i, of_f) = first.split_at(units);
        let (of_g, of_o) = second.split_at(units);
        let (of_g, of_o) = (&of_g[..units], &of_o[..units]);
        for unit in 0..units {
            i[unit] = sigmoid(i[unit] + of_i[unit]);
            f[unit] = sigmoid(f[unit] + of_f[unit]);
            g[unit] = tanh(g[unit] + of_g[unit]);
            o[unit] = sigmoid(o[unit] + of_o[unit]);
            let new = f[unit] * before[unit] + i[unit] * g[unit];
            state[unit] = new;
            hidden[unit] = o[unit] * tanh(new);
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn backward_rows(
    units: usize,
    gates: &mut [f32],
    before: &[f32],
    state: &[f32],
    of_hidden: &[f32],
    of_state: &mut [f32],
) {
    let values = before.chunks_exact(units).zip(state.chunks_exact(units));
    let slopes = of_hidden.chunks_exact(units).zip(of_state.chunks_exact_mut(units));
    let rows = gates.chunks_exact_mut(GATES * units).zip(values.zip(slopes));
    for (gates, ((before, state), (of_hidden, of_state))) in rows {
        let [i, f, g, o] = split(gates, units);
        for unit in 0..units {
            let (input, forget, cell, output) = (i[unit], f[unit], g[unit], o[unit]);
            let (squashed, dh) = (tanh(state[unit]), of_hidden[unit]);
            let dc = of_state[unit] + dh * output * (1.0 - squashed * squashed);
            i[unit] = dc * cell * input * (1.0 - input);
            f[unit] = dc * before[unit] * forget * (1.0 - forget);
            g[unit] = dc * input * (1.0 - cell * cell);
            o[unit] = dh * squashed * output * (1.0 - output);
            of_state[unit] = dc * forget;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{GATES, backward, forward};
    use crate::numbers::numbers;

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
            let (mut gates, mut state, mut hidden) = (x.clone(), vec![f32::NAN; length], vec![f32::NAN; length]);
            forward(units, &mut gates, &products, &before, &mut state, &mut hidden);
            let (dh, dc) = (numbers(length, seed ^ 3), numbers(length, seed ^ 4));
            let mut of_before = dc.clone();
            backward(units, &mut gates, &before, &state, &dh, &mut of_before);
            for index in 0..length {
                let at = |gate: usize| index / units * units * GATES + gate * units + index % units;
                let arguments: [f64; GATES] =
                    std::array::from_fn(|gate| f64::from(x[at(gate)] + products[at(gate)]));
                let c = f64::from(before[index]);
                let near = |found: f32, expected: f64| (f64::from(found) - expected).abs() < 3e-6;
                let (new, h) = step(arguments, c);
                prop_assert!(near(state[index], new) && near(hidden[index], h), "forward");
                // The slope of what the gradients belong to.
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

    #[test]
    fn a_step_hides_no_nan() {
        for gate in 0..GATES {
            let mut gates = [0.3; GATES];
            gates[gate] = f32::NAN;
            let (mut state, mut hidden) = ([0.0], [0.0]);
            forward(1, &mut gates, &[0.1; GATES], &[0.2], &mut state, &mut hidden);
            assert!(hidden[0].is_nan(), "gate {gate}");
        }
    }
}
