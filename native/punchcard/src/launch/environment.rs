//! The environment of an attempt's process.

use std::collections::BTreeMap;

/// The variable that marks all processes of an attempt, since children inherit it.
pub(super) const MARK: &str = "FIRESTEEL_PUNCHCARD_ATTEMPT";

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
