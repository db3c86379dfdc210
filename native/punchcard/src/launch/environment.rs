//! The environment of an attempt's process.

use std::collections::BTreeMap;
use std::path::Path;

/// The variable that marks all processes of an attempt, since children inherit it.
pub(super) const MARK: &str = "FIRESTEEL_PUNCHCARD_ATTEMPT";

/// The variables of the server that a process gets: no secret of the server is among them.
const INHERITED: [&str; 5] = ["HOME", "JAVA_HOME", "LANG", "PATH", "TMPDIR"];

/// Returns the mark of an attempt.
#[must_use]
pub fn marker(job: &str, attempt: u32) -> String {
    format!("{job}.{attempt}")
}

/// Returns the environment of the drivers of a cluster, to which an attempt adds its own variables. `python` is the folder
/// that contains the package `firesteel`.
#[must_use]
pub fn environment(cluster: &BTreeMap<String, String>, python: &Path) -> BTreeMap<String, String> {
    let mut environment: BTreeMap<String, String> = INHERITED
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
        .collect();
    environment.extend(cluster.clone());
    let python = python.to_string_lossy();
    let path = match environment.get("PYTHONPATH") {
        Some(given) => format!("{python}:{given}"),
        None => python.into_owned(),
    };
    environment.insert("PYTHONPATH".to_owned(), path);
    environment.insert("PYTHONUNBUFFERED".to_owned(), "1".to_owned());
    environment
}
