//! How a store begins.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use firesteel_core::spec::ServerSpec;
use firesteel_core::{BufferKind, Buffers, ParamLayout, Strategy, strategy};
use parking_lot::{Condvar, Mutex};

use super::center::Center;
use super::control::{Control, Evaluations, Schedule, Terms};
use super::lanes::Lanes;
use super::members::Members;
use super::snapshot::DRIVER;
use super::worker::LeaseTerms;
use super::{RECONNECT_GRACE, Store};
use crate::cut::Cut;
use crate::error::PsError;
use crate::wire::{Codecs, Shape};

impl Store {
    /// A store that starts with this center variable.
    pub(crate) fn new(
        spec: &ServerSpec,
        layout: ParamLayout,
        center: &[f32],
        buffers: Buffers,
    ) -> Result<Self, PsError> {
        let strategy = strategy::resolve(&spec.strategy, spec.optimizer.as_ref())?;
        if let Some(most) = strategy.max_workers().filter(|&most| spec.workers > most) {
            return Err(PsError::Spec(format!(
                "strategy '{}' takes at most {most} workers, not {}",
                strategy.name(),
                spec.workers
            )));
        }
        Self::with(&*strategy, spec, layout, center, buffers)
    }

    /// A store for a strategy, whatever the specification names.
    pub(crate) fn with(
        strategy: &dyn Strategy,
        spec: &ServerSpec,
        layout: ParamLayout,
        center: &[f32],
        buffers: Buffers,
    ) -> Result<Self, PsError> {
        let whole = Shape::plain(
            layout.parameters(),
            layout.len_of(BufferKind::FloatBuffer),
            layout.len_of(BufferKind::IntegerBuffer),
        );
        let given = Shape::plain(center.len(), buffers.floats.len(), buffers.integers.len());
        if given != whole {
            return Err(PsError::Spec(format!(
                "the initial weights are {given:?}, the network's layout is {whole:?}"
            )));
        }
        spec.controls.check(&spec.data, spec.network.outputs())?;
        if spec.workers == 0 || spec.lease_millis == 0 {
            return Err(PsError::Spec("workers and leaseMillis must be at least 1".to_owned()));
        }
        let shards = spec.shards.as_ref().map_or(0, |shards| shards.servers.len());
        let shards = u32::try_from(shards).unwrap_or(u32::MAX).saturating_add(1);
        let cut = Cut::new(whole.parameters.max(1), 0, shards)?;
        if cut.is_part() {
            check_apart(spec, strategy)?;
        }
        let (all, center) = (center, &center[..cut.range().end.min(center.len())]);
        let shape = Shape::plain(center.len(), whole.floats, whole.integers);
        let codecs = Codecs::new(strategy::coding(&spec.strategy)?, shape.parameters)?;
        let on_server = spec.strategy.server_optimizer.filter(|_| strategy.steps_on_server());
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
                commit_schedule: strategy.commit_schedule(),
                weight: strategy.weight(),
                opened: Instant::now(),
                start_timeout: Duration::from_millis(spec.start_timeout_millis),
                strategy: strategy.name(),
                keeps_members: strategy.keeps_members(),
                steps: strategy.steps_on_server(),
                follows: strategy.follows_schedule(),
                schedule: Schedule {
                    base: optimizer.map(|optimizer| optimizer.learning_rate()),
                    schedule: spec.controls.schedule.clone(),
                    warmup: spec.controls.warmup,
                },
                clipping: spec.controls.clipping,
                most: spec.controls.stopping.max_seconds.map(seconds),
                lease: LeaseTerms { silence, grace: RECONNECT_GRACE.min(silence) },
                stops: center.stops(),
                compression_ratio: codecs.ratio(),
            },
            layout,
            shape: Shape { sums, ..shape.coded(&codecs) },
            codecs,
            cut,
            lanes: Lanes::new(center.stops()),
            center,
            control: Mutex::new(Control::new(evaluations)),
            initial: None,
            members: strategy.keeps_members().then(Members::default),
            former: strategy.gives_former_center(),
            spare: Mutex::default(),
            released: Condvar::new(),
            bytes: AtomicU64::new(0),
        };
        let (view, _, _) = store.view(DRIVER);
        let finite = store.check_finite(all, 0);
        finite?;
        store.initial = strategy.remembers_pulls().then(|| Arc::new(view));
        if let Some(warning) = strategy.warning(spec.workers) {
            store.control.lock().warn(warning);
        }
        Ok(store)
    }
}

/// Fails where a control needs the center variable in one place, and it is spread over several servers.
fn check_apart(spec: &ServerSpec, strategy: &dyn Strategy) -> Result<(), PsError> {
    let controls = &spec.controls;
    let needs = if spec.data.validation.is_some() {
        "held-out rows are scored on"
    } else if controls.stopping.restore_best {
        "the best weights are kept of"
    } else if strategy.steps_on_server() && !controls.clipping.is_none() {
        "the server clips the mean gradient of"
    } else {
        return Ok(());
    };
    Err(PsError::Spec(format!(
        "{needs} a whole model, but serverShards spreads it over several servers: use one server"
    )))
}

/// A number of seconds, at most what a duration holds.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}
