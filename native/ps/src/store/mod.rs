//! The store of a fit: one center variable, one control lock, and the operations on both.
//!
//! An operation changes what is under the control lock, takes its turn there, and walks over the stripes in that turn without the
//! lock. Nothing in here knows of sockets.

mod center;
mod control;
mod evaluation;
mod finite;
mod journal;
mod lanes;
mod members;
mod open;
mod round;
mod saved;
mod snapshot;
pub(crate) mod status;
mod turn;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use firesteel_core::epoch_monitor::StopReason;
use firesteel_core::strategy::CommitContext;
use firesteel_core::{Answer, BufferKind, ErrorCode, ParamLayout, Position, Registration, Tally};
use parking_lot::{Condvar, Mutex};

use crate::cut::Cut;
use crate::error::PsError;
use crate::metrics;
use crate::store::center::Tee;
use crate::store::control::{Admission, Control, Entry, Grant, Terms};
use crate::store::lanes::{Lane, Lanes};
use crate::wire::{Codecs, Flaw, Shape, Window};

pub(crate) use center::{Center, Contribution, Reader, STRIPE, View};
pub(crate) use control::{Decided, Deed, Speaker};
pub(crate) use finite::Finite;
pub(crate) use journal::{Feed, Journal};
pub(crate) use members::Members;
pub(crate) use round::{ClosedRound, Kept};
pub(crate) use snapshot::{DRIVER, Trained};
pub(crate) use turn::{Progress, Turn};
pub(crate) use worker::Activity;

/// How long a lease outlives its connection, so that a worker may reconnect.
const RECONNECT_GRACE: Duration = Duration::from_secs(2);

/// How often one that waits for a lease looks whether it should go on waiting.
const WAIT_SLICE: Duration = Duration::from_millis(50);

/// A window that a worker wants applied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer<'a> {
    /// Whether it is committed or saved.
    pub(crate) deed: Deed,
    /// Its place in the fit.
    pub(crate) window: &'a Window,
    /// What it brings.
    pub(crate) contribution: Contribution<'a>,
    /// What was seen of the message's numbers: all of them.
    pub(crate) finite: Finite,
}

/// The state of one fit's server.
pub(crate) struct Store {
    terms: Terms,
    layout: ParamLayout,
    shape: Shape,
    codecs: Codecs,
    /// The part of the center variable that is here: the first shard, or all of it.
    cut: Cut,
    center: Center,
    lanes: Lanes,
    control: Mutex<Control>,
    /// The center variable of every worker's last pull is kept; this is what one that has not pulled saw.
    initial: Option<Arc<View>>,
    /// Where every worker trains a model of its own: those saved last.
    members: Option<Members>,
    /// Whether a round gives the center variable from before it.
    former: bool,
    /// Memory for contributions.
    spare: Mutex<Vec<Kept>>,
    /// Signalled when a lease ends, when a round closes and when the server closes.
    released: Condvar,
    bytes: AtomicU64,
}

impl Store {
    /// The fit.
    pub(crate) fn fit(&self) -> &str {
        &self.terms.fit
    }

    /// All workers of the fit.
    pub(crate) fn workers(&self) -> u32 {
        self.terms.workers
    }

    /// The lengths of what is exchanged.
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// The codes of what is exchanged.
    pub(crate) fn codecs(&self) -> &Codecs {
        &self.codecs
    }

    /// Fails unless a peer means the same layout.
    pub(crate) fn check_layout(&self, hash: u64, parameters: u64) -> Result<(), PsError> {
        let own = self.cut.hash(self.layout.hash());
        if hash == own && parameters == self.shape.parameters as u64 {
            return Ok(());
        }
        Err(PsError::Protocol(format!(
            "the worker's network ({parameters} parameters, layout {hash:016x}) is not the server's ({} parameters, layout {own:016x})",
            self.shape.parameters
        )))
    }

    /// Whether other servers hold the rest of the center variable.
    pub(crate) fn is_sharded(&self) -> bool {
        self.cut.is_part()
    }

    /// From now on the other shards follow what is decided here.
    pub(crate) fn keep_journal(&self, feeds: Vec<Arc<Feed>>) {
        self.control.lock().journal = Some(Journal::new(feeds));
    }

    /// Takes a worker's lease, waiting while another attempt holds it and `patience` agrees.
    pub(crate) fn register(
        &self,
        registration: &Registration,
        session: u64,
        patience: &mut dyn FnMut() -> Result<(), PsError>,
    ) -> Result<(Position, Arc<Activity>), PsError> {
        let granted = self.wait_for_lease(registration, session, patience);
        if granted.is_err() {
            self.control.lock().leave(registration.worker, registration.attempt);
        }
        granted
    }

