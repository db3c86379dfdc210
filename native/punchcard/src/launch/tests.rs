//! The launcher of the server, whose supervisor is replaced by a program that does nothing.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::{Attempt, Launcher as _, Status, Supervised};
use crate::config::Config;
use crate::dispatcher::Dispatcher;
use crate::files::Layout;
use crate::job::State;
use crate::store::testing::{accept, store};
use crate::store::{Change, Job, Store};

struct Bench {
    _folder: tempfile::TempDir,
    store: Store,
    config: Arc<Config>,
    layout: Layout,
}

impl Bench {
    /// A store with a job in the state `STARTING`, whose folder does not exist.
    fn starting() -> (Self, Job) {
        let (folder, store) = store();
        let job = accept(&store, "n");
        for (from, to) in [(State::Accepted, State::Queued), (State::Queued, State::Starting)] {
            assert!(store.change_job(&job.id, from, &Change::to(to)).expect("a change"));
        }
        let config = toml::from_str(
            "data = '/data'\nfiresteel = { python = '/python' }\n\
             clusters.local = { master = 'local', spark_submit = '/bin/false' }",
        )
        .expect("a configuration");
        let layout = Layout::create(folder.path()).expect("folders");
        let job = store.job(&job.id).expect("an answer").expect("a job");
        (Self { _folder: folder, store, config: Arc::new(config), layout }, job)
    }

    fn launcher(&self, program: &str) -> Supervised {
        let (config, layout) = (Arc::clone(&self.config), self.layout.clone());
        Supervised::new(config, layout, self.store.clone(), program.into())
    }

    fn attempt(&self, job: &Job) -> Attempt {
        Attempt::new(self.layout.attempt(&job.id, job.attempt))
    }
}

#[test]
fn a_cancel_before_the_folder_exists_ends_the_job() {
    let (bench, job) = Bench::starting();
    assert!(!bench.layout.job(&job.id).exists());
    bench.store.request_cancel(&job.id).expect("an answer");
    let launcher = bench.launcher("/bin/true");
    let (config, layout) = (Arc::clone(&bench.config), bench.layout.clone());
    let mut dispatcher = Dispatcher::new(bench.store.clone(), config, layout, launcher);
    dispatcher.step().expect("a step");
    let job = bench.store.job(&job.id).expect("an answer").expect("a job");
    assert_eq!(job.state, State::Cancelled);
    // A supervisor that starts late finds the attempt taken.
    let attempt = bench.attempt(&job);
    assert!(!attempt.claim(&super::Started { supervisor: Some(1) }).expect("an answer"));
}

#[test]
fn a_second_launch_leaves_the_files_of_the_first() {
    let (bench, job) = Bench::starting();
    let mut launcher = bench.launcher("/bin/true");
    launcher.start(&job).expect("a start");
    let attempt = bench.attempt(&job);
    assert_eq!(launcher.status(&job).expect("a status"), Status::NotStarted);
    let launch = attempt.launch().expect("a launch");
    assert_eq!(launch.program, Path::new("/bin/false"));
    // A process may have started meanwhile and read or replaced them.
    for file in [attempt.request(), attempt.work().join("checkpoint")] {
        fs::write(file, "of the process").expect("a file");
    }
    bench.launcher("/bin/true").start(&job).expect("a start");
    for file in [attempt.request(), attempt.work().join("checkpoint")] {
        assert_eq!(fs::read_to_string(file).expect("a file"), "of the process");
    }
}

#[test]
fn a_program_does_not_start_after_its_user_has_lost_the_right() {
    let (bench, job) = Bench::starting();
    let change = crate::store::UserChange { programs: Some(false), ..Default::default() };
    assert!(bench.store.change_user("ada", &change).expect("an answer"));
    let error = bench.launcher("/bin/true").start(&job).expect_err("no right");
    assert_eq!(error.to_string(), "the user may no longer run programs");
    assert!(!bench.attempt(&job).is_prepared());
}
