//! The wire protocol between a worker and the parameter server of its fit.
//!
//! All numbers are little-endian. A connection begins with four handshake messages of fixed size. Until both sides have proved
//! that they know the fit's secret, only the version is interpreted:
//!
//! | # | from | bytes | content |
//! | --- | --- | --- | --- |
//! | 1 | client | 40 | magic `FSPS`, version u16, zero u16, client nonce\[32\] |
//! | 2 | server | 72 | magic `FSPS`, version u16, zero u16, server nonce\[32\], server proof\[32\] |
//! | 3 | client | 48 | client proof\[32\], layout hash u64, parameters u64 |
//! | 4 | server | frame | `Welcome`, or `Failure` |
//!
//! A proof is HMAC-SHA256, keyed by the secret, over role, version, fit and both nonces. If the versions differ, the server sends
//! the first 8 bytes of message 2 and closes the connection. A server without TLS answers a peer that begins with TLS in the same
//! way; with TLS, everything here goes through the TLS session.
//!
//! After the handshake the client sends requests, one at a time, and the server answers each with one reply, preceded by any
//! number of `Waiting` replies. Requests and replies are frames: a header of 12 bytes (length u64 of everything behind it, kind
//! u8, zero\[3\]), the fields of the kind, and for some kinds a payload: parameters, floating-point buffers f32\[\], integer
//! buffers i64\[\]. Parameters are f32\[\], or compressed by the codecs in `Welcome`: one for commits (message), one for the
//! center variable (center). Layout and codec determine the length of a payload.
//!
//! | kind | request | fields | payload | reply |
//! | --- | --- | --- | --- | --- |
//! | 1 | `Register` | registration | | `Registered` |
//! | 2 | `Pull` | | | `Answer` with payload |
//! | 3 | `Commit` | window | message | `Answer` |
//! | 4 | `Exchange` | window | message | `Answer` with payload |
//! | 5 | `Save` | window | replica f32\[\] | `Answer` |
//! | 6 | `Heartbeat` | epoch u32, batch u32, rows u64, loss f64, weight f64 | | `Answer` |
//! | 7 | `Abort` | code u16, text (UTF-8) | | `Done` |
//! | 8 | `Finish` | | | `Done` |
//! | 9 | `Contribute` | window | message | `Answer` |
//! | 10 | `CloseRound` | sequence u64 | | `Answer` with payload |
//! | 11 | `Flawed` | window, flaw | | `Failure` |
//! | 17 | `Evaluate` | | | `Assigned` |
//! | 18 | `Score` | epoch u32, sums f64\[\] | | `Answer` |
//!
//! If the center variable is split over several servers, the driver's server is shard 0, replies with `Decided` in place of
//! `Answer` with a payload, and sends its part only. Hash and parameters of message 3 are those of the shard. The other shards
//! accept these requests, of which `Load`, `Decide` and `End` are the driver's, who authenticates by a secret of its own:
//!
//! | kind | request | fields | payload | reply |
//! | --- | --- | --- | --- | --- |
//! | 12 | `Stage` | partition u32, index u32, attempt i64, sequence u64 | message | `Staged` |
//! | 13 | `Fetch` | partition u32, index u32, decision u64 | | `Slice`, to the driver `Exact`, or `Gone` |
//! | 14 | `Load` | | f32\[\] | `Done` |
//! | 15 | `Decide` | number of the first u64, decisions (1 MiB at most) | | `Done` |
//! | 16 | `End` | | | `Done` |
//!
//! A flaw is index u64, bits u32: the position and the bits of a number that is not finite. A decision is kind u8 and
//!
//! | kind | decision | fields |
//! | --- | --- | --- |
//! | 1 | apply | partition u32, index u32, attempt i64, sequence u64, staleness u64 |
//! | 2 | close a round | learning rate f64 (0: as before), count u32, then for each partition u32, index u32, attempt i64, sequence u64, weight f64 |
//! | 3 | read | partition u32, index u32, of the round u8 |
//! | 4 | forget | partition u32, index u32, attempt i64 |
//!
//! A registration is partition u32, index u32, attempt i64, rows u64, content u64, batches u32, held-out rows u64.
//! A window is sequence u64, epoch u32, batch u32, batches u32, rows u64, loss f64, weight f64, signal f64, error f64;
//! the last two are the sums of squares of the values to send and of the error that compression left.
//!
//! | kind | reply | fields | payload |
//! | --- | --- | --- | --- |
//! | 129 | `Welcome` | floating-point buffers u64, integer buffers u64, message codec, center codec | |
//! | 130 | `Registered` | epoch u32, batch u32, workers u32 | |
//! | 131 | `Answer` | answer, payload u8 | center, if the last field is 1 |
//! | 132 | `Done` | | |
//! | 133 | `Waiting` | | |
//! | 134 | `Failure` | code u16, text (UTF-8) | |
//! | 135 | `Decided` | answer, decision u64 | center |
//! | 136 | `Staged` | flaw, if there is one | |
//! | 137 | `Slice` | | center |
//! | 138 | `Gone` | | |
//! | 139 | `Exact` | | f32\[\] |
//! | 140 | `Assigned` | answer, assignment u8, epoch u32 | center f32\[\], if the assignment is 1 |
//!
//! An answer is version u64, staleness u64, stop u8, evaluation u8, reductions u32. An assignment is 1 to score, 2 to wait,
//! 3 if nothing is left.
//!
//! A codec is its number u8 (0 `none`, 1 `bf16`, 2 `f16`, 3 `int8`, 4 `topk`) and the kept share f64, which is 1 except for
//! `topk`; [`firesteel_core::compression`] describes the compressed bytes.
//!
//! A frame whose length is not allowed by its kind and the layout is refused before memory is allocated for it. A peer that
//! receives bytes that violate these rules closes the connection, the server after a `Failure`.

mod decision;
mod fields;
pub(crate) mod frame;
pub(crate) mod handshake;
pub(crate) mod message;
mod reply;
#[cfg(test)]
mod tests;

pub(crate) use decision::MAX_DECISION_BYTES;
pub(crate) use frame::FrameHeader;
pub(crate) use message::Request;
pub(crate) use reply::Reply;

/// The version of the protocol that this library implements. Both peers must have the same one.
pub(crate) const PROTOCOL_VERSION: u16 = 4;

const _: () = assert!(cfg!(target_endian = "little"), "payloads are moved as little-endian memory");
