//! The training data of a task: an Arrow C stream is pulled once, validated and copied into compact blocks that serve all
//! epochs, within a memory limit that the tasks of an executor share; past it blocks live in mapped temporary files.
//!
//! The order of rows is a function of their contents, never of their arrival, so that the same data is trained in the same
//! order after a shuffle or a retry. The crate needs neither a JVM nor libtorch.

mod batch;
mod blocks;
mod budget;
mod column_context;
mod dense;
mod digest;
mod error;
mod hash;
mod import;
mod input;
mod label;
mod mapped;
mod order;
mod partition;
mod rows;
mod schema;
mod sparse;
mod sparse_rows;
mod stored_value;
mod table;
#[cfg(test)]
mod testing;
mod validation;

pub use batch::Batch;
pub use budget::CacheBudget;
pub use digest::Digest;
pub use error::{DataError, Scope, ValueLocation};
pub use import::{BatchAddress, export_batch, import_batch, import_stream};
pub use order::WorkerRows;
pub use partition::Partition;
pub use sparse_rows::SparseRows;
