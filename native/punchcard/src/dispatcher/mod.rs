//! The dispatcher: the one thread that decides what happens to a job after its acceptance.
//!
//! Each step looks at the jobs that are not final, and makes at most one durable change between two effects outside the
//! database. A state is recorded before the effect that it announces, and every effect may be repeated: a dispatcher that
//! is killed anywhere and started again continues with the same jobs.

#[cfg(test)]
mod bench;
mod events;
mod failure;
mod queue;
mod retry;
mod sweep;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::clock;
use crate::config::Config;
use crate::files::{Layout, is_any};
use crate::job::State;
use crate::launch::{Cause, Exit, Launcher, Status};
use crate::store::{Change, Job, Result, Store, StoreError};
use failure::Failure;

pub use queue::positions;
pub use sweep::Sweeper;

/// The time after which an attempt that has not started is launched again.
const RELAUNCH: Duration = Duration::from_secs(10);

/// The largest number of reads of an attempt's events after its end. What is beyond is not read: a process that was not
/// found could write for ever.
const LAST_READS: u32 = 256;

/// The dispatcher.
pub struct Dispatcher<L> {
    store: Store,
    config: Arc<Config>,
    layout: Layout,
    launcher: L,
    /// The times of launches, by job.
    launched: HashMap<String, Instant>,
}

impl<L: Launcher> Dispatcher<L> {
    /// Creates a dispatcher, which continues with the jobs of the store.
    #[must_use]
    pub fn new(store: Store, config: Arc<Config>, layout: Layout, launcher: L) -> Self {
        Self { store, config, layout, launcher, launched: HashMap::new() }
    }

