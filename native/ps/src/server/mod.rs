//! The server of one fit.

mod handler;

use std::sync::Arc;

use firesteel_core::spec::ServerSpec;
use firesteel_core::{Buffers, ErrorCode, ParamLayout, WorkerId};
use parking_lot::Mutex;

use crate::checkpoint::Checkpoint;
use crate::client::ShardClients;
use crate::error::PsError;
use crate::model::status::{ServerStatus, ServerSummary};
use crate::net::tls::Acceptor;
use crate::net::{InboxPool, Listener, listener};
use crate::registry::{self, LocalServer};
use crate::secret::Secret;
use crate::server::handler::FitService;
use crate::store::{Store, Trained};

/// The parameter server of one fit. Dropping it closes it.
pub struct Server(Arc<Inner>);

struct Inner {
    store: Arc<Store>,
    secret: Secret,
    port: u16,
    /// None once the server is closed.
    listener: Mutex<Option<Listener<FitService>>>,
    /// The other servers, where there are any.
    shards: Option<ShardClients>,
}

impl Server {
    /// Listens on the first free port and serves a center variable that starts with these values.
    ///
    /// # Errors
    /// When the specification does not fit the layout, a value is not finite, a file of certificates or keys is no use, or no port
    /// can be bound.
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

    /// As [`open`](Self::open), but goes on where the fit of a checkpoint was: with its center variable, the server's state and
    /// the progress of every worker. No worker holds its lease, and attempts of the earlier application count as older than
    /// any. The workers' optimizers start anew, as in a retry.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`PsError::Checkpoint`] when the checkpoint is of another network, strategy, number of workers
    /// or epochs, or the specification has shards. Whether it is of the same settings and data, its fingerprint tells.
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

    /// The state of the fit; cheap enough to be asked several times a second.
    #[must_use]
    pub fn status(&self) -> ServerStatus {
        self.0.store.status(self.0.port)
    }

    /// The ledger and the staleness histogram, whose size grows with workers and epochs.
    #[must_use]
    pub fn summary(&self) -> ServerSummary {
        self.0.store.summary()
    }

    /// Ends the leases of a task attempt that Spark reported ended, so that a newer one need not wait for their expiry.
    pub fn attempt_ended(&self, partition: u32, attempt: i64) {
        self.0.store.attempt_ended(partition, attempt);
    }

    /// Tells the workers, with the next answer that each gets, that the fit is over.
    pub fn stop(&self) {
        self.0.store.stop();
    }

    /// Notes why the fit must fail, which the driver knows: one of its shards is lost.
    pub fn fail(&self, code: ErrorCode, message: &str) {
        self.0.store.fail(code, message);
    }

    /// The trained center variable, its buffers and the number of updates that led to it.
    ///
    /// # Errors
    /// What a worker aborted the fit with; `Untrained` when nothing was committed or a worker has not finished; `Diverged` when
    /// a value is not finite.
    pub fn snapshot(&self) -> Result<(Vec<f32>, Buffers, u64), PsError> {
        loop {
            let trained = self.0.store.trained()?;
            if let Some((_, center, buffers, version)) = self.0.complete(trained)? {
                return Ok((center, buffers, version));
            }
        }
    }

    /// The trained models of a strategy whose workers each train their own (`ensemble`): worker, parameters and buffers, in
    /// the order of the workers. Empty for every other strategy. [`snapshot`](Self::snapshot) gives the first of them.
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

    /// One version of all that another process needs to go on with this fit, while workers go on with it here: every commit
    /// before it is in it as a whole, and no later one. Rounds that are open are not.
    ///
    /// # Errors
    /// What a worker aborted the fit with; `Diverged` when a value is not finite; `Closed`; `Checkpoint` where there are shards,
    /// whose state is not here.
    pub fn checkpoint(&self, fingerprint: &str) -> Result<Checkpoint, PsError> {
        self.0.store.checkpoint(fingerprint)
    }

    /// Ends all connections and frees the port; no thread is left when it returns. Closing twice is the same as once.
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
    /// A trained model with what the other shards hold of it; `None` if one of them gave it to a connection that broke.
    #[expect(clippy::type_complexity, reason = "what the two callers take apart")]
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
