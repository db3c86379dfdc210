//! Arrow structures that cross the boundary from the JVM by address. With `mapped`, the only unsafe code of the crate.
#![expect(unsafe_code, reason = "Arrow's C interfaces")]

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
pub unsafe fn import_stream(
    address: usize,
) -> Result<Box<dyn RecordBatchReader + Send>, DataError> {
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
pub unsafe fn import_batch(
    address: BatchAddress,
    spec: &DataSpec,
) -> Result<RecordBatch, DataError> {
    let array = pointer::<FFI_ArrowArray>(address.array, "ArrowArray")?;
    let schema = pointer::<FFI_ArrowSchema>(address.schema, "ArrowSchema")?;
    // SAFETY: not null and aligned; by the caller's promise initialised and in nobody else's use.
    let (array, schema) =
        unsafe { (FFI_ArrowArray::from_raw(array), FFI_ArrowSchema::from_raw(schema)) };
    if array.is_released() {
        return Err(DataError::Import("the array was already released".to_owned()));
    }
    // SAFETY: by the caller's promise the two obey the C data interface and belong together.
    let data = unsafe { from_ffi(array, &schema) }.map_err(import_error)?;
    if !matches!(data.data_type(), arrow::datatypes::DataType::Struct(_)) {
        return Err(DataError::Schema(format!(
            "a batch is a struct array, not {}",
            data.data_type()
        )));
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

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use arrow::array::RecordBatchIterator;
    use arrow::datatypes::{Float32Type, SchemaRef};
    use firesteel_core::spec::ElementType;
    use firesteel_core::{CancelFlag, Coded, ErrorCode};
    use ndarray::aview2;

    use super::*;
    use crate::testing::{batch, dense, floats, lists, spec};
    use crate::{Batch, CacheBudget, Partition};

    /// A reader of the same batches on the other side of a C stream.
    pub(crate) fn through_stream(
        schema: SchemaRef,
        batches: Vec<Result<RecordBatch, ArrowError>>,
    ) -> Box<dyn RecordBatchReader + Send> {
        let mut stream =
            FFI_ArrowArrayStream::new(Box::new(RecordBatchIterator::new(batches, schema)));
        // SAFETY: the stream is initialised and outlives the call, which leaves an empty one behind.
        unsafe { import_stream((&raw mut stream).expose_provenance()) }.unwrap()
    }

    fn rows() -> RecordBatch {
        batch(vec![lists::<Float32Type>(2, vec![1.0, 2.0, 3.0, 4.0])])
    }

    fn pairs() -> DataSpec {
        spec(vec![dense("pair", ElementType::F32, 2)], vec![], None)
    }

    #[test]
    fn the_producers_text_arrives_as_it_is() {
        let failure =
            ArrowError::ComputeError("column 'x' of part-0007.parquet is broken".to_owned());
        let reader = through_stream(rows().schema(), vec![Ok(rows()), Err(failure)]);
        let loaded = Partition::load(
            reader,
            &pairs(),
            CacheBudget::shared(1 << 20),
            &[],
            &CancelFlag::new(),
        );
        let error = loaded.unwrap_err();
        assert_eq!(error.code(), ErrorCode::Stream);
        assert_eq!(error.to_string(), "Compute error: column 'x' of part-0007.parquet is broken");
    }

    #[test]
    fn an_address_without_a_stream_is_an_error() {
        let mut released = FFI_ArrowArrayStream::empty();
        for address in [0, 1, (&raw mut released).expose_provenance()] {
            // SAFETY: 0, a misaligned address that is refused unread, and an initialised stream.
            let Err(error) = (unsafe { import_stream(address) }) else {
                panic!("nothing lies at {address}")
            };
            assert_eq!(error.code(), ErrorCode::Internal);
        }
    }

    #[test]
    fn the_producer_releases_its_stream_when_loading_ends_well_or_badly() {
        struct Counted(Arc<AtomicUsize>);
        impl Drop for Counted {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let released = Arc::new(AtomicUsize::new(0));
        for (expected, spec) in [(1, pairs()), (2, spec(vec![], vec![], None))] {
            let counted = Counted(Arc::clone(&released));
            let batches = std::iter::once(rows()).map(move |batch| {
                let _ = &counted;
                Ok(batch)
            });
            let mut stream = FFI_ArrowArrayStream::new(Box::new(RecordBatchIterator::new(
                batches,
                rows().schema(),
            )));
            // SAFETY: the stream is initialised and outlives the call.
            let reader = unsafe { import_stream((&raw mut stream).expose_provenance()) }.unwrap();
            let loaded = Partition::load(
                reader,
                &spec,
                CacheBudget::shared(1 << 20),
                &[],
                &CancelFlag::new(),
            );
            assert_eq!(loaded.is_ok(), expected == 1);
            assert_eq!(released.load(Ordering::SeqCst), expected);
        }
    }

    #[test]
    fn a_batch_is_taken_from_its_address_and_written_to_another() {
        let mut array = FFI_ArrowArray::empty();
        let mut schema = FFI_ArrowSchema::empty();
        let address = BatchAddress {
            array: (&raw mut array).expose_provenance(),
            schema: (&raw mut schema).expose_provenance(),
        };
        // SAFETY: both structs are empty, so that nothing is lost by overwriting them.
        unsafe { export_batch(rows(), address) }.unwrap();
        // SAFETY: both structs are initialised.
        let batch = unsafe { import_batch(address, &pairs()) }.unwrap();
        assert_eq!(batch, rows());
        let pairs = pairs();
        let view = Batch::new(&batch, &pairs).unwrap();
        assert_eq!(view.contiguous_f32(0, 0..2), Some(aview2(&[[1.0, 2.0], [3.0, 4.0]])));
        assert!(array.is_released());
        // SAFETY: both structs are initialised, though released.
        let error = unsafe { import_batch(address, &pairs) }.unwrap_err();
        assert_eq!(error.to_string(), "Arrow C data: the array was already released");
    }

    #[test]
    fn a_batch_with_other_columns_is_refused_and_released() {
        let mut array = FFI_ArrowArray::empty();
        let mut schema = FFI_ArrowSchema::empty();
        let address = BatchAddress {
            array: (&raw mut array).expose_provenance(),
            schema: (&raw mut schema).expose_provenance(),
        };
        // SAFETY: both structs are empty, so that nothing is lost by overwriting them.
        unsafe { export_batch(batch(vec![floats(vec![1.0])]), address) }.unwrap();
        // SAFETY: both structs are initialised.
        let error = unsafe { import_batch(address, &pairs()) }.unwrap_err();
        assert!(error.to_string().contains("column 'pair' has type Float32"), "{error}");
        assert!(array.is_released());
    }
}
