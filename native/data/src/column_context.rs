//! The columns of one record batch as slices, with errors that name the location of a value.

use arrow::array::{Array, ArrowPrimitiveType, AsArray, FixedSizeListArray, PrimitiveArray};
use arrow::buffer::NullBuffer;

use crate::error::{DataError, Scope, ValueLocation};
use crate::stored_value::StoredValue;

/// The context of one user column in one record batch, for errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColumnContext<'a> {
    /// The user's column.
    pub(crate) column: &'a str,
    /// The scope of row numbers.
    pub(crate) scope: Scope,
    /// The rows of the scope before this record batch.
    pub(crate) first_row: usize,
}

impl ColumnContext<'_> {
    /// Returns the error of a value that is not allowed.
    pub(crate) fn value_error(
        &self,
        row: usize,
        position: Option<usize>,
        found: impl Into<String>,
        allowed: impl Into<String>,
    ) -> DataError {
        let location = ValueLocation {
            column: self.column.to_owned(),
            scope: self.scope,
            row: self.first_row + row,
            position,
        };
        DataError::Value { location, found: found.into(), allowed: allowed.into() }
    }

    /// Returns the error of a feature that is not finite, or not finite after scaling.
    pub(crate) fn not_finite<T: StoredValue>(
        &self,
        row: usize,
        position: usize,
        value: T,
        scale: f32,
    ) -> DataError {
        let allowed = if value.stays_finite(1.0) {
            format!("numbers that stay finite when multiplied with the scale {scale}")
        } else {
            "finite numbers".to_owned()
        };
        self.value_error(row, Some(position), value.shown(), allowed)
    }

    /// Refuses nulls among whole rows.
    pub(crate) fn no_nulls(&self, array: &dyn Array) -> Result<(), DataError> {
        match first_null(array.nulls(), 0, array.len()) {
            Some(row) => Err(self.value_error(row, None, "null", "values that are not null")),
            None => Ok(()),
        }
    }

    /// The values of a column with one value a row.
    pub(crate) fn values<'b, T: ArrowPrimitiveType>(
        &self,
        array: &'b dyn Array,
    ) -> Result<&'b [T::Native], DataError> {
        self.no_nulls(array)?;
        Ok(self.primitive::<T>(array)?.values())
    }

    /// The values of a column with `size` values a row, one row after another.
    pub(crate) fn rows<'b, T: ArrowPrimitiveType>(
        &self,
        array: &'b dyn Array,
        size: usize,
    ) -> Result<&'b [T::Native], DataError> {
        self.no_nulls(array)?;
        let list: &FixedSizeListArray =
            array.as_fixed_size_list_opt().ok_or_else(|| self.wrong_type(array))?;
        let child = self.primitive::<T>(list.values().as_ref())?;
        let (start, length) = (list.value_offset_at(0), list.len() * size);
        if let Some(index) = first_null(child.nulls(), start, length) {
            let (row, position) = (index / size, index % size);
            return Err(self.value_error(row, Some(position), "null", "values that are not null"));
        }
        let end = start.saturating_add(length);
        child
            .values()
            .get(start..end)
            .ok_or_else(|| self.malformed(format!("{} values end before {end}", child.len())))
    }

    pub(crate) fn primitive<'b, T: ArrowPrimitiveType>(
        &self,
        array: &'b dyn Array,
    ) -> Result<&'b PrimitiveArray<T>, DataError> {
        array.as_primitive_opt::<T>().ok_or_else(|| self.wrong_type(array))
    }

    /// Returns the error of an array whose type differs from the schema's.
    pub(crate) fn wrong_type(&self, array: &dyn Array) -> DataError {
        self.malformed(format!("an array of {} contradicts the schema", array.data_type()))
    }

    /// Returns the error of an array that breaks Arrow's format.
    pub(crate) fn malformed(&self, problem: String) -> DataError {
        DataError::Import(format!("column '{}': {problem}", self.column))
    }
}

/// The first null among `length` values from `start` on, counted from `start`.
pub(crate) fn first_null(nulls: Option<&NullBuffer>, start: usize, length: usize) -> Option<usize> {
    let nulls = nulls.filter(|nulls| nulls.null_count() > 0)?;
    (0..length).find(|index| start + index < nulls.len() && nulls.is_null(start + index))
}
