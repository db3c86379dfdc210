//! A step of a GRU (Cho et al., 2014) for a mini-batch, without its matrix products.
//!
//! The gates of a row lie side by side in PyTorch's order: reset gate, update gate and new state. The reset gate applies
//! after the product with the hidden state, as in cuDNN and PyTorch.

use multiversion::multiversion;

use crate::math::{sigmoid, tanh};

/// The gates of a unit.
pub const GATES: usize = 3;

/// Splits the gates of a row.
#[inline(always)]
fn split(gates: &mut [f32], units: usize) -> [&mut [f32]; GATES] {
    let (r, rest) = gates.split_at_mut(units);
    let (z, n) = rest.split_at_mut(units);
    [r, z, &mut n[..units]]
}

/// Computes the hidden state from that before.
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
    hidden: &mut [f32],
) {
    check(units, [gates.len(), products.len()], [before.len(), hidden.len()]);
    if units > 0 {
        forward_rows(units, gates, products, before, hidden);
    }
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
    units: usize,
    gates: &mut [f32],
    products: &mut [f32],
    before: &[f32],
    of_hidden: &mut [f32],
) {
    check(units, [gates.len(), products.len()], [before.len(), of_hidden.len()]);
    if units > 0 {
        backward_rows(units, gates, products, before, of_hidden);
    }
}

fn check(units: usize, gates: [usize; 2], values: [usize; 2]) {
    assert!(
        values[0] == values[1]
            && gates.iter().all(|&gates| values[0] * GATES == gates)
            && values[0].is_multiple_of(units.max(1)),
        "the lengths of a GRU's step: {units} units, {gates:?} gates, {values:?} values"
    );
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn forward_rows(
    units: usize,
    gates: &mut [f32],
    products: &[f32],
    before: &[f32],
    hidden: &mut [f32],
) {
    let rows = gates.chunks_exact_mut(GATES * units).zip(products.chunks_exact(GATES * units));
    let values = before.chunks_exact(units).zip(hidden.chunks_exact_mut(units));
    for ((gates, products), (before, hidden)) in rows.zip(values) {
        let [r, z, n] = split(gates, units);
        let (of_r, rest) = products.split_at(units);
        let (of_z, of_n) = rest.split_at(units);
        let of_n = &of_n[..units];
        for unit in 0..units {
            r[unit] = sigmoid(r[unit] + of_r[unit]);
            z[unit] = sigmoid(z[unit] + of_z[unit]);
            n[unit] = tanh(n[unit] + r[unit] * of_n[unit]);
            hidden[unit] = (before[unit] - n[unit]) * z[unit] + n[unit];
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn backward_rows(
    units: usize,
    gates: &mut [f32],
    products: &mut [f32],
    before: &[f32],
    of_hidden: &mut [f32],
) {
    let rows = gates.chunks_exact_mut(GATES * units).zip(products.chunks_exact_mut(GATES * units));
    let values = before.chunks_exact(units).zip(of_hidden.chunks_exact_mut(units));
    for ((gates, products), (before, of_hidden)) in rows.zip(values) {
        let [r, z, n] = split(gates, units);
        let [of_r, of_z, of_n] = split(products, units);
        for unit in 0..units {
            let (reset, update, new, dh) = (r[unit], z[unit], n[unit], of_hidden[unit]);
            let dn = dh * (1.0 - update) * (1.0 - new * new);
            let dz = dh * (before[unit] - new) * update * (1.0 - update);
            let dr = dn * of_n[unit] * reset * (1.0 - reset);
            (r[unit], z[unit], n[unit]) = (dr, dz, dn);
            (of_r[unit], of_z[unit], of_n[unit]) = (dr, dz, dn * reset);
            of_hidden[unit] = dh * update;
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
            let (mut gates, mut products) = (x.clone(), by_hidden.clone());
            let mut hidden = vec![f32::NAN; length];
            forward(units, &mut gates, &products, &before, &mut hidden);
            let dh = numbers(length, seed ^ 3);
            let mut of_before = dh.clone();
            backward(units, &mut gates, &mut products, &before, &mut of_before);
            for index in 0..length {
                let at = |gate: usize| index / units * units * GATES + gate * units + index % units;
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

    #[test]
    fn a_step_hides_no_nan() {
        for gate in 0..GATES {
            let mut gates = [0.3; GATES];
            gates[gate] = f32::NAN;
            let mut hidden = [0.0];
            forward(1, &mut gates, &[0.1; GATES], &[0.2], &mut hidden);
            assert!(hidden[0].is_nan(), "gate {gate}");
        }
    }
}
