//! The parameter server of a fit: its wire protocol, its store, its server and its clients.
//!
//! A [`Server`] holds one center variable. Workers reach it through a [`ParamChannel`](firesteel_core::ParamChannel)
//! that [`connect`] returns: over a socket, or over memory if both are in one process. Both kinds end in the same
//! session and behave alike.
//!
//! The path of a commit: `client` sends the message from the worker's own memory; `server::handler` receives it and
//! checks each piece for NaN; `store::control` checks lease and sequence number, raises the version and issues a ticket
//! under one short lock; `store::center` applies the message stripe by stripe in the order of the tickets, and the
//! resulting center variable is sent from the store's own memory while later stripes are still being applied.
//!
//! Modules depend on each other in one direction: `model` is below all others; `wire` encodes its messages, `net` sends
//! them, and `checkpoint` encodes the state of a fit; `store`, which knows nothing of sockets, is below `server`,
//! `shard` and `client`.

mod checkpoint;
mod client;
mod error;
mod metrics;
mod model;
mod net;
mod registry;
pub mod runtime;
mod secret;
mod server;
mod shard;
mod store;
mod wire;

pub use checkpoint::CheckpointStatus;
pub use client::{MemoryChannel, connect, connect_remote};
pub use error::PsError;
pub use metrics::{Metrics, metrics};
pub use model::checkpoint::Checkpoint;
pub use model::status::{
    EpochStatus, FailureStatus, LedgerStatus, ResumedStatus, STALENESS_BINS, ServerStatus,
    ServerSummary, SpanStatus, ValidationStatus, WorkerState, WorkerStatus,
};
pub use server::{MemoryServer, Server};
pub use shard::ShardServer;
