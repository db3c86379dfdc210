//! The driver's connections to the other shards: one brings the decisions, another one reads.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use firesteel_core::spec::{ClientSpec, ServerShards, ServerSpec, ShardAddress};
use firesteel_core::{CancelFlag, Coded, ParamLayout, WorkerId};
use parking_lot::Mutex;

use crate::client::Remote;
use crate::cut::Cut;
use crate::error::PsError;
use crate::secret::Secret;
use crate::server::listener::THREAD;
use crate::store::{Feed, Store};
use crate::wire::Request;

/// How often a shard hears of its driver at the least.
const PULSE: Duration = Duration::from_millis(500);

/// How long the shards may take to hear of the end.
const DRAIN: Duration = Duration::from_secs(1);

/// All shards of a fit but the driver's.
pub(crate) struct Shards {
    shards: Vec<Shard>,
    /// No more decisions are brought.
    closing: CancelFlag,
    /// Whatever is under way is given up.
    forced: CancelFlag,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// One reads at a time: a shard keeps what the driver reads for it once.
    reading: Mutex<()>,
}

struct Shard {
    name: String,
    parameters: usize,
    feed: Arc<Feed>,
    reader: Mutex<Remote>,
    /// Until the thread that brings the decisions has it.
    feeder: Mutex<Option<Remote>>,
}

impl Shards {
    /// Connects to all shards and gives each its part of the center variable.
    pub(crate) fn connect(
        spec: &ServerSpec,
        shards: &ServerShards,
        layout: &ParamLayout,
        center: &[f32],
    ) -> Result<Self, PsError> {
        let forced = CancelFlag::new();
        let fit = Fit {
            spec,
            shards,
            count: u32::try_from(shards.servers.len() + 1).unwrap_or(u32::MAX),
            own: Secret::parse(&shards.driver_secret)?,
            layout_hash: layout.hash(),
            forced: &forced,
        };
        let mut connected = Vec::with_capacity(shards.servers.len());
        for (number, server) in (1..).zip(&shards.servers) {
            match Shard::connect(&fit, number, server, center) {
                Ok(shard) => connected.push(shard),
                Err(error) => {
                    connected.iter().for_each(Shard::end);
                    return Err(error);
                }
            }
        }
        Ok(Self {
            shards: connected,
            closing: CancelFlag::new(),
            forced,
            threads: Mutex::default(),
            reading: Mutex::default(),
        })
    }

    /// What the journal is to fill.
    pub(crate) fn feeds(&self) -> Vec<Arc<Feed>> {
        self.shards.iter().map(|shard| Arc::clone(&shard.feed)).collect()
    }

    /// Begins to bring decisions; a shard that is lost fails the fit of this store.
    pub(crate) fn start(&self, store: &Arc<Store>) -> Result<(), PsError> {
        for shard in &self.shards {
            let Some(remote) = shard.feeder.lock().take() else { continue };
            let (name, feed) = (shard.name.clone(), Arc::clone(&shard.feed));
            let (store, closing) = (Arc::clone(store), self.closing.clone());
            let thread = thread::Builder::new()
                .name(THREAD.to_owned())
                .spawn(move || {
                    if let Err(error) = bring(remote, &feed, &closing) {
                        store.fail(error.code(), &format!("{name} is lost: {error}"));
                    }
                })
                .map_err(|cause| PsError::System { action: "starting a shard's feeder", cause })?;
            self.threads.lock().push(thread);
        }
        Ok(())
    }

    /// What a decision had the shards keep for `worker`, in order: the center variable but its first part. `None` if a
    /// shard has given it before.
    pub(crate) fn fetch(&self, worker: WorkerId, ticket: u64) -> Result<Option<Vec<f32>>, PsError> {
        let _one = self.reading.lock();
        let mut rest = vec![0.0; self.shards.iter().map(|shard| shard.parameters).sum()];
        let mut left = rest.as_mut_slice();
        for shard in &self.shards {
            let (part, others) = left.split_at_mut(shard.parameters);
            left = others;
            if !shard.reader.lock().fetch(worker, ticket, part)? {
                return Ok(None);
            }
        }
        Ok(Some(rest))
    }

    /// Ends the shards, as far as they can be reached; no thread is left when it returns.
    pub(crate) fn close(&self) {
        self.closing.cancel();
        self.shards.iter().for_each(|shard| shard.feed.wake());
        let threads = std::mem::take(&mut *self.threads.lock());
        let end = Instant::now() + DRAIN;
        while Instant::now() < end && threads.iter().any(|thread| !thread.is_finished()) {
            thread::sleep(Duration::from_millis(2));
        }
        self.forced.cancel();
        for thread in threads {
            // A panic in there has ended what is to be ended.
            let _panicked = thread.join();
        }
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        self.close();
    }
}

/// What the connections to all shards are made from.
struct Fit<'a> {
    spec: &'a ServerSpec,
    shards: &'a ServerShards,
    /// All shards, the driver's included.
    count: u32,
    own: Secret,
    layout_hash: u64,
    forced: &'a CancelFlag,
}

impl Shard {
    fn connect(
        fit: &Fit<'_>,
        number: u32,
        server: &ShardAddress,
        center: &[f32],
    ) -> Result<Self, PsError> {
        let cut = Cut::new(center.len(), number, fit.count)?;
        let client = ClientSpec {
            fit: fit.spec.fit.clone(),
            host: server.host.clone(),
            port: server.port,
            secret: fit.spec.secret.clone(),
            timeout_millis: fit.shards.timeout_millis,
            tls: fit.shards.tls.clone(),
            shards: vec![],
        };
        let connect = || {
            let (own, hash) = (Some(&fit.own), fit.layout_hash);
            Remote::connect_to_shard(&client, own, number, &cut, hash, fit.forced)
        };
        let mut feeder = connect()?;
        feeder.order(&Request::Load, Some(&center[cut.range()]))?;
        let executor = server.executor.as_ref().map(|id| format!(" on executor {id}"));
        Ok(Self {
            name: format!(
                "shard {number} of {}{} at {}:{}",
                fit.count,
                executor.unwrap_or_default(),
                server.host,
                server.port
            ),
            parameters: cut.range().len(),
            feed: Arc::default(),
            reader: Mutex::new(connect()?),
            feeder: Mutex::new(Some(feeder)),
        })
    }

    /// Ends a shard of a fit that does not begin.
    fn end(&self) {
        if let Some(mut feeder) = self.feeder.lock().take() {
            // One that cannot be reached ends itself after a while of silence.
            let _unreachable = feeder.order(&Request::End, None);
        }
    }
}

/// Brings decisions to a shard until the fit ends, and then its end.
fn bring(mut remote: Remote, feed: &Feed, closing: &CancelFlag) -> Result<(), PsError> {
    while !closing.is_cancelled() {
        let (first, decisions) = feed.next(PULSE);
        let count = decisions.len();
        match remote.order(&Request::Decide { first, decisions }, None) {
            Ok(()) => feed.confirm(count),
            Err(PsError::Cancelled) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    // One that cannot be reached ends itself after a while of silence.
    let _unreachable = remote.order(&Request::End, None);
    Ok(())
}
