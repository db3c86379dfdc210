//! `f16`: IEEE half precision, rounded to nearest even, numbers beyond its range to its largest one.
//!
//! The subnormal numbers of f16, multiples of 2^-24, are rounded by adding 0.5, at which an f32 has exactly that
//! resolution.

use super::half::{Format, INFINITE, MAGNITUDE};

#[derive(Clone, Copy, Debug)]
pub(super) struct F16;

/// The largest finite number, without its sign: 65504.
const LARGEST: u32 = 0x7bff;

/// Infinity's code, without its sign.
const INFINITE_CODE: u32 = 0x7c00;

/// A NaN's code, without its sign.
const NAN_CODE: u32 = 0x7e00;

/// The number of mantissa bits that an f32 has more than an f16.
const CUT: u32 = 13;

/// The difference between the exponents' biases, in the place of an f32's exponent.
const REBIAS: u32 = (127 - 15) << 23;

/// The bits of 2^-14, f16's smallest normal number.
const SMALLEST_NORMAL: u32 = (127 - 14) << 23;

/// An f32's lowest exponent bit.
const EXPONENT_STEP: u32 = 1 << 23;

impl Format for F16 {
    const NAME: &'static str = "f16";

    #[inline(always)]
    fn narrow(bits: u32) -> u16 {
        let magnitude = bits & MAGNITUDE;
        let sign = (bits ^ magnitude) >> 16;
        let even = (magnitude >> CUT) & 1;
        let normal = magnitude.wrapping_sub(REBIAS).wrapping_add(0xfff + even) >> CUT;
        let subnormal = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5_f32.to_bits());
        let code = if magnitude > INFINITE {
            NAN_CODE
        } else if magnitude == INFINITE {
            INFINITE_CODE
        } else if magnitude < SMALLEST_NORMAL {
            subnormal
        } else {
            normal.min(LARGEST)
        };
        (sign | code) as u16
    }

    #[inline(always)]
    fn widen(code: u16) -> u32 {
        let sign = (u32::from(code) & 0x8000) << 16;
        let shifted = (u32::from(code) & 0x7fff) << CUT;
        let normal = shifted + REBIAS;
        // A subnormal code, put behind the mantissa of 2^-14, is the number plus 2^-14.
        let above = f32::from_bits(shifted + SMALLEST_NORMAL);
        let subnormal = (above - f32::from_bits(SMALLEST_NORMAL)).to_bits();
        let magnitude = if shifted >= INFINITE_CODE << CUT {
            normal + REBIAS
        } else if shifted < EXPONENT_STEP {
            subnormal
        } else {
            normal
        };
        sign | magnitude
    }
}
