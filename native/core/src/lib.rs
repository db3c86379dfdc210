//! The common ground of Firesteel's native crates: error codes, the resolved specifications that cross the boundary
//! from the JVM, the layout of the flat parameter buffer, the channel to the parameter server, the optimizers and the
//! strategies' update rules.
//!
//! The crate needs neither a JVM nor libtorch, so it builds and tests in seconds.

pub mod cancel;
pub mod channel;
pub mod clipping;
pub mod compression;
mod denormals;
pub mod epoch_monitor;
pub mod error;
mod finite;
pub mod footprint;
pub mod layout;
pub mod metrics;
pub mod optimizer;
mod options;
pub mod schedule;
pub mod spec;
pub mod state;
pub mod strategy;

pub use cancel::CancelFlag;
pub use channel::{
    Answer, Assignment, Buffers, ChannelError, Commit, Granted, ParamChannel, Position,
    Registration, Save, Span, Tally, WorkerId,
};
pub use denormals::FlushDenormals;
pub use error::{Coded, ErrorCode};
pub use finite::FiniteCheck;
pub use layout::{BufferKind, ParamLayout, TensorEntry};
pub use optimizer::Optimizer;
pub use options::OptionError;
pub use state::{State, StateError};
pub use strategy::{Protocol, ServerRule, Strategy, WorkerRule};
