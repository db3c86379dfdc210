//! The processor's treatment of denormal numbers, per thread.
//!
//! Moments of an optimizer that decay towards zero become denormal, and arithmetic with denormal numbers is many times
//! slower. Every thread that runs update rules treats them as zero, the server's threads as well as the workers', so that a
//! fit has the same speed and the same bits whether its workers reach the server through memory or through a socket.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "the processor's control register")
)]

use std::marker::PhantomData;

/// Treats denormal numbers as zero on this thread while it lives, then restores the mode that was set before.
#[derive(Debug)]
#[must_use]
pub struct FlushDenormals {
    before: u32,
    /// The register belongs to the thread.
    thread: PhantomData<*const ()>,
}

impl FlushDenormals {
    /// Sets the mode for the calling thread.
    #[expect(clippy::new_without_default, reason = "a guard is taken on purpose")]
    pub fn new() -> Self {
        /// Flush-to-zero and denormals-are-zero.
        const FLUSH: u32 = 1 << 15 | 1 << 6;
        let before = control();
        set_control(before | FLUSH);
        Self { before, thread: PhantomData }
    }
}

impl Drop for FlushDenormals {
    fn drop(&mut self) {
        set_control(self.before);
    }
}

#[cfg(target_arch = "x86_64")]
fn control() -> u32 {
    let mut value = 0_u32;
    // SAFETY: stores the thread's MXCSR register to a local variable.
    unsafe {
        std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut value, options(nostack, preserves_flags));
    }
    value
}

#[cfg(target_arch = "x86_64")]
fn set_control(value: u32) {
    // SAFETY: the value comes from `control`, with only the two documented denormal bits added.
    unsafe {
        std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const value, options(nostack, preserves_flags));
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn control() -> u32 {
    0
}

#[cfg(not(target_arch = "x86_64"))]
fn set_control(_: u32) {}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;
    use crate::compression::{CompressionSpec, Distortion, ErrorFeedback};

    fn half_of_the_smallest_normal() -> f32 {
        black_box(f32::MIN_POSITIVE) * black_box(0.5)
    }

    #[test]
    fn denormals_are_zero_only_while_the_guard_lives() {
        let denormal = half_of_the_smallest_normal();
        assert!(denormal > 0.0);
        {
            let _guard = FlushDenormals::new();
            assert_eq!(half_of_the_smallest_normal().to_bits(), 0);
            {
                let _inner = FlushDenormals::new();
            }
            assert_eq!(half_of_the_smallest_normal().to_bits(), 0);
        }
        assert_eq!(half_of_the_smallest_normal(), denormal);
    }

    /// A channel may be used on a thread that does not flush.
    #[test]
    fn compression_is_the_same_whether_denormals_are_flushed() {
        let messages = [1e-39_f32, 1e-37, 1.0].map(|size| {
            let values = (0..999_u16).map(|index| size * (f32::from(index) - 500.0) / 499.0);
            values.collect::<Vec<_>>()
        });
        let compressed =
            |spec: CompressionSpec| {
                let mut feedback = ErrorFeedback::new(spec.codec(999).unwrap(), 999);
                let mut decoded = vec![0.0; 999];
                let mut seen = Vec::new();
                for message in &messages {
                    let distortion = feedback.compress(message).unwrap();
                    feedback.codec().decode(feedback.bytes(), &mut decoded).unwrap();
                    seen.push((feedback.bytes().to_vec(), distortion));
                    seen.extend(decoded.iter().chain(feedback.residual()).map(|value| {
                        (value.to_bits().to_le_bytes().to_vec(), Distortion::default())
                    }));
                }
                seen
            };
        for spec in [
            CompressionSpec::Bf16 {},
            CompressionSpec::F16 {},
            CompressionSpec::Int8 {},
            CompressionSpec::TopK { ratio: 0.3 },
        ] {
            let plain = compressed(spec);
            let _guard = FlushDenormals::new();
            assert!(compressed(spec) == plain, "{spec:?}");
        }
    }
}
