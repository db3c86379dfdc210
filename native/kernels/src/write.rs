//! Results that are written, or added to what is there.

/// Writes a value, or adds it.
#[inline(always)]
pub fn put(target: &mut f32, value: f32, adds: bool) {
    *target = if adds { *target + value } else { value };
}
