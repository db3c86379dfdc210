//! Dispatchers that are killed between any two effects, over a launcher whose processes live in memory.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use parking_lot::Mutex;
use proptest::prelude::*;

use super::Dispatcher;
use crate::config::{Config, Quotas};
use crate::files::Layout;
use crate::job::{JobRequest, State};
use crate::launch::{Cause, Exit, Launcher, Status};
use crate::store::testing::store;
use crate::store::{Accepted, Job, NewJob, Role, Store};

/// The payload of the panic that stands for a kill.
struct Killed;

/// The processes of attempts, which outlive dispatchers.
#[derive(Debug, Default)]
struct World {
    attempts: BTreeMap<(String, u32), Process>,
    /// The calls until the dispatcher is killed.
    fuse: Option<u32>,
}

#[derive(Debug, Default)]
struct Process {
    launched: bool,
    abandoned: bool,
    cancelled: bool,
    runs: u32,
    status: Option<Status>,
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
enum Outcome {
    Success,
    Failure,
    Loss,
}

struct Fake(Arc<Mutex<World>>);

impl Fake {
    /// Runs an effect between two places at which the dispatcher may be killed.
    fn effect<T>(&self, job: &Job, effect: impl FnOnce(&mut Process) -> T) -> io::Result<T> {
        self.burn();
        let result = {
            let mut world = self.0.lock();
            effect(world.attempts.entry((job.id.clone(), job.attempt)).or_default())
        };
        self.burn();
        Ok(result)
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
        self.effect(job, |process| process.launched = true)
    }

    fn status(&mut self, job: &Job) -> io::Result<Status> {
        self.effect(job, |process| process.status.clone().unwrap_or(Status::NotStarted))
    }

    fn cancel(&mut self, job: &Job) -> io::Result<()> {
        self.effect(job, |process| process.cancelled = true)
    }

    fn abandon(&mut self, job: &Job) -> io::Result<bool> {
        self.effect(job, |process| {
            process.abandoned |= process.status.is_none();
            process.abandoned
        })
    }

    fn clean_up(&mut self, job: &Job) -> io::Result<()> {
        self.effect(job, |_| ())
    }
}

struct Bench {
    folder: tempfile::TempDir,
    store: Store,
    config: Arc<Config>,
    world: Arc<Mutex<World>>,
    jobs: Vec<String>,
}

fn request(retries: u32) -> JobRequest {
    let text = format!(
        r#"{{"name": "n", "retries": {retries}, "work": {{"kind": "program", "file": "f"}}}}"#
    );
    serde_json::from_str(&text).expect("a request")
}

impl Bench {
    fn new() -> Self {
        let (folder, store) = store();
        for user in ["ada", "bob", "eve"] {
            store.add_user(user, Role::User, true).expect("a user");
        }
        let config: Config = toml::from_str(
            "data = '/data'\nquotas = { running = 2, running_per_token = 2, queued = 1000 }\n\
             firesteel = { python = '/python' }\n\
             clusters.local = { master = 'local', spark_submit = '/submit', running = 3 }",
        )
        .expect("a configuration");
        let world = Arc::default();
        Self { folder, store, config: Arc::new(config), world, jobs: Vec::new() }
    }

    fn dispatcher(&self) -> Dispatcher<Fake> {
        let layout = Layout::create(self.folder.path()).expect("folders");
        Dispatcher::new(
            self.store.clone(),
            Arc::clone(&self.config),
            layout,
            Fake(Arc::clone(&self.world)),
        )
    }

    fn submit(&mut self, user: &str, retries: u32) {
        let (sha256, quota) = ("0".repeat(64), u64::MAX);
        let upload =
            self.store.add_upload(user, 1, &sha256, "py", quota, |_| Ok(())).expect("an upload").0;
        let mut request = request(retries);
        request.work = request.work.map_uploads(|_| upload.id.clone());
        let key = self.jobs.len().to_string();
        let new = NewJob {
            user,
            token: user,
            cluster: "local",
            request: &request,
            key: &key,
            hash: [0; 32],
            resubmitted_from: None,
        };
        match self.store.accept(&new, &Quotas { queued: 1000, ..Quotas::default() }) {
            Ok(Accepted::New(job)) => self.jobs.push(job.id),
            other => panic!("{other:?}"),
        }
    }

