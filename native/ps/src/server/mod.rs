//! The server of one fit.

mod handler;
mod memory;

use std::sync::Arc;

use firesteel_core::spec::ServerSpec;
use firesteel_core::{Buffers, ErrorCode, ParamLayout, WorkerId};
use parking_lot::Mutex;

use crate::client::ShardClients;
use crate::error::PsError;
use crate::model::checkpoint::Checkpoint;
use crate::model::status::{ServerStatus, ServerSummary};
use crate::net::tls::Acceptor;
use crate::net::{InboxPool, Listener, listener};
use crate::registry::{self, LocalServer};
use crate::secret::Secret;
use crate::server::handler::FitService;
use crate::store::{Store, Trained};

pub use crate::server::memory::MemoryServer;

/// The parameter server of one fit. Dropping it closes it.
pub struct Server(Arc<Inner>);

struct Inner {
    store: Arc<Store>,
    secret: Secret,
    port: u16,
    /// `None` once the server is closed.
    listener: Mutex<Option<Listener<FitService>>>,
    /// The connections to the other shards, if there are any.
    shards: Option<ShardClients>,
}

impl Server {
    /// Listens on the first free port and serves a center variable with these initial values.
    ///
    /// # Errors
    /// If the specification does not match the layout, a value is not finite, a file of certificates or keys is
    /// unusable, or no port can be bound.
    pub fn open(
        spec: &ServerSpec,
        layout: ParamLayout,
        center: Vec<f32>,
        buffers: Buffers,
    ) -> Result<Self, PsError> {
        Self::serve(spec, || {
            let store = Arc::new(Store::new(spec, layout.clone(), &center, buffers)?);
            let shards = match &spec.shards {
                Some(shards) if store.is_sharded() => {
                    Some(ShardClients::connect(spec, shards, &layout, &center)?)
                }
                _ => None,
            };
            if let Some(shards) = &shards {
                store.log_decisions(shards.queues());
                shards.start(&store)?;
            }
            Ok((store, shards))
        })
    }

    /// Opens a server as [`open`](Self::open) does, but resumes the fit of a checkpoint: its center variable, the
    /// server's state and the progress of every worker. No worker holds its lease, and attempts of the earlier
    /// application count as older than any other. The workers' optimizers start anew, as in a retry.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`PsError::Checkpoint`] if the checkpoint belongs to another network, strategy, number
    /// of workers or number of epochs, or if the specification has shards. The fingerprint tells the caller if settings
    /// and data are the same.
    pub fn resume(
        spec: &ServerSpec,
        layout: ParamLayout,
        checkpoint: &Checkpoint,
    ) -> Result<Self, PsError> {
        Self::serve(spec, || Ok((Arc::new(Store::resume(spec, layout, checkpoint)?), None)))
    }

    fn serve(
        spec: &ServerSpec,
        store: impl FnOnce() -> Result<(Arc<Store>, Option<ShardClients>), PsError>,
    ) -> Result<Self, PsError> {
        let secret = Secret::parse(&spec.secret)?;
        let tls = spec.tls.as_ref().map(Acceptor::new).transpose()?;
        let (store, shards) = store()?;
        let inner = registry::register(&spec.fit, || {
            let listener = listener::bind(&spec.bind_address, spec.port, spec.port_max_retries)?;
            let pool = InboxPool::new(store.shape());
            let service = FitService { store: Arc::clone(&store), secret: secret.clone(), pool };
            let listener = Listener::start(listener, service, tls)?;
            Ok(Arc::new(Inner {
                store,
                secret,
                port: listener.port(),
                listener: Mutex::new(Some(listener)),
                shards,
            }))
        })?;
        Ok(Self(inner))
    }

    /// The port that the server listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Returns the state of the fit; cheap enough to be called several times a second.
    #[must_use]
    pub fn status(&self) -> ServerStatus {
        self.0.store.status(self.0.port)
    }

