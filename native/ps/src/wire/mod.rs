//! The wire protocol between a worker and the parameter server of its fit.
//!
//! Every number is little-endian. A connection begins with four handshake messages of fixed size, of which nothing but the
//! version is looked at before both sides have proved that they know the fit's secret:
//!
//! | # | from | bytes | content |
//! | --- | --- | --- | --- |
//! | 1 | client | 40 | magic `FSPS`, version u16, zero u16, client nonce\[32\] |
//! | 2 | server | 72 | magic `FSPS`, version u16, zero u16, server nonce\[32\], server proof\[32\] |
//! | 3 | client | 48 | client proof\[32\], layout hash u64, parameters u64 |
//! | 4 | server | frame | `Welcome`, or `Failure` |
//!
//! A proof is HMAC-SHA256, keyed by the secret, over role, version, fit and both nonces. Where the versions differ, the server sends the
//! first 8 bytes of message 2 and closes. So it answers a peer that begins with TLS where it does not speak it; where it does, all of
//! this goes within TLS.
//!
//! From then on the client sends requests, one at a time, and the server answers each with one reply, which any number of
//! `Waiting` may precede. Both are frames: a header of 12 bytes (length u64 of what follows it, kind u8, zero\[3\]), the fields of the kind,
//! and for some kinds a payload, whose length the layout fixes: parameters f32\[\], floating buffers f32\[\], integer buffers i64\[\].
//!
//! | kind | request | fields | payload | reply |
//! | --- | --- | --- | --- | --- |
//! | 1 | `Register` | partition u32, index u32, attempt i64, rows u64, content u64, batches u32 | | `Registered` |
//! | 2 | `Pull` | | | `Answer` with payload |
//! | 3 | `Commit` | window | yes | `Answer` |
//! | 4 | `Exchange` | window | yes | `Answer` with payload |
//! | 5 | `Save` | window | yes | `Answer` |
//! | 6 | `Heartbeat` | epoch u32, batch u32, rows u64, loss f64, weight f64 | | `Answer` |
//! | 7 | `Abort` | code u16, text (UTF-8) | | `Done` |
//! | 8 | `Finish` | | | `Done` |
//! | 9 | `Contribute` | window | yes | `Answer` |
//! | 10 | `CloseRound` | sequence u64 | | `Answer` with payload |
//!
//! A window is sequence u64, epoch u32, batch u32, batches u32, rows u64, loss f64, weight f64.
//!
//! | kind | reply | fields | payload |
//! | --- | --- | --- | --- |
//! | 129 | `Welcome` | floating buffers u64, integer buffers u64 | |
//! | 130 | `Registered` | epoch u32, batch u32, workers u32 | |
//! | 131 | `Answer` | version u64, staleness u64, stop u8, payload u8 | if the last field is 1 |
//! | 132 | `Done` | | |
//! | 133 | `Waiting` | | |
//! | 134 | `Failure` | code u16, text (UTF-8) | |
//!
//! A frame whose length is not the one that its kind and the layout allow is refused before anything is allocated for it.
//! Whoever meets bytes that break these rules closes the connection, the server after a `Failure`.

mod fields;
pub(crate) mod frame;
pub(crate) mod handshake;
pub(crate) mod message;
#[cfg(test)]
mod tests;

pub(crate) use frame::{Header, Shape};
pub(crate) use message::{Reply, Request, Window};

/// The version of the protocol that this library speaks. Peers must agree in it.
pub(crate) const PROTOCOL_VERSION: u16 = 2;

const _: () = assert!(cfg!(target_endian = "little"), "payloads are moved as little-endian memory");
