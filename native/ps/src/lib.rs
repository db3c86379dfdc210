//! The asynchronous parameter server of a fit: its wire protocol, its store, its server and its clients.
//!
//! A [`Server`] holds one center variable. Workers reach it through a [`ParamChannel`](firesteel_core::ParamChannel) that
//! [`connect`] gives: a socket, or memory where both share a process. Both end in the same session, so they mean the same.
//!
//! The way of a commit: `client` writes the message from the worker's own memory; `server::handler` receives it and looks for NaN
//! piece by piece; `store::control` checks lease and sequence number, raises the version and issues a turn under one short
//! lock; `store::center` applies it stripe by stripe in that turn, and the center variable that results goes out from
//! the store's own memory while later stripes are still being applied.

mod checkpoint;
mod client;
mod error;
mod metrics;
mod model;
mod net;
mod registry;
pub mod replay;
pub mod runtime;
mod secret;
mod server;
mod shard;
mod store;
mod wire;

pub use checkpoint::{Checkpoint, CheckpointStatus};
pub use client::{connect, connect_remote};
pub use error::PsError;
pub use metrics::{Metrics, metrics};
pub use model::status::{
    EpochStatus, FailureStatus, LedgerStatus, ResumedStatus, STALENESS_BINS, ServerStatus,
    ServerSummary, SpanStatus, ValidationStatus, WorkerState, WorkerStatus,
};
pub use server::Server;
pub use shard::ShardServer;
