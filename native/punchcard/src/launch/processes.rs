//! The processes of an attempt.

use std::fs;
use std::io;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};

use super::Launch;
use super::environment::MARK;

/// The largest number of passes in which processes are killed: one that forks during a pass is found by the next.
const PASSES: u32 = 100;
/// The time between two passes.
const PAUSE: Duration = Duration::from_millis(20);

/// Kills all processes with the mark of an attempt, until a pass finds none.
///
/// # Errors
/// If the processes cannot be listed, or some are left.
pub(super) fn kill_marked(marker: &str) -> io::Result<()> {
    repeat(|| signal_all(|pid| is_marked(pid, marker)))
}

/// Kills all processes that the supervisor's process has left: those with the mark of the launch, and those that have
/// become children of the supervisor, whatever their environment.
///
/// # Errors
/// If the processes cannot be listed, or some are left.
pub(crate) fn kill_left(launch: &Launch) -> io::Result<()> {
    let marker = launch.environment.get(MARK).map_or("", String::as_str);
    repeat(|| {
        reap_orphans(None)?;
        signal_all(|pid| is_child(pid) || is_marked(pid, marker))
    })
}

/// Removes the ended children of this process, but for its own one, from the table of processes.
///
/// # Errors
/// If the processes cannot be listed.
pub(crate) fn reap_orphans(own: Option<Pid>) -> io::Result<()> {
    for pid in pids()? {
        if Some(pid) != own && is_child(pid) {
            // A child that runs is left alone.
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
    Ok(())
}

fn repeat(mut pass: impl FnMut() -> io::Result<usize>) -> io::Result<()> {
    for _ in 0..PASSES {
        if pass()? == 0 {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    Err(io::Error::other("processes of an attempt are left"))
}

/// Kills the processes of a choice; returns their number.
fn signal_all(choice: impl Fn(Pid) -> bool) -> io::Result<usize> {
    let mut count = 0;
    for pid in pids()? {
        if choice(pid) && kill_process(pid, Signal::KILL).is_ok() {
            count += 1;
        }
    }
    Ok(count)
}

/// Returns all other processes.
fn pids() -> io::Result<Vec<Pid>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        pids.extend(pid.filter(|pid| *pid != getpid()));
    }
    Ok(pids)
}

fn is_marked(pid: Pid, marker: &str) -> bool {
    let variable = format!("{MARK}={marker}");
    // A process that has ended, or is another user's, has no readable environment.
    fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero()))
        .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|one| one == variable.as_bytes()))
}

fn is_child(pid: Pid) -> bool {
    let stat =
        fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    // The name, in parentheses, may contain anything. After it come the state and the parent.
    let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
    parent == Some(getpid().as_raw_nonzero().get())
}
