//! The store of a fit: one center variable, one control lock, and the operations on both.
//!
//! An operation changes the state under the control lock, takes a ticket there, and then visits the stripes in the
//! order of the tickets, without the lock. The store knows nothing of sockets.

mod center;
mod checkpoint;
mod contribution;
mod control;
mod decision_log;
mod evaluation;
mod exchange;
mod frozen;
mod open;
mod permits;
mod replicas;
mod round;
mod session;
mod snapshot;
mod terms;
mod ticket;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use firesteel_core::epoch_monitor::StopReason;
use firesteel_core::{Answer, BufferKind, ErrorCode, ParamLayout, Position, Registration, Tally};
use parking_lot::{Condvar, Mutex};

use crate::error::PsError;
use crate::model::{
    CenterView, Codecs, FiniteCheck, Flaw, KEEP_WAITING_INTERVAL, PayloadShape, ShardRange,
    WindowReport,
};
use crate::store::control::{Control, RegisterOutcome};
use crate::store::permits::ApplyPermits;
use crate::store::terms::Terms;

pub(crate) use center::Center;
pub(crate) use contribution::{Contribution, RoundContribution};
pub(crate) use control::{DecidedAnswer, LeaseHolder, UpdateKind};
pub(crate) use decision_log::{DecisionLog, DecisionQueue};
pub(crate) use replicas::SavedReplicas;
pub(crate) use round::ClosedRound;
pub(crate) use session::WorkerSession;
pub(crate) use snapshot::Trained;
pub(crate) use ticket::{Ticket, TicketProgress};
pub(crate) use worker::Activity;

/// The time that a lease outlives its connection, so that a worker may reconnect.
const RECONNECT_GRACE: Duration = Duration::from_secs(2);

/// An update that a worker sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Update<'a> {
    /// The kind of the update: a commit, a save or a contribution.
    pub(crate) kind: UpdateKind,
    /// The position of the window in the fit, and its losses.
    pub(crate) window: &'a WindowReport,
    /// The message and the buffers.
    pub(crate) contribution: Contribution<'a>,
    /// The check of all of the message's numbers.
    pub(crate) finite: FiniteCheck,
}

/// The state of one fit's server.
pub(crate) struct Store {
    terms: Terms,
    layout: ParamLayout,
    shape: PayloadShape,
    codecs: Codecs,
    /// The range of the center variable in this store: the first shard, or everything.
    shard_range: ShardRange,
    center: Center,
    permits: ApplyPermits,
    control: Mutex<Control>,
    /// The initial center variable, for workers that have not pulled yet. `Some` if the strategy needs every worker's
    /// last pull.
    initial: Option<Arc<CenterView>>,
    /// The last saved replicas, in strategies whose workers train models of their own.
    replicas: Option<SavedReplicas>,
    /// Reused memory for contributions.
    spare: Mutex<Vec<RoundContribution>>,
    /// Signalled when a lease ends, when a round closes and when the server closes.
    released: Condvar,
    bytes: AtomicU64,
}

impl Store {
    /// The identifier of the fit.
    pub(crate) fn fit(&self) -> &str {
        &self.terms.fit
    }

    /// The number of workers of the fit.
    pub(crate) fn workers(&self) -> u32 {
        self.terms.workers
    }

    /// The lengths of the payloads.
    pub(crate) fn shape(&self) -> PayloadShape {
        self.shape
    }

    /// The codecs of the payloads.
    pub(crate) fn codecs(&self) -> &Codecs {
        &self.codecs
    }

    /// Fails if the peer has another layout.
    pub(crate) fn check_layout(&self, hash: u64, parameters: u64) -> Result<(), PsError> {
        let own = self.shard_range.hash(self.layout.hash());
        if hash == own && parameters == self.shape.parameters as u64 {
            return Ok(());
        }
        Err(PsError::Protocol(format!(
            "the worker's network ({parameters} parameters, layout {hash:016x}) differs from the server's ({} parameters, layout {own:016x})",
            self.shape.parameters
        )))
    }

    /// Returns true if other servers hold the rest of the center variable.
    pub(crate) fn is_sharded(&self) -> bool {
        self.shard_range.is_part()
    }

    /// Starts to log decisions for the other shards.
    pub(crate) fn log_decisions(&self, queues: Vec<Arc<DecisionQueue>>) {
        self.control.lock().decision_log = Some(DecisionLog::new(queues));
    }

    /// Takes a worker's lease, waiting for as long as another attempt holds it and `keep_waiting` succeeds.
    pub(crate) fn register(
        &self,
        registration: &Registration,
        session: u64,
        keep_waiting: &mut dyn FnMut() -> Result<(), PsError>,
    ) -> Result<(Position, Arc<Activity>), PsError> {
        let granted = self.wait_for_lease(registration, session, keep_waiting);
        if granted.is_err() {
            self.control.lock().leave(registration.worker, registration.attempt);
        }
        granted
    }

