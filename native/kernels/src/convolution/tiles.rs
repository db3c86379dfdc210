//! Sums over shifted planes, in tiles whose sums stay in registers.
#![expect(
    unsafe_code,
    reason = "loads and stores of vectors, whose bounds are checked once for each sum"
)]

use super::plan::SLACK;
use crate::simd::{Kernel, Simd};

/// The most outputs of a tile, and its vectors of positions: 12 sums. One register of AVX2's 16 is left over, without
/// which compilers move sums to and fro.
const OUTPUTS: usize = 6;
const VECTORS: usize = 2;

/// The most outputs and terms of a tile of the weights' gradient.
const TALL: usize = 4;
const WIDE: usize = 3;

/// Returns the outputs of the next tile. Tiles are about equal, as small ones would wait for their sums.
pub(super) fn tall(outputs_left: usize) -> usize {
    outputs_left.div_ceil(outputs_left.div_ceil(OUTPUTS))
}

/// Computes `y[output][position] = bias[output] + sum_term w[output][term] x[offset(term) + position]`.
pub(super) struct Correlate<'a> {
    pub(super) outputs: usize,
    pub(super) positions: usize,
    pub(super) x: &'a [f32],
    pub(super) offsets: &'a [usize],
    /// The weights of each tile by term.
    pub(super) weights: &'a [f32],
    pub(super) bias: Option<&'a [f32]>,
    /// The values of an output in the memory of the result.
    pub(super) stride: usize,
    pub(super) y: &'a mut [f32],
}

impl Kernel for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { outputs, positions, x, offsets, weights, bias, stride, y } = self;
        let furthest = offsets.iter().copied().max().unwrap_or(0);
        assert!(VECTORS * S::LANES <= SLACK, "tiles end within the slack");
        assert!(furthest + positions + SLACK <= x.len(), "the length of the planes");
        assert!(weights.len() == outputs * offsets.len(), "the number of weights");
        assert!(bias.is_none_or(|bias| bias.len() == outputs), "the length of a bias");
        assert!(positions + SLACK <= stride && outputs * stride <= y.len(), "the result's length");
        for position in (0..positions).step_by(VECTORS * S::LANES) {
            let mut output = 0;
            while output < outputs {
                let tall = tall(outputs - output);
                let bias = bias.map_or(&[] as &[f32], |bias| &bias[output..output + tall]);
                let x = &x[position..];
                let weights = &weights[output * offsets.len()..];
                let y = &mut y[output * stride + position..];
                // SAFETY: the lengths are checked above for all outputs and terms, and for positions up to the slack.
                unsafe {
                    match tall {
                        1 => correlate::<S, 1>(simd, x, offsets, weights, bias, stride, y),
                        2 => correlate::<S, 2>(simd, x, offsets, weights, bias, stride, y),
                        3 => correlate::<S, 3>(simd, x, offsets, weights, bias, stride, y),
                        4 => correlate::<S, 4>(simd, x, offsets, weights, bias, stride, y),
                        5 => correlate::<S, 5>(simd, x, offsets, weights, bias, stride, y),
                        _ => correlate::<S, OUTPUTS>(simd, x, offsets, weights, bias, stride, y),
                    }
                }
                output += tall;
            }
        }
    }
}

/// Computes a tile of some outputs and `VECTORS` vectors of positions.
///
/// # Safety
/// `x` has a tile's values from each offset, `weights` a value for each term and output, and `y` a tile's values from the
/// start of each output.
#[inline(always)]
unsafe fn correlate<S: Simd, const T: usize>(
    simd: S,
    x: &[f32],
    offsets: &[usize],
    weights: &[f32],
    bias: &[f32],
    stride: usize,
    y: &mut [f32],
) {
    let mut sums = [[simd.zero(); VECTORS]; T];
    if !bias.is_empty() {
        each::<T>(|output| sums[output] = [simd.splat(bias[output]); VECTORS]);
    }
    let (x, mut weight) = (x.as_ptr(), weights.as_ptr());
    let mut term = 0;
    while term < offsets.len() {
        // SAFETY: the caller's.
        let values: [S::V; VECTORS] = unsafe {
            let at = x.add(offsets[term]);
            [simd.load(at), simd.load(at.add(S::LANES))]
        };
        each::<T>(|output| {
            // SAFETY: the caller's.
            let factor = simd.splat(unsafe { *weight.add(output) });
            each::<VECTORS>(|part| {
                sums[output][part] = simd.mul_add(factor, values[part], sums[output][part]);
            });
        });
        // SAFETY: the caller's; after the last term it points at the end.
        weight = unsafe { weight.add(T) };
        term += 1;
    }
    let y = y.as_mut_ptr();
    each::<T>(|output| {
        each::<VECTORS>(|part| {
            // SAFETY: the caller's.
            unsafe { simd.store(y.add(output * stride + part * S::LANES), sums[output][part]) };
        });
    });
}

