//! The Arrow columns of a specification.

use arrow::datatypes::{DataType, Schema};
use firesteel_core::spec::{
    DataSpec, ElementType, InputFormat, InputSpec, LabelKind, ValidationSpec,
};

use crate::error::DataError;

/// Checks a specification, so that its sizes are valid afterwards.
pub(crate) fn check_spec(spec: &DataSpec) -> Result<(), DataError> {
    let fault =
        |column: &str, problem: String| Err(DataError::Spec { column: column.to_owned(), problem });
    for input in &spec.inputs {
        let size = input.shape.iter().try_fold(1_usize, |size, &length| size.checked_mul(length));
        if !size.is_some_and(|size| (1..=i32::MAX as usize).contains(&size)) {
            return fault(
                &input.column,
                format!("a row of shape {:?} must hold 1 to {} values", input.shape, i32::MAX),
            );
        }
        if !input.scale.is_finite() {
            return fault(
                &input.column,
                format!("the scale must be a finite number, not {}", input.scale),
            );
        }
        if input.format == InputFormat::Sparse && input.element != ElementType::F32 {
            return fault(&input.column, "a sparse input holds f32 values".to_owned());
        }
    }
    for label in &spec.labels {
        let (size, what) = match label.kind {
            LabelKind::Class { classes } => (classes, "classes"),
            LabelKind::Values { size } => (size, "values"),
        };
        if !(1..=i32::MAX as usize).contains(&size) {
            return fault(
                &label.column,
                format!("a label has 1 to {} {what}, not {size}", i32::MAX),
            );
        }
    }
    Ok(())
}

/// Checks that a schema has the columns of `spec`, which has passed [`check_spec`], by order and type.
pub(crate) fn check(schema: &Schema, spec: &DataSpec) -> Result<(), DataError> {
    let wanted = columns(spec);
    let found = schema.fields();
    if found.len() != wanted.len() {
        let names = |list: Vec<&str>| list.join(", ");
        return Err(DataError::Schema(format!(
            "{} columns ({}) where {} are expected ({})",
            found.len(),
            names(found.iter().map(|field| field.name().as_str()).collect()),
            wanted.len(),
            names(wanted.iter().map(|column| column.name).collect()),
        )));
    }
    for (index, (field, column)) in found.iter().zip(&wanted).enumerate() {
        if !column.expected.accepts(field.data_type()) {
            return Err(DataError::Schema(format!(
                "field {index} '{}' for column '{}' has type {} where {} is expected",
                field.name(),
                column.name,
                field.data_type(),
                column.expected.describe(),
            )));
        }
    }
    Ok(())
}

/// One column that a stream must have.
struct ExpectedColumn<'a> {
    name: &'a str,
    expected: ExpectedType,
}

enum ExpectedType {
    One(DataType),
    /// Boolean, or UInt8 of 0 and 1.
    Flag,
    Fixed(DataType, usize),
    List(DataType),
}

impl ExpectedType {
    /// Returns true if a type is this one; names and nullability of list elements do not matter.
    fn accepts(&self, found: &DataType) -> bool {
        match (self, found) {
            (Self::One(wanted), found) => wanted == found,
            (Self::Flag, found) => matches!(found, DataType::Boolean | DataType::UInt8),
            (Self::Fixed(element, size), DataType::FixedSizeList(field, length)) => {
                field.data_type() == element && usize::try_from(*length) == Ok(*size)
            }
            (Self::List(element), DataType::List(field)) => field.data_type() == element,
            _ => false,
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::One(one) => one.to_string(),
            Self::Flag => "Boolean or UInt8".to_owned(),
            Self::Fixed(element, size) => format!("a fixed-size list of {size} {element}"),
            Self::List(element) => format!("a list of {element}"),
        }
    }
}

/// The number of columns of an input.
pub(crate) fn columns_of(input: &InputSpec) -> usize {
    match input.format {
        InputFormat::Dense => 1,
        InputFormat::Sparse => 2,
    }
}

fn columns(spec: &DataSpec) -> Vec<ExpectedColumn<'_>> {
    let mut columns = Vec::new();
    for input in &spec.inputs {
        let name = input.column.as_str();
        match input.format {
            InputFormat::Dense => columns.push(ExpectedColumn {
                name,
                expected: ExpectedType::Fixed(element_type(input), input.size()),
            }),
            InputFormat::Sparse => {
                columns
                    .push(ExpectedColumn { name, expected: ExpectedType::List(DataType::Int32) });
                columns
                    .push(ExpectedColumn { name, expected: ExpectedType::List(DataType::Float32) });
            }
        }
    }
    for label in &spec.labels {
        let kind = match label.kind {
            LabelKind::Class { .. } | LabelKind::Values { size: 1 } => {
                ExpectedType::One(DataType::Float64)
            }
            LabelKind::Values { size } => ExpectedType::Fixed(DataType::Float64, size),
        };
        columns.push(ExpectedColumn { name: &label.column, expected: kind });
    }
    if let Some(name) = &spec.weight {
        columns.push(ExpectedColumn { name, expected: ExpectedType::One(DataType::Float32) });
    }
    if let Some(ValidationSpec::Column { column: name }) = &spec.validation {
        columns.push(ExpectedColumn { name, expected: ExpectedType::Flag });
    }
    columns
}

fn element_type(input: &InputSpec) -> DataType {
    match input.element {
        ElementType::U8 => DataType::UInt8,
        ElementType::I8 => DataType::Int8,
        ElementType::I16 => DataType::Int16,
        ElementType::I32 => DataType::Int32,
        ElementType::I64 => DataType::Int64,
        ElementType::F32 => DataType::Float32,
    }
}
