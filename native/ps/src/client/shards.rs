//! The driver's connections to the other shards: one for decisions and one for reads to each shard.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use firesteel_core::spec::{ClientSpec, ServerShards, ServerSpec, ShardAddress};
use firesteel_core::{CancelFlag, Coded, ParamLayout, WorkerId};
use parking_lot::Mutex;

use crate::client::remote::RemoteChannel;
use crate::error::PsError;
use crate::model::ShardRange;
use crate::net::thread_name;
use crate::secret::Secret;
use crate::store::{DecisionQueue, Store};
use crate::wire::{MAX_DECISION_BYTES, ShardRequest, decision_len};

/// The longest interval between two messages of the driver to a shard.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);

/// The time limit for telling the shards that the fit has ended.
const DRAIN: Duration = Duration::from_secs(1);

/// All shards of a fit but the driver's.
pub(crate) struct ShardClients {
    shards: Vec<ShardClient>,
    /// Set when no more decisions are to be sent.
    closing: CancelFlag,
    /// Set when running requests are to be abandoned.
    forced: CancelFlag,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held by the reader: a shard holds one view for the driver at a time.
    reading: Mutex<()>,
}

struct ShardClient {
    name: String,
    parameters: usize,
    queue: Arc<DecisionQueue>,
    reader: Mutex<RemoteChannel>,
    /// The connection for decisions, until the thread that sends them takes it.
    writer: Mutex<Option<RemoteChannel>>,
}

