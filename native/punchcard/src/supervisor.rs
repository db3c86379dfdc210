//! The supervisor of an attempt: a process that outlives the server, starts the attempt's process, keeps its output in a
//! bounded log, ends it on request, and records its end.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, getpid, getppid, kill_process_group, set_child_subreaper,
    set_parent_process_death_signal, setsid,
};

use crate::launch::{Attempt, Cause, Exit, ITSELF, Launch, NAME, Started, kill_left, reap_orphans};
use crate::log::LogWriter;

/// The time between two looks at the process and at the request to end it.
const TICK: Duration = Duration::from_millis(100);
/// The time for which a lock is tried: the server takes it for a moment when it looks at an attempt.
const LOCK: Duration = Duration::from_secs(5);
/// The time between two tries to record the end.
const RETRY: Duration = Duration::from_secs(1);
/// The time between two looks for ended processes that lost their parent.
const REAP: Duration = Duration::from_secs(10);
/// The time for the rest of the output after the process has ended.
const DRAIN: Duration = Duration::from_secs(5);

/// Supervises the attempt of a folder, unless it has started before.
///
/// # Errors
/// If the folder cannot be read or written.
pub fn supervise(folder: &Path) -> io::Result<()> {
    // A session of its own: signals to the server's group do not reach it. It fails for the leader of a group.
    let _ = setsid();
    let attempt = Attempt::new(folder.to_owned());
    let lock = attempt.lock()?;
    let deadline = Instant::now() + LOCK;
    while lock.try_lock().is_err() {
        if Instant::now() > deadline {
            return Err(io::Error::other("another supervisor has the attempt"));
        }
        thread::sleep(TICK);
    }
    if !attempt.claim(&Started { supervisor: Some(std::process::id()) })? {
        return Ok(());
    }
    // Processes that lose their parent become children of this one, so that they are found at the end.
    let _ = set_child_subreaper(Some(getpid()));
    let exit = run(&attempt).unwrap_or_else(|error| Exit {
        cause: Cause::NotCreated,
        code: None,
        signal: None,
        error: Some(error.to_string()),
    });
    // The end must not be lost on a full disk: the job would be repeated.
    while let Err(error) = attempt.end(&exit) {
        if !attempt.folder().exists() {
            return Err(error);
        }
        thread::sleep(RETRY);
    }
    Ok(())
}

/// Becomes the attempt's process, which ends if the supervisor dies.
///
/// # Errors
/// If the program cannot be run.
pub fn become_process(folder: &Path, supervisor: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let parent = getppid().map(|pid| pid.as_raw_nonzero().get());
    if parent != i32::try_from(supervisor).ok() {
        return Err(io::Error::other("the supervisor has ended"));
    }
    let attempt = Attempt::new(folder.to_owned());
    let Launch { program, arguments, environment, .. } = attempt.launch()?;
    let mut command = Command::new(&program);
    command.args(arguments).env_clear().envs(environment).current_dir(attempt.work());
    let error = command.exec();
    Err(io::Error::new(error.kind(), format!("{}: {error}", program.display())))
}

fn run(attempt: &Attempt) -> io::Result<Exit> {
    let cancelled = Exit { cause: Cause::Cancelled, code: None, signal: None, error: None };
    let launch = attempt.launch()?;
    // Copies of large files take a while, for which the server does not wait.
    for (name, upload) in &launch.files {
        if attempt.is_cancelled() {
            return Ok(cancelled);
        }
        fs::copy(upload, attempt.work().join(name))?;
    }
    if attempt.is_cancelled() {
        return Ok(cancelled);
    }
    let mut log = LogWriter::create(&attempt.log(), launch.log_bytes)?;
    let (mut output, input) = io::pipe()?;
    let mut child = Command::new(ITSELF)
        .arg0(NAME)
        .arg("become")
        .arg(attempt.folder())
        .arg(std::process::id().to_string())
        .stdin(Stdio::null())
        .stdout(input.try_clone()?)
        .stderr(input)
        .process_group(0)
        .spawn()?;
    let (drained, rest) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let mut bytes = vec![0; 64 * 1024];
        // Without room on the disk the output is dropped: a full pipe would stop the process.
        while let Ok(count) = output.read(&mut bytes)
            && count > 0
        {
            let _ = log.write(&bytes[..count]);
        }
        let _ = drained.send(());
    });
    let (cause, status) = watch(attempt, &launch, &mut child)?;
    // A process that cannot be killed does not change the end of the driver.
    let _ = kill_left(&launch);
    let _ = rest.recv_timeout(DRAIN);
    Ok(Exit { cause, code: status.code(), signal: status.signal(), error: None })
}

/// Waits for the end of the process, and ends it on request or when its time is over.
fn watch(attempt: &Attempt, launch: &Launch, child: &mut Child) -> io::Result<(Cause, ExitStatus)> {
    let start = Instant::now();
    let limit = launch.max_seconds.map(Duration::from_secs);
    let grace = Duration::from_secs(launch.grace_seconds);
    let mut cause = Cause::Exited;
    let mut asked: Option<Instant> = None;
    let mut reaped = start;
    loop {
        if reaped.elapsed() > REAP {
            let _ = reap_orphans(Some(pid_of(child)));
            reaped = Instant::now();
        }
        if let Some(status) = child.try_wait()? {
            return Ok((cause, status));
        }
        match asked {
            None => {
                if attempt.is_cancelled() {
                    cause = Cause::Cancelled;
                } else if limit.is_some_and(|limit| start.elapsed() > limit) {
                    cause = Cause::TimedOut;
                }
                if cause != Cause::Exited {
                    // Spark's driver stops its application on SIGTERM.
                    let _ = kill_process_group(pid_of(child), Signal::TERM);
                    asked = Some(Instant::now());
                }
            }
            Some(since) if since.elapsed() > grace => {
                let _ = kill_process_group(pid_of(child), Signal::KILL);
            }
            Some(_) => {}
        }
        thread::sleep(TICK);
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}
