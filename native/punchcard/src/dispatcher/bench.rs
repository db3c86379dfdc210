//! A dispatcher's surroundings in memory: processes that outlive dispatchers, kills, and calls that fail.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Dispatcher;
use crate::config::Config;
use crate::files::Layout;
use crate::job::{JobRequest, State};
use crate::launch::{Cause, Exit, Launcher, Status};
use crate::store::testing::store;
use crate::store::testing::{accepted, new_job};
use crate::store::{Job, Role, Store};

/// The payload of the panic that stands for a kill.
pub(super) struct Killed;

/// The processes of attempts, which outlive dispatchers.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) attempts: BTreeMap<(String, u32), Process>,
    /// The calls until the dispatcher is killed.
    pub(super) fuse: Option<u32>,
    /// The errors of the next calls; those after them succeed.
    pub(super) faults: VecDeque<Option<Fault>>,
}

/// An error of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// An error that passes, before anything has happened.
    DiskFull,
    /// An error that stays, before anything has happened.
    Refused,
    /// An error after the effect.
    Late,
}

#[derive(Debug, Default)]
pub(super) struct Process {
    pub(super) launched: bool,
    abandoned: bool,
    cancelled: bool,
    /// The calls that launched it.
    pub(super) starts: u32,
    runs: u32,
    pub(super) status: Option<Status>,
}

