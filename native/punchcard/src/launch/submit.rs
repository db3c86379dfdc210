//! The arguments of `spark-submit`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::environment::{MARK, environment, marker};
use super::{Attempt, Launch};
use crate::config::{Cluster, Config};
use crate::job::{JobRequest, Work};
use crate::store::{Job, User};

/// The process of an attempt, and the document that the runner reads.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The process.
    pub launch: Launch,
    /// The document, in JSON.
    pub request: serde_json::Value,
}

/// Plans an attempt. No shell reads any of the arguments, and what a request gives is never an option: it stands behind
/// an option's name or behind the program.
#[must_use]
pub fn plan(
    job: &Job,
    request: &JobRequest,
    cluster: &Cluster,
    config: &Config,
    attempt: &Attempt,
    upload: &dyn Fn(&str) -> PathBuf,
    user: &User,
) -> Plan {
    let marker = marker(&job.id, job.attempt);
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let work = request.work.map_uploads(|id| text(upload(id)));
    let mut arguments: Vec<String> = Vec::new();
    let mut option =
        |name: &str, value: &str| arguments.extend([name.to_owned(), value.to_owned()]);
    option("--master", &cluster.master);
    option("--deploy-mode", "client");
    option("--name", &job.name);
    for (key, value) in conf(job, request, cluster, attempt) {
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
    let mut environment = environment(&cluster.environment, &config.firesteel.python);
    environment.insert(MARK.to_owned(), marker);
    environment.insert("FIRESTEEL_PUNCHCARD_REQUEST".to_owned(), text(attempt.request()));
    environment.insert("FIRESTEEL_PUNCHCARD_RESULTS".to_owned(), text(attempt.results()));
    let document = serde_json::json!({
        "id": job.id, "name": job.name, "attempt": job.attempt, "work": work,
        // A TorchScript network is a program: it may read and write files.
        "programs": user.programs,
    });
    let launch = Launch {
        program: cluster.spark_submit.clone(),
        arguments,
        environment,
        log_bytes: user.quotas(&config.quotas).log_bytes,
        max_seconds: cluster.max_seconds,
        grace_seconds: config.limits.grace_seconds,
        files,
    };
    Plan { launch, request: document }
}

/// Returns the configuration of the application: the cluster's, which nothing overrides, the request's, and what the
/// server sets.
fn conf(
    job: &Job,
    request: &JobRequest,
    cluster: &Cluster,
    attempt: &Attempt,
) -> BTreeMap<String, String> {
    let mut conf = cluster.conf.clone();
    for (key, value) in &request.conf {
        conf.entry(key.clone()).or_insert_with(|| value.clone());
    }
    let mut give = |key: &str, value: String| conf.entry(key.to_owned()).or_insert(value).clone();
    if let Some(executors) = request.executors {
        give("spark.executor.instances", executors.to_string());
    }
    let cores = request.cores.unwrap_or(1);
    let cores = if request.executors.is_some() || request.cores.is_some() {
        give("spark.executor.cores", cores.to_string()).parse().unwrap_or(cores)
    } else {
        cores
    };
    // A standalone cluster gives a job all its cores unless this limits them.
    let most = request.executors.unwrap_or(cluster.max_executors).saturating_mul(cores);
    give("spark.cores.max", most.to_string());
    if let Some(memory) = &request.memory {
        give("spark.executor.memory", memory.clone());
    }
    // The configuration of a cluster cannot have the keys from here on.
    let mut set = |key: &str, value: String| conf.insert(key.to_owned(), value);
    set("spark.plugins", "firesteel.plugin.FiresteelPlugin".to_owned());
    set("spark.firesteel.progress.events", attempt.events().to_string_lossy().into_owned());
    // The tags by which an operator finds the application of a job on the cluster.
    set("spark.yarn.tags", format!("firesteel-{}", marker(&job.id, job.attempt)));
    for role in ["driver", "executor"] {
        set(&format!("spark.kubernetes.{role}.label.firesteel-job"), job.id.clone());
    }
    conf
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::conf;
    use crate::config::Cluster;
    use crate::job::JobRequest;
    use crate::launch::Attempt;
    use crate::store::testing::job;

    fn conf_of(pinned: &str, fields: &str) -> BTreeMap<String, String> {
        let cluster: Cluster = toml::from_str(&format!(
            "master = 'yarn'\nspark_submit = '/submit'\nmax_executors = 7\nconf = {{ {pinned} }}"
        ))
        .expect("a cluster");
        let request: JobRequest = serde_json::from_str(&format!(
            r#"{{"name": "n", {fields} "work": {{"kind": "program", "file": "f"}}}}"#
        ))
        .expect("a request");
        conf(&job(), &request, &cluster, &Attempt::new("/attempt".into()))
    }

    #[test]
    fn no_field_of_a_request_overrides_what_the_cluster_sets() {
        let pinned = "'spark.executor.cores' = '4', 'spark.executor.memory' = '1g', 'spark.sql.shuffle.partitions' = '3'";
        let fields =
            r#""executors": 2, "memory": "9g", "conf": {"spark.sql.shuffle.partitions": "8"},"#;
        let conf = conf_of(pinned, fields);
        assert_eq!(conf["spark.executor.cores"], "4");
        assert_eq!(conf["spark.executor.memory"], "1g");
        assert_eq!(conf["spark.sql.shuffle.partitions"], "3");
        assert_eq!(conf["spark.executor.instances"], "2");
        // As many cores as two executors of the cluster have.
        assert_eq!(conf["spark.cores.max"], "8");
        let conf = conf_of(
            "'spark.executor.instances' = '1', 'spark.cores.max' = '5'",
            r#""executors": 3, "cores": 2,"#,
        );
        assert_eq!((&*conf["spark.executor.instances"], &*conf["spark.cores.max"]), ("1", "5"));
    }

    #[test]
    fn a_job_that_asks_for_nothing_does_not_get_a_whole_standalone_cluster() {
        let conf = conf_of("", "");
        assert_eq!(conf["spark.cores.max"], "7");
        assert!(!conf.contains_key("spark.executor.cores"));
        assert_eq!(conf["spark.firesteel.progress.events"], "/attempt/events.jsonl");
    }
}
