//! The launcher of the server: a supervisor process for each attempt.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use super::processes::kill_marked;
use super::{Attempt, Launcher, NAME, Started, Status, marker, plan};
use crate::config::Config;
use crate::files::Layout;
use crate::job::Work;
use crate::store::{Job, Store};

/// The launcher of the server.
#[derive(Debug)]
pub struct Supervised {
    config: Arc<Config>,
    layout: Layout,
    store: Store,
    program: PathBuf,
    // Supervisors that this server has started, to be reaped. They do not end with it.
    children: Vec<Child>,
}

impl Supervised {
    /// Creates a launcher whose supervisors run `program supervise FOLDER`.
    #[must_use]
    pub const fn new(config: Arc<Config>, layout: Layout, store: Store, program: PathBuf) -> Self {
        Self { config, layout, store, program, children: Vec::new() }
    }

    fn attempt(&self, job: &Job) -> Attempt {
        Attempt::new(self.layout.attempt(&job.id, job.attempt))
    }

    fn prepare(&self, job: &Job, attempt: &Attempt) -> io::Result<()> {
        let cluster = self.config.clusters.get(&job.cluster).ok_or_else(|| {
            io::Error::other(format!("the cluster '{}' is no longer configured", job.cluster))
        })?;
        let request = self.store.request(&job.id).map_err(io::Error::other)?;
        let request = request
            .ok_or_else(|| io::Error::other(format!("there is no request of job '{}'", job.id)))?;
        let mut paths = std::collections::BTreeMap::new();
        for upload in request.work.uploads() {
            let found = self.store.upload(upload.id).map_err(io::Error::other)?;
            let missing = || io::Error::other(format!("the upload '{}' is gone", upload.id));
            let path = self.layout.uploads().join(found.ok_or_else(missing)?.file_name());
            paths.insert(upload.id.to_owned(), path);
        }
        let upload = |id: &str| paths.get(id).cloned().unwrap_or_default();
        let user = self.store.user(&job.user).map_err(io::Error::other)?;
        let user =
            user.ok_or_else(|| io::Error::other(format!("there is no user '{}'", job.user)))?;
        if matches!(request.work, Work::Program { .. }) && !user.programs {
            return Err(io::Error::other("the user may no longer run programs"));
        }
        let plan = plan(job, &request, cluster, &self.config, attempt, &upload, &user);
        attempt.prepare(&plan.launch, &serde_json::to_vec(&plan.request)?)
    }
}

impl Launcher for Supervised {
    fn start(&mut self, job: &Job) -> io::Result<()> {
        let attempt = self.attempt(job);
        if attempt.status()? != Status::NotStarted {
            return Ok(());
        }
        if !attempt.is_prepared() {
            self.prepare(job, &attempt)?;
        }
        let child = Command::new(&self.program)
            .arg0(NAME)
            .arg("supervise")
            .arg(attempt.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        self.children.push(child);
        Ok(())
    }

    fn status(&mut self, job: &Job) -> io::Result<Status> {
        self.children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        self.attempt(job).status()
    }

    fn cancel(&mut self, job: &Job) -> io::Result<()> {
        self.attempt(job).request_cancel()
    }

    fn abandon(&mut self, job: &Job) -> io::Result<bool> {
        let attempt = self.attempt(job);
        fs::create_dir_all(attempt.folder())?;
        attempt.claim(&Started { supervisor: None })
    }

    fn clean_up(&mut self, job: &Job) -> io::Result<()> {
        kill_marked(&marker(&job.id, job.attempt))
    }
}
