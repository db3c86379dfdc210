//! A shard's part of the center variable, which follows the driver's decisions.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use firesteel_core::clipping::Bound;
use firesteel_core::spec::ShardSpec;
use firesteel_core::strategy::{CommitContext, Round, coding, resolve};
use firesteel_core::{BufferKind, Buffers, ParamLayout, Strategy, WorkerId};
use parking_lot::{Condvar, Mutex};

use super::desk::{Desk, Staging};
use crate::cut::Cut;
use crate::error::PsError;
use crate::store::{Center, Contribution, DRIVER, Finite, Kept, Members, Progress, Turn, View};
use crate::wire::{Codecs, Decision, Flaw, Shape, Share};

/// How often one that waits looks whether it should go on waiting.
const WAIT_SLICE: Duration = Duration::from_millis(50);

/// One shard of a fit, without any say in what is applied.
pub(super) struct ShardStore {
    fit: String,
    workers: u32,
    cut: Cut,
    hash: u64,
    codecs: Codecs,
    strategy: Box<dyn Strategy>,
    /// Made when the driver gives the values that it begins with. One at a time follows decisions.
    center: Mutex<Option<Part>>,
    state: Mutex<State>,
    changed: Condvar,
    over: Condvar,
    spare: Mutex<Vec<Vec<f32>>>,
}

/// The part itself.
struct Part {
    center: Center,
    initial: Option<Arc<View>>,
    members: Option<Members>,
    /// Decisions are followed one after the other, so each finds the turn before it over.
    tail: Option<Arc<Progress>>,
}

#[derive(Default)]
struct State {
    desks: HashMap<WorkerId, Desk>,
    /// The number of the last decision that has been followed.
    followed: u64,
    /// When the driver was heard of last.
    heard: Option<Instant>,
    failure: Option<String>,
    ended: bool,
}