    fn wait_for_lease(
        &self,
        registration: &Registration,
        session: u64,
        keep_waiting: &mut dyn FnMut() -> Result<(), PsError>,
    ) -> Result<(Position, Arc<Activity>), PsError> {
        loop {
            let mut control = self.open()?;
            match control.register(&self.terms, registration, session, Instant::now())? {
                RegisterOutcome::Granted(position, activity) => return Ok((position, activity)),
                RegisterOutcome::Held => {
                    self.released.wait_for(&mut control, KEEP_WAITING_INTERVAL)
                }
            };
            drop(control);
            keep_waiting()?;
        }
    }

    /// Describes an element of a flat buffer by its tensor's name and its value.
    fn describe_element(&self, kind: BufferKind, index: usize, value: f32) -> String {
        format!("'{}' is {value}", name_of(&self.layout, kind, index))
    }

    /// Fails the fit because a shard found a number that is not finite in a window's message.
    pub(crate) fn flawed(
        &self,
        holder: LeaseHolder,
        window: &WindowReport,
        flaw: Flaw,
    ) -> Result<(), PsError> {
        let index = usize::try_from(flaw.index).unwrap_or(usize::MAX);
        let problem = format!(
            "the update of {}",
            self.describe_element(BufferKind::Parameter, index, flaw.value)
        );
        self.open()?.flawed(&self.terms, holder, window, problem, Instant::now())
    }

    /// Renews the lease and records the progress of the open window.
    pub(crate) fn heartbeat(
        &self,
        holder: LeaseHolder,
        position: Position,
        rows: u64,
        tally: Tally,
    ) -> Result<Answer, PsError> {
        self.open()?.heartbeat(holder, position, rows, tally, Instant::now())
    }

    /// Releases the lease of a worker that has finished.
    pub(crate) fn finish(&self, holder: LeaseHolder) -> Result<(), PsError> {
        self.open()?.finish(&self.terms, holder, Instant::now())?;
        self.released.notify_all();
        self.advance()
    }

    /// Fails the fit on behalf of a worker, whose attempt must still hold its lease if it registered.
    pub(crate) fn abort(
        &self,
        holder: Option<LeaseHolder>,
        code: ErrorCode,
        message: &str,
    ) -> Result<(), PsError> {
        let mut control = self.open()?;
        if let Some(holder) = holder {
            control.renew(holder, Instant::now())?;
        }
        control.fail(code, message);
        Ok(())
    }

    /// Fails the fit; only the first reason is kept.
    pub(crate) fn fail(&self, code: ErrorCode, message: &str) {
        self.control.lock().fail(code, message);
    }

    /// Tells all workers to stop.
    pub(crate) fn stop(&self) {
        self.control.lock().stop_for(StopReason::Driver);
    }

    /// Ends the leases of an attempt that Spark reported ended.
    pub(crate) fn attempt_ended(&self, partition: u32, attempt: i64) {
        self.control.lock().attempt_ended(partition, attempt);
        self.released.notify_all();
    }

    /// Starts the grace period of a lease whose connection was closed.
    pub(crate) fn disconnected(&self, holder: LeaseHolder) {
        self.control.lock().disconnected(holder, Instant::now());
    }

    /// Ends all waiting; every later operation fails.
    pub(crate) fn close(&self) {
        self.control.lock().closed = true;
        self.released.notify_all();
    }

    /// Adds bytes sent or received over sockets.
    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Fails if the server is closing.
    pub(crate) fn check_open(&self) -> Result<(), PsError> {
        self.open().map(|_| ())
    }

    fn open(&self) -> Result<parking_lot::MutexGuard<'_, Control>, PsError> {
        let control = self.control.lock();
        if control.closed { Err(PsError::Closed(self.terms.fit.clone())) } else { Ok(control) }
    }
}

/// Returns the name of the tensor that holds an element of a flat buffer.
fn name_of(layout: &ParamLayout, kind: BufferKind, index: usize) -> &str {
    let mut tensors = layout.of(kind);
    tensors
        .find(|tensor| index < tensor.offset + tensor.len)
        .map_or("?", |tensor| tensor.name.as_str())
}

/// A guard that fails the fit if a rule panics while an update is partly applied.
struct FailOnPanic<'a>(&'a Store);

impl Drop for FailOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail(
                ErrorCode::Panic,
                "an update was applied only partly: the strategy's server rule panicked",
            );
        }
    }
}