impl ShardClients {
    /// Connects to all shards and loads each with its part of the center variable.
    pub(crate) fn connect(
        spec: &ServerSpec,
        shards: &ServerShards,
        layout: &ParamLayout,
        center: &[f32],
    ) -> Result<Self, PsError> {
        let forced = CancelFlag::new();
        let connector = ShardConnector {
            spec,
            shards,
            count: u32::try_from(shards.servers.len() + 1).unwrap_or(u32::MAX),
            own: Secret::parse(&shards.driver_secret)?,
            layout_hash: layout.hash(),
            forced: &forced,
        };
        let mut connected = Vec::with_capacity(shards.servers.len());
        for (number, server) in (1..).zip(&shards.servers) {
            match ShardClient::connect(&connector, number, server, center) {
                Ok(shard) => connected.push(shard),
                Err(error) => {
                    connected.iter().for_each(ShardClient::end);
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

    /// The queues of the shards, for the decision log.
    pub(crate) fn queues(&self) -> Vec<Arc<DecisionQueue>> {
        self.shards.iter().map(|shard| Arc::clone(&shard.queue)).collect()
    }

    /// Starts to send decisions; a lost shard fails the fit of this store.
    pub(crate) fn start(&self, store: &Arc<Store>) -> Result<(), PsError> {
        for shard in &self.shards {
            let Some(remote) = shard.writer.lock().take() else { continue };
            let (name, queue) = (shard.name.clone(), Arc::clone(&shard.queue));
            let (store, closing) = (Arc::clone(store), self.closing.clone());
            let context = tracing::Span::current();
            let thread = thread::Builder::new()
                .name(thread_name(store.fit()))
                .spawn(move || {
                    let _context = context.enter();
                    if let Err(error) = forward_decisions(remote, &queue, &closing) {
                        tracing::warn!("{name} is lost: {error}");
                        store.fail(error.code(), &format!("{name} is lost: {error}"));
                    }
                })
                .map_err(|cause| PsError::System { action: "starting a shard's writer", cause })?;
            self.threads.lock().push(thread);
        }
        Ok(())
    }

    /// Returns the parts of the center variable that a decision holds on the shards for `worker`, in order and without
    /// the driver's part. `None` if a shard has already sent its part.
    pub(crate) fn fetch(
        &self,
        worker: WorkerId,
        decision: u64,
    ) -> Result<Option<Vec<f32>>, PsError> {
        let _one = self.reading.lock();
        let mut rest = vec![0.0; self.shards.iter().map(|shard| shard.parameters).sum()];
        let mut left = rest.as_mut_slice();
        for shard in &self.shards {
            let (part, others) = left.split_at_mut(shard.parameters);
            left = others;
            if !shard.reader.lock().fetch(worker, decision, part)? {
                return Ok(None);
            }
        }
        Ok(Some(rest))
    }

    /// Ends the shards that can be reached; no thread is left when it returns.
    pub(crate) fn close(&self) {
        self.closing.cancel();
        self.shards.iter().for_each(|shard| shard.queue.wake());
        let threads = std::mem::take(&mut *self.threads.lock());
        let end = Instant::now() + DRAIN;
        while Instant::now() < end && threads.iter().any(|thread| !thread.is_finished()) {
            thread::sleep(Duration::from_millis(2));
        }
        self.forced.cancel();
        for thread in threads {
            // A panic of the thread leaves nothing to do.
            let _panicked = thread.join();
        }
    }
}

impl Drop for ShardClients {
    fn drop(&mut self) {
        self.close();
    }
}

/// The settings of the connections to all shards.
struct ShardConnector<'a> {
    spec: &'a ServerSpec,
    shards: &'a ServerShards,
    /// The number of shards, including the driver's.
    count: u32,
    own: Secret,
    layout_hash: u64,
    forced: &'a CancelFlag,
}

impl ShardClient {
    fn connect(
        connector: &ShardConnector<'_>,
        number: u32,
        server: &ShardAddress,
        center: &[f32],
    ) -> Result<Self, PsError> {
        let shard_range = ShardRange::new(center.len(), number, connector.count)?;
        let client = ClientSpec {
            fit: connector.spec.fit.clone(),
            host: server.host.clone(),
            port: server.port,
            secret: connector.spec.secret.clone(),
            timeout_millis: connector.shards.timeout_millis,
            tls: connector.shards.tls.clone(),
            shards: vec![],
        };
        let connect = || {
            let (own, hash) = (Some(&connector.own), connector.layout_hash);
            RemoteChannel::connect_to_shard(
                &client,
                own,
                number,
                &shard_range,
                hash,
                connector.forced,
            )
        };
        let mut writer = connect()?;
        writer.command(&ShardRequest::Load, Some(&center[shard_range.range()]))?;
        let executor = server.executor.as_ref().map(|id| format!(" on executor {id}"));
        Ok(Self {
            name: format!(
                "shard {number} of {}{} at {}:{}",
                connector.count,
                executor.unwrap_or_default(),
                server.host,
                server.port
            ),
            parameters: shard_range.range().len(),
            queue: Arc::default(),
            reader: Mutex::new(connect()?),
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Ends a shard of a fit that does not start.
    fn end(&self) {
        if let Some(mut writer) = self.writer.lock().take() {
            // An unreachable shard ends itself after its timeout without messages.
            let _unreachable = writer.command(&ShardRequest::End, None);
        }
    }
}

/// Sends decisions to a shard until the fit ends, and then ends the shard.
fn forward_decisions(
    mut remote: RemoteChannel,
    queue: &DecisionQueue,
    closing: &CancelFlag,
) -> Result<(), PsError> {
    while !closing.is_cancelled() {
        let mut left = MAX_DECISION_BYTES;
        let (first, decisions) = queue.next(HEARTBEAT_INTERVAL, |decision| {
            let fits = left.checked_sub(decision_len(decision));
            left = fits.unwrap_or(0);
            fits.is_some()
        });
        let count = decisions.len();
        match remote.command(&ShardRequest::Decide { first, decisions }, None) {
            Ok(()) => queue.confirm(count),
            Err(PsError::Cancelled) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    // An unreachable shard ends itself after its timeout without messages.
    let _unreachable = remote.command(&ShardRequest::End, None);
    Ok(())
}
