//! Products of a Linear layer for few rows, with AVX2 and FMA.
//!
//! BLAS packs its operands into panels, which costs more than the product itself when a mini-batch has few rows. These
//! read every weight once, in the order in which it lies in memory.
#![expect(
    unsafe_code,
    reason = "loads and stores of vectors, whose bounds are checked once for each slice"
)]

use std::arch::x86_64::{
    __m256, __m256i, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps,
    _mm256_castps256_ps128, _mm256_cmpgt_epi32, _mm256_extractf128_ps, _mm256_fmadd_ps,
    _mm256_loadu_ps, _mm256_maskload_ps, _mm256_maskstore_ps, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_setr_epi32, _mm256_setzero_ps, _mm256_storeu_ps,
};

use crate::shape::Shape;

/// The largest number of rows for which these are faster than BLAS.
pub(crate) const MOST: usize = 8;

/// The values of a vector.
const LANES: usize = 8;

/// The rows and the outputs, or vectors of inputs, that are computed together: as many as there are registers for sums.
const TALL: usize = 4;
const WIDE: usize = 3;

/// The weights' rows that are read for one part of a row of the input's gradient, before the next part.
const DEPTH: usize = 64;

/// Returns true if the processor has the instructions.
pub(crate) fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Computes `y = x w^T`, and adds the bias to each row. Needs [`available`].
pub(crate) fn forward(shape: Shape, x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    check(shape, x.len(), w.len(), y.len());
    assert!(bias.is_none_or(|bias| bias.len() == shape.outputs), "the length of a bias");
    assert!(available(), "AVX2 and FMA");
    // SAFETY: the processor has the instructions.
    unsafe { forward_with_avx2(shape, x, w, bias, y) }
}

/// Computes `dx = dy w`, or adds it. Needs [`available`].
pub(crate) fn of_input(shape: Shape, w: &[f32], dy: &[f32], adds: bool, dx: &mut [f32]) {
    check(shape, dx.len(), w.len(), dy.len());
    assert!(available(), "AVX2 and FMA");
    // SAFETY: the processor has the instructions.
    unsafe { of_input_with_avx2(shape, w, dy, adds, dx) }
}

/// Computes `dw = dy^T x`. Needs [`available`].
pub(crate) fn of_weight(shape: Shape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    check(shape, x.len(), dw.len(), dy.len());
    assert!(available(), "AVX2 and FMA");
    // SAFETY: the processor has the instructions.
    unsafe { of_weight_with_avx2(shape, x, dy, dw) }
}

fn check(shape: Shape, x: usize, w: usize, y: usize) {
    let Shape { rows, inputs, outputs } = shape;
    assert!(rows <= MOST, "{rows} rows");
    assert_eq!((x, w, y), (rows * inputs, inputs * outputs, rows * outputs), "{shape:?}");
}

/// A vector's mask for the last `count` values of a slice, fewer than a vector has.
#[target_feature(enable = "avx2,fma")]
fn mask(count: usize) -> __m256i {
    let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), lanes)
}

/// Reads a vector at an index; beyond the end there are zeros.
#[target_feature(enable = "avx2,fma")]
fn load(values: &[f32], index: usize) -> __m256 {
    let rest = &values[index..];
    if rest.len() >= LANES {
        // SAFETY: the slice has a vector's values.
        unsafe { _mm256_loadu_ps(rest.as_ptr()) }
    } else {
        // SAFETY: the mask covers the slice.
        unsafe { _mm256_maskload_ps(rest.as_ptr(), mask(rest.len())) }
    }
}

/// Writes a vector at an index, and nothing beyond the end.
#[target_feature(enable = "avx2,fma")]
fn store(values: &mut [f32], index: usize, vector: __m256) {
    let rest = &mut values[index..];
    if rest.len() >= LANES {
        // SAFETY: the slice has a vector's values.
        unsafe { _mm256_storeu_ps(rest.as_mut_ptr(), vector) }
    } else {
        // SAFETY: the mask covers the slice.
        unsafe { _mm256_maskstore_ps(rest.as_mut_ptr(), mask(rest.len()), vector) }
    }
}

/// The sum of a vector's values.
#[target_feature(enable = "avx2,fma")]
fn sum(vector: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(vector), _mm256_extractf128_ps::<1>(vector));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

