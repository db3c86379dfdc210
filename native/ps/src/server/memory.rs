//! A server without sockets.

use std::sync::Arc;

use firesteel_core::spec::ServerSpec;
use firesteel_core::{Buffers, CancelFlag, ParamLayout, Strategy};

use crate::client::MemoryChannel;
use crate::error::PsError;
use crate::store::Store;

/// The parameter server of one fit without sockets: its workers are in the same process. It runs any strategy, also one
/// that no specification names, so tools and tests can run strategies against the real store.
pub struct MemoryServer(Arc<Store>);

impl MemoryServer {
    /// Creates a server of `strategy` with these initial values. The specification's own strategy determines only the
    /// compression.
    ///
    /// # Errors
    /// If the specification does not match the layout, or a value is not finite.
    pub fn new(
        strategy: &dyn Strategy,
        spec: &ServerSpec,
        layout: ParamLayout,
        center: &[f32],
        buffers: Buffers,
    ) -> Result<Self, PsError> {
        Ok(Self(Arc::new(Store::with(strategy, spec, layout, center, buffers)?)))
    }

    /// Returns the channel of one worker.
    ///
    /// # Errors
    /// If the compression does not fit the layout.
    pub fn connect(&self, cancel: &CancelFlag) -> Result<MemoryChannel, PsError> {
        MemoryChannel::new(Arc::clone(&self.0), cancel.clone())
    }

    /// Returns the center variable and the number of its updates.
    #[must_use]
    pub fn center(&self) -> (Vec<f32>, u64) {
        self.0.now()
    }

    /// Ends the leases of a task attempt, as [`Server::attempt_ended`](super::Server::attempt_ended) does.
    pub fn attempt_ended(&self, partition: u32, attempt: i64) {
        self.0.attempt_ended(partition, attempt);
    }
}
