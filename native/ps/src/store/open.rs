//! The creation of a store.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use firesteel_core::spec::ServerSpec;
use firesteel_core::{BufferKind, Buffers, ParamLayout, Protocol, Strategy, strategy};
use parking_lot::{Condvar, Mutex};

use super::center::Center;
use super::control::{Control, Evaluations};
use super::permits::ApplyPermits;
use super::replicas::SavedReplicas;
use super::{RECONNECT_GRACE, Store};
use crate::error::PsError;
use crate::model::{Codecs, DRIVER, PayloadShape, ShardRange};
use crate::store::terms::{LeaseTerms, Schedule, Terms};

impl Store {
    /// Creates a store with this initial center variable.
    pub(crate) fn new(
        spec: &ServerSpec,
        layout: ParamLayout,
        center: &[f32],
        buffers: Buffers,
    ) -> Result<Self, PsError> {
        let strategy = strategy::resolve(&spec.strategy, spec.optimizer.as_ref())?;
        if let Some(limit) = strategy.protocol().max_workers().filter(|&limit| spec.workers > limit)
        {
            return Err(PsError::Spec(format!(
                "strategy '{}' takes at most {limit} workers, not {}",
                strategy.name(),
                spec.workers
            )));
        }
        Self::with(&*strategy, spec, layout, center, buffers)
    }

    /// Creates a store with a given strategy instead of the one that the specification names.
    pub(crate) fn with(
        strategy: &dyn Strategy,
        spec: &ServerSpec,
        layout: ParamLayout,
        center: &[f32],
        buffers: Buffers,
    ) -> Result<Self, PsError> {
        let protocol = strategy.protocol();
        let whole = PayloadShape::plain(
            layout.parameters(),
            layout.len_of(BufferKind::FloatBuffer),
            layout.len_of(BufferKind::IntegerBuffer),
        );
        let given = PayloadShape::plain(center.len(), buffers.floats.len(), buffers.integers.len());
        if given != whole {
            return Err(PsError::Spec(format!(
                "the initial weights ({given:?}) do not match the network's layout ({whole:?})"
            )));
        }
        spec.controls.check(&spec.data, spec.network.outputs())?;
        if spec.workers == 0 || spec.lease_millis == 0 {
            return Err(PsError::Spec("workers and leaseMillis must be at least 1".to_owned()));
        }
        let shards = spec.shards.as_ref().map_or(0, |shards| shards.servers.len());
        let shards = u32::try_from(shards).unwrap_or(u32::MAX).saturating_add(1);
        let shard_range = ShardRange::new(whole.parameters.max(1), 0, shards)?;
        if shard_range.is_part() {
            check_apart(spec, protocol)?;
        }
        let (all, center) = (center, &center[..shard_range.range().end.min(center.len())]);
        let shape = PayloadShape::plain(center.len(), whole.floats, whole.integers);
        let codecs = Codecs::new(strategy::coding(&spec.strategy)?, shape.parameters)?;
        let on_server = spec.strategy.server_optimizer().filter(|_| protocol.steps_on_server());
        let optimizer = on_server.or(spec.optimizer);
        let silence = Duration::from_millis(spec.lease_millis);
        let evaluations = Evaluations::new(spec)?;
        let sums = evaluations.as_ref().map_or(0, Evaluations::numbers);
        let center = Center::new(center, buffers, strategy, spec.workers);
        let mut store = Self {
            terms: Terms {
                fit: spec.fit.clone(),
                workers: spec.workers,
                epochs: spec.epochs,
                protocol,
                opened: Instant::now(),
                start_timeout: Duration::from_millis(spec.start_timeout_millis),
                strategy: strategy.name(),
                schedule: Schedule {
                    base: optimizer.map(|optimizer| optimizer.learning_rate()),
                    schedule: spec.controls.schedule.clone(),
                    warmup: spec.controls.warmup,
                },
                clipping: spec.controls.clipping,
                max_duration: spec.controls.stopping.max_seconds.map(seconds),
                lease: LeaseTerms { silence, grace: RECONNECT_GRACE.min(silence) },
                ticket_steps: center.ticket_steps(),
                compression_ratio: codecs.ratio(),
            },
            layout,
            shape: PayloadShape { sums, ..shape.coded(&codecs) },
            codecs,
            shard_range,
            permits: ApplyPermits::new(center.ticket_steps()),
            center,
            control: Mutex::new(Control::new(evaluations)),
            initial: None,
            replicas: protocol.keeps_members().then(SavedReplicas::default),
            spare: Mutex::default(),
            released: Condvar::new(),
            bytes: AtomicU64::new(0),
        };
        let (view, _, _) = store.view(DRIVER);
        let finite = store.check_finite(all, 0);
        finite?;
        store.initial = protocol.remembers_pulls().then(|| Arc::new(view));
        if let Some(warning) = strategy.warning(spec.workers, spec.tasks.unwrap_or(spec.workers)) {
            store.control.lock().warn(warning);
        }
        Ok(store)
    }
}

/// Fails if a control needs the whole center variable on one server, but it is split over several.
fn check_apart(spec: &ServerSpec, protocol: Protocol) -> Result<(), PsError> {
    let controls = &spec.controls;
    let needs = if spec.data.validation.is_some() {
        "scoring held-out rows needs"
    } else if controls.stopping.restore_best {
        "restoring the best weights needs"
    } else if protocol.steps_on_server() && !controls.clipping.is_none() {
        "clipping the mean gradient on the server needs"
    } else {
        return Ok(());
    };
    Err(PsError::Spec(format!(
        "{needs} the whole model, but serverShards splits it over several servers: use one server"
    )))
}

/// Converts a number of seconds, saturating at the longest duration.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}