    fn wait_for_lease(
        &self,
        registration: &Registration,
        session: u64,
        patience: &mut dyn FnMut() -> Result<(), PsError>,
    ) -> Result<(Position, Arc<Activity>), PsError> {
        loop {
            let mut control = self.open()?;
            match control.register(&self.terms, registration, session, Instant::now())? {
                Grant::Granted(position, activity) => return Ok((position, activity)),
                Grant::Held => self.released.wait_for(&mut control, WAIT_SLICE),
            };
            drop(control);
            patience()?;
        }
    }

    /// Waits for a lane on behalf of a worker, whose lease is renewed before; says when it got one.
    fn enter(&self, speaker: Speaker, now: Instant) -> Result<(Lane<'_>, Instant), PsError> {
        self.open()?.renew(speaker, now)?;
        let lane = self.lanes.enter();
        Ok((lane, Instant::now()))
    }

    /// Gives the current version of the center variable to `reader`, which is told the answer first.
    pub(crate) fn pull<R: Reader>(
        &self,
        speaker: Speaker,
        activity: &Activity,
        reader: impl FnOnce(Decided) -> R,
    ) -> Result<R, PsError> {
        let start = Instant::now();
        let (_lane, entered) = self.enter(speaker, start)?;
        let (mut turn, decided) = self.open()?.pull(&self.terms, speaker, entered)?;
        metrics::count_pull();
        let mut reader = reader(decided);
        let own = self.members.as_ref().and_then(|members| {
            // In turn, so that what this worker's last attempt saved is there.
            turn.wait();
            members.find(speaker.worker)
        });
        let waited = match own {
            Some(own) => {
                own.read(&mut reader);
                turn.waited()
            }
            None => self.watched(activity, decided.answer.version, &mut reader, |reader| {
                self.center.read(turn, reader)
            }),
        };
        activity.add_times((entered - start) + waited, start.elapsed());
        Ok(reader)
    }

    /// Applies a contribution exactly once; where `reader` is given, it is told the answer and then given the version that results.
    pub(crate) fn apply<R: Reader>(
        &self,
        speaker: Speaker,
        activity: &Activity,
        offer: &Offer<'_>,
        reader: Option<impl FnOnce(Decided) -> R>,
    ) -> Result<(Answer, Option<R>), PsError> {
        let Offer { deed, window, contribution, .. } = offer;
        let start = Instant::now();
        let entry =
            Entry { deed: *deed, window, finite: self.judge(offer), pull: reader.is_some() };
        let judged = Instant::now();
        let (lane, entered) = self.enter(speaker, judged)?;
        let admission = self.open()?.admit(&self.terms, speaker, entry, entered)?;
        // What is bound last is dropped first: the turn goes before the one behind it, whatever happens.
        let (freeze, decided, turn) = match admission {
            Admission::Apply(turn, decided, freeze) => (freeze, decided, turn),
            Admission::Repeat(answer) => {
                drop(lane);
                let reader = match reader {
                    Some(reader) => Some(self.pull(speaker, activity, |now| {
                        let answer = Answer { version: now.answer.version, ..answer };
                        reader(Decided { answer, ..now })
                    })?),
                    None => None,
                };
                return Ok((answer, reader));
            }
        };
        let answer = decided.answer;
        metrics::count_commit(answer.staleness, window.span.rows, reader.is_some());
        metrics::count_compression(&self.codecs, window.distortion);
        let context = CommitContext { staleness: answer.staleness, workers: self.terms.workers };
        let mut reader = reader.map(|reader| reader(decided));
        let failure = FailOnPanic(self);
        let waited = match (&self.members, &mut reader) {
            (Some(members), _) => {
                Center::in_turn(turn, || members.save(speaker.worker, *contribution));
                Duration::ZERO
            }
            (None, reader) => {
                let seen = self
                    .initial
                    .as_ref()
                    .map(|initial| activity.seen().unwrap_or_else(|| Arc::clone(initial)));
                let apply = |target: Option<&mut dyn Reader>| {
                    self.center.apply(turn, *contribution, context, seen.as_deref(), target)
                };
                match reader {
                    Some(reader) => {
                        self.watched(activity, answer.version, reader, |reader| apply(Some(reader)))
                    }
                    None => apply(None),
                }
            }
        };
        drop(failure);
        drop(lane);
        if let Some(freeze) = freeze {
            self.freeze(freeze);
        }
        activity.add_times((entered - judged) + waited, start.elapsed());
        Ok((answer, reader))
    }

