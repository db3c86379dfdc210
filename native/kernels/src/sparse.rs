//! A layer `y = x w^T + b` for the entries of sparse rows, over weights of `inputs` x `outputs`: those of an input lie side
//! by side, so that an entry takes one run of them.

use std::ops::Range;

use crate::Gemm;
use crate::prefetch::{AHEAD, prefetch};
use crate::simd::{Kernel, Simd};

/// Sparse rows, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The end of each row's entries.
    pub ends: &'a [usize],
    /// The input of each entry.
    pub indices: &'a [usize],
    /// The value of each entry.
    pub values: &'a [f32],
}

impl<'a> Rows<'a> {
    /// The entries of each row.
    fn entries(&self) -> impl Iterator<Item = Entries<'a>> + use<'a> {
        let Self { ends, indices, values } = *self;
        let mut start = 0;
        ends.iter().map(move |&end| {
            let row = std::mem::replace(&mut start, end)..end;
            let ahead = indices.get(row.start + AHEAD..).unwrap_or_default();
            Entries { indices: &indices[row.clone()], values: &values[row], ahead }
        })
    }
}

/// The entries of a row.
struct Entries<'a> {
    indices: &'a [usize],
    values: &'a [f32],
    /// The indices from that on which comes [`AHEAD`] entries after the first, of this row and those behind it.
    ahead: &'a [usize],
}

impl Entries<'_> {
    /// The place of each entry's weights, and its value.
    #[inline(always)]
    fn runs(&self, outputs: usize) -> impl Iterator<Item = (Range<usize>, f32)> {
        let places = self.indices.iter().map(move |&index| run(index, outputs));
        places.zip(self.values.iter().copied())
    }

    /// The place of the weights that are soon needed when this entry of the row is.
    #[inline(always)]
    fn soon(&self, entry: usize, outputs: usize) -> Option<Range<usize>> {
        self.ahead.get(entry).map(|&index| run(index, outputs))
    }
}

#[inline(always)]
fn run(index: usize, outputs: usize) -> Range<usize> {
    index * outputs..(index + 1) * outputs
}

/// Computes `y = x w^T`, and adds the bias to each row.
///
/// # Panics
/// If a length does not fit, or an index is not that of an input.
pub fn forward(
    gemm: &Gemm,
    x: &Rows<'_>,
    w: &[f32],
    bias: Option<&[f32]>,
    outputs: usize,
    y: &mut [f32],
) {
    assert_eq!(y.len(), x.ends.len() * outputs, "the length of the output");
    assert!(bias.is_none_or(|bias| bias.len() == outputs), "the length of a bias");
    gemm.level().run(Forward { x, w, bias, outputs, y });
}

/// Adds the gradient of the weights, `x^T dy` by inputs.
///
/// # Panics
/// If a length does not fit, or an index is not that of an input.
pub fn add_of_weight(gemm: &Gemm, x: &Rows<'_>, dy: &[f32], outputs: usize, dw: &mut [f32]) {
    assert_eq!(dy.len(), x.ends.len() * outputs, "the length of the output's gradient");
    gemm.level().run(OfWeight { x, dy, outputs, dw });
}

/// The vectors of sums that are kept in registers.
const SUMS: usize = 8;

struct Forward<'a> {
    x: &'a Rows<'a>,
    w: &'a [f32],
    bias: Option<&'a [f32]>,
    outputs: usize,
    y: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { x, w, bias, outputs, y } = self;
        for (entries, y) in x.entries().zip(y.chunks_exact_mut(outputs.max(1))) {
            let mut first = 0;
            while first + SUMS * S::LANES <= outputs {
                tile::<S, SUMS>(simd, &entries, w, bias, first, y);
                first += SUMS * S::LANES;
            }
            while first < outputs {
                tile::<S, 1>(simd, &entries, w, bias, first, y);
                first += S::LANES;
            }
        }
    }
}

