//! A search for NaN and infinity.

use firesteel_core::{BufferKind, ParamLayout};

use crate::network::Replica;

/// Returns the name and value of the first parameter or buffer that is NaN or infinite.
pub(super) fn first_not_finite<'a>(
    layout: &'a ParamLayout,
    replica: &Replica,
) -> Option<(&'a str, f64)> {
    let of = |element, values: &[f32]| {
        let index = index_not_finite(values)?;
        let entry = layout.of(element).find(|entry| index < entry.offset + entry.len)?;
        Some((entry.name.as_str(), f64::from(values[index])))
    };
    of(BufferKind::Parameter, replica.parameters())
        .or_else(|| of(BufferKind::FloatBuffer, replica.floats()))
}

/// Returns the index of the first value that is NaN or infinite.
fn index_not_finite(values: &[f32]) -> Option<usize> {
    /// The number of values scanned together, without a branch between.
    const BLOCK: usize = 1024;
    /// All bits of the exponent: NaN or infinity.
    const EXPONENT: u32 = 0x7F80_0000;
    let found = values.chunks(BLOCK).position(|block| {
        block.iter().fold(false, |found, value| found | (value.to_bits() & EXPONENT == EXPONENT))
    })?;
    values[found * BLOCK..]
        .iter()
        .position(|value| !value.is_finite())
        .map(|index| found * BLOCK + index)
}

#[cfg(test)]
mod tests {
    use super::index_not_finite;

    #[test]
    fn the_first_value_that_is_not_finite_is_found_wherever_it_lies() {
        let mut values = vec![1.0_f32; 5000];
        values[7] = f32::MAX;
        values[8] = -0.0;
        assert_eq!(index_not_finite(&values), None);
        for (index, value) in [(4999, f32::NAN), (1024, f32::INFINITY), (1023, f32::NEG_INFINITY)] {
            values[index] = value;
            assert_eq!(index_not_finite(&values), Some(index));
        }
        assert_eq!(index_not_finite(&[]), None);
    }
}
