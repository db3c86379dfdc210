//! The wire protocol between a worker and the parameter server of its fit.
//!
//! A connection begins with four handshake messages. Until both sides have proved that they know the fit's secret, only the
//! version is interpreted. Numbers in messages 1 to 3 are little-endian:
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
//! number of `Waiting` replies. Requests and replies are frames:
//!
//! | part | bytes | content |
//! | --- | --- | --- |
//! | header | 16 | payload length u64 and fields length u32, both little-endian, zero\[3\], kind u8 |
//! | fields | fields length | the fields of the kind, in the order of the tables below |
//! | payload | payload length | parameters, floating-point buffers f32\[\], integer buffers i64\[\], all little-endian |
//!
//! Kind and fields together are an enum in the format of [postcard](https://postcard.jamesmunns.com):
//!
//! | type | bytes |
//! | --- | --- |
//! | u16, u32, u64, length | varint: 7 bits a byte, the lowest first; the highest bit is set in all bytes but the last |
//! | i64 | as the u64 `2 n` for `n >= 0` and `-2 n - 1` for `n < 0` |
//! | f32, f64 | 4 or 8, little-endian |
//! | bool | 0 or 1 |
//! | optional | 0; or 1 and the value |
//! | list, text | length; the elements, or as many bytes of UTF-8 |
//! | decision, codec | number u32; its fields |
//!
//! The requests of a worker to the driver's server:
//!
//! | kind | request | fields | payload | reply |
//! | --- | --- | --- | --- | --- |
//! | 0 | `Register` | registration | | `Registered` |
//! | 1 | `Pull` | | | `Center` |
//! | 2 | `Commit` | window | message | `Answer` |
//! | 3 | `Exchange` | window | message | `Center` |
//! | 4 | `Save` | window | replica | `Answer` |
//! | 5 | `Heartbeat` | position, rows u64, tally | | `Answer` |
//! | 6 | `Abort` | code u16, text | | `Done` |
//! | 7 | `Finish` | | | `Done` |
//! | 8 | `Contribute` | window | message | `Answer` |
//! | 9 | `CloseRound` | sequence u64 | | `Center` |
//! | 10 | `Flawed` | window, flaw | | `Failure` |
//! | 11 | `Evaluate` | | | `Frozen` or `Unassigned` |
//! | 12 | `Score` | epoch u32, sums list of f64 | | `Answer` |
//!
//! If the center variable is split over several servers, the driver's server is shard 0, replies with `Decided` in place of
//! `Center`, and sends its part only. Hash and parameters of message 3 are those of the shard. The other shards accept these
//! requests, of which `Stage` is the workers', and `Load`, `Decide` and `End` are the driver's, who authenticates by a secret of
//! its own:
//!
//! | kind | request | fields | payload | reply |
//! | --- | --- | --- | --- | --- |
//! | 0 | `Stage` | worker, attempt i64, sequence u64 | message | `Staged` |
//! | 1 | `Fetch` | worker, decision u64 | | `Slice`, to the driver `Exact`, or `Gone` |
//! | 2 | `Load` | | replica | `Done` |
//! | 3 | `Decide` | number of the first u64, list of decisions (1 MiB at most) | | `Done` |
//! | 4 | `End` | | | `Done` |
//!
//! | number | decision | fields |
//! | --- | --- | --- |
//! | 0 | apply | worker, attempt i64, sequence u64, staleness u64 |
//! | 1 | close a round | list of shares, optional learning rate f64 |
//! | 2 | read | worker, of the round bool |
//! | 3 | forget | worker, attempt i64 |
//!
//! Every request may be answered by `Failure`:
//!
//! | kind | reply | fields | payload |
//! | --- | --- | --- | --- |
//! | 0 | `Welcome` | floating-point buffers u64, integer buffers u64, codec of messages, codec of center variables | |
//! | 1 | `Registered` | position, workers u32 | |
//! | 2 | `Answer` | answer | |
//! | 3 | `Center` | answer | center |
//! | 4 | `Decided` | answer, decision u64 | center |
//! | 5 | `Done` | | |
//! | 6 | `Waiting` | | |
//! | 7 | `Failure` | code u16, text | |
//! | 8 | `Staged` | optional flaw | |
//! | 9 | `Slice` | | center |
//! | 10 | `Exact` | | replica |
//! | 11 | `Gone` | | |
//! | 12 | `Frozen` | answer, epoch u32 | replica |
//! | 13 | `Unassigned` | answer, over bool | |
//!
//! The fields of which they consist:
//!
//! | name | fields |
//! | --- | --- |
//! | worker | partition u32, index u32 |
//! | position | epoch u32, batch u32 |
//! | tally | loss f64, weight f64 |
//! | registration | worker, attempt i64, rows u64, content u64, batches u32, held-out rows u64 |
//! | window | sequence u64, position, batches u32, rows u64, tally, signal f64, error f64 |
//! | answer | version u64, staleness u64, stop bool, evaluation bool, reductions u32 |
//! | flaw | index u64, value f32: the position and the bits of a number that is NaN or infinite |
//! | share | worker, attempt i64, sequence u64, weight f64 |
//! | codec | number (0 `none`, 1 `bf16`, 2 `f16`, 3 `int8`, 4 `topk`); for `topk` the kept share f64 |
//!
//! Signal and error are the sums of squares of the values to send and of the error that compression left. A text has at most
//! 16 KiB.
//!
//! A payload has exactly the length that its name, the layout and the codecs determine. The parameters of a replica are f32\[\],
//! those of a message and of a center are encoded by their codecs; [`firesteel_core::compression`] describes the compressed
//! bytes. Payloads of shards have no buffers.
//!
//! Fields and variants are encoded in the order in which their types declare them, so that order is part of the protocol. A
//! test holds the bytes of every message.
//!
//! A frame whose lengths are not allowed by its kind and the layout is refused before memory is allocated for it. A peer that
//! receives bytes that violate these rules closes the connection, the server after a `Failure`.

mod encodings;
#[cfg(test)]
mod examples;
pub(crate) mod frame;
pub(crate) mod handshake;
mod reply;
mod request;
#[cfg(test)]
mod tests;

pub(crate) use frame::{FrameHeader, FrameLimits, HEADER_LEN, MAX_DECISION_BYTES, Message};
pub(crate) use handshake::Caller;
pub(crate) use reply::Reply;
pub(crate) use request::{Request, ShardRequest, decision_len};

/// The version of the protocol that this library implements. Both peers must have the same one.
pub(crate) const PROTOCOL_VERSION: u16 = 5;