/// The row of a matrix.
fn row(values: &[f32], index: usize, length: usize) -> &[f32] {
    &values[index * length..(index + 1) * length]
}

#[target_feature(enable = "avx2,fma")]
fn forward_with_avx2(shape: Shape, x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let mut output = 0;
    while output < shape.outputs {
        match shape.outputs - output {
            1 => outputs_of::<1>(shape, x, w, bias, y, output),
            2 => outputs_of::<2>(shape, x, w, bias, y, output),
            _ => outputs_of::<WIDE>(shape, x, w, bias, y, output),
        }
        output += WIDE;
    }
}

/// Computes `COUNT` outputs of all rows.
#[target_feature(enable = "avx2,fma")]
fn outputs_of<const COUNT: usize>(
    shape: Shape,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
    output: usize,
) {
    let mut first = 0;
    while first < shape.rows {
        match shape.rows - first {
            1 => dots::<1, COUNT>(shape, x, w, bias, y, first, output),
            2 => dots::<2, COUNT>(shape, x, w, bias, y, first, output),
            3 => dots::<3, COUNT>(shape, x, w, bias, y, first, output),
            _ => dots::<TALL, COUNT>(shape, x, w, bias, y, first, output),
        }
        first += TALL;
    }
}

/// Computes `COUNT` outputs of `ROWS` rows.
#[target_feature(enable = "avx2,fma")]
fn dots<const ROWS: usize, const COUNT: usize>(
    shape: Shape,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
    first: usize,
    output: usize,
) {
    let length = shape.inputs;
    let mut xs = [&[] as &[f32]; ROWS];
    let mut ws = [&[] as &[f32]; COUNT];
    for (index, x_row) in xs.iter_mut().enumerate() {
        *x_row = row(x, first + index, length);
    }
    for (index, w_row) in ws.iter_mut().enumerate() {
        *w_row = row(w, output + index, length);
    }
    let mut sums = [[_mm256_setzero_ps(); COUNT]; ROWS];
    let whole = length - length % LANES;
    let mut at = 0;
    while at < whole {
        for (count, w_row) in ws.iter().enumerate() {
            // SAFETY: `at + LANES` is at most the length of each row.
            let weights = unsafe { _mm256_loadu_ps(w_row.as_ptr().add(at)) };
            for (sums, x_row) in sums.iter_mut().zip(&xs) {
                // SAFETY: as above.
                let values = unsafe { _mm256_loadu_ps(x_row.as_ptr().add(at)) };
                sums[count] = _mm256_fmadd_ps(values, weights, sums[count]);
            }
        }
        at += LANES;
    }
    if whole < length {
        for (count, w_row) in ws.iter().enumerate() {
            let weights = load(w_row, whole);
            for (sums, x_row) in sums.iter_mut().zip(&xs) {
                sums[count] = _mm256_fmadd_ps(load(x_row, whole), weights, sums[count]);
            }
        }
    }
    for (index, sums) in sums.iter().enumerate() {
        let start = (first + index) * shape.outputs + output;
        for (count, &vector) in sums.iter().enumerate() {
            y[start + count] = sum(vector) + bias.map_or(0.0, |bias| bias[output + count]);
        }
    }
}

#[target_feature(enable = "avx2,fma")]
fn of_input_with_avx2(shape: Shape, w: &[f32], dy: &[f32], adds: bool, dx: &mut [f32]) {
    if shape.outputs == 0 && !adds {
        dx.fill(0.0);
    }
    let mut output = 0;
    while output < shape.outputs {
        let outputs = output..shape.outputs.min(output + DEPTH);
        let adds = adds || output > 0;
        let mut first = 0;
        while first < shape.rows {
            match shape.rows - first {
                1 => slopes_of_rows::<1>(shape, w, dy, outputs.clone(), adds, dx, first),
                2 => slopes_of_rows::<2>(shape, w, dy, outputs.clone(), adds, dx, first),
                3 => slopes_of_rows::<3>(shape, w, dy, outputs.clone(), adds, dx, first),
                _ => slopes_of_rows::<TALL>(shape, w, dy, outputs.clone(), adds, dx, first),
            }
            first += TALL;
        }
        output += DEPTH;
    }
}

