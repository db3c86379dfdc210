//! Vectors for processors without AVX2: arrays, which the compiler turns into what there is.

use super::Simd;

/// Arrays of eight values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

const LANES: usize = 8;

#[inline(always)]
fn each(f: impl Fn(usize) -> f32) -> [f32; LANES] {
    std::array::from_fn(f)
}

impl Simd for Portable {
    const LANES: usize = LANES;
    const REGISTERS: usize = 8;
    type V = [f32; LANES];

    #[inline(always)]
    fn splat(self, value: f32) -> Self::V {
        [value; LANES]
    }

    #[inline(always)]
    unsafe fn load(self, values: *const f32) -> Self::V {
        // SAFETY: the caller's; an array has the alignment of its values.
        unsafe { values.cast::<Self::V>().read() }
    }

    #[inline(always)]
    unsafe fn load_part(self, values: *const f32, count: usize) -> Self::V {
        let mut vector = [0.0; LANES];
        // SAFETY: the caller's, and the array has as many values.
        unsafe { std::ptr::copy_nonoverlapping(values, vector.as_mut_ptr(), count.min(LANES)) };
        vector
    }

    #[inline(always)]
    unsafe fn store(self, values: *mut f32, vector: Self::V) {
        // SAFETY: the caller's; an array has the alignment of its values.
        unsafe { values.cast::<Self::V>().write(vector) }
    }

    #[inline(always)]
    unsafe fn store_part(self, values: *mut f32, count: usize, vector: Self::V) {
        // SAFETY: the caller's, and the array has as many values.
        unsafe { std::ptr::copy_nonoverlapping(vector.as_ptr(), values, count.min(LANES)) }
    }

    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        each(|lane| a[lane] + b[lane])
    }

    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        each(|lane| a[lane] - b[lane])
    }

    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        each(|lane| a[lane] * b[lane])
    }

    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        each(|lane| a[lane] / b[lane])
    }

    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        each(|lane| if a[lane] > b[lane] { a[lane] } else { b[lane] })
    }

    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        each(|lane| if a[lane] < b[lane] { a[lane] } else { b[lane] })
    }

    #[inline(always)]
    fn scale(self, a: Self::V, n: Self::V) -> Self::V {
        let scale =
            |a: f32, n: f32| f32::from_bits(a.to_bits().wrapping_add((n as i32 as u32) << 23));
        each(|lane| if n[lane].is_nan() { n[lane] } else { scale(a[lane], n[lane]) })
    }

    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // A fused one is a call of a function where the processor has none.
        each(|lane| a[lane] * b[lane] + c[lane])
    }

    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]))
    }
}