    /// Returns the ledger and the staleness histogram, whose size grows with workers and epochs.
    #[must_use]
    pub fn summary(&self) -> ServerSummary {
        self.0.store.summary()
    }

    /// Ends the leases of a task attempt that Spark reported ended, so that a newer one need not wait for their expiry.
    pub fn attempt_ended(&self, partition: u32, attempt: i64) {
        self.0.store.attempt_ended(partition, attempt);
    }

    /// Tells the workers, with the next answer that each receives, that the fit is over.
    pub fn stop(&self) {
        self.0.store.stop();
    }

    /// Fails the fit for a reason that the driver knows, such as the loss of a shard.
    pub fn fail(&self, code: ErrorCode, message: &str) {
        self.0.store.fail(code, message);
    }

    /// Returns the trained center variable, its buffers and the number of updates that led to it.
    ///
    /// # Errors
    /// The error with which a worker aborted the fit; `Untrained` if nothing was committed or a worker has not
    /// finished; `Diverged` if a value is not finite.
    pub fn snapshot(&self) -> Result<(Vec<f32>, Buffers, u64), PsError> {
        loop {
            let trained = self.0.store.trained()?;
            if let Some((_, center, buffers, version)) = self.0.complete(trained)? {
                return Ok((center, buffers, version));
            }
        }
    }

    /// Returns the trained models of a strategy whose workers each train their own (`ensemble`): worker, parameters and
    /// buffers, in the order of the workers. Empty for every other strategy. [`snapshot`](Self::snapshot) returns the
    /// first of them.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot).
    pub fn members(&self) -> Result<Vec<(WorkerId, Vec<f32>, Buffers)>, PsError> {
        loop {
            let members = self.0.store.members()?;
            let members = members.into_iter().map(|member| self.0.complete(member));
            if let Some(members) = members.collect::<Result<Option<Vec<_>>, _>>()? {
                let member = |(id, center, buffers, _)| (id, center, buffers);
                return Ok(members.into_iter().map(member).collect());
            }
        }
    }

    /// Returns one version of the state that another process needs to resume this fit, while workers continue here. The
    /// checkpoint contains every earlier commit completely and no later one. It does not contain open rounds.
    ///
    /// # Errors
    /// The error with which a worker aborted the fit; `Diverged` if a value is not finite; `Closed`; `Checkpoint` with
    /// shards, whose state is on other servers.
    pub fn checkpoint(&self, fingerprint: &str) -> Result<Checkpoint, PsError> {
        self.0.store.checkpoint(fingerprint)
    }

    /// Ends all connections and frees the port; no thread is left when it returns. A second call has no effect.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
    }
}

impl Inner {
    /// Returns a trained model including the parts of the other shards; `None` if one of them sent its part over a
    /// connection that broke.
    #[expect(clippy::type_complexity, reason = "the two callers take it apart")]
    fn complete(
        &self,
        trained: Trained,
    ) -> Result<Option<(WorkerId, Vec<f32>, Buffers, u64)>, PsError> {
        let Trained { worker, decision, mut center, buffers, version } = trained;
        if let Some(shards) = &self.shards {
            let Some(rest) = shards.fetch(worker, decision)? else { return Ok(None) };
            center.extend_from_slice(&rest);
            self.store.check_finite(&center, version)?;
        }
        Ok(Some((worker, center, buffers, version)))
    }
}

impl LocalServer for Inner {
    fn store(&self) -> &Arc<Store> {
        &self.store
    }

    fn secret(&self) -> &Secret {
        &self.secret
    }

    fn close(&self) {
        self.store.close();
        // Held until the threads are gone, so that a concurrent call returns no sooner.
        let mut listener = self.listener.lock();
        if let Some(listener) = listener.take() {
            listener.close();
            self.shards.iter().for_each(ShardClients::close);
            registry::remove(self.store.fit());
        }
    }
}