/// Computes the outputs of a row that are in `VECTORS` vectors from `first` on; the last vector may be shorter.
#[inline(always)]
fn tile<S: Simd, const VECTORS: usize>(
    simd: S,
    entries: &Entries<'_>,
    w: &[f32],
    bias: Option<&[f32]>,
    first: usize,
    y: &mut [f32],
) {
    let at = |vector: usize| first + vector * S::LANES;
    let mut sums: [S::V; VECTORS] = match bias {
        Some(bias) => std::array::from_fn(|vector| simd.read(&bias[at(vector)..])),
        None => [simd.zero(); VECTORS],
    };
    for (entry, (run, value)) in entries.runs(y.len()).enumerate() {
        if let Some(soon) = entries.soon(entry, y.len()) {
            let soon = &w[soon][first..];
            prefetch(&soon[..soon.len().min(VECTORS * S::LANES)]);
        }
        let (run, value) = (&w[run], simd.splat(value));
        for (vector, sum) in sums.iter_mut().enumerate() {
            *sum = simd.mul_add(value, simd.read(&run[at(vector)..]), *sum);
        }
    }
    for (vector, sum) in sums.into_iter().enumerate() {
        simd.write(&mut y[at(vector)..], sum);
    }
}

struct OfWeight<'a> {
    x: &'a Rows<'a>,
    dy: &'a [f32],
    outputs: usize,
    dw: &'a mut [f32],
}

impl Kernel for OfWeight<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { x, dy, outputs, dw } = self;
        for (entries, dy) in x.entries().zip(dy.chunks_exact(outputs.max(1))) {
            for (entry, (run, value)) in entries.runs(outputs).enumerate() {
                if let Some(soon) = entries.soon(entry, outputs) {
                    prefetch(&dw[soon]);
                }
                let (run, value) = (&mut dw[run], simd.splat(value));
                for (sums, dy) in run.chunks_mut(S::LANES).zip(dy.chunks(S::LANES)) {
                    let sum = simd.mul_add(value, simd.read(dy), simd.read(sums));
                    simd.write(sums, sum);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::numbers::numbers;

    /// Sparse rows, some of them empty.
    fn rows(inputs: usize) -> impl Strategy<Value = Vec<Vec<usize>>> {
        let row = prop::collection::btree_set(0..inputs, 0..inputs.min(9));
        prop::collection::vec(row.prop_map(|row| row.into_iter().collect()), 0..7)
    }

    proptest! {
        #[test]
        fn sparse_rows_give_what_dense_ones_give_in_f64(
            (inputs, rows) in (1_usize..40).prop_flat_map(|inputs| (Just(inputs), rows(inputs))),
            outputs in 1_usize..150,
            biased: bool,
        ) {
            let ends: Vec<usize> = rows
                .iter()
                .scan(0, |end, row| { *end += row.len(); Some(*end) })
                .collect();
            let indices = rows.concat();
            let values = numbers(indices.len(), 1);
            let x = Rows { ends: &ends, indices: &indices, values: &values };
            let (w, bias) = (numbers(inputs * outputs, 2), numbers(outputs, 3));
            let dy = numbers(rows.len() * outputs, 4);
            let mut expected = vec![0.0_f64; dy.len()];
            let mut of_weight = vec![0.5_f64; w.len()];
            let mut entry = 0;
            for (row, indices) in rows.iter().enumerate() {
                for output in 0..outputs {
                    expected[row * outputs + output] = if biased { f64::from(bias[output]) } else { 0.0 };
                }
                for &index in indices {
                    let value = f64::from(values[entry]);
                    entry += 1;
                    for output in 0..outputs {
                        let (own, weight) = (row * outputs + output, index * outputs + output);
                        expected[own] += value * f64::from(w[weight]);
                        of_weight[weight] += value * f64::from(dy[own]);
                    }
                }
            }
            for gemm in Gemm::all() {
                let mut y = vec![f32::NAN; dy.len()];
                forward(&gemm, &x, &w, biased.then_some(&bias[..]), outputs, &mut y);
                let mut dw = vec![0.5; w.len()];
                add_of_weight(&gemm, &x, &dy, outputs, &mut dw);
                for (found, expected) in [(&y, &expected), (&dw, &of_weight)] {
                    for (found, expected) in found.iter().zip(expected) {
                        prop_assert!((f64::from(*found) - expected).abs() < 1e-5);
                    }
                }
            }
        }
    }
}
