//! One program for the tests of a server and its peers: each program links everything once more.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may be blunt")]

mod checkpoint;
mod compression;
mod denormals;
mod evaluation;
mod exchange;
mod faults;
mod hostile;
mod judgement;
mod leases;
mod rounds;
mod shard_faults;
mod shards;
mod support;
mod tls;