    /// Reads by `read`, and keeps what was read where the strategy wants the worker's last pull.
    fn watched<R: Reader>(
        &self,
        activity: &Activity,
        version: u64,
        reader: &mut R,
        read: impl FnOnce(&mut dyn Reader) -> Duration,
    ) -> Duration {
        if self.initial.is_none() {
            return read(reader);
        }
        let mut view = View::default();
        let waited = read(&mut Tee { reader, view: &mut view });
        activity.see(version, view);
        waited
    }

    /// Names the first number of a contribution that is NaN or infinite.
    fn judge(&self, offer: &Offer<'_>) -> Result<(), String> {
        let Offer { window, contribution, finite, .. } = offer;
        if !window.tally.loss.is_finite() || !window.tally.weight.is_finite() {
            return Err(format!("the loss is {}", window.tally.loss));
        }
        let name = |index, values: &[f32], kind| {
            self.says(kind, index, values.get(index).copied().unwrap_or(f32::NAN))
        };
        if let Some(index) = finite.first_other(contribution.message) {
            let name = name(index, contribution.message, BufferKind::Parameter);
            return Err(format!("the update of {name}"));
        }
        let floats = &contribution.buffers.floats;
        match Finite::of(floats).first_other(floats) {
            Some(index) => {
                Err(format!("the buffer {}", name(index, floats, BufferKind::FloatBuffer)))
            }
            None => Ok(()),
        }
    }

    /// The element of a flat buffer by its name, and its value.
    fn says(&self, kind: BufferKind, index: usize, value: f32) -> String {
        format!("'{}' is {value}", name_of(&self.layout, kind, index))
    }

    /// Fails the fit with a number of a window's message that a shard has met.
    pub(crate) fn flawed(
        &self,
        speaker: Speaker,
        window: &Window,
        flaw: Flaw,
    ) -> Result<(), PsError> {
        let index = usize::try_from(flaw.index).unwrap_or(usize::MAX);
        let problem =
            format!("the update of {}", self.says(BufferKind::Parameter, index, flaw.value));
        self.open()?.flawed(&self.terms, speaker, window, problem, Instant::now())
    }

    /// Renews the lease and notes the progress of the open window.
    pub(crate) fn heartbeat(
        &self,
        speaker: Speaker,
        position: Position,
        rows: u64,
        tally: Tally,
    ) -> Result<Answer, PsError> {
        self.open()?.heartbeat(speaker, position, rows, tally, Instant::now())
    }

    /// Gives the lease back.
    pub(crate) fn finish(&self, speaker: Speaker) -> Result<(), PsError> {
        self.open()?.finish(&self.terms, speaker, Instant::now())?;
        self.released.notify_all();
        self.advance()
    }

    /// Notes why the fit must fail, on behalf of a worker that must hold its lease if it has one.
    pub(crate) fn abort(
        &self,
        speaker: Option<Speaker>,
        code: ErrorCode,
        message: &str,
    ) -> Result<(), PsError> {
        let mut control = self.open()?;
        if let Some(speaker) = speaker {
            control.renew(speaker, Instant::now())?;
        }
        control.fail(code, message);
        Ok(())
    }

    /// Notes why the fit must fail.
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

    /// Starts the grace of the lease whose connection was closed.
    pub(crate) fn disconnected(&self, speaker: Speaker) {
        self.control.lock().disconnected(speaker, Instant::now());
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

    /// Fails once the server is closing.
    pub(crate) fn check_open(&self) -> Result<(), PsError> {
        self.open().map(|_| ())
    }

    fn open(&self) -> Result<parking_lot::MutexGuard<'_, Control>, PsError> {
        let control = self.control.lock();
        if control.closed { Err(PsError::Closed(self.terms.fit.clone())) } else { Ok(control) }
    }
}

/// The tensor that holds an element of a flat buffer.
fn name_of(layout: &ParamLayout, kind: BufferKind, index: usize) -> &str {
    let mut tensors = layout.of(kind);
    tensors
        .find(|tensor| index < tensor.offset + tensor.len)
        .map_or("?", |tensor| tensor.name.as_str())
}

/// Fails the fit when a rule panics half way through the stripes.
struct FailOnPanic<'a>(&'a Store);

impl Drop for FailOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail(
                ErrorCode::Panic,
                "an update was applied in part: the strategy's server rule panicked",
            );
        }
    }
}