/// Calls a function for each number below `N`. Iterators would not always be inlined here.
#[inline(always)]
fn each<const N: usize>(mut call: impl FnMut(usize)) {
    let mut number = 0;
    while number < N {
        call(number);
        number += 1;
    }
}

/// Adds `sum_position dy[output][position] x[offset(term) + position]` to `dw[output][term]`. `dy` is 0 after the
/// positions.
pub(super) struct OfWeights<'a> {
    pub(super) outputs: usize,
    pub(super) positions: usize,
    pub(super) x: &'a [f32],
    pub(super) offsets: &'a [usize],
    /// The values of an output in the memory of `dy`.
    pub(super) stride: usize,
    pub(super) dy: &'a [f32],
    pub(super) dw: &'a mut [f32],
}

impl Kernel for OfWeights<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { outputs, positions, x, offsets, stride, dy, dw } = self;
        let terms = offsets.len();
        let furthest = offsets.iter().copied().max().unwrap_or(0);
        assert!(S::LANES <= SLACK, "vectors end within the slack");
        assert!(furthest + positions + SLACK <= x.len(), "the length of the planes");
        assert!(positions + SLACK <= stride && outputs * stride <= dy.len(), "the result's length");
        assert!(dw.len() == outputs * terms, "the number of weights");
        for output in (0..outputs).step_by(TALL) {
            let tall = (outputs - output).min(TALL);
            let dy = &dy[output * stride..];
            for (index, offsets) in offsets.chunks(WIDE).enumerate() {
                let dw = &mut dw[output * terms + index * WIDE..];
                let tile = Tile { positions, x, offsets, stride, dy };
                // SAFETY: the lengths are checked above for all outputs and terms.
                unsafe {
                    match (tall, offsets.len()) {
                        (1, 1) => tile.sums::<S, 1, 1>(simd, terms, dw),
                        (1, 2) => tile.sums::<S, 1, 2>(simd, terms, dw),
                        (1, _) => tile.sums::<S, 1, WIDE>(simd, terms, dw),
                        (2, 1) => tile.sums::<S, 2, 1>(simd, terms, dw),
                        (2, 2) => tile.sums::<S, 2, 2>(simd, terms, dw),
                        (2, _) => tile.sums::<S, 2, WIDE>(simd, terms, dw),
                        (3, 1) => tile.sums::<S, 3, 1>(simd, terms, dw),
                        (3, 2) => tile.sums::<S, 3, 2>(simd, terms, dw),
                        (3, _) => tile.sums::<S, 3, WIDE>(simd, terms, dw),
                        (_, 1) => tile.sums::<S, TALL, 1>(simd, terms, dw),
                        (_, 2) => tile.sums::<S, TALL, 2>(simd, terms, dw),
                        (_, _) => tile.sums::<S, TALL, WIDE>(simd, terms, dw),
                    }
                }
            }
        }
    }
}

/// The operands of the weights' gradient from the first output and the first term of a tile.
struct Tile<'a> {
    positions: usize,
    x: &'a [f32],
    offsets: &'a [usize],
    stride: usize,
    dy: &'a [f32],
}

impl Tile<'_> {
    /// Adds the sums of `T` outputs and `W` terms.
    ///
    /// # Safety
    /// `x` has the positions and a vector from each of `W` offsets, `dy` those of `T` outputs, and `dw` `W` terms of `T`
    /// outputs.
    #[inline(always)]
    unsafe fn sums<S: Simd, const T: usize, const W: usize>(
        &self,
        simd: S,
        terms: usize,
        dw: &mut [f32],
    ) {
        let mut sums = [[simd.zero(); W]; T];
        let (x, dy) = (self.x.as_ptr(), self.dy.as_ptr());
        let mut position = 0;
        while position < self.positions {
            let mut values = [simd.zero(); W];
            each::<W>(|term| {
                // SAFETY: the caller's.
                values[term] = unsafe { simd.load(x.add(self.offsets[term] + position)) };
            });
            each::<T>(|output| {
                // SAFETY: the caller's.
                let factor = unsafe { simd.load(dy.add(output * self.stride + position)) };
                each::<W>(|term| {
                    sums[output][term] = simd.mul_add(factor, values[term], sums[output][term]);
                });
            });
            position += S::LANES;
        }
        each::<T>(|output| {
            each::<W>(|term| dw[output * terms + term] += simd.sum(sums[output][term]));
        });
    }
}

/// The sum of values.
pub(super) struct Total<'a>(pub(super) &'a [f32]);

impl Kernel for Total<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let (vectors, rest) = self.0.split_at(self.0.len() / S::LANES * S::LANES);
        let mut sum = simd.zero();
        for vector in vectors.chunks_exact(S::LANES) {
            // SAFETY: the chunk is a vector.
            sum = simd.add(sum, unsafe { simd.load(vector.as_ptr()) });
        }
        simd.sum(sum) + rest.iter().sum::<f32>()
    }
}
