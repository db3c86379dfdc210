//! Jobs: their states and requests.

mod arguments;
mod invalid;
mod request;
mod state;
mod validate;

pub use invalid::Invalid;
pub use request::{DataSource, JobRequest, TrainerSpec, UploadReference, Work};
pub use state::State;
pub(crate) use validate::local_path;
pub use validate::validate;
