//! The matrix product of the BLAS that libtorch contains.
#![expect(unsafe_code, reason = "a function that is found by its name in a loaded library")]

use std::ffi::{c_char, c_int};

/// `sgemm` with the calling convention of Fortran: all arguments are addresses, matrices are in column-major order.
type Sgemm = unsafe extern "C" fn(
    *const c_char,
    *const c_char,
    *const c_int,
    *const c_int,
    *const c_int,
    *const f32,
    *const f32,
    *const c_int,
    *const f32,
    *const c_int,
    *const f32,
    *mut f32,
    *const c_int,
);

/// A BLAS that is loaded into the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blas(Sgemm);

/// An operand in column-major order: `rows` x `columns` after its transposition.
#[derive(Clone, Copy)]
pub(crate) struct Operand<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) transposed: bool,
    /// The distance of two columns in memory.
    pub(crate) stride: usize,
}

impl Blas {
    /// Returns the BLAS of libtorch if it is loaded and exports its product.
    pub(crate) fn find() -> Option<Self> {
        // SAFETY: the name ends in a zero byte.
        let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"sgemm_".as_ptr()) };
        if address.is_null() {
            return None;
        }
        // SAFETY: the symbol is BLAS's `sgemm`, whose signature is fixed by its standard. Integers have 32 bits in the BLAS
        // of libtorch (LP64).
        Some(Self(unsafe { std::mem::transmute::<*mut libc::c_void, Sgemm>(address) }))
    }

    /// Computes `c = a b + beta c` in column-major order, for `c` of `m` x `n` and an inner length of `k`.
    pub(crate) fn product(
        self,
        (m, n, k): (usize, usize, usize),
        a: Operand<'_>,
        b: Operand<'_>,
        beta: f32,
        c: &mut [f32],
    ) {
        let least = |columns: usize, rows: usize, operand: Operand<'_>| {
            let (rows, columns) =
                if operand.transposed { (columns, rows) } else { (rows, columns) };
            assert!(operand.stride >= rows.max(1), "the columns of an operand overlap");
            columns.saturating_sub(1) * operand.stride + rows
        };
        assert!(a.values.len() >= least(k, m, a), "an operand is too short");
        assert!(b.values.len() >= least(n, k, b), "an operand is too short");
        assert!(c.len() >= m * n, "the result is too short");
        let flag = |operand: Operand<'_>| if operand.transposed { b'T' } else { b'N' } as c_char;
        let int = |length: usize| c_int::try_from(length).unwrap_or(c_int::MAX);
        assert!(m.max(n).max(k) < c_int::MAX as usize, "a length does not fit BLAS");
        // SAFETY: the lengths of all three matrices were checked, and BLAS reads and writes nothing else.
        unsafe {
            (self.0)(
                &flag(a),
                &flag(b),
                &int(m),
                &int(n),
                &int(k),
                &1.0,
                a.values.as_ptr(),
                &int(a.stride),
                b.values.as_ptr(),
                &int(b.stride),
                &beta,
                c.as_mut_ptr(),
                &int(m.max(1)),
            );
        }
    }
}
