//! `bf16`: the upper half of an f32, rounded to nearest even.

use super::half::{Format, INFINITE, MAGNITUDE};

#[derive(Clone, Copy, Debug)]
pub(super) struct Bf16;

/// The largest finite number, without its sign.
const LARGEST: u16 = 0x7f7f;

/// The mantissa bit that keeps a NaN a NaN after truncation.
const QUIET: u16 = 0x0040;

impl Format for Bf16 {
    const NAME: &'static str = "bf16";

    #[inline(always)]
    fn narrow(bits: u32) -> u16 {
        let magnitude = bits & MAGNITUDE;
        let sign = ((bits ^ magnitude) >> 16) as u16;
        let even = (magnitude >> 16) & 1;
        let rounded = (magnitude.wrapping_add(0x7fff + even) >> 16) as u16;
        let cut = (magnitude >> 16) as u16;
        let code = if magnitude > INFINITE {
            cut | QUIET
        } else if magnitude == INFINITE {
            cut
        } else {
            rounded.min(LARGEST)
        };
        sign | code
    }

    #[inline(always)]
    fn widen(code: u16) -> u32 {
        u32::from(code) << 16
    }
}
