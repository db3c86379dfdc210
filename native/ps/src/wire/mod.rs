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
//! A proof is HMAC-SHA256, keyed by the secret, over role, version, fit and both nonces. Where the versions differ, the
//! server sends the first 8 bytes of message 2 and closes. So it answers a peer that begins with TLS where it does not
//! speak it; where it does, all of this goes within TLS.
//!
//! From then on the client sends requests, one at a time, and the server answers each with one reply, which any number
//! of `Waiting` may precede. Both are frames: a header of 12 bytes (length u64 of what follows it, kind u8,
//! zero\[3\]), the fields of the kind, and for some kinds a payload: parameters, floating buffers f32\[\], integer
//! buffers i64\[\]. Parameters are f32\[\], or in the code that `Welcome` names: one for what workers commit
//! (message), one for the center variable. Layout and code fix a payload's length.
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
//! Where the center variable is spread over several servers, shard 0 is the driver's and answers with `Decided` where
//! it would answer with a payload; the payload is its part. Hash and length of message 3 are those of the part that the
//! peer means. The other shards understand these requests, of which `Load`, `Decide` and `End` are the driver's, whose
//! proof is made with a secret of its own:
//!
//! | kind | request | fields | payload | reply |
//! | --- | --- | --- | --- | --- |
//! | 12 | `Stage` | partition u32, index u32, attempt i64, sequence u64 | message | `Staged` |
//! | 13 | `Fetch` | partition u32, index u32, decision u64 | | `Slice`, to the driver `Exact`, or `Gone` |
//! | 14 | `Load` | | f32\[\] | `Done` |
//! | 15 | `Decide` | number of the first u64, decisions (1 MiB at most) | | `Done` |
//! | 16 | `End` | | | `Done` |
//!
//! A flaw is index u64, bits u32: a number of the message that is not finite, and where it is. A decision is kind u8 and
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
//! the last two are the squares of what was to be sent and of what compression kept back.
//!
//! | kind | reply | fields | payload |
//! | --- | --- | --- | --- |
//! | 129 | `Welcome` | floating buffers u64, integer buffers u64, message's code, center's code | |
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
//! A code is its number u8 (0 `none`, 1 `bf16`, 2 `f16`, 3 `int8`, 4 `topk`) and the share that is kept f64, 1 but for
//! `topk`; its bytes are described in [`firesteel_core::compression`].
//!
//! A frame whose length is not the one that its kind and the layout allow is refused before anything is allocated for it.
//! Whoever meets bytes that break these rules closes the connection, the server after a `Failure`.

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
