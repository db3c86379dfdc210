//! The environment of an attempt's process, and the processes that carry its mark.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use rustix::process::{Pid, Signal, getpid, kill_process};

use super::Launch;

/// The variable that marks all processes of an attempt, since children inherit it.
const MARK: &str = "FIRESTEEL_PUNCHCARD_ATTEMPT";

/// The variables of the server that a process gets: no secret of the server is among them.
const INHERITED: [&str; 5] = ["HOME", "JAVA_HOME", "LANG", "PATH", "TMPDIR"];

/// Returns the mark of an attempt.
#[must_use]
pub fn marker(job: &str, attempt: u32) -> String {
    format!("{job}.{attempt}")
}

/// Returns the environment of an attempt's process.
pub(super) fn environment(
    cluster: &BTreeMap<String, String>,
    marker: &str,
) -> BTreeMap<String, String> {
    let mut environment: BTreeMap<String, String> = INHERITED
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
        .collect();
    environment.extend(cluster.clone());
    environment.insert(MARK.to_owned(), marker.to_owned());
    environment
}

/// Sends a signal to all other processes of this user with an attempt's mark; returns their number.
///
/// # Errors
/// If the processes cannot be listed.
pub(crate) fn signal_marked(marker: &str, signal: Signal) -> io::Result<usize> {
    let variable = format!("{MARK}={marker}");
    let mut count = 0;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|pid| *pid != getpid()) else { continue };
        // A process that has ended, or is another user's, has no readable environment.
        let Ok(environ) = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())) else {
            continue;
        };
        if environ.split(|byte| *byte == 0).any(|one| one == variable.as_bytes())
            && kill_process(pid, signal).is_ok()
        {
            count += 1;
        }
    }
    Ok(count)
}

/// Sends a signal to all processes with the mark of a launch.
///
/// # Errors
/// If the processes cannot be listed.
pub(crate) fn signal_marked_by(launch: &Launch, signal: Signal) -> io::Result<usize> {
    launch.environment.get(MARK).map_or(Ok(0), |marker| signal_marked(marker, signal))
}
