//! Jobs: their states and requests.

mod request;
mod state;
mod validate;

pub use request::{DataSource, JobRequest, Retained, TrainerSpec, Work};
pub use state::State;
pub use validate::{Invalid, validate};
