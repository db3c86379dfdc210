//! The arguments of `spark-submit`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::environment::{environment, marker};
use super::{Attempt, Launch};
use crate::config::{Cluster, Config, Quotas};
use crate::job::Work;
use crate::store::{Job, User};

/// The process of an attempt, and the document that the runner reads.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The process.
    pub launch: Launch,
    /// The document, in JSON.
    pub request: serde_json::Value,
    /// The files of the working folder: each name with the upload it is a copy of.
    pub files: BTreeMap<String, PathBuf>,
}

/// Plans an attempt. No shell reads any of the arguments, and what a request gives is never an option: it stands behind
/// an option's name or behind the program.
#[must_use]
pub fn plan(
    job: &Job,
    cluster: &Cluster,
    config: &Config,
    attempt: &Attempt,
    upload: &dyn Fn(&str) -> PathBuf,
    user: &User,
    quotas: &Quotas,
) -> Plan {
    let marker = marker(&job.id, job.attempt);
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let work = job.request.work.map_uploads(|id| text(upload(id)));
    let mut arguments: Vec<String> = Vec::new();
    let mut option =
        |name: &str, value: &str| arguments.extend([name.to_owned(), value.to_owned()]);
    option("--master", &cluster.master);
    option("--deploy-mode", "client");
    option("--name", &job.name);
    for (key, value) in conf(job, cluster, attempt, &marker) {
        option("--conf", &format!("{key}={value}"));
    }
    let jars: Vec<_> = config.firesteel.jars().into_iter().map(text).collect();
    option("--jars", &jars.join(","));
    let mut files = BTreeMap::new();
    match &work {
        Work::Program { file, main_class, arguments: given, files: named } => {
            if let Some(class) = main_class {
                option("--class", class);
            }
            files.extend(named.iter().map(|(name, path)| (name.clone(), path.into())));
            arguments.push(file.clone());
            arguments.extend(given.iter().cloned());
        }
        Work::Trainer { .. } | Work::Estimator { .. } => {
            arguments.push(text(config.firesteel.runner()))
        }
    }
    let mut environment = environment(&cluster.environment, &marker);
    let path = config.firesteel.python.to_string_lossy();
    let python = match environment.get("PYTHONPATH") {
        Some(given) => format!("{path}:{given}"),
        None => path.into_owned(),
    };
    environment.insert("PYTHONPATH".to_owned(), python);
    environment.insert("PYTHONUNBUFFERED".to_owned(), "1".to_owned());
    environment.insert("FIRESTEEL_PUNCHCARD_REQUEST".to_owned(), text(attempt.request()));
    environment.insert("FIRESTEEL_PUNCHCARD_RESULTS".to_owned(), text(attempt.results()));
    let request = serde_json::json!({
        "id": job.id, "name": job.name, "attempt": job.attempt, "work": work,
        // A TorchScript network is a program: it may read and write files.
        "programs": user.programs,
    });
    let launch = Launch {
        program: cluster.spark_submit.clone(),
        arguments,
        environment,
        log_bytes: quotas.log_bytes,
        max_seconds: cluster.max_seconds,
        grace_seconds: config.limits.grace_seconds,
    };
    Plan { launch, request, files }
}

/// Returns the configuration of the application: the cluster's, the request's, and last what the server sets.
fn conf(job: &Job, cluster: &Cluster, attempt: &Attempt, marker: &str) -> BTreeMap<String, String> {
    let request = &job.request;
    let mut conf = cluster.conf.clone();
    for (key, value) in &request.conf {
        conf.entry(key.clone()).or_insert_with(|| value.clone());
    }
    let mut set = |key: &str, value: String| conf.insert(key.to_owned(), value);
    let cores = request.cores.unwrap_or(1);
    if let Some(executors) = request.executors {
        set("spark.executor.instances", executors.to_string());
    }
    if request.executors.is_some() || request.cores.is_some() {
        set("spark.executor.cores", cores.to_string());
    }
    // A standalone cluster gives a job all its cores unless this limits them.
    let most = request.executors.unwrap_or(cluster.max_executors).saturating_mul(cores);
    if !cluster.conf.contains_key("spark.cores.max") {
        set("spark.cores.max", most.to_string());
    }
    if let Some(memory) = &request.memory {
        set("spark.executor.memory", memory.clone());
    }
    set("spark.plugins", "firesteel.plugin.FiresteelPlugin".to_owned());
    set("spark.firesteel.progress.events", attempt.events().to_string_lossy().into_owned());
    // The tags by which an operator finds the application of a job on the cluster.
    set("spark.yarn.tags", format!("firesteel-{marker}"));
    for role in ["driver", "executor"] {
        set(&format!("spark.kubernetes.{role}.label.firesteel-job"), job.id.clone());
    }
    conf
}
