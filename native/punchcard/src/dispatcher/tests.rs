//! Dispatchers that are killed between any two effects, over a launcher whose processes live in memory.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use proptest::prelude::*;

use super::Dispatcher;
use super::bench::{Bench, Fake, Fault, Killed, Outcome};
use crate::clock::{SECOND, now};
use crate::files::Layout;
use crate::job::State;
use crate::launch::Status;

#[derive(Clone, Debug)]
enum Step {
    Submit { user: usize, token: usize, retries: u32 },
    Cancel { job: usize },
    Dispatch { fuse: Option<u32>, faults: Vec<Option<Fault>> },
    Advance { attempt: usize, outcome: Outcome },
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Success),
        2 => Just(Outcome::Failure),
        1 => Just(Outcome::Loss),
    ];
    let fault = prop_oneof![
        12 => Just(None),
        1 => Just(Some(Fault::DiskFull)),
        1 => Just(Some(Fault::Refused)),
        1 => Just(Some(Fault::Late)),
    ];
    let faults = prop::collection::vec(fault, 0..12);
    prop_oneof![
        2 => (0..3_usize, 0..2_usize, 0..3_u32)
            .prop_map(|(user, token, retries)| Step::Submit { user, token, retries }),
        1 => (0..20_usize).prop_map(|job| Step::Cancel { job }),
        4 => (prop::option::of(0..30_u32), faults)
            .prop_map(|(fuse, faults)| Step::Dispatch { fuse, faults }),
        4 => (0..40_usize, outcome).prop_map(|(attempt, outcome)| Step::Advance { attempt, outcome }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_job_is_lost_or_run_twice_by_dispatchers_that_are_killed_anywhere_on_a_system_that_fails(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut bench = Bench::new();
        let mut dispatcher = bench.dispatcher();
        for step in steps {
            match step {
                Step::Submit { user, token, retries } => {
                    let user = ["ada", "bob", "eve"][user];
                    bench.submit(user, &format!("{user}-{token}"), retries);
                }
                Step::Cancel { job } => {
                    if let Some(id) = bench.jobs.get(job) {
                        bench.store.request_cancel(id).expect("an answer");
                    }
                }
                Step::Dispatch { fuse, faults } => {
                    bench.world.lock().fuse = fuse;
                    bench.world.lock().faults = faults.into();
                    match catch_unwind(AssertUnwindSafe(|| dispatcher.step())) {
                        Ok(result) => { result.expect("a step"); }
                        Err(payload) if payload.is::<Killed>() => dispatcher = bench.dispatcher(),
                        Err(payload) => resume_unwind(payload),
                    }
                    bench.world.lock().fuse = None;
                    bench.world.lock().faults.clear();
                }
                Step::Advance { attempt, outcome } => bench.advance(attempt, outcome),
            }
            bench.check();
        }
        // Without further kills and errors everything comes to its end.
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
        bench.submit("ada", "a", 0);
    }
    bench.submit("bob", "b", 0);
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
            bench.submit("ada", "a", 0);
            bench.submit("ada", "a", 0);
        }
        bench.submit("ada", "a", 3);
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

/// A bench with one job that runs.
fn running(retries: u32) -> (Bench, Dispatcher<Fake>) {
    running_on(Bench::new(), retries)
}

fn running_on(mut bench: Bench, retries: u32) -> (Bench, Dispatcher<Fake>) {
    bench.submit("ada", "a", retries);
    let mut dispatcher = bench.dispatcher();
    dispatcher.step().expect("a step");
    bench.advance(0, Outcome::Success);
    dispatcher.step().expect("a step");
    assert_eq!(bench.job(0).state, State::Running);
    (bench, dispatcher)
}

#[test]
fn a_running_job_whose_start_is_no_longer_recorded_is_lost_and_not_launched_again() {
    let (bench, mut dispatcher) = running(0);
    for process in bench.world.lock().attempts.values_mut() {
        process.status = None;
    }
    dispatcher.step().expect("a step");
    let job = bench.job(0);
    assert_eq!((job.state, job.attempt), (State::Failed, 1));
    assert!(job.reason.expect("a reason").starts_with("the supervisor was killed"));
    let starts: u32 = bench.world.lock().attempts.values().map(|process| process.starts).sum();
    assert_eq!(starts, 1);
}

#[test]
fn an_attempt_waits_for_its_start_while_the_disk_is_full() {
    let mut bench = Bench::new();
    bench.submit("ada", "a", 0);
    bench.world.lock().faults = [Some(Fault::DiskFull)].into();
    bench.dispatcher().step().expect("a step");
    let job = bench.job(0);
    assert_eq!((job.state, job.attempt), (State::Starting, 1), "{job:?}");
    // Another dispatcher does not know of the launch, and tries at once.
    bench.dispatcher().step().expect("a step");
    bench.advance(0, Outcome::Success);
    bench.dispatcher().step().expect("a step");
    let job = bench.job(0);
    assert_eq!((job.state, job.attempt), (State::Running, 1), "{job:?}");
}

#[test]
fn an_unreadable_job_does_not_hold_up_the_others() {
    let mut bench = Bench::new();
    for token in ["a", "b", "c"] {
        bench.submit("ada", token, 0);
    }
    let database = rusqlite::Connection::open(bench.folder.path().join("punchcard.db"));
    database
        .and_then(|database| {
            database.execute("UPDATE jobs SET progress = '{' WHERE id = ?1", [&bench.jobs[0]])?;
            database.execute("UPDATE jobs SET request = '{' WHERE id = ?1", [&bench.jobs[1]])
        })
        .expect("a change");
    bench.dispatcher().step().expect("a step");
    for index in [1, 2] {
        assert_eq!(bench.job(index).state, State::Starting, "{index}");
    }
}

#[test]
fn a_job_with_a_damaged_event_does_not_hold_up_the_others() {
    let mut bench = Bench::new();
    let mut dispatcher = bench.dispatcher();
    bench.submit("ada", "a", 0);
    bench.submit("ada", "b", 0);
    for _ in 0..2 {
        dispatcher.step().expect("a step");
        bench.advance(0, Outcome::Failure);
        bench.advance(1, Outcome::Failure);
    }
    let damaged = bench.world.lock().attempts.keys().next().expect("an attempt").0.clone();
    let database = rusqlite::Connection::open(bench.folder.path().join("punchcard.db"));
    database
        .and_then(|database| {
            database.execute(
                "INSERT INTO events (job, seq, time, attempt, type, data) VALUES (?1, 99, 0, 1, 'failure', '{')",
                [&damaged],
            )
        })
        .expect("a row");
    dispatcher.step().expect("a step");
    dispatcher.step().expect("a step");
    let ended = |index| bench.job(index).state == State::Failed;
    assert_eq!([0, 1].map(ended), [0, 1].map(|index| bench.jobs[index] != damaged));
}

#[test]
fn a_job_waits_longer_before_each_further_attempt_and_keeps_no_other_waiting() {
    let (mut bench, mut dispatcher) = running_on(Bench::with_retries_after(100), 3);
    for (attempt, seconds) in [(1, 100), (2, 200), (3, 300)] {
        let before = now();
        bench.advance(attempt - 1, Outcome::Failure);
        bench.submit("ada", "a", 0);
        dispatcher.step().expect("a step");
        dispatcher.step().expect("a step");
        let job = bench.job(0);
        assert_eq!((job.state, job.attempt as usize), (State::Queued, attempt), "{job:?}");
        let wait = job.not_before.expect("a time") - before;
        assert!((seconds * SECOND..(seconds + 60) * SECOND).contains(&wait), "{wait} ms");
        // A job that was accepted later starts.
        assert_eq!(bench.job(attempt).state, State::Starting);
        bench.store.request_cancel(&bench.jobs[attempt]).expect("an answer");
        dispatcher.step().expect("a step");
        assert_eq!(bench.job(attempt).state, State::Cancelled);
        bench.let_time_pass(0);
        dispatcher.step().expect("a step");
        let job = bench.job(0);
        assert_eq!((job.state, job.not_before), (State::Starting, None), "{job:?}");
        bench.advance(attempt, Outcome::Success);
        dispatcher.step().expect("a step");
        assert_eq!(bench.job(0).state, State::Running);
    }
}

#[test]
fn a_job_that_waits_for_its_next_attempt_is_cancelled_at_once() {
    let (bench, mut dispatcher) = running_on(Bench::with_retries_after(100), 3);
    bench.advance(0, Outcome::Failure);
    dispatcher.step().expect("a step");
    assert_eq!(bench.job(0).state, State::Queued);
    bench.store.request_cancel(&bench.jobs[0]).expect("an answer");
    dispatcher.step().expect("a step");
    assert_eq!((bench.job(0).state, bench.job(0).not_before), (State::Cancelled, None));
}

#[test]
fn a_failure_that_would_repeat_itself_is_not_repeated() {
    for (retry, state) in [("false", State::Failed), ("true", State::Queued), ("0", State::Queued)]
    {
        let (bench, mut dispatcher) = running_on(Bench::with_retries_after(100), 3);
        let folder = Layout::create(bench.folder.path()).expect("folders");
        let folder = folder.attempt(&bench.jobs[0], 1);
        std::fs::create_dir_all(&folder).expect("a folder");
        let event = format!(
            "{{\"time\": \"2026-11-30T05:10:00Z\", \"type\": \"failure\", \
             \"data\": {{\"reason\": \"there is no column x\", \"retry\": {retry}}}}}\n"
        );
        std::fs::write(folder.join("events.jsonl"), event).expect("a file");
        bench.advance(0, Outcome::Failure);
        dispatcher.step().expect("a step");
        let job = bench.job(0);
        assert_eq!((job.state, job.attempt), (state, 1), "{retry}");
        assert_eq!(job.reason.as_deref(), Some("there is no column x"));
    }
}
