//! The processes of a server's jobs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Kills all processes with a folder in their arguments or environment, until none is found.
pub fn kill_all(folder: &Path) {
    let text = folder.to_string_lossy().into_owned();
    for _ in 0..100 {
        let found = find(text.as_bytes());
        if found.is_empty() {
            return;
        }
        for pid in found {
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn find(text: &[u8]) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").expect("a folder").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_found = |pid: &i32| {
        ["cmdline", "environ"].iter().any(|name| {
            let bytes = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            bytes.windows(text.len()).any(|window| window == text)
        })
    };
    let own = i32::try_from(std::process::id()).expect("a pid");
    pids.filter(|pid| *pid != own).filter(is_found).filter_map(Pid::from_raw).collect()
}
