//! A server of one shard of a center variable: it holds the parameters of its range and applies what the driver's
//! server decides.
//!
//! The path of a commit through shards: the worker stages each shard's part of its message on that shard, and then
//! commits the first part to the driver's server, which decides under its control lock and appends the decision to its
//! log. The driver's own connections (`client::shards`) send the decisions to the shards, which follow them in order.
//! So if a worker dies, its window is either undecided on all shards or applied on all of them. ADR 7 discusses the
//! alternatives.

mod handler;
mod staging;
mod store;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use firesteel_core::ParamLayout;
use firesteel_core::spec::ShardSpec;
use parking_lot::Mutex;
use tracing::Span;

use self::handler::ShardService;
use self::store::ShardStore;
use crate::error::PsError;
use crate::net::tls::Acceptor;
use crate::net::{Listener, listener, thread_name};
use crate::secret::Secret;

/// A fit and the number of one of its shards.
type ShardKey = (String, u32);

/// The open shards of this process.
static OPEN: Mutex<BTreeMap<ShardKey, Arc<Inner>>> = Mutex::new(BTreeMap::new());

/// The interval at which a shard checks for a silent driver.
const WATCH_INTERVAL: Duration = Duration::from_millis(200);

/// A server of one shard. It outlives this handle: it stays open until the driver's server closes, the driver has sent
/// nothing for the specification's time, or [`close`](Self::close) is called.
pub struct ShardServer(Arc<Inner>);

struct Inner {
    store: Arc<ShardStore>,
    secret: Secret,
    driver: Secret,
    port: u16,
    /// The thread that waits for the end; `None` once it is being joined.
    watcher: Mutex<Option<JoinHandle<()>>>,
}

impl ShardServer {
    /// Listens on the first free port for the driver, which loads the shard. Returns the open shard of this fit and
    /// number if this process has one, because Spark may run a task twice.
    ///
    /// # Errors
    /// If the specification does not match the layout, a file of certificates or keys is unusable, or no port can be
    /// bound.
    pub fn open(spec: &ShardSpec, layout: &ParamLayout) -> Result<Self, PsError> {
        let secret = Secret::parse(&spec.secret)?;
        let driver = Secret::parse(&spec.driver_secret)?;
        let key = (spec.fit.clone(), spec.shard);
        let mut open = OPEN.lock();
        if let Some(known) = open.get(&key).filter(|known| !known.store.has_ended()) {
            if !(known.secret.matches(&secret) && known.driver.matches(&driver)) {
                return Err(PsError::Authentication(
                    "the process that opened the shard again".to_owned(),
                ));
            }
            return Ok(Self(Arc::clone(known)));
        }
        let tls = spec.tls.as_ref().map(Acceptor::new).transpose()?;
        let store = Arc::new(ShardStore::new(spec, layout)?);
        let socket = listener::bind(&spec.bind_address, spec.port, spec.port_max_retries)?;
        let service = ShardService {
            store: Arc::clone(&store),
            secret: secret.clone(),
            driver: driver.clone(),
        };
        let listener = Listener::start(socket, service, tls)?;
        let port = listener.port();
        let silence = Duration::from_millis(spec.silence_millis);
        let inner = Arc::new(Inner {
            store: Arc::clone(&store),
            secret,
            driver,
            port,
            watcher: Mutex::new(None),
        });
        let registered = key.clone();
        let context = Span::current();
        let watcher = thread::Builder::new()
            .name(thread_name(&spec.fit))
            .spawn(move || {
                let _context = context.enter();
                close_when_done(&store, listener, &registered, silence);
            })
            .map_err(|cause| PsError::System { action: "starting a shard's thread", cause })?;
        *inner.watcher.lock() = Some(watcher);
        open.insert(key, Arc::clone(&inner));
        Ok(Self(inner))
    }

    /// The port that the shard listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Ends all connections and frees the port; no thread is left when it returns. A second call has no effect.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Inner {
    fn close(&self) {
        self.store.end();
        // Held until the thread is gone, so that a concurrent call returns no sooner.
        let mut watcher = self.watcher.lock();
        if let Some(watcher) = watcher.take() {
            // A panic of the thread leaves nothing to close.
            let _panicked = watcher.join();
        }
    }
}

/// Waits until a shard ends or its driver is silent for too long, and closes it.
fn close_when_done(
    store: &ShardStore,
    listener: Listener<ShardService>,
    key: &ShardKey,
    silence: Duration,
) {
    let opened = Instant::now();
    while !store.has_ended() && store.driver_silence(opened) < silence {
        store.await_end(WATCH_INTERVAL);
    }
    if !store.has_ended() {
        tracing::info!("the driver is silent: the shard closes");
    }
    store.end();
    listener.close();
    let mut open = OPEN.lock();
    // The shard may have been opened again meanwhile.
    if open.get(key).is_some_and(|other| std::ptr::eq(&raw const *other.store, store)) {
        open.remove(key);
    }
}

/// Closes every shard of this process.
pub(crate) fn close_all() {
    let open: Vec<_> = OPEN.lock().values().cloned().collect();
    for shard in open {
        shard.close();
    }
}
