//! The worker's side of the exchange: one [`ParamChannel`] over sockets, one over memory.

mod connection;
mod memory;
mod outgoing;
mod remote;
mod shard_connection;
mod sharded;
mod shards;

use std::time::{Duration, Instant};

use firesteel_core::spec::ClientSpec;
use firesteel_core::{Answer, CancelFlag, ParamChannel};

use crate::client::remote::RemoteChannel;
use crate::client::sharded::ShardedChannel;
use crate::error::PsError;
use crate::registry;
use crate::secret::Secret;

pub use crate::client::memory::MemoryChannel;
pub(crate) use crate::client::shards::ShardClients;

/// Connects to the server of a fit: through memory if it is open in this process, over a socket otherwise. With shards,
/// over a socket to each of them.
///
/// # Errors
/// `ServerUnreachable` after the specification's timeout; `Authentication` if the secrets differ or a certificate is
/// not accepted; `Protocol` if the layouts differ or only one side uses TLS; `Io` and `InvalidSpec` for a file that is
/// missing or unusable; `Cancelled`.
pub fn connect(
    spec: &ClientSpec,
    layout_hash: u64,
    parameters: usize,
    cancel: &CancelFlag,
) -> Result<Box<dyn ParamChannel>, PsError> {
    let local = registry::find(&spec.fit)?.filter(|_| spec.shards.is_empty());
    let Some((store, secret)) = local else {
        return connect_remote(spec, layout_hash, parameters, cancel);
    };
    if !Secret::parse(&spec.secret)?.matches(&secret) {
        return Err(PsError::Authentication("the worker".to_owned()));
    }
    store.check_layout(layout_hash, parameters as u64)?;
    Ok(Box::new(MemoryChannel::new(store, cancel.clone())?))
}

/// Connects over a socket, even if the server is in this process.
///
/// # Errors
/// As [`connect`].
pub fn connect_remote(
    spec: &ClientSpec,
    layout_hash: u64,
    parameters: usize,
    cancel: &CancelFlag,
) -> Result<Box<dyn ParamChannel>, PsError> {
    if spec.shards.is_empty() {
        return Ok(Box::new(RemoteChannel::connect(spec, layout_hash, parameters, cancel)?));
    }
    Ok(Box::new(ShardedChannel::connect(spec, layout_hash, parameters, cancel)?))
}

/// The interval at which a blocked or pausing worker checks for cancellation.
const CANCEL_INTERVAL: Duration = Duration::from_millis(50);

/// The minimum interval between two heartbeats that are sent; workers call `heartbeat` at every step.
const HEARTBEAT: Duration = Duration::from_millis(250);

/// The time of the last answer of the server, and the answer.
#[derive(Debug)]
struct HeartbeatTimer {
    heard: Instant,
    last: Answer,
}

impl HeartbeatTimer {
    fn new() -> Self {
        Self { heard: Instant::now(), last: Answer::default() }
    }

    /// Records an answer.
    fn note(&mut self, answer: Answer) -> Answer {
        *self = Self { heard: Instant::now(), last: answer };
        answer
    }

    /// Returns the answer to a heartbeat that need not be sent yet.
    fn recent(&self) -> Option<Answer> {
        (self.heard.elapsed() < HEARTBEAT).then_some(Answer { staleness: 0, ..self.last })
    }
}

/// Fails if a length differs from the server's.
fn check_len(what: &str, given: usize, expected: usize) -> Result<(), PsError> {
    if given == expected {
        Ok(())
    } else {
        Err(PsError::Protocol(format!("{given} {what}, but the server's layout has {expected}")))
    }
}
