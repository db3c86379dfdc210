//! Punchcard, the job server of Firesteel.
//!
//! A client sends a job over HTTP. The server records it in SQLite, waits for its turn, and starts `spark-submit` under
//! a supervisor process that outlives the server. All that happens to a job after its acceptance is decided by one
//! thread, the dispatcher; the rest of the server reads the store.

pub mod auth;
pub mod check;
pub mod clock;
pub mod config;
pub mod dispatcher;
pub mod files;
pub mod http;
pub mod id;
pub mod job;
pub mod json;
pub mod launch;
pub mod log;
pub mod page;
pub mod secrets;
pub mod server;
pub mod store;
pub mod supervisor;