impl ShardStore {
    /// A shard that waits for the driver to load it.
    pub(super) fn new(spec: &ShardSpec, layout: &ParamLayout) -> Result<Self, PsError> {
        let strategy = resolve(&spec.strategy, spec.optimizer.as_ref())?;
        let cut = Cut::new(layout.len_of(BufferKind::Parameter), spec.shard, spec.shards)?;
        if spec.shard == 0 || spec.workers == 0 {
            return Err(PsError::Spec(
                "shard must be at least 1, shard 0 is the driver's; workers must be at least 1"
                    .to_owned(),
            ));
        }
        let codecs = Codecs::new(coding(&spec.strategy)?, cut.range().len())?;
        Ok(Self {
            codecs,
            fit: spec.fit.clone(),
            workers: spec.workers,
            hash: cut.hash(layout.hash()),
            cut,
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

    /// The lengths of what is exchanged: the buffers are the driver's.
    pub(super) fn shape(&self) -> Shape {
        Shape::plain(self.cut.range().len(), 0, 0).coded(&self.codecs)
    }

    /// The codes of what is exchanged with workers.
    pub(super) fn codecs(&self) -> &Codecs {
        &self.codecs
    }

    /// Fails unless a peer means this part of this network.
    pub(super) fn check_part(&self, hash: u64, parameters: u64) -> Result<(), PsError> {
        let own = self.cut.range().len();
        if hash == self.hash && parameters == own as u64 {
            return Ok(());
        }
        Err(PsError::Protocol(format!(
            "the peer means another network or part of it ({parameters} parameters, hash {hash:016x}) than this shard \
             ({own} parameters, hash {:016x})",
            self.hash
        )))
    }

    /// Memory for a part of a message, with whatever it last held.
    pub(super) fn memory(&self) -> Vec<f32> {
        let mut memory = self.spare.lock().pop().unwrap_or_default();
        memory.resize(self.cut.range().len(), 0.0);
        memory
    }

    /// Takes the values that the part begins with. The driver may say it again: it did not hear that it was heard.
    pub(super) fn load(&self, values: &[f32]) {
        let mut part = self.center.lock();
        if part.is_some() {
            return;
        }
        let strategy = &*self.strategy;
        let center = Center::new(values, Buffers::default(), strategy, self.workers);
        let mut tail = None;
        let initial = strategy.remembers_pulls().then(|| {
            let mut view = View::default();
            center.read(Turn::behind(&mut tail, center.stops()), &mut view);
            Arc::new(view)
        });
        let members = strategy.keeps_members().then(Members::default);
        *part = Some(Part { center, initial, members, tail });
    }

    /// Leaves a part of a message for the driver to decide on; tells which of its numbers is not finite, if one is.
    pub(super) fn stage(
        &self,
        worker: WorkerId,
        attempt: i64,
        sequence: u64,
        part: Vec<f32>,
        finite: Finite,
        patience: &mut dyn FnMut() -> Result<(), PsError>,
    ) -> Result<Option<Flaw>, PsError> {
        if let Some(index) = finite.first_other(&part) {
            let flaw = Flaw {
                index: (self.cut.range().start + index) as u64,
                value: part.get(index).copied().unwrap_or(f32::NAN),
            };
            self.spare.lock().push(part);
            return Ok(Some(flaw));
        }
        let mut part = part;
        loop {
            let mut state = self.open()?;
            if !state.desks.contains_key(&worker) && state.desks.len() > self.workers as usize {
                return Err(PsError::Protocol(format!(
                    "worker {worker} is one more than the fit's {}",
                    self.workers
                )));
            }
            let desk = state.desks.entry(worker).or_default();
            match desk.stage(worker, (attempt, sequence), part, &mut self.spare.lock())? {
                Staging::Done => return Ok(None),
                Staging::Wait(back) => part = back,
            }
            self.changed.wait_for(&mut state, WAIT_SLICE);
            drop(state);
            patience()?;
        }
    }

    /// Takes what a decision gives a worker, once the decision has been followed; `None` if it is gone.
    pub(super) fn fetch(
        &self,
        worker: WorkerId,
        ticket: u64,
        patience: &mut dyn FnMut() -> Result<(), PsError>,
    ) -> Result<Option<Arc<View>>, PsError> {
        loop {
            let mut state = self.open()?;
            if state.followed >= ticket {
                return Ok(state.desks.get_mut(&worker).and_then(|desk| desk.take(ticket)));
            }
            self.changed.wait_for(&mut state, WAIT_SLICE);
            drop(state);
            patience()?;
        }
    }

    /// Follows decisions in order, those known already excepted.
    pub(super) fn follow(&self, first: u64, decisions: Vec<Decision>) -> Result<(), PsError> {
        let mut part = self.center.lock();
        let Some(part) = &mut *part else {
            return Err(PsError::Protocol("a shard decides before it is loaded".to_owned()));
        };
        for (ticket, decision) in (first..).zip(decisions) {
            let followed = self.open()?.followed;
            if ticket <= followed {
                continue;
            }
            if ticket != followed + 1 {
                return Err(PsError::Protocol(format!(
                    "decision {ticket} comes after decision {followed}"
                )));
            }
            if let Err(error) = self.do_as(part, ticket, decision) {
                self.fail(&error.to_string());
                return Err(error);
            }
            self.state.lock().followed = ticket;
            self.changed.notify_all();
        }
        self.state.lock().heard = Some(Instant::now());
        Ok(())
    }

    fn do_as(&self, part: &mut Part, ticket: u64, decision: Decision) -> Result<(), PsError> {
        match decision {
            Decision::Apply { worker, attempt, sequence, staleness } => {
                let (message, seen) = self.decided(worker, attempt, sequence)?;
                let context = CommitContext { staleness, workers: self.workers };
                part.apply(worker, &message, seen, context);
                self.spare.lock().push(message);
                Ok(())
            }
            Decision::Close { shares, learning_rate } => {
                let kept =
                    shares.iter().map(|share| self.share(share)).collect::<Result<Vec<_>, _>>();
                let kept = kept?;
                let former = self.strategy.gives_former_center();
                let turn = part.turn();
                let round = Round { learning_rate, bound: Bound::NONE };
                part.center.close_round(turn, &kept, &round, former);
                self.spare.lock().extend(kept.into_iter().map(|kept| kept.message));
                Ok(())
            }
            Decision::Read { worker, round } => {
                let view =
                    Arc::new(part.read(worker, round && self.strategy.gives_former_center()));
                let mut state = self.state.lock();
                let desk = state.desks.entry(worker).or_default();
                if part.initial.is_some() && worker != DRIVER {
                    desk.seen = Some(Arc::clone(&view));
                }
                desk.keep(ticket, view);
                Ok(())
            }
            Decision::Forget { worker, attempt } => {
                let mut state = self.state.lock();
                state.desks.entry(worker).or_default().forget(attempt, &mut self.spare.lock());
                Ok(())
            }
        }
    }

    /// The staged part of a decided window, and what its worker saw last.
    fn decided(
        &self,
        worker: WorkerId,
        attempt: i64,
        sequence: u64,
    ) -> Result<(Vec<f32>, Option<Arc<View>>), PsError> {
        let mut state = self.state.lock();
        let desk = state.desks.entry(worker).or_default();
        let message = desk.decide((attempt, sequence)).ok_or_else(|| {
            PsError::Protocol(format!(
                "worker {worker} has not staged window {sequence} of attempt {attempt}, which has been decided"
            ))
        })?;
        Ok((message, desk.seen.clone()))
    }

    fn share(&self, share: &Share) -> Result<Kept, PsError> {
        let (message, _) = self.decided(share.worker, share.attempt, share.sequence)?;
        // The rows weigh the buffers, which the driver has.
        Ok(Kept { message, weight: share.weight, ..Kept::default() })
    }

    /// Notes that the driver was heard of.
    pub(super) fn hear(&self) {
        self.state.lock().heard = Some(Instant::now());
    }

    /// How long nothing has been heard of the driver.
    pub(super) fn silence(&self, since: Instant) -> Duration {
        self.state.lock().heard.unwrap_or(since).elapsed()
    }

    /// Notes why this shard is of no use any more; the driver is told.
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

    /// Waits until the shard ends, no longer than this.
    pub(super) fn await_end(&self, patience: Duration) {
        let mut state = self.state.lock();
        if !state.ended {
            self.over.wait_for(&mut state, patience);
        }
    }

    fn open(&self) -> Result<parking_lot::MutexGuard<'_, State>, PsError> {
        let state = self.state.lock();
        match &state.failure {
            _ if state.ended => Err(PsError::Closed(self.fit.clone())),
            Some(failure) => Err(PsError::Internal(failure.clone())),
            None => Ok(state),
        }
    }
}

impl Part {
    fn turn(&mut self) -> Turn {
        Turn::behind(&mut self.tail, self.center.stops())
    }

    fn apply(
        &mut self,
        worker: WorkerId,
        message: &[f32],
        seen: Option<Arc<View>>,
        context: CommitContext,
    ) {
        let buffers = Buffers::default();
        let contribution = Contribution { message, buffers: &buffers };
        if let Some(members) = &self.members {
            members.save(worker, contribution);
            return;
        }
        let seen = self.initial.as_ref().map(|initial| seen.unwrap_or_else(|| Arc::clone(initial)));
        let turn = self.turn();
        self.center.apply(turn, contribution, context, seen.as_deref(), None);
    }

    fn read(&mut self, worker: WorkerId, former: bool) -> View {
        let mut view = View::default();
        match self.members.as_ref().and_then(|members| members.find(worker)) {
            Some(own) => own.read(&mut view),
            None => {
                let turn = self.turn();
                self.center.read_round(turn, former, &mut view);
            }
        }
        view
    }
}