/// Adds the parts of some outputs in the gradient of `ROWS` rows of the input.
#[target_feature(enable = "avx2,fma")]
fn slopes_of_rows<const ROWS: usize>(
    shape: Shape,
    w: &[f32],
    dy: &[f32],
    outputs: std::ops::Range<usize>,
    adds: bool,
    dx: &mut [f32],
    first: usize,
) {
    let length = shape.inputs;
    let mut at = 0;
    while at < length {
        // The last vectors may have less than a vector's values, or none.
        let vectors = (length - at).div_ceil(LANES).min(WIDE);
        let mut sums = [[_mm256_setzero_ps(); WIDE]; ROWS];
        if adds {
            for (index, sums) in sums.iter_mut().enumerate() {
                let old = row(dx, first + index, length);
                for (vector, sum) in sums.iter_mut().enumerate().take(vectors) {
                    *sum = load(old, at + vector * LANES);
                }
            }
        }
        let whole = at + WIDE * LANES <= length;
        for output in outputs.clone() {
            let w_row = row(w, output, length);
            let mut weights = [_mm256_setzero_ps(); WIDE];
            if whole {
                for (vector, weights) in weights.iter_mut().enumerate() {
                    // SAFETY: all vectors are within the row.
                    *weights = unsafe { _mm256_loadu_ps(w_row.as_ptr().add(at + vector * LANES)) };
                }
            } else {
                for (vector, weights) in weights.iter_mut().enumerate().take(vectors) {
                    *weights = load(w_row, at + vector * LANES);
                }
            }
            for (index, sums) in sums.iter_mut().enumerate() {
                let slope = _mm256_set1_ps(dy[(first + index) * shape.outputs + output]);
                for (sum, &weights) in sums.iter_mut().zip(&weights) {
                    *sum = _mm256_fmadd_ps(slope, weights, *sum);
                }
            }
        }
        for (index, sums) in sums.iter().enumerate() {
            let start = (first + index) * length;
            let new = &mut dx[start..start + length];
            for (vector, &sum) in sums.iter().enumerate().take(vectors) {
                store(new, at + vector * LANES, sum);
            }
        }
        at += WIDE * LANES;
    }
}

#[target_feature(enable = "avx2,fma")]
fn of_weight_with_avx2(shape: Shape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    match shape.rows {
        0 => dw.fill(0.0),
        1 => weights_of_rows::<1>(shape, x, dy, dw),
        2 => weights_of_rows::<2>(shape, x, dy, dw),
        3 => weights_of_rows::<3>(shape, x, dy, dw),
        4 => weights_of_rows::<4>(shape, x, dy, dw),
        5 => weights_of_rows::<5>(shape, x, dy, dw),
        6 => weights_of_rows::<6>(shape, x, dy, dw),
        7 => weights_of_rows::<7>(shape, x, dy, dw),
        _ => weights_of_rows::<MOST>(shape, x, dy, dw),
    }
}

/// Computes the gradient of the weight from `ROWS` rows.
#[target_feature(enable = "avx2,fma")]
fn weights_of_rows<const ROWS: usize>(shape: Shape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let length = shape.inputs;
    let mut xs = [&[] as &[f32]; ROWS];
    for (index, x_row) in xs.iter_mut().enumerate() {
        *x_row = row(x, index, length);
    }
    let whole = length - length % LANES;
    for (output, dw) in dw.chunks_exact_mut(length.max(1)).enumerate() {
        let mut slopes = [_mm256_setzero_ps(); ROWS];
        for (index, slope) in slopes.iter_mut().enumerate() {
            *slope = _mm256_set1_ps(dy[index * shape.outputs + output]);
        }
        let mut at = 0;
        while at < whole {
            let mut sum = _mm256_setzero_ps();
            for (x_row, &slope) in xs.iter().zip(&slopes) {
                // SAFETY: `at + LANES` is at most the length of each row.
                sum =
                    _mm256_fmadd_ps(slope, unsafe { _mm256_loadu_ps(x_row.as_ptr().add(at)) }, sum);
            }
            // SAFETY: as above, for the row of the gradient.
            unsafe { _mm256_storeu_ps(dw.as_mut_ptr().add(at), sum) };
            at += LANES;
        }
        if whole < length {
            let mut sum = _mm256_setzero_ps();
            for (x_row, &slope) in xs.iter().zip(&slopes) {
                sum = _mm256_fmadd_ps(slope, load(x_row, whole), sum);
            }
            store(dw, whole, sum);
        }
    }
}