    /// Lets something happen to an attempt.
    fn advance(&self, attempt: usize, outcome: Outcome) {
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

    fn runs(&self) -> u32 {
        self.world.lock().attempts.values().map(|process| process.runs).sum()
    }

    fn job(&self, index: usize) -> Job {
        self.store.job(&self.jobs[index]).expect("an answer").expect("a job")
    }

    /// Checks the history of every job, and the limits of what runs.
    fn check(&self) {
        let mut active: HashMap<String, u32> = HashMap::new();
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
            if job.state.is_active() {
                *active.entry(job.user).or_default() += 1;
            }
        }
        assert!(active.values().all(|count| *count <= 2), "{active:?}");
        assert!(active.values().sum::<u32>() <= 3, "{active:?}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Submit { user: usize, retries: u32 },
    Cancel { job: usize },
    Dispatch { fuse: Option<u32> },
    Advance { attempt: usize, outcome: Outcome },
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Success),
        2 => Just(Outcome::Failure),
        1 => Just(Outcome::Loss),
    ];
    prop_oneof![
        2 => (0..3_usize, 0..3_u32).prop_map(|(user, retries)| Step::Submit { user, retries }),
        1 => (0..20_usize).prop_map(|job| Step::Cancel { job }),
        4 => prop::option::of(0..30_u32).prop_map(|fuse| Step::Dispatch { fuse }),
        4 => (0..40_usize, outcome).prop_map(|(attempt, outcome)| Step::Advance { attempt, outcome }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_job_is_lost_or_run_twice_by_dispatchers_that_are_killed_anywhere(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut bench = Bench::new();
        let mut dispatcher = bench.dispatcher();
        for step in steps {
            match step {
                Step::Submit { user, retries } => bench.submit(["ada", "bob", "eve"][user], retries),
                Step::Cancel { job } => {
                    if let Some(id) = bench.jobs.get(job) {
                        bench.store.request_cancel(id).expect("an answer");
                    }
                }
                Step::Dispatch { fuse } => {
                    bench.world.lock().fuse = fuse;
                    match catch_unwind(AssertUnwindSafe(|| dispatcher.step())) {
                        Ok(result) => { result.expect("a step"); }
                        Err(payload) if payload.is::<Killed>() => dispatcher = bench.dispatcher(),
                        Err(payload) => resume_unwind(payload),
                    }
                    bench.world.lock().fuse = None;
                }
                Step::Advance { attempt, outcome } => bench.advance(attempt, outcome),
            }
            bench.check();
        }
        // Without further kills everything comes to its end.
        dispatcher = bench.dispatcher();
        for _ in 0..4 * bench.jobs.len() + 4 {
            dispatcher.step().expect("a step");
            let count = bench.world.lock().attempts.len();
            for attempt in (0..count).chain(0..count) {
                bench.advance(attempt, Outcome::Success);
            }
            bench.check();
        }
        for index in 0..bench.jobs.len() {
            let job = bench.job(index);
            prop_assert!(job.state.is_final(), "{job:?}");
            let world = bench.world.lock();
            let last = world.attempts.get(&(job.id.clone(), job.attempt));
            let code = last.and_then(|process| match &process.status {
                Some(Status::Ended(exit)) => exit.code,
                _ => None,
            });
            prop_assert_eq!(job.state == State::Succeeded, code == Some(0), "{:?} {:?}", job, last);
            prop_assert!(job.state != State::Cancelled || job.cancel_requested);
        }
    }
}

#[test]
fn a_user_with_many_jobs_does_not_keep_others_waiting() {
    let mut bench = Bench::new();
    for _ in 0..5 {
        bench.submit("ada", 0);
    }
    bench.submit("bob", 0);
    let mut dispatcher = bench.dispatcher();
    dispatcher.step().expect("a step");
    let states: Vec<_> = (0..6).map(|index| bench.job(index).state).collect();
    let (starting, queued) = (State::Starting, State::Queued);
    assert_eq!(states, [starting, starting, queued, queued, queued, starting]);
    let places = super::positions(&bench.store.unfinished().expect("jobs"));
    assert_eq!((2..5).map(|index| places[&bench.jobs[index]]).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_job_is_cancelled_in_every_state() {
    for state in [State::Accepted, State::Queued, State::Starting, State::Running] {
        let mut bench = Bench::new();
        let mut dispatcher = bench.dispatcher();
        if state == State::Queued {
            // As many as the user may run at a time.
            bench.submit("ada", 0);
            bench.submit("ada", 0);
        }
        bench.submit("ada", 3);
        let index = bench.jobs.len() - 1;
        if state != State::Accepted {
            dispatcher.step().expect("a step");
        }
        if state == State::Running {
            bench.advance(0, Outcome::Success);
            dispatcher.step().expect("a step");
        }
        assert_eq!(bench.job(index).state, state);
        bench.store.request_cancel(&bench.jobs[index]).expect("an answer");
        for _ in 0..3 {
            dispatcher.step().expect("a step");
            bench.advance(index, Outcome::Success);
        }
        assert_eq!(bench.job(index).state, State::Cancelled, "from {state:?}");
    }
}