impl World {
    /// Lets something happen to an attempt that a dispatcher has launched.
    fn advance(&mut self, index: usize, outcome: Outcome) {
        let count = self.attempts.len();
        let Some((key, process)) = self.attempts.iter_mut().nth(index % count.max(1)) else {
            return;
        };
        let key = key.clone();
        match process.status {
            None if process.launched && !process.abandoned => {
                process.runs += 1;
                assert_eq!(process.runs, 1, "an attempt ran twice");
                process.status = Some(Status::Running);
                let alive = |((job, _), other): &(&(String, u32), &Process)| {
                    *job == key.0 && other.status == Some(Status::Running)
                };
                assert_eq!(
                    self.attempts.iter().filter(alive).count(),
                    1,
                    "two attempts of a job at a time"
                );
            }
            Some(Status::Running) => {
                let exit =
                    |cause, code| Status::Ended(Exit { cause, code, signal: None, error: None });
                process.status = Some(match outcome {
                    _ if process.cancelled => exit(Cause::Cancelled, None),
                    Outcome::Success => exit(Cause::Exited, Some(0)),
                    Outcome::Failure => exit(Cause::Exited, Some(1)),
                    Outcome::Loss => Status::Lost,
                });
            }
            _ => {}
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    Success,
    Failure,
    Loss,
}

pub(super) struct Fake(Arc<Mutex<World>>);

impl Fake {
    /// Runs an effect, which may fail, between two places at which the dispatcher may be killed.
    fn effect<T>(&self, job: &Job, effect: impl FnOnce(&mut Process) -> T) -> io::Result<T> {
        self.burn();
        let result = {
            let mut world = self.0.lock();
            let fault = world.faults.pop_front().flatten();
            match fault {
                Some(Fault::DiskFull) => Err(io::ErrorKind::StorageFull.into()),
                Some(Fault::Refused) => Err(io::ErrorKind::PermissionDenied.into()),
                Some(Fault::Late) | None => {
                    let key = (job.id.clone(), job.attempt);
                    let result = effect(world.attempts.entry(key).or_default());
                    if fault.is_some() {
                        Err(io::ErrorKind::Interrupted.into())
                    } else {
                        Ok(result)
                    }
                }
            }
        };
        self.burn();
        result
    }

    fn burn(&self) {
        let mut world = self.0.lock();
        if let Some(fuse) = &mut world.fuse {
            if *fuse == 0 {
                world.fuse = None;
                drop(world);
                resume_unwind(Box::new(Killed));
            }
            *fuse -= 1;
        }
    }
}

impl Launcher for Fake {
    fn start(&mut self, job: &Job) -> io::Result<()> {
        self.effect(job, |process| {
            process.launched = true;
            process.starts += 1;
        })
    }

    fn status(&mut self, job: &Job) -> io::Result<Status> {
        self.effect(job, |process| match &process.status {
            Some(status) => status.clone(),
            None if process.abandoned => Status::Lost,
            None => Status::NotStarted,
        })
    }

    fn cancel(&mut self, job: &Job) -> io::Result<()> {
        self.effect(job, |process| process.cancelled = true)
    }

    fn abandon(&mut self, job: &Job) -> io::Result<bool> {
        self.effect(job, |process| {
            let first = process.status.is_none() && !process.abandoned;
            process.abandoned |= first;
            first
        })
    }

    fn clean_up(&mut self, job: &Job) -> io::Result<()> {
        self.effect(job, |_| ())
    }
}

pub(super) struct Bench {
    pub(super) folder: tempfile::TempDir,
    pub(super) store: Store,
    config: Arc<Config>,
    pub(super) world: Arc<Mutex<World>>,
    pub(super) jobs: Vec<String>,
}

fn request(retries: u32) -> JobRequest {
    let text = format!(
        r#"{{"name": "n", "retries": {retries}, "work": {{"kind": "program", "file": "f"}}}}"#
    );
    serde_json::from_str(&text).expect("a request")
}

impl Bench {
    /// A bench whose jobs are repeated at once.
    pub(super) fn new() -> Self {
        Self::with_retries_after(0)
    }

    /// A bench with a time in seconds before the first repetition of a job.
    pub(super) fn with_retries_after(seconds: u32) -> Self {
        let (folder, store) = store();
        for user in ["ada", "bob", "eve"] {
            store.add_user(user, Role::User, true).expect("a user");
        }
        let config: Config = toml::from_str(&format!(
            "data = '/data'\nquotas = {{ running = 3, running_per_token = 2, queued = 1000 }}\n\
             limits = {{ retry_seconds = {seconds} }}\nfiresteel = {{ python = '/python' }}\n\
             clusters.local = {{ master = 'local', spark_submit = '/submit', running = 4 }}",
        ))
        .expect("a configuration");
        let world = Arc::default();
        Self { folder, store, config: Arc::new(config), world, jobs: Vec::new() }
    }

    pub(super) fn dispatcher(&self) -> Dispatcher<Fake> {
        let layout = Layout::create(self.folder.path()).expect("folders");
        Dispatcher::new(
            self.store.clone(),
            Arc::clone(&self.config),
            layout,
            Fake(Arc::clone(&self.world)),
        )
    }

    /// Submits a job with the token of a user that has this name.
    pub(super) fn submit(&mut self, user: &str, token: &str, retries: u32) {
        let (sha256, quota) = ("0".repeat(64), u64::MAX);
        let upload =
            self.store.add_upload(user, 1, &sha256, "py", quota, |_| Ok(())).expect("an upload").0;
        let mut request = request(retries);
        request.work = request.work.map_uploads(|_| upload.id.clone());
        let key = self.jobs.len().to_string();
        let job = accepted(&self.store, &new_job(user, token, &request, &key));
        self.jobs.push(job.id);
    }

    /// Lets something happen to an attempt.
    pub(super) fn advance(&self, attempt: usize, outcome: Outcome) {
        let before: u32 = self.runs();
        self.world.lock().advance(attempt, outcome);
        if self.runs() > before {
            let world = self.world.lock();
            let (id, number) =
                world.attempts.keys().nth(attempt % world.attempts.len()).expect("an attempt");
            let job = self.store.job(id).expect("an answer").expect("a job");
            assert!(job.state.is_active(), "a process started for {job:?}");
            assert_eq!(job.attempt, *number);
        }
    }

    /// Ends the wait of a job for its next attempt.
    pub(super) fn let_time_pass(&self, index: usize) {
        let database = rusqlite::Connection::open(self.folder.path().join("punchcard.db"));
        database
            .and_then(|database| {
                let sql = "UPDATE jobs SET not_before = 1 WHERE id = ?1 AND not_before > 1";
                database.execute(sql, [&self.jobs[index]])
            })
            .expect("a change");
    }

    fn runs(&self) -> u32 {
        self.world.lock().attempts.values().map(|process| process.runs).sum()
    }

    pub(super) fn job(&self, index: usize) -> Job {
        self.store.job(&self.jobs[index]).expect("an answer").expect("a job")
    }

    /// Checks the history of every job, and the limits of what runs.
    pub(super) fn check(&self) {
        let mut users: HashMap<String, u32> = HashMap::new();
        let mut tokens: HashMap<String, u32> = HashMap::new();
        for index in 0..self.jobs.len() {
            let job = self.job(index);
            let events = self.store.events(&job.id, 0, 1000).expect("events");
            let states: Vec<State> = events
                .iter()
                .map(|event| serde_json::from_value(event.data["state"].clone()).expect("a state"))
                .collect();
            assert_eq!(states.first(), Some(&State::Accepted));
            assert_eq!(states.last(), Some(&job.state));
            assert!(states.windows(2).all(|pair| pair[0].may_become(pair[1])), "{states:?}");
            assert!(job.attempt <= job.retries + 1);
            assert_eq!(job.not_before.is_some(), job.state == State::Queued && job.attempt > 0);
            if job.state.is_active() {
                *users.entry(job.user).or_default() += 1;
                *tokens.entry(job.token).or_default() += 1;
            }
        }
        assert!(users.values().all(|count| *count <= 3), "{users:?}");
        assert!(tokens.values().all(|count| *count <= 2), "{tokens:?}");
        assert!(users.values().sum::<u32>() <= 4, "{users:?}");
    }
}
