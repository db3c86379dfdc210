//! The server of one fit.

mod handler;
mod listener;
mod outbox;
mod pool;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};

use firesteel_core::spec::ServerSpec;
use firesteel_core::{Buffers, ParamLayout, WorkerId};
use parking_lot::Mutex;

use crate::error::PsError;
use crate::secret::Secret;
use crate::server::handler::Service;
use crate::server::listener::Listener;
use crate::server::pool::Pool;
use crate::store::Store;
use crate::store::status::{ServerStatus, ServerSummary};
use crate::tls::Acceptor;

/// The open servers of this process, by fit.
static OPEN: LazyLock<Mutex<HashMap<String, Weak<Inner>>>> = LazyLock::new(Mutex::default);

/// The parameter server of one fit. Dropping it closes it.
pub struct Server(Arc<Inner>);

struct Inner {
    store: Arc<Store>,
    secret: Secret,
    port: u16,
    /// None once the server is closed.
    listener: Mutex<Option<Listener>>,
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
        let secret = Secret::parse(&spec.secret)?;
        let tls = spec.tls.as_ref().map(Acceptor::new).transpose()?;
        let store = Arc::new(Store::new(spec, layout, &center, buffers)?);
        let mut open = OPEN.lock();
        if open.contains_key(&spec.fit) {
            return Err(PsError::Spec(format!(
                "fit {} has a server in this process already",
                spec.fit
            )));
        }
        let listener = listener::bind(&spec.bind_address, spec.port, spec.port_max_retries)?;
        let pool = Pool::new(store.shape());
        let service = Service { store: Arc::clone(&store), secret: secret.clone(), pool };
        let listener = Listener::start(listener, service, tls)?;
        let inner = Arc::new(Inner {
            store,
            secret,
            port: listener.port(),
            listener: Mutex::new(Some(listener)),
        });
        open.insert(spec.fit.clone(), Arc::downgrade(&inner));
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

    /// The trained center variable, its buffers and the number of updates that led to it.
    ///
    /// # Errors
    /// What a worker aborted the fit with; `Untrained` when nothing was committed or a worker has not finished; `Diverged` when
    /// a value is not finite.
    pub fn snapshot(&self) -> Result<(Vec<f32>, Buffers, u64), PsError> {
        self.0.store.trained()
    }

    /// The trained models of a strategy whose workers each train their own (`ensemble`): worker, parameters and buffers, in
    /// the order of the workers. Empty for every other strategy. [`snapshot`](Self::snapshot) gives the first of them.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot).
    pub fn members(&self) -> Result<Vec<(WorkerId, Vec<f32>, Buffers)>, PsError> {
        self.0.store.members()
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
    fn close(&self) {
        self.store.close();
        // Held until the threads are gone, so that whoever closes at the same time returns no sooner.
        let mut listener = self.listener.lock();
        if let Some(listener) = listener.take() {
            listener.close();
            OPEN.lock().remove(self.store.fit());
        }
    }
}

/// The store of a fit's server in this process, and its secret.
pub(crate) fn local(fit: &str) -> Option<(Arc<Store>, Secret)> {
    let inner = OPEN.lock().get(fit).and_then(Weak::upgrade)?;
    Some((Arc::clone(&inner.store), inner.secret.clone()))
}

/// Closes every server of this process; servers can be opened again afterwards.
pub(crate) fn close_all() {
    let open: Vec<_> = OPEN.lock().values().filter_map(Weak::upgrade).collect();
    for server in open {
        server.close();
    }
}
