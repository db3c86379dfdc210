//! The folder of an attempt, by which the server and the attempt's supervisor communicate.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Status;
use crate::files;

/// The largest size of a file that is read whole.
const LARGEST: u64 = 16 << 20;

/// The process of an attempt, as the supervisor starts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// The arguments.
    pub arguments: Vec<String>,
    /// All environment variables.
    pub environment: BTreeMap<String, String>,
    /// The bytes of the log that are kept.
    pub log_bytes: u64,
    /// The seconds after which the process is ended.
    pub max_seconds: Option<u64>,
    /// The seconds between the request to end and the kill.
    pub grace_seconds: u64,
    /// The files of the working folder: each name with the upload of which it is a copy.
    pub files: BTreeMap<String, PathBuf>,
}

/// The supervisor of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The process id of the supervisor, absent if the attempt was abandoned.
    pub supervisor: Option<u32>,
}

/// The cause of an attempt's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The process ended by itself.
    Exited,
    /// The process was cancelled.
    Cancelled,
    /// The process ran too long.
    TimedOut,
    /// The process could not be created.
    NotCreated,
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The cause.
    pub cause: Cause,
    /// The exit code, absent if a signal ended the process.
    pub code: Option<i32>,
    /// The signal that ended the process.
    pub signal: Option<i32>,
    /// The error of a process that could not be created.
    pub error: Option<String>,
}

/// The folder of an attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    folder: PathBuf,
}

impl Attempt {
    /// Names the folder.
    #[must_use]
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Returns the folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the folder of the log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Returns the working folder of the process.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// Returns the folder of artefacts.
    #[must_use]
    pub fn results(&self) -> PathBuf {
        self.folder.join("results")
    }

    /// Returns the file of events.
    #[must_use]
    pub fn events(&self) -> PathBuf {
        self.folder.join("events.jsonl")
    }

    /// Returns the file with the work, which the runner reads.
    #[must_use]
    pub fn request(&self) -> PathBuf {
        self.folder.join("request.json")
    }

    fn launch_file(&self) -> PathBuf {
        self.folder.join("launch.json")
    }

    fn lock_file(&self) -> PathBuf {
        self.folder.join("lock")
    }

    fn started_file(&self) -> PathBuf {
        self.folder.join("started")
    }

    fn cancel_file(&self) -> PathBuf {
        self.folder.join("cancel")
    }

    fn exit_file(&self) -> PathBuf {
        self.folder.join("exit.json")
    }

    /// Creates the folders and writes what the process needs.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn prepare(&self, launch: &Launch, request: &[u8]) -> io::Result<()> {
        for folder in [self.work(), self.results()] {
            fs::create_dir_all(folder)?;
        }
        files::write_durably(&self.request(), request)?;
        files::write_durably(&self.launch_file(), &serde_json::to_vec(launch)?)?;
        // The folders of the attempt, of the job and of all jobs.
        self.folder.ancestors().skip(1).take(2).try_for_each(files::sync_folder)
    }

    /// Returns true if a process can be started: what it needs was written, and must not change under it.
    #[must_use]
    pub fn is_prepared(&self) -> bool {
        self.launch_file().exists()
    }

    /// Returns the process to start.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn launch(&self) -> io::Result<Launch> {
        read(&self.launch_file())?
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the attempt was not prepared"))
    }

    /// Opens the file whose lock the supervisor holds while it lives.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn lock(&self) -> io::Result<File> {
        let mut options = File::options();
        files::open_regular_with(
            options.create(true).truncate(false).write(true),
            &self.lock_file(),
        )
    }

    /// Records the start, which happens once; returns false if it is recorded already.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn claim(&self, started: &Started) -> io::Result<bool> {
        let mut file = match File::options().create_new(true).write(true).open(self.started_file())
        {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(error),
        };
        let text = serde_json::to_vec(started)?;
        let written = file.write_all(&text).and_then(|()| file.sync_all());
        if let Err(error) = written.and_then(|()| files::sync_folder(&self.folder)) {
            // Nothing has started: another try shall be possible, when the disk has room again.
            fs::remove_file(self.started_file())?;
            return Err(error);
        }
        Ok(true)
    }

    /// Asks the supervisor to end the process.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn request_cancel(&self) -> io::Result<()> {
        // The attempt may be recorded, but not prepared.
        fs::create_dir_all(&self.folder)?;
        match File::create_new(self.cancel_file()) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// Returns true if the process shall end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        fs::symlink_metadata(self.cancel_file()).is_ok()
    }

    /// Records the end.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn end(&self, exit: &Exit) -> io::Result<()> {
        files::write_durably(&self.exit_file(), &serde_json::to_vec(exit)?)
    }

    /// Returns the state of the process.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn status(&self) -> io::Result<Status> {
        if let Some(exit) = read(&self.exit_file())? {
            return Ok(Status::Ended(exit));
        }
        if !self.started_file().exists() {
            return Ok(Status::NotStarted);
        }
        let lock = match self.lock() {
            // A program has replaced the file, so that nothing shows that the supervisor lives.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(Status::Lost),
            lock => lock?,
        };
        match lock.try_lock() {
            Err(fs::TryLockError::WouldBlock) => return Ok(Status::Running),
            Err(fs::TryLockError::Error(error)) => return Err(error),
            Ok(()) => {}
        }
        // The supervisor may have ended between the first look and the lock.
        Ok(read(&self.exit_file())?.map_or(Status::Lost, Status::Ended))
    }
}

