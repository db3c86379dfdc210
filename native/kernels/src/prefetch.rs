//! Hints of memory that is read soon.
#![expect(unsafe_code, reason = "an instruction of the processor")]

/// Begins to bring values into the processor's cache. Rows that lie far apart otherwise arrive one after the other.
#[inline(always)]
pub fn prefetch(values: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks(LINE).chain(values.last().map(std::slice::from_ref)) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction, and it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

/// The values of a cache line. Values that begin within a line end in one more.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 16;

/// The rows that are on their way at a time.
pub const AHEAD: usize = 8;
