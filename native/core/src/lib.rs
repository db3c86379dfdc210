//! What every native crate of Firesteel agrees on: error codes, the resolved specifications that cross the boundary
//! from the JVM, the layout of the flat parameter buffer, the channel to the parameter server and the update rules.
//!
//! The crate needs neither a JVM nor libtorch, so it builds and tests in seconds.

pub mod cancel;
pub mod channel;
pub mod error;
pub mod layout;
pub mod spec;
pub mod strategy;

pub use cancel::CancelFlag;
pub use channel::{
    Answer, Buffers, ChannelError, Commit, ParamChannel, Position, Registration, Save, Span, Tally,
    WorkerId,
};
pub use error::{Coded, ErrorCode};
pub use layout::{Element, ParamLayout, TensorEntry};
pub use strategy::{Rhythm, ServerRule, Strategy, WorkerRule};
