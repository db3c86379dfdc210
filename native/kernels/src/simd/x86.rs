//! The vectors of AVX2 with FMA, and of AVX-512.

use std::arch::x86_64::{
    __m256, __m256i, __m512, __mmask16, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps,
    _mm_movehl_ps, _mm256_add_epi32, _mm256_add_ps, _mm256_castps_si256, _mm256_castps256_ps128,
    _mm256_castsi256_ps, _mm256_cmpgt_epi32, _mm256_cvtps_epi32, _mm256_div_ps,
    _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_maskload_ps,
    _mm256_maskstore_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_set1_epi32,
    _mm256_set1_ps, _mm256_setr_epi32, _mm256_slli_epi32, _mm256_storeu_ps, _mm256_sub_ps,
    _mm512_add_epi32, _mm512_add_ps, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cvtps_epi32,
    _mm512_div_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps,
    _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_reduce_add_ps, _mm512_set1_ps,
    _mm512_slli_epi32, _mm512_storeu_ps, _mm512_sub_ps,
};

use super::{Kernel, Simd};

/// AVX2 and FMA.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

/// AVX-512F.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

/// Runs a kernel with AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) fn with_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2(()))
}

/// Runs a kernel with AVX-512.
#[target_feature(enable = "avx512f,avx2,fma")]
pub(super) fn with_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512(()))
}

impl Avx2 {
    /// A mask of the first `count` values.
    #[inline(always)]
    fn mask(self, count: usize) -> __m256i {
        // SAFETY: a value of this type shows that the processor has the instructions.
        unsafe {
            let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), lanes)
        }
    }
}

/// Calls intrinsics in the methods of a token.
macro_rules! call {
    ($body:expr) => {
        // SAFETY: a value of this type shows that the processor has the instructions; a pointer is the caller's.
        unsafe { $body }
    };
}

impl Simd for Avx2 {
    const LANES: usize = 8;
    const REGISTERS: usize = 16;
    type V = __m256;

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        call!(_mm256_set1_ps(value))
    }

    #[inline(always)]
    unsafe fn load(self, values: *const f32) -> __m256 {
        call!(_mm256_loadu_ps(values))
    }

    #[inline(always)]
    unsafe fn load_part(self, values: *const f32, count: usize) -> __m256 {
        call!(_mm256_maskload_ps(values, self.mask(count)))
    }

    #[inline(always)]
    unsafe fn store(self, values: *mut f32, vector: __m256) {
        call!(_mm256_storeu_ps(values, vector))
    }

    #[inline(always)]
    unsafe fn store_part(self, values: *mut f32, count: usize, vector: __m256) {
        call!(_mm256_maskstore_ps(values, self.mask(count), vector))
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        call!(_mm256_add_ps(a, b))
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        call!(_mm256_sub_ps(a, b))
    }

    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        call!(_mm256_mul_ps(a, b))
    }

    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        call!(_mm256_div_ps(a, b))
    }

    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        call!(_mm256_max_ps(a, b))
    }

    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        call!(_mm256_min_ps(a, b))
    }

    #[inline(always)]
    fn scale(self, a: __m256, n: __m256) -> __m256 {
        // A NaN in `n` becomes an integer whose low bits are 0, which leaves `a` as it is.
        call!({
            let exponents = _mm256_slli_epi32::<23>(_mm256_cvtps_epi32(n));
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), exponents))
        })
    }

    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        call!(_mm256_fmadd_ps(a, b, c))
    }

    #[inline(always)]
    fn sum(self, vector: __m256) -> f32 {
        call!({
            let (low, high) = (_mm256_castps256_ps128(vector), _mm256_extractf128_ps::<1>(vector));
            let four = _mm_add_ps(low, high);
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        })
    }
}

/// A mask of the first `count` values.
#[inline(always)]
fn first(count: usize) -> __mmask16 {
    ((1_u32 << count) - 1) as __mmask16
}

impl Simd for Avx512 {
    const LANES: usize = 16;
    const REGISTERS: usize = 32;
    type V = __m512;

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        call!(_mm512_set1_ps(value))
    }

    #[inline(always)]
    unsafe fn load(self, values: *const f32) -> __m512 {
        call!(_mm512_loadu_ps(values))
    }

    #[inline(always)]
    unsafe fn load_part(self, values: *const f32, count: usize) -> __m512 {
        call!(_mm512_maskz_loadu_ps(first(count), values))
    }

    #[inline(always)]
    unsafe fn store(self, values: *mut f32, vector: __m512) {
        call!(_mm512_storeu_ps(values, vector))
    }

    #[inline(always)]
    unsafe fn store_part(self, values: *mut f32, count: usize, vector: __m512) {
        call!(_mm512_mask_storeu_ps(values, first(count), vector))
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        call!(_mm512_add_ps(a, b))
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        call!(_mm512_sub_ps(a, b))
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        call!(_mm512_mul_ps(a, b))
    }

    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        call!(_mm512_div_ps(a, b))
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        call!(_mm512_max_ps(a, b))
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        call!(_mm512_min_ps(a, b))
    }

    #[inline(always)]
    fn scale(self, a: __m512, n: __m512) -> __m512 {
        // A NaN in `n` becomes an integer whose low bits are 0, which leaves `a` as it is.
        call!({
            let exponents = _mm512_slli_epi32::<23>(_mm512_cvtps_epi32(n));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), exponents))
        })
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        call!(_mm512_fmadd_ps(a, b, c))
    }

    #[inline(always)]
    fn sum(self, vector: __m512) -> f32 {
        call!(_mm512_reduce_add_ps(vector))
    }
}
