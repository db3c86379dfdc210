//! A shard's range of the center variable, which follows the driver's decisions.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use firesteel_core::clipping::Bound;
use firesteel_core::spec::ShardSpec;
use firesteel_core::strategy::{CommitContext, Round, coding, resolve};
use firesteel_core::{BufferKind, Buffers, ParamLayout, Strategy, WorkerId};
use parking_lot::{Condvar, Mutex};

use super::staging::{StageOutcome, WorkerStaging};
use crate::error::PsError;
use crate::model::{
    CenterView, Codecs, DRIVER, Decision, FiniteCheck, Flaw, KEEP_WAITING_INTERVAL, PayloadShape,
    ShardRange, Share,
};
use crate::store::{
    Center, Contribution, RoundContribution, SavedReplicas, Ticket, TicketProgress,
};

/// The store of one shard, which applies updates only by decision of the driver.
pub(super) struct ShardStore {
    fit: String,
    workers: u32,
    shard_range: ShardRange,
    hash: u64,
    codecs: Codecs,
    strategy: Box<dyn Strategy>,
    /// The center variable, created when the driver loads it. Held while a decision is followed.
    center: Mutex<Option<LoadedShard>>,
    state: Mutex<ShardState>,
    changed: Condvar,
    over: Condvar,
    spare: Mutex<Vec<Vec<f32>>>,
}

/// The state of a loaded shard.
struct LoadedShard {
    center: Center,
    initial: Option<Arc<CenterView>>,
    replicas: Option<SavedReplicas>,
    /// Decisions are followed one after the other, so the ticket before each has always ended.
    tail: Option<Arc<TicketProgress>>,
}

#[derive(Default)]
struct ShardState {
    staging: HashMap<WorkerId, WorkerStaging>,
    /// The number of the last decision that has been followed.
    followed: u64,
    /// The time of the driver's last message.
    driver_seen: Option<Instant>,
    failure: Option<String>,
    ended: bool,
}

impl ShardStore {
    /// Creates a shard that waits for the driver to load it.
    pub(super) fn new(spec: &ShardSpec, layout: &ParamLayout) -> Result<Self, PsError> {
        let strategy = resolve(&spec.strategy, spec.optimizer.as_ref())?;
        let shard_range =
            ShardRange::new(layout.len_of(BufferKind::Parameter), spec.shard, spec.shards)?;
        if spec.shard == 0 || spec.workers == 0 {
            return Err(PsError::Spec(
                "shard must be at least 1, shard 0 is the driver's; workers must be at least 1"
                    .to_owned(),
            ));
        }
        let codecs = Codecs::new(coding(&spec.strategy)?, shard_range.range().len())?;
        Ok(Self {
            codecs,
            fit: spec.fit.clone(),
            workers: spec.workers,
            hash: shard_range.hash(layout.hash()),
            shard_range,
            strategy,
            center: Mutex::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
            over: Condvar::new(),
            spare: Mutex::default(),
        })
    }

    pub(super) fn fit(&self) -> &str {
        &self.fit
    }

    pub(super) fn workers(&self) -> u32 {
        self.workers
    }

    /// The lengths of the payloads; the driver's server holds the buffers.
    pub(super) fn shape(&self) -> PayloadShape {
        PayloadShape::plain(self.shard_range.range().len(), 0, 0).coded(&self.codecs)
    }

    /// The codecs of the payloads that are exchanged with workers.
    pub(super) fn codecs(&self) -> &Codecs {
        &self.codecs
    }

    /// Fails if the peer has another layout or another range.
    pub(super) fn check_layout(&self, hash: u64, parameters: u64) -> Result<(), PsError> {
        let own = self.shard_range.range().len();
        if hash == self.hash && parameters == own as u64 {
            return Ok(());
        }
        Err(PsError::Protocol(format!(
            "the peer has another network or shard ({parameters} parameters, hash {hash:016x}) than this server \
             ({own} parameters, hash {:016x})",
            self.hash
        )))
    }

    /// Returns memory for a part of a message; its content is undefined.
    pub(super) fn memory(&self) -> Vec<f32> {
        let mut memory = self.spare.lock().pop().unwrap_or_default();
        memory.resize(self.shard_range.range().len(), 0.0);
        memory
    }

