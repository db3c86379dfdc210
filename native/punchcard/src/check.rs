//! The check of a configuration before a server starts with it.

mod master;
mod programs;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::config::{Cluster, Config};
use crate::http;
use crate::job::local_path;
use crate::launch::environment;
use master::Master;

/// Returns a summary of a configuration that was read, for an operator.
///
/// # Errors
/// All problems that would make the server or all jobs of a cluster fail, one in each line.
pub fn check(config: &Config) -> Result<String, String> {
    let mut problems = Vec::new();
    let mut notes = Vec::new();
    if let Some(files) = &config.tls
        && let Err(problem) = http::tls(files)
    {
        problems.push(format!("tls: {problem}"));
    }
    let mut submits = BTreeMap::new();
    for (name, cluster) in &config.clusters {
        let drivers = environment(&cluster.environment, &config.firesteel.python);
        let mut found = settings(cluster);
        if let Some(problem) = programs::python_problem(cluster, &drivers) {
            // spark-submit would fail for this reason, too.
            found.push(problem);
        } else {
            // Each starts a JVM, and clusters have most often the same Spark.
            let submit = submits
                .entry((&cluster.spark_submit, drivers.clone()))
                .or_insert_with(|| programs::submit_problem(&cluster.spark_submit, &drivers));
            found.extend(submit.clone());
        }
        let libtorch = programs::libtorch_problem(config, cluster, &drivers);
        if Master::parse(&cluster.master).is_ok_and(Master::is_local) {
            found.extend(libtorch);
        } else {
            // Its executors may have what this machine lacks.
            notes.extend(libtorch.map(|text| format!("note: clusters.{name}: {text}")));
        }
        problems.extend(found.into_iter().map(|text| format!("clusters.{name}: {text}")));
    }
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let mut text = format!("address: {scheme}://{}\n", config.listen);
    for (name, cluster) in &config.clusters {
        let note = if config.default_cluster() == Some(name) { " (default)" } else { "" };
        // Writing to a string does not fail.
        let _ = writeln!(text, "cluster {name}{note}: {}", cluster.master);
    }
    for note in notes {
        let _ = writeln!(text, "{note}");
    }
    Ok(text)
}

/// Returns the problems of a cluster's keys and folders.
fn settings(cluster: &Cluster) -> Vec<String> {
    let mut problems = Vec::new();
    let master = Master::parse(&cluster.master);
    if let Err(problem) = &master {
        problems.push(format!("master: {problem}"));
    }
    let hadoop = ["HADOOP_CONF_DIR", "YARN_CONF_DIR"].map(|key| cluster.environment.get(key));
    if let Some(folder) = hadoop.into_iter().flatten().find(|folder| !Path::new(folder).is_dir()) {
        problems.push(format!("environment: the folder '{folder}' does not exist"));
    } else if master == Ok(Master::Yarn) && hadoop == [None, None] {
        problems.push(
            "environment: master = 'yarn' needs HADOOP_CONF_DIR or YARN_CONF_DIR, the folder with \
             yarn-site.xml"
                .to_owned(),
        );
    }
    let images =
        ["", "driver.", "executor."].map(|role| format!("spark.kubernetes.{role}container.image"));
    if master == Ok(Master::Kubernetes) && !images.iter().any(|key| cluster.conf.contains_key(key))
    {
        problems.push(format!(
            "conf: a Kubernetes master needs '{}', the image of executors",
            images[0]
        ));
    }
    let files = cluster.data.iter().filter(|root| root.starts_with("file:"));
    for folder in files.filter_map(|root| local_path(root)) {
        if !Path::new(&folder).is_dir() {
            problems.push(format!(
                "data: the folder '{folder}' does not exist; create it, or correct the path"
            ));
        }
    }
    problems
}
