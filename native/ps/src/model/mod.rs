//! The types that the wire protocol, the network, the store and the checkpoints share. They depend on no other module
//! of this crate but the errors.

pub(crate) mod checkpoint;
mod codecs;
mod decision;
mod payload;
mod shard_range;
pub(crate) mod status;
mod view;
mod window;

use std::time::Duration;

use firesteel_core::WorkerId;

pub(crate) use firesteel_core::FiniteCheck;

pub(crate) use codecs::Codecs;
pub(crate) use decision::{Decision, Flaw, Share};
pub(crate) use payload::{PayloadKind, PayloadShape};
pub(crate) use shard_range::ShardRange;
pub(crate) use view::{CenterReader, CenterView, TeeReader};
pub(crate) use window::WindowReport;

const _: () = assert!(
    cfg!(target_endian = "little"),
    "payloads and checkpoints are copied to and from memory, so it must be little-endian"
);

/// Parameters of a stripe: 128 KiB, so that a stripe and its part of a message stay in a core's cache.
pub(crate) const STRIPE: usize = 32 * 1024;

/// The interval at which a thread that waits checks that the wait is still wanted.
pub(crate) const KEEP_WAITING_INTERVAL: Duration = Duration::from_millis(50);

/// The identifier under which the other shards keep a view that the driver itself reads. It belongs to no worker.
pub(crate) const DRIVER: WorkerId = WorkerId { partition: u32::MAX, index: u32::MAX };

/// The attempt number that stands for all attempts of an interrupted fit. It is lower than any of Spark's.
pub(crate) const EARLIER_ATTEMPT: i64 = -1;
