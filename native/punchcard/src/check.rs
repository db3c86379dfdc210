//! The check of a configuration before a server starts with it.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::config::{Cluster, Config};
use crate::http;

/// The beginnings of the masters that jobs run on.
const MASTERS: [&str; 4] = ["local", "spark://", "yarn", "k8s://"];

/// Returns a summary of a configuration that was read, for an operator.
///
/// # Errors
/// All problems that would make the server or `spark-submit` fail, one in each line.
pub fn check(config: &Config) -> Result<String, String> {
    let mut problems = Vec::new();
    if let Some(files) = &config.tls
        && let Err(problem) = http::tls(files)
    {
        problems.push(format!("tls: {problem}"));
    }
    for (name, cluster) in &config.clusters {
        problems.extend(cluster_problems(cluster).map(|text| format!("clusters.{name}: {text}")));
    }
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let mut text = format!("listens on {scheme}://{}\n", config.listen);
    for (name, cluster) in &config.clusters {
        let note = if config.default_cluster() == Some(name) { " (default)" } else { "" };
        // Writing to a string does not fail.
        let _ = writeln!(text, "cluster {name}{note}: {}", cluster.master);
    }
    Ok(text)
}

/// Returns what makes `spark-submit` fail for every job of a cluster.
fn cluster_problems(cluster: &Cluster) -> impl Iterator<Item = String> {
    let master = &cluster.master;
    let known = MASTERS.iter().any(|start| master.starts_with(start));
    let kind = (!known).then(|| {
        format!("master: must be local[N], spark://HOST:PORT, yarn or k8s://URL, not '{master}'")
    });
    let program = (!is_executable(&cluster.spark_submit))
        .then(|| format!("spark_submit: '{}' is not executable", cluster.spark_submit.display()));
    let hadoop = ["HADOOP_CONF_DIR", "YARN_CONF_DIR"].map(|key| cluster.environment.get(key));
    let folder = hadoop.into_iter().flatten().find(|folder| !Path::new(folder).is_dir());
    let configuration = match folder {
        Some(folder) => Some(format!("environment: the folder '{folder}' does not exist")),
        None if master == "yarn" && hadoop == [None, None] => Some(
            "environment: master = 'yarn' needs HADOOP_CONF_DIR or YARN_CONF_DIR, the folder with \
             yarn-site.xml"
                .to_owned(),
        ),
        None => None,
    };
    let images =
        ["", "driver.", "executor."].map(|role| format!("spark.kubernetes.{role}container.image"));
    let image = (master.starts_with("k8s://")
        && !images.iter().any(|key| cluster.conf.contains_key(key)))
    .then(|| format!("conf: a Kubernetes master needs '{}', the image of executors", images[0]));
    [kind, program, configuration, image].into_iter().flatten()
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.permissions().mode() & 0o111 != 0)
}
