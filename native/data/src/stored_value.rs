//! The element types of inputs, with the loops over them that run for every value of every row.

use std::fmt::{Debug, Display, LowerExp};

use arrow::datatypes::{
    ArrowPrimitiveType, Float32Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
};
use bytemuck::Pod;
use multiversion::multiversion;

/// A type of stored values.
pub(crate) trait StoredValue: Pod + Send + Sync + Debug {
    /// Its Arrow type.
    type Arrow: ArrowPrimitiveType<Native = Self>;

    /// Returns true if every value stays finite when multiplied by `scale`.
    fn all_finite(values: &[Self], scale: f32) -> bool;

    /// Returns true if this value stays finite when multiplied by `scale`.
    fn stays_finite(self, scale: f32) -> bool;

    /// Writes `values * scale` to `out`, which is as long.
    fn convert(values: &[Self], scale: f32, out: &mut [f32]);

    /// Writes `values` to `out`, which is as long, or returns the position of the first value that is not an i64.
    fn to_integers(values: &[Self], out: &mut [i64]) -> Result<(), usize>;

    /// The value as an error shows it.
    fn shown(self) -> String;

    /// Returns the values themselves if they are f32.
    fn as_f32(values: &[Self]) -> Option<&[f32]> {
        let _ = values;
        None
    }
}

macro_rules! integer_value {
    ($native:ty, $arrow:ty) => {
        impl StoredValue for $native {
            type Arrow = $arrow;

            /// The largest integer, about 2^63, times the largest f32 overflows: only a large scale needs a look at the values.
            fn all_finite(values: &[Self], scale: f32) -> bool {
                (<$native>::MIN.stays_finite(scale) && <$native>::MAX.stays_finite(scale))
                    || values.iter().all(|value| value.stays_finite(scale))
            }

            fn stays_finite(self, scale: f32) -> bool {
                (self as f32 * scale).is_finite()
            }

            fn shown(self) -> String {
                self.to_string()
            }

            fn convert(values: &[Self], scale: f32, out: &mut [f32]) {
                #[multiversion(targets(
                    "x86_64+avx512f+avx512bw+avx512dq+avx512vl",
                    "x86_64+avx2"
                ))]
                fn scaled(values: &[$native], scale: f32, out: &mut [f32]) {
                    for (out, &value) in out.iter_mut().zip(values) {
                        *out = value as f32 * scale;
                    }
                }
                scaled(values, scale, out);
            }

            fn to_integers(values: &[Self], out: &mut [i64]) -> Result<(), usize> {
                for (out, &value) in out.iter_mut().zip(values) {
                    *out = i64::from(value);
                }
                Ok(())
            }
        }
    };
}

integer_value!(u8, UInt8Type);
integer_value!(i8, Int8Type);
integer_value!(i16, Int16Type);
integer_value!(i32, Int32Type);
integer_value!(i64, Int64Type);

impl StoredValue for f32 {
    type Arrow = Float32Type;

    fn all_finite(values: &[Self], scale: f32) -> bool {
        // The magnitudes of NaN and infinity are not below infinity's, even after scaling.
        (Self::from_bits(largest_magnitude(values)) * scale).is_finite()
    }

    fn stays_finite(self, scale: f32) -> bool {
        (self * scale).is_finite()
    }

    fn shown(self) -> String {
        text(self)
    }

    fn convert(values: &[Self], scale: f32, out: &mut [f32]) {
        #[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
        fn scaled(values: &[f32], scale: f32, out: &mut [f32]) {
            for (out, &value) in out.iter_mut().zip(values) {
                *out = value * scale;
            }
        }
        if scale == 1.0 {
            out.copy_from_slice(values);
        } else {
            scaled(values, scale, out);
        }
    }

    fn to_integers(values: &[Self], out: &mut [i64]) -> Result<(), usize> {
        /// 2^63, the first f32 above all i64.
        const END: f32 = 9_223_372_036_854_775_808.0;
        for (position, (out, &value)) in out.iter_mut().zip(values).enumerate() {
            *out = value as i64;
            if !(-END..END).contains(&value) || *out as Self != value {
                return Err(position);
            }
        }
        Ok(())
    }

    fn as_f32(values: &[Self]) -> Option<&[f32]> {
        Some(values)
    }
}

/// The largest bit pattern without sign. Patterns of magnitudes are ordered as the magnitudes are, NaN last.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn largest_magnitude(values: &[f32]) -> u32 {
    values.iter().fold(0, |largest, value| largest.max(value.to_bits() & (u32::MAX >> 1)))
}

/// A float as JVM users read it.
pub(crate) fn text<T: Display + LowerExp + Copy + Into<f64>>(number: T) -> String {
    let value = number.into();
    if value.is_infinite() {
        if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else if value != 0.0 && !(1e-4..1e16).contains(&value.abs()) && !value.is_nan() {
        format!("{number:e}")
    } else {
        number.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_value_that_is_not_finite_is_found_wherever_it_stands() {
        for length in [1, 7, 64, 100] {
            for position in 0..length {
                for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut values = vec![f32::MAX; length];
                    assert!(f32::all_finite(&values, -1.0));
                    values[position] = bad;
                    assert!(!f32::all_finite(&values, 1.0));
                    assert!(!f32::all_finite(&values, 0.0));
                }
            }
        }
    }

    #[test]
    fn a_value_that_overflows_when_scaled_is_found() {
        assert!(f32::all_finite(&[-1e38], 3.0));
        assert!(!f32::all_finite(&[1.0, -1e38], 4.0));
        assert!(i64::all_finite(&[3], 1e38));
        assert!(!i64::all_finite(&[3, 4], 1e38));
        assert!(u8::all_finite(&[255], 1.0 / 255.0));
    }

    #[test]
    fn a_fractional_or_huge_value_is_no_integer() {
        let mut out = [0; 2];
        assert_eq!(f32::to_integers(&[-0.0, 16_777_216.0], &mut out), Ok(()));
        assert_eq!(out, [0, 16_777_216]);
        assert_eq!(f32::to_integers(&[1.0, 1.5], &mut out), Err(1));
        assert_eq!(f32::to_integers(&[9.223_372e18, 0.0], &mut out), Err(0));
        assert_eq!(f32::to_integers(&[-9.223_372e18, 0.0], &mut out), Ok(()));
        assert_eq!(out[0], i64::MIN);
    }

    #[test]
    fn floats_read_as_they_do_in_the_jvm() {
        for (value, read) in
            [(0.1, "0.1"), (-7.0, "-7"), (1e38, "1e38"), (1e-30, "1e-30"), (0.0, "0")]
        {
            assert_eq!(value.shown(), read);
        }
        assert_eq!(f32::NAN.shown(), "NaN");
        assert_eq!(f32::NEG_INFINITY.shown(), "-Infinity");
    }

    proptest! {
        #[test]
        fn conversion_multiplies_each_value(values: Vec<u8>, scale in -2.0_f32..2.0) {
            let mut out = vec![0.0; values.len()];
            u8::convert(&values, scale, &mut out);
            prop_assert_eq!(out, values.iter().map(|&v| f32::from(v) * scale).collect::<Vec<_>>());
        }
    }
}
