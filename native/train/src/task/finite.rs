//! A search for NaN and infinity.

use firesteel_core::{BufferKind, FiniteCheck, ParamLayout};

use crate::network::Replica;

/// Returns the name and value of the first parameter or buffer that is NaN or infinite.
pub(super) fn first_not_finite<'a>(
    layout: &'a ParamLayout,
    replica: &Replica,
) -> Option<(&'a str, f64)> {
    let of = |element, values: &[f32]| {
        let index = FiniteCheck::of(values).first_non_finite(values)?;
        let entry = layout.of(element).find(|entry| index < entry.offset + entry.len)?;
        Some((entry.name.as_str(), f64::from(values[index])))
    };
    of(BufferKind::Parameter, replica.parameters())
        .or_else(|| of(BufferKind::FloatBuffer, replica.floats()))
}
