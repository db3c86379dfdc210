//! Specifications and record batches for tests.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, FixedSizeListArray, Float32Array, Float64Array, Int32Array, ListArray,
    PrimitiveArray, RecordBatch, RecordBatchIterator,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{ArrowPrimitiveType, Field, Schema};
use firesteel_core::CancelFlag;
use firesteel_core::spec::{DataSpec, ElementType, InputFormat, InputSpec, LabelKind, LabelSpec};

use crate::{CacheBudget, DataError, Partition};

pub(crate) fn dense(column: &str, element: ElementType, size: usize) -> InputSpec {
    input(column, InputFormat::Dense, element, size)
}

pub(crate) fn sparse(column: &str, size: usize) -> InputSpec {
    input(column, InputFormat::Sparse, ElementType::F32, size)
}

fn input(column: &str, format: InputFormat, element: ElementType, size: usize) -> InputSpec {
    let name = "x".to_owned();
    InputSpec { name, column: column.to_owned(), format, element, shape: vec![size], scale: 1.0 }
}

pub(crate) fn label(column: &str, kind: LabelKind) -> LabelSpec {
    LabelSpec { column: column.to_owned(), kind }
}

pub(crate) fn spec(
    inputs: Vec<InputSpec>,
    labels: Vec<LabelSpec>,
    weight: Option<&str>,
) -> DataSpec {
    DataSpec { inputs, labels, weight: weight.map(str::to_owned), validation: None }
}

/// Rows of `size` values.
pub(crate) fn lists<T: ArrowPrimitiveType>(size: usize, values: Vec<T::Native>) -> ArrayRef
where
    PrimitiveArray<T>: From<Vec<T::Native>>,
{
    fixed(size, Arc::new(PrimitiveArray::<T>::from(values)), None)
}

pub(crate) fn fixed(size: usize, values: ArrayRef, nulls: Option<NullBuffer>) -> ArrayRef {
    let field = Arc::new(Field::new("item", values.data_type().clone(), true));
    Arc::new(FixedSizeListArray::try_new(field, size as i32, values, nulls).unwrap())
}

/// The two columns of a sparse input.
pub(crate) fn csr(rows: &[Vec<(i32, f32)>]) -> [ArrayRef; 2] {
    let indices = rows.iter().flatten().map(|entry| entry.0).collect::<Vec<_>>();
    let values = rows.iter().flatten().map(|entry| entry.1).collect::<Vec<_>>();
    let lengths: Vec<_> = rows.iter().map(Vec::len).collect();
    [
        list(&lengths, Arc::new(Int32Array::from(indices))),
        list(&lengths, Arc::new(Float32Array::from(values))),
    ]
}

pub(crate) fn list(lengths: &[usize], values: ArrayRef) -> ArrayRef {
    let field = Arc::new(Field::new("item", values.data_type().clone(), true));
    Arc::new(ListArray::new(
        field,
        OffsetBuffer::from_lengths(lengths.iter().copied()),
        values,
        None,
    ))
}

pub(crate) fn doubles(values: Vec<f64>) -> ArrayRef {
    Arc::new(Float64Array::from(values))
}

pub(crate) fn floats(values: Vec<f32>) -> ArrayRef {
    Arc::new(Float32Array::from(values))
}

/// A record batch whose fields have names that mean nothing.
pub(crate) fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
    let fields: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| Field::new(format!("c{index}"), column.data_type().clone(), true))
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// A partition loaded from batches of one schema.
pub(crate) fn load(batches: Vec<RecordBatch>, spec: &DataSpec) -> Result<Partition, DataError> {
    load_within(batches, spec, &CacheBudget::shared(u64::MAX), &[])
}

pub(crate) fn load_within(
    batches: Vec<RecordBatch>,
    spec: &DataSpec,
    budget: &Arc<CacheBudget>,
    directories: &[PathBuf],
) -> Result<Partition, DataError> {
    let schema = batches[0].schema();
    let reader = RecordBatchIterator::new(batches.into_iter().map(Ok), schema);
    Partition::load(Box::new(reader), spec, Arc::clone(budget), directories, &CancelFlag::new())
}

/// All rows of a partition in order of arrival.
pub(crate) fn all(partition: &Partition) -> Vec<u32> {
    (0..partition.rows() as u32).collect()
}