    /// Looks at every job that is not final once. Returns true if one changed.
    ///
    /// # Errors
    /// If the database fails. A job whose files fail is logged and tried again at the next step.
    pub fn step(&mut self) -> Result<bool> {
        let mut changed = false;
        let mut failure = None;
        for job in self.store.unfinished()? {
            match self.advance(&job) {
                Ok(one) => changed |= one,
                // The others go on without a job whose rows are damaged.
                Err(StoreError::Unreadable { what, value }) => {
                    tracing::error!(job = job.id, what, value, "a job waits: it cannot be read");
                }
                Err(error) => {
                    tracing::error!(job = job.id, %error, "a job waits");
                    failure.get_or_insert(error);
                }
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        while let Some(job) = self.next()? {
            self.change(&job, State::Starting, None)?;
            if let Some(job) = self.store.job(&job.id)? {
                self.launch(&job)?;
            }
            changed = true;
        }
        Ok(changed)
    }

    fn advance(&mut self, job: &Job) -> Result<bool> {
        match job.state {
            State::Accepted | State::Queued if job.cancel_requested => {
                self.change(job, State::Cancelled, None)
            }
            State::Accepted => self.change(job, State::Queued, None),
            State::Queued => Ok(false),
            _ => self.follow(job),
        }
    }

    /// Returns the job to start now.
    fn next(&self) -> Result<Option<Job>> {
        let unfinished = self.store.unfinished()?;
        let users = self.store.users()?;
        let quotas = |user: &str| {
            let found = users.iter().find(|one| one.name == user);
            found.map_or(self.config.quotas, |user| user.quotas(&self.config.quotas))
        };
        let capacity = |cluster: &str| {
            self.config.clusters.get(cluster).map_or(u32::MAX, |found| found.running)
        };
        Ok(queue::next(&unfinished, &quotas, &capacity, clock::now()).cloned())
    }

    fn change(&self, job: &Job, state: State, reason: Option<String>) -> Result<bool> {
        self.apply(job, &Change { reason, ..Change::to(state) })
    }

    fn apply(&self, job: &Job, change: &Change) -> Result<bool> {
        let changed = self.store.change_job(&job.id, job.state, change)?;
        if changed {
            tracing::info!(
                job = job.id,
                user = job.user,
                from = job.state.name(),
                to = change.state.name(),
                reason = change.reason.as_deref().unwrap_or(""),
                "job changed"
            );
        }
        Ok(changed)
    }

    fn launch(&mut self, job: &Job) -> Result<bool> {
        self.launched.insert(job.id.clone(), Instant::now());
        match self.launcher.start(job) {
            Ok(()) => Ok(false),
            Err(error) if is_transient(&error) => {
                tracing::error!(job = job.id, %error, "an attempt waits for its start");
                Ok(false)
            }
            Err(error) => self.unlaunched(job, &error),
        }
    }

    /// Ends an attempt that could not be launched, unless it has started nevertheless.
    fn unlaunched(&mut self, job: &Job, error: &io::Error) -> Result<bool> {
        match self.launcher.abandon(job) {
            Ok(true) => {
                let reason = format!("the attempt could not start: {error}");
                self.ended_badly(job, reason, None, true)
            }
            Ok(false) => Ok(false),
            Err(second) => {
                tracing::error!(job = job.id, %error, %second, "an attempt could not start");
                Ok(false)
            }
        }
    }

    /// Follows the process of an active job.
    fn follow(&mut self, job: &Job) -> Result<bool> {
        let status = match self.look(job) {
            Ok(status) => status,
            Err(error) => {
                tracing::error!(job = job.id, %error, "an attempt cannot be followed");
                return Ok(false);
            }
        };
        match status {
            Status::NotStarted if job.cancel_requested => match self.launcher.abandon(job) {
                Ok(true) => self.change(job, State::Cancelled, None),
                _ => Ok(false),
            },
            // Its folder was lost with the machine's last writes. It may have run.
            Status::NotStarted if job.state == State::Running => self.lost(job),
            Status::NotStarted => {
                let launched = self.launched.get(&job.id);
                if launched.is_none_or(|since| since.elapsed() > RELAUNCH) {
                    return self.launch(job);
                }
                Ok(false)
            }
            Status::Running => {
                let started = job.state == State::Starting;
                let changed = started && self.change(job, State::Running, None)?;
                Ok(self.read_events(job)? | changed)
            }
            Status::Ended(exit) => {
                for _ in 0..LAST_READS {
                    let Some(job) = self.store.job(&job.id)? else { break };
                    if !self.read_events(&job)? {
                        break;
                    }
                }
                self.finish(job, &exit)
            }
            Status::Lost => self.lost(job),
        }
    }

    /// Ends an attempt whose end was not recorded.
    fn lost(&mut self, job: &Job) -> Result<bool> {
        if let Err(error) = self.launcher.clean_up(job) {
            tracing::error!(job = job.id, %error, "processes of a lost attempt may be left");
            return Ok(false);
        }
        let reason =
            "the supervisor was killed, or the machine restarted, before the attempt ended";
        let repeatable = self.failure(job)?.repeatable();
        self.ended_badly(job, reason.to_owned(), None, repeatable)
    }

    fn look(&mut self, job: &Job) -> io::Result<Status> {
        if job.cancel_requested {
            self.launcher.cancel(job)?;
        }
        self.launcher.status(job)
    }

    fn finish(&mut self, job: &Job, exit: &Exit) -> Result<bool> {
        self.launched.remove(&job.id);
        match (exit.cause, exit.code) {
            (Cause::Exited, Some(0)) => {
                self.apply(job, &Change { exit_code: Some(0), ..Change::to(State::Succeeded) })
            }
            (Cause::Cancelled, code) => {
                self.apply(job, &Change { exit_code: code, ..Change::to(State::Cancelled) })
            }
            (cause, code) => {
                let failure = self.failure(job)?;
                let told = failure.reason().filter(|_| cause == Cause::Exited);
                let reason = told.unwrap_or_else(|| describe(exit));
                self.ended_badly(job, reason, code, failure.repeatable())
            }
        }
    }

    /// Returns what the driver of the present attempt told last of its failure.
    fn failure(&self, job: &Job) -> Result<Failure> {
        let events = self.store.last_events(&job.id, "failure", Some(job.attempt), 1)?;
        Ok(Failure(events.into_iter().next().map(|event| event.data)))
    }

    /// Ends an attempt that did not succeed: if it is repeatable and has retries left, the job returns to the queue and
    /// waits there.
    fn ended_badly(
        &mut self,
        job: &Job,
        reason: String,
        exit_code: Option<i32>,
        repeatable: bool,
    ) -> Result<bool> {
        self.launched.remove(&job.id);
        let state = match job {
            _ if job.cancel_requested => State::Cancelled,
            _ if job.attempt <= job.retries && repeatable => State::Queued,
            _ => State::Failed,
        };
        let not_before = (state == State::Queued)
            .then(|| clock::now() + retry::delay(self.config.limits.retry_seconds, job.attempt));
        self.apply(job, &Change { state, reason: Some(reason), exit_code, not_before })
    }

    fn read_events(&self, job: &Job) -> Result<bool> {
        let file = self.layout.attempt(&job.id, job.attempt).join("events.jsonl");
        let new = match events::read(&file, job.events_read, job.progress.as_ref()) {
            Ok(Some(new)) => new,
            Ok(None) => return Ok(false),
            Err(error) => {
                tracing::error!(job = job.id, %error, "the events of an attempt cannot be read");
                return Ok(false);
            }
        };
        self.store.add_events(
            &job.id,
            job.attempt,
            &new.events,
            new.read,
            new.progress.as_ref(),
            &self.config.limits,
        )?;
        if let Some(application) = new.application
            && job.application_id.as_deref() != Some(application.as_str())
        {
            self.store.set_application(&job.id, &application)?;
        }
        Ok(true)
    }
}

/// Returns true for an error that passes, such as a full disk or too many processes: it says nothing of the job.
fn is_transient(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    let kinds = [
        Kind::StorageFull,
        Kind::QuotaExceeded,
        Kind::OutOfMemory,
        Kind::WouldBlock,
        Kind::ResourceBusy,
    ];
    let numbers = [Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::NOMEM];
    kinds.contains(&error.kind()) || is_any(error, &numbers)
}

/// Describes the end of an attempt that did not succeed.
fn describe(exit: &Exit) -> String {
    match (exit.cause, exit.code, exit.signal) {
        (Cause::TimedOut, ..) => "the attempt ran longer than the cluster allows".to_owned(),
        (Cause::NotCreated, ..) => {
            format!("the process could not be created: {}", exit.error.as_deref().unwrap_or(""))
        }
        (_, Some(code), _) => {
            format!("the driver ended with exit code {code}; its log has the cause")
        }
        (_, None, Some(signal)) => format!("the driver was ended by signal {signal}"),
        (_, None, None) => "the driver ended".to_owned(),
    }
}
