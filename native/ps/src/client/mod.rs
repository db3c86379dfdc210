//! The worker's side: one [`ParamChannel`] over a socket, one over memory.

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

use crate::client::memory::Memory;
use crate::client::remote::Remote;
use crate::client::sharded::Sharded;
use crate::error::PsError;
use crate::registry;
use crate::secret::Secret;

pub(crate) use crate::client::shards::ShardClients;

/// Connects to the server of a fit: through memory if it is open in this process, over a socket otherwise. Where there are
/// shards, over a socket to each of them.
///
/// # Errors
/// `ServerUnreachable` after the specification's timeout, `Authentication` when the secrets differ or a certificate is not accepted,
/// `Protocol` when the layouts differ or only one side speaks TLS, `Io` and `InvalidSpec` for a file that is missing or no use,
/// `Cancelled`.
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
    Ok(Box::new(Memory::new(store, cancel.clone())?))
}

/// Connects over a socket wherever the server is.
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
        return Ok(Box::new(Remote::connect(spec, layout_hash, parameters, cancel)?));
    }
    Ok(Box::new(Sharded::connect(spec, layout_hash, parameters, cancel)?))
}

/// How long the server may hear nothing of a worker that calls `heartbeat` at every step.
const HEARTBEAT: Duration = Duration::from_millis(250);

/// When the server last heard of a worker, and what it said.
#[derive(Debug)]
struct HeartbeatTimer {
    heard: Instant,
    last: Answer,
}

impl HeartbeatTimer {
    fn new() -> Self {
        Self { heard: Instant::now(), last: Answer::default() }
    }

    /// Notes an answer.
    fn note(&mut self, answer: Answer) -> Answer {
        *self = Self { heard: Instant::now(), last: answer };
        answer
    }

    /// What to answer a heartbeat without sending it, as long as none is due.
    fn recent(&self) -> Option<Answer> {
        (self.heard.elapsed() < HEARTBEAT).then_some(Answer { staleness: 0, ..self.last })
    }
}

/// Fails unless lengths are the server's.
fn check_len(what: &str, given: usize, expected: usize) -> Result<(), PsError> {
    if given == expected {
        Ok(())
    } else {
        Err(PsError::Protocol(format!("{given} {what}, but the server's layout has {expected}")))
    }
}