    /// Takes the initial values of the range. A repeated call has no effect: the driver sends them again if it missed
    /// the reply.
    pub(super) fn load(&self, values: &[f32]) {
        let mut part = self.center.lock();
        if part.is_some() {
            return;
        }
        let strategy = &*self.strategy;
        let center = Center::new(values, Buffers::default(), strategy, self.workers);
        let mut tail = None;
        let protocol = strategy.protocol();
        let initial = protocol.remembers_pulls().then(|| {
            let mut view = CenterView::default();
            center.read(Ticket::issue(&mut tail, center.ticket_steps()), &mut view);
            Arc::new(view)
        });
        let replicas = protocol.keeps_members().then(SavedReplicas::default);
        *part = Some(LoadedShard { center, initial, replicas, tail });
    }

    /// Stages a part of a message for the driver to decide on. Returns the first number that is not finite, if any.
    pub(super) fn stage(
        &self,
        worker: WorkerId,
        attempt: i64,
        sequence: u64,
        part: Vec<f32>,
        finite: FiniteCheck,
        keep_waiting: &mut dyn FnMut() -> Result<(), PsError>,
    ) -> Result<Option<Flaw>, PsError> {
        if let Some(index) = finite.first_non_finite(&part) {
            let flaw = Flaw {
                index: (self.shard_range.range().start + index) as u64,
                value: part.get(index).copied().unwrap_or(f32::NAN),
            };
            self.spare.lock().push(part);
            return Ok(Some(flaw));
        }
        let mut part = part;
        loop {
            let mut state = self.open()?;
            if !state.staging.contains_key(&worker) && state.staging.len() > self.workers as usize {
                return Err(PsError::Protocol(format!(
                    "worker {worker} exceeds the fit's {} workers",
                    self.workers
                )));
            }
            let staging = state.staging.entry(worker).or_default();
            match staging.stage(worker, (attempt, sequence), part, &mut self.spare.lock())? {
                StageOutcome::Done => return Ok(None),
                StageOutcome::Wait(back) => part = back,
            }
            self.changed.wait_for(&mut state, KEEP_WAITING_INTERVAL);
            drop(state);
            keep_waiting()?;
        }
    }

    /// Takes the view that a decision produced for a worker, once the decision has been followed; `None` if it is gone.
    pub(super) fn fetch(
        &self,
        worker: WorkerId,
        number: u64,
        keep_waiting: &mut dyn FnMut() -> Result<(), PsError>,
    ) -> Result<Option<Arc<CenterView>>, PsError> {
        loop {
            let mut state = self.open()?;
            if state.followed >= number {
                return Ok(state
                    .staging
                    .get_mut(&worker)
                    .and_then(|staging| staging.take_view(number)));
            }
            self.changed.wait_for(&mut state, KEEP_WAITING_INTERVAL);
            drop(state);
            keep_waiting()?;
        }
    }

    /// Follows decisions in order, except those that have been followed before.
    pub(super) fn follow(&self, first: u64, decisions: Vec<Decision>) -> Result<(), PsError> {
        let mut part = self.center.lock();
        let Some(part) = &mut *part else {
            return Err(PsError::Protocol(
                "a decision arrived before the shard was loaded".to_owned(),
            ));
        };
        for (number, decision) in (first..).zip(decisions) {
            let followed = self.open()?.followed;
            if number <= followed {
                continue;
            }
            if number != followed + 1 {
                return Err(PsError::Protocol(format!(
                    "decision {number} arrived after decision {followed}; decisions must be consecutive"
                )));
            }
            if let Err(error) = self.follow_one(part, number, decision) {
                self.fail(&error.to_string());
                return Err(error);
            }
            self.state.lock().followed = number;
            self.changed.notify_all();
        }
        self.state.lock().driver_seen = Some(Instant::now());
        Ok(())
    }

