//! Vectors of f32 in one vocabulary for every instruction set, so that a kernel has one source.
//!
//! A kernel is a type with a [`Kernel::run`] for any [`Simd`]. [`Level::run`] calls it with the instructions of a level
//! enabled; everything in `run` must be inlined into it, hence `#[inline(always)]` on all functions that take a [`Simd`].
#![expect(unsafe_code, reason = "the instruction sets of vectors")]

pub(crate) mod functions;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use self::portable::Portable;

/// The instruction set of a kernel. A value of the type shows that the processor has it.
pub(crate) trait Simd: Copy + 'static {
    /// The values of a vector.
    const LANES: usize;
    /// The registers for vectors, which bound the sums that a tile keeps.
    const REGISTERS: usize;
    /// A vector.
    type V: Copy;

    /// A vector of one value.
    fn splat(self, value: f32) -> Self::V;
    /// Reads a vector.
    ///
    /// # Safety
    /// The values are readable.
    unsafe fn load(self, values: *const f32) -> Self::V;
    /// Reads the first `count` values of a vector, at most [`Self::LANES`]; the others are 0.
    ///
    /// # Safety
    /// The `count` values are readable.
    unsafe fn load_part(self, values: *const f32, count: usize) -> Self::V;
    /// Writes a vector.
    ///
    /// # Safety
    /// The values are writable.
    unsafe fn store(self, values: *mut f32, vector: Self::V);
    /// Writes the first `count` values of a vector, at most [`Self::LANES`].
    ///
    /// # Safety
    /// The `count` values are writable.
    unsafe fn store_part(self, values: *mut f32, count: usize, vector: Self::V);
    /// `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a b`.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`.
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a` if it is larger, else `b`: a NaN in `b` stays.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a` if it is smaller, else `b`: a NaN in `b` stays.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a 2^n` for whole numbers `n`, where `a` and the result are normal. NaN stays NaN.
    fn scale(self, a: Self::V, n: Self::V) -> Self::V;
    /// `a b + c`, rounded once where the processor can.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The sum of the values.
    fn sum(self, vector: Self::V) -> f32;

    /// Reads a vector, or as many values as there are; the others are 0.
    #[inline(always)]
    fn read(self, values: &[f32]) -> Self::V {
        if values.len() >= Self::LANES {
            // SAFETY: the slice has a vector's values.
            unsafe { self.load(values.as_ptr()) }
        } else {
            // SAFETY: the slice has these values.
            unsafe { self.load_part(values.as_ptr(), values.len()) }
        }
    }

    /// Writes a vector, or as many values as there is room for.
    #[inline(always)]
    fn write(self, values: &mut [f32], vector: Self::V) {
        if values.len() >= Self::LANES {
            // SAFETY: the slice has room for a vector.
            unsafe { self.store(values.as_mut_ptr(), vector) }
        } else {
            // SAFETY: the slice has room for these values.
            unsafe { self.store_part(values.as_mut_ptr(), values.len(), vector) }
        }
    }

    /// A vector of zeros.
    #[inline(always)]
    fn zero(self) -> Self::V {
        self.splat(0.0)
    }
}

/// A computation for any instruction set.
pub(crate) trait Kernel {
    /// Its result.
    type Output;
    /// Computes with an instruction set. Implementations are `#[inline(always)]`.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// The rows up to which our own kernels of a dense layer are used where there is BLAS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MostRows {
    pub(crate) forward: usize,
    pub(crate) gradients: usize,
}

/// An instruction set that the processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level(Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The widest set of this processor.
    pub(crate) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return Self(Set::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self(Set::Avx2);
            }
        }
        Self(Set::Portable)
    }

    /// The rows up to which a dense layer's own kernels are faster than BLAS.
    pub(crate) fn most_rows(self) -> MostRows {
        match self.0 {
            Set::Portable => MostRows { forward: 8, gradients: 8 },
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => MostRows { forward: usize::MAX, gradients: 64 },
            // BLAS is at its best there; not measured.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => MostRows { forward: 32, gradients: 32 },
        }
    }

    /// Every set of this processor.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self(Set::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                all.push(Self(Set::Avx2));
            }
            if is_x86_feature_detected!("avx512f") {
                all.push(Self(Set::Avx512));
            }
        }
        all
    }

    /// Runs a kernel.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Set::Portable => kernel.run(Portable),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => {
                // SAFETY: a level is a set that the processor has.
                unsafe { x86::with_avx2(kernel) }
            }
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => {
                // SAFETY: as above.
                unsafe { x86::with_avx512(kernel) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kernel, Level, Simd};

    /// Copies `x` in vectors and a last part, times 2 plus 1; returns the sum of the copied values.
    struct TwicePlusOne<'a> {
        x: &'a [f32],
        y: &'a mut [f32],
    }

    impl Kernel for TwicePlusOne<'_> {
        type Output = f32;

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> f32 {
            let (two, one) = (simd.splat(2.0), simd.splat(1.0));
            let mut sum = simd.zero();
            for (x, y) in self.x.chunks(S::LANES).zip(self.y.chunks_mut(S::LANES)) {
                if x.len() == S::LANES {
                    // SAFETY: the chunks have a vector's values.
                    let vector = unsafe { simd.load(x.as_ptr()) };
                    let vector = simd.mul_add(vector, two, one);
                    sum = simd.add(sum, vector);
                    // SAFETY: as above.
                    unsafe { simd.store(y.as_mut_ptr(), vector) };
                } else {
                    // SAFETY: the chunks have as many values.
                    let vector = unsafe { simd.load_part(x.as_ptr(), x.len()) };
                    let vector = simd.add(simd.mul(vector, two), one);
                    // SAFETY: as above.
                    unsafe { simd.store_part(y.as_mut_ptr(), x.len(), vector) };
                    // SAFETY: as above.
                    sum = simd.add(sum, unsafe { simd.load_part(y.as_ptr(), y.len()) });
                }
            }
            simd.sum(simd.sub(sum, simd.zero()))
        }
    }

    #[test]
    fn every_level_reads_and_writes_whole_vectors_and_parts() {
        for level in Level::all() {
            for length in 0..70 {
                let x: Vec<f32> = (0..length).map(|index| index as f32).collect();
                let mut y = vec![f32::NAN; length + 1];
                let sum = level.run(TwicePlusOne { x: &x, y: &mut y[..length] });
                let expected: Vec<f32> = x.iter().map(|x| 2.0 * x + 1.0).collect();
                assert_eq!(y[..length], expected, "{level:?}");
                assert!(y[length].is_nan(), "{level:?}: written beyond the end");
                assert_eq!(sum, expected.iter().sum(), "{level:?}");
            }
        }
    }
}
