//! Arrow structures that cross the boundary from the JVM by address. With `mapped`, the only unsafe code of the crate.
#![allow(unsafe_code)]

use arrow::array::{Array, RecordBatch, RecordBatchReader, StructArray};
use arrow::error::ArrowError;
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi, to_ffi};
use arrow::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use firesteel_core::spec::DataSpec;

use crate::error::DataError;
use crate::schema;

/// The addresses of a pair of C structs, as Java hands them over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchAddress {
    /// The address of an `ArrowArray`.
    pub array: usize,
    /// The address of an `ArrowSchema`.
    pub schema: usize,
}

/// Takes the Arrow C stream at `address` by ownership: the struct there is left released, and the producer's release
/// callback runs when the reader is dropped.
///
/// # Errors
/// [`DataError::Stream`] with the producer's text if it cannot give its schema; [`DataError::Import`] if there is no live
/// stream at the address.
///
/// # Safety
/// `address` is 0 or that of an initialised `ArrowArrayStream` that obeys the Arrow C stream interface and that nobody else
/// uses during the call.
pub unsafe fn import_stream(address: usize) -> Result<Box<dyn RecordBatchReader + Send>, DataError> {
    let pointer = pointer::<FFI_ArrowArrayStream>(address, "ArrowArrayStream")?;
    // SAFETY: not null and aligned; by the caller's promise it is an initialised stream in nobody else's use.
    let stream = unsafe { FFI_ArrowArrayStream::from_raw(pointer) };
    if stream.release().is_none() {
        return Err(DataError::Import("the stream was already released".to_owned()));
    }
    Ok(Box::new(RecordBatchStreamReader::try_new(stream).map_err(stream_error)?))
}

/// Takes the struct array at `address` by ownership, with its schema, as a batch of the columns of `spec`. The values are
/// not yet looked at: [`crate::Batch`] does.
///
/// # Errors
/// [`DataError::Import`] if there is no live array at the address, [`DataError::Schema`] if its columns are not those of
/// `spec`.
///
/// # Safety
/// Both addresses are 0 or those of initialised structs that obey the Arrow C data interface and that nobody else uses
/// during the call.
pub unsafe fn import_batch(address: BatchAddress, spec: &DataSpec) -> Result<RecordBatch, DataError> {
    let array = pointer::<FFI_ArrowArray>(address.array, "ArrowArray")?;
    let schema = pointer::<FFI_ArrowSchema>(address.schema, "ArrowSchema")?;
    // SAFETY: not null and aligned; by the caller's promise initialised and in nobody else's use.
    let (array, schema) = unsafe { (FFI_ArrowArray::from_raw(array), FFI_ArrowSchema::from_raw(schema)) };
    if array.is_released() {
        return Err(DataError::Import("the array was already released".to_owned()));
    }
    // SAFETY: by the caller's promise the two obey the C data interface and belong together.
    let data = unsafe { from_ffi(array, &schema) }.map_err(import_error)?;
    if !matches!(data.data_type(), arrow::datatypes::DataType::Struct(_)) {
        return Err(DataError::Schema(format!("a batch is a struct array, not {}", data.data_type())));
    }
    if data.null_count() > 0 {
        return Err(DataError::Import("a row of a batch is null as a whole".to_owned()));
    }
    let batch = RecordBatch::from(StructArray::from(data));
    schema::check(&batch.schema(), spec)?;
    Ok(batch)
}

/// Writes a batch as a struct array with its schema into the C structs at `address`, whose owner must release them.
///
/// # Errors
/// [`DataError::Import`] if an address is not usable or a type has no C form.
///
/// # Safety
/// Both addresses are 0 or those of writable memory for an `ArrowArray` and an `ArrowSchema` that hold nothing to release.
pub unsafe fn export_batch(batch: RecordBatch, address: BatchAddress) -> Result<(), DataError> {
    let array = pointer::<FFI_ArrowArray>(address.array, "ArrowArray")?;
    let schema = pointer::<FFI_ArrowSchema>(address.schema, "ArrowSchema")?;
    let (data, fields) = to_ffi(&StructArray::from(batch).to_data()).map_err(import_error)?;
    // SAFETY: not null and aligned; by the caller's promise writable and without anything to drop.
    unsafe {
        array.write(data);
        schema.write(fields);
    }
    Ok(())
}

fn pointer<T>(address: usize, name: &str) -> Result<*mut T, DataError> {
    let pointer = std::ptr::with_exposed_provenance_mut::<T>(address);
    if pointer.is_null() || !pointer.is_aligned() {
        return Err(DataError::Import(format!("no {name} lies at address {address:#x}")));
    }
    Ok(pointer)
}

fn import_error(error: ArrowError) -> DataError {
    DataError::Import(error.to_string())
}

/// The producer's own text, without the wrapping of the library that carried it.
pub(crate) fn stream_error(error: ArrowError) -> DataError {
    let text = match error {
        ArrowError::CDataInterface(text) => text,
        other => other.to_string(),
    };
    let producer = text.split_once("Producer error: ").map(|(_, text)| text.to_owned());
    DataError::Stream(producer.unwrap_or(text))
}
