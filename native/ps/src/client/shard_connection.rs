//! A connection to one shard.

use firesteel_core::compression::Distortion;
use firesteel_core::spec::ClientSpec;
use firesteel_core::{Buffers, CancelFlag, Commit, WorkerId};

use crate::client::connection::{Parameters, Payload, Target};
use crate::client::outgoing::Outgoing;
use crate::client::remote::RemoteChannel;
use crate::error::PsError;
use crate::model::{Flaw, ShardRange};
use crate::secret::Secret;
use crate::wire::{Reply, ShardRequest};

impl RemoteChannel {
    /// Connects to shard `number`, whose host and port are in `spec`. `own` is the driver's secret, if the driver
    /// connects.
    pub(crate) fn connect_to_shard(
        spec: &ClientSpec,
        own: Option<&Secret>,
        number: u32,
        shard_range: &ShardRange,
        layout_hash: u64,
        cancel: &CancelFlag,
    ) -> Result<Self, PsError> {
        let name = format!("{}:{} (shard {number})", spec.host, spec.port);
        Self::connect_as(
            spec,
            own,
            name,
            shard_range.hash(layout_hash),
            shard_range.range().len(),
            cancel,
        )
    }

    /// Sends a request to a shard, over a new connection when one breaks.
    pub(super) fn call(
        &mut self,
        request: &ShardRequest,
        payload: Option<Parameters<'_>>,
        mut target: Option<&mut [f32]>,
    ) -> Result<Reply, PsError> {
        let (none, mut nothing) = (Buffers::default(), Buffers::default());
        self.retry(|connection| {
            let payload = payload.map(|parameters| Payload { parameters, buffers: &none });
            let target = target.as_mut().map(|center| Target { center, buffers: &mut nothing });
            connection.call(request, payload, target)
        })
    }

    /// Sends a request of the driver to a shard, whose reply is `Done`. The payload is not compressed.
    pub(crate) fn command(
        &mut self,
        request: &ShardRequest,
        payload: Option<&[f32]>,
    ) -> Result<(), PsError> {
        match self.call(request, payload.map(Parameters::Plain), None)? {
            Reply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Stages a part of a message on the shard, compressed if the fit compresses. Returns the compression error, and
    /// the first number of the part that is not finite, if any.
    pub(super) fn stage(
        &mut self,
        worker: WorkerId,
        attempt: i64,
        part: &Commit<'_>,
    ) -> Result<(Distortion, Option<Flaw>), PsError> {
        let mut outgoing: Outgoing = std::mem::take(&mut self.outgoing);
        let staged = outgoing.window(part).and_then(|(window, code)| {
            let parameters = code.map_or(Parameters::Plain(part.message), Parameters::Coded);
            let request = ShardRequest::Stage { worker, attempt, sequence: window.sequence };
            Ok((window.distortion, self.call(&request, Some(parameters), None)?))
        });
        self.outgoing = outgoing;
        match staged? {
            (distortion, Reply::Staged { flaw }) => Ok((distortion, flaw)),
            (_, other) => Err(unexpected(&other)),
        }
    }

    /// Fetches the part of the center variable that a decision holds on the shard for a worker; false if the shard no
    /// longer holds it.
    pub(crate) fn fetch(
        &mut self,
        worker: WorkerId,
        decision: u64,
        part: &mut [f32],
    ) -> Result<bool, PsError> {
        match self.call(&ShardRequest::Fetch { worker, decision }, None, Some(part))? {
            Reply::Slice | Reply::Exact => Ok(true),
            Reply::Gone => Ok(false),
            other => Err(unexpected(&other)),
        }
    }
}

fn unexpected(reply: &Reply) -> PsError {
    PsError::Protocol(format!("a shard answered {reply:?}"))
}