    fn follow_one(
        &self,
        part: &mut LoadedShard,
        number: u64,
        decision: Decision,
    ) -> Result<(), PsError> {
        match decision {
            Decision::Apply { worker, attempt, sequence, staleness } => {
                let (message, seen) = self.decided(worker, attempt, sequence)?;
                let context = CommitContext { staleness, workers: self.workers };
                part.apply(worker, &message, seen, context);
                self.spare.lock().push(message);
                Ok(())
            }
            Decision::Close { shares, learning_rate } => {
                let contributions =
                    shares.iter().map(|share| self.share(share)).collect::<Result<Vec<_>, _>>();
                let contributions = contributions?;
                let former = self.strategy.protocol().returns_former_center();
                let ticket = part.ticket();
                let round = Round { learning_rate, bound: Bound::NONE };
                part.center.close_round(ticket, &contributions, &round, former);
                self.spare.lock().extend(contributions.into_iter().map(|one| one.message));
                Ok(())
            }
            Decision::Read { worker, round } => {
                let view = Arc::new(
                    part.read(worker, round && self.strategy.protocol().returns_former_center()),
                );
                let mut state = self.state.lock();
                let staging = state.staging.entry(worker).or_default();
                if part.initial.is_some() && worker != DRIVER {
                    staging.last_read = Some(Arc::clone(&view));
                }
                staging.publish(number, view);
                Ok(())
            }
            Decision::Forget { worker, attempt } => {
                let mut state = self.state.lock();
                state.staging.entry(worker).or_default().forget(attempt, &mut self.spare.lock());
                Ok(())
            }
        }
    }

    /// Returns the staged part of a decided window, and the last view that its worker read.
    fn decided(
        &self,
        worker: WorkerId,
        attempt: i64,
        sequence: u64,
    ) -> Result<(Vec<f32>, Option<Arc<CenterView>>), PsError> {
        let mut state = self.state.lock();
        let staging = state.staging.entry(worker).or_default();
        let message = staging.decide((attempt, sequence)).ok_or_else(|| {
            PsError::Protocol(format!(
                "worker {worker} has not staged window {sequence} of attempt {attempt}, which has been decided"
            ))
        })?;
        Ok((message, staging.last_read.clone()))
    }

    fn share(&self, share: &Share) -> Result<RoundContribution, PsError> {
        let (message, _) = self.decided(share.worker, share.attempt, share.sequence)?;
        // Rows weight the buffers, which the driver's server holds.
        Ok(RoundContribution { message, weight: share.weight, ..RoundContribution::default() })
    }

    /// Records a message of the driver.
    pub(super) fn note_driver_contact(&self) {
        self.state.lock().driver_seen = Some(Instant::now());
    }

    /// Returns the time since the driver's last message.
    pub(super) fn driver_silence(&self, since: Instant) -> Duration {
        self.state.lock().driver_seen.unwrap_or(since).elapsed()
    }

    /// Records the reason why this shard has failed; the driver is told with its next request.
    pub(super) fn fail(&self, message: &str) {
        self.state.lock().failure.get_or_insert_with(|| message.to_owned());
        self.changed.notify_all();
    }

    /// Ends all waiting; every later operation fails.
    pub(super) fn end(&self) {
        self.state.lock().ended = true;
        self.changed.notify_all();
        self.over.notify_all();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state.lock().ended
    }

    /// Waits up to `timeout` for the end of the shard.
    pub(super) fn await_end(&self, timeout: Duration) {
        let mut state = self.state.lock();
        if !state.ended {
            self.over.wait_for(&mut state, timeout);
        }
    }

    fn open(&self) -> Result<parking_lot::MutexGuard<'_, ShardState>, PsError> {
        let state = self.state.lock();
        match &state.failure {
            _ if state.ended => Err(PsError::Closed(self.fit.clone())),
            Some(failure) => Err(PsError::Internal(failure.clone())),
            None => Ok(state),
        }
    }
}

impl LoadedShard {
    fn ticket(&mut self) -> Ticket {
        Ticket::issue(&mut self.tail, self.center.ticket_steps())
    }

    fn apply(
        &mut self,
        worker: WorkerId,
        message: &[f32],
        seen: Option<Arc<CenterView>>,
        context: CommitContext,
    ) {
        let buffers = Buffers::default();
        let contribution = Contribution { message, buffers: &buffers };
        if let Some(replicas) = &self.replicas {
            replicas.save(worker, contribution);
            return;
        }
        let seen = self.initial.as_ref().map(|initial| seen.unwrap_or_else(|| Arc::clone(initial)));
        let ticket = self.ticket();
        self.center.apply(ticket, contribution, context, seen.as_deref(), None);
    }

    fn read(&mut self, worker: WorkerId, former: bool) -> CenterView {
        let mut view = CenterView::default();
        match self.replicas.as_ref().and_then(|replicas| replicas.find(worker)) {
            Some(own) => own.read(&mut view),
            None => {
                let ticket = self.ticket();
                self.center.read_round(ticket, former, &mut view);
            }
        }
        view
    }
}