/// Reads a JSON file, none if it does not exist or is not what the program writes: a driver can damage it.
fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match files::read_regular(path, LARGEST) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::{Attempt, Cause, Exit, Launch, Started};
    use crate::launch::Status;

    fn attempt() -> (tempfile::TempDir, Attempt) {
        let folder = tempfile::tempdir().expect("a folder");
        let attempt = Attempt::new(folder.path().join("attempt-1"));
        let launch = Launch {
            program: "/bin/true".into(),
            arguments: vec![],
            environment: [].into(),
            log_bytes: 4,
            max_seconds: None,
            grace_seconds: 1,
            files: [].into(),
        };
        attempt.prepare(&launch, b"{}").expect("a folder");
        assert_eq!(attempt.launch().expect("a launch"), launch);
        (folder, attempt)
    }

    #[test]
    fn an_attempt_is_claimed_once() {
        let (_folder, attempt) = attempt();
        assert_eq!(attempt.status().expect("a status"), Status::NotStarted);
        let started = Started { supervisor: Some(1) };
        assert!(attempt.claim(&started).expect("an answer"));
        assert!(!attempt.claim(&started).expect("an answer"));
    }

    #[test]
    fn an_attempt_runs_while_its_lock_is_held_and_is_lost_without_an_end() {
        let (_folder, attempt) = attempt();
        let lock = attempt.lock().expect("a file");
        lock.lock().expect("a lock");
        attempt.claim(&Started { supervisor: Some(1) }).expect("an answer");
        assert_eq!(attempt.status().expect("a status"), Status::Running);
        drop(lock);
        assert_eq!(attempt.status().expect("a status"), Status::Lost);
        let exit = Exit { cause: Cause::Exited, code: Some(3), signal: None, error: None };
        attempt.end(&exit).expect("an end");
        assert_eq!(attempt.status().expect("a status"), Status::Ended(exit));
    }

    /// Puts something that a hostile program may choose in the place of a file.
    fn replace(path: &Path, kind: &str) {
        let _ = fs::remove_file(path);
        match kind {
            "pipe" => {
                assert!(Command::new("mkfifo").arg(path).status().expect("a process").success());
            }
            "device" => std::os::unix::fs::symlink("/dev/zero", path).expect("a link"),
            "folder" => fs::create_dir(path).expect("a folder"),
            "garbage" => fs::write(path, "{\"cause\": 7").expect("a file"),
            // It has no bytes on the disk.
            _ => fs::File::create(path).and_then(|file| file.set_len(1 << 40)).expect("a file"),
        }
    }

    /// Runs something that must not wait.
    fn at_once<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, answered) = mpsc::channel();
        std::thread::spawn(move || answer.send(body()));
        answered.recv_timeout(Duration::from_secs(20)).expect("an answer in time")
    }

    #[test]
    fn an_attempt_whose_files_a_program_has_replaced_is_lost_and_does_not_hold_up_others() {
        for kind in ["pipe", "device", "folder", "garbage", "huge"] {
            for name in ["exit.json", "lock"] {
                let (_folder, attempt) = attempt();
                attempt.claim(&Started { supervisor: Some(1) }).expect("an answer");
                replace(&attempt.folder().join(name), kind);
                let status = at_once(move || attempt.status().expect("a status"));
                assert_eq!(status, Status::Lost, "{name}: {kind}");
            }
        }
    }

    #[test]
    fn a_cancel_and_an_end_are_recorded_whatever_is_in_their_place() {
        for kind in ["pipe", "device", "garbage", "huge"] {
            let (_folder, attempt) = attempt();
            attempt.claim(&Started { supervisor: Some(1) }).expect("an answer");
            for name in ["cancel", "exit.partial", "exit.json"] {
                replace(&attempt.folder().join(name), kind);
            }
            let exit = Exit { cause: Cause::Cancelled, code: None, signal: None, error: None };
            let (ended, asked) = (attempt.clone(), exit.clone());
            at_once(move || ended.request_cancel().and_then(|()| ended.end(&asked)))
                .expect("an end");
            assert!(attempt.is_cancelled(), "{kind}");
            assert_eq!(attempt.status().expect("a status"), Status::Ended(exit), "{kind}");
        }
    }
}
