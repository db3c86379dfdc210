//! The template of a cluster: the arguments of `spark-submit` for its jobs, and what a request may set.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;

/// A cluster.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// The master, such as `local[4]`, `spark://host:7077`, `yarn` or `k8s://https://host:6443`.
    pub master: String,
    /// The program `spark-submit` of the cluster's Spark.
    pub spark_submit: PathBuf,
    /// Configuration keys of Spark for every job. A request cannot change them.
    #[serde(default)]
    pub conf: BTreeMap<String, String>,
    /// Configuration keys of Spark that a request may set.
    #[serde(default)]
    pub allowed_conf: BTreeSet<String>,
    /// Environment variables of the driver, such as `HADOOP_CONF_DIR`. The server's own are not passed on, but for `HOME`,
    /// `JAVA_HOME`, `LANG`, `PATH` and `TMPDIR`.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The folders from which trainers and estimators may read, each with a `/` at its end.
    #[serde(default)]
    pub data: Vec<String>,
    /// The formats that a job may read.
    #[serde(default = "default_formats")]
    pub formats: BTreeSet<String>,
    /// The jobs that run at a time.
    #[serde(default = "default_running")]
    pub running: u32,
    /// The largest number of executors of a job.
    #[serde(default = "default_executors")]
    pub max_executors: u32,
    /// The largest number of cores of an executor.
    #[serde(default = "default_cores")]
    pub max_cores: u32,
    /// The largest memory of an executor in MiB.
    #[serde(default = "default_memory")]
    pub max_memory_mib: u64,
    /// The largest number of further attempts after a failed one.
    #[serde(default = "default_retries")]
    pub max_retries: u32,
    /// The seconds after which an attempt is ended; no limit if absent.
    #[serde(default)]
    pub max_seconds: Option<u64>,
}

fn default_formats() -> BTreeSet<String> {
    ["csv", "json", "libsvm", "orc", "parquet"].map(str::to_owned).into()
}

const fn default_running() -> u32 {
    8
}

const fn default_executors() -> u32 {
    64
}

const fn default_cores() -> u32 {
    16
}

const fn default_memory() -> u64 {
    64 * 1024
}

const fn default_retries() -> u32 {
    5
}

/// Keys that the server sets, or that would give a request the server's rights.
const RESERVED: [&str; 9] = [
    "spark.app.name",
    "spark.firesteel.progress.events",
    "spark.jars",
    "spark.kubernetes.driver.label.firesteel-job",
    "spark.master",
    "spark.plugins",
    "spark.submit.deployMode",
    "spark.submit.pyFiles",
    "spark.yarn.tags",
];

/// Parts of keys, in lower case, whose value is code, a command, a file, a folder, a host, an image, an account or another
/// user's name.
const UNSAFE: [&str; 40] = [
    ".address",
    ".dir",
    ".host",
    ".path",
    "acls",
    "archive",
    "authenticate",
    "bindaddress",
    "catalog",
    "checkpointlocation",
    "classpath",
    "command",
    "configmap",
    "credentials",
    "directory",
    "discoveryscript",
    "dist.files",
    "env.",
    "extensions",
    "filters",
    "image",
    "jars",
    "javaoptions",
    "keytab",
    "librarypath",
    "listener",
    "metrics.conf",
    "plugins",
    "principal",
    "proxy",
    "pyspark",
    "redaction",
    "secret",
    "spark.files",
    "spark.hadoop.",
    "ssl.",
    "stagingdir",
    "submit.",
    "template",
    "volumes",
];

/// Parts of keys, in lower case, of the executors, cores and memory of a job, which have limits, or of the driver's, which
/// the operator sets.
const RESOURCES: [&str; 14] = [
    "limit.cores",
    "memoryoverhead",
    "offheap",
    "request.cores",
    "spark.cores.max",
    "spark.driver.cores",
    "spark.driver.memory",
    "spark.driver.resource.",
    "spark.dynamicallocation.",
    "spark.executor.cores",
    "spark.executor.instances",
    "spark.executor.memory",
    "spark.executor.resource.",
    "spark.yarn.am.",
];

impl Cluster {
    pub(super) fn check(&self) -> Result<(), String> {
        if !self.spark_submit.is_file() {
            let path = self.spark_submit.display();
            return Err(format!("spark_submit = '{path}' does not exist"));
        }
        if self.conf.get("spark.submit.deployMode").is_some_and(|mode| mode != "client") {
            return Err(
                "conf: spark.submit.deployMode must be 'client': the server supervises drivers"
                    .to_owned(),
            );
        }
        if let Some(key) = self.conf.keys().find(|key| RESERVED.contains(&key.as_str())) {
            return Err(format!("conf: '{key}' is set by the server"));
        }
        for key in &self.allowed_conf {
            let lower = key.to_ascii_lowercase();
            // Spark takes some keys without the prefix as aliases: an allow list with only prefixed keys shuts them out.
            if !key.starts_with("spark.") {
                return Err(format!("allowed_conf: '{key}' must start with 'spark.'"));
            }
            if RESERVED.contains(&key.as_str()) || self.conf.contains_key(key) {
                return Err(format!("allowed_conf: '{key}' is set by the server or by conf"));
            }
            if RESOURCES.iter().any(|part| lower.contains(part)) {
                return Err(format!(
                    "allowed_conf: '{key}' could pass the limits of a job's executors, cores and memory; set it in conf"
                ));
            }
            if let Some(part) = UNSAFE.iter().find(|part| lower.contains(**part)) {
                return Err(format!(
                    "allowed_conf: '{key}' could let a request run code or use files as the server ('{part}'); set it in conf"
                ));
            }
        }
        match self.data.iter().find(|root| !root.ends_with('/') || root.contains("..")) {
            Some(root) => Err(format!("data: '{root}' must end with '/' and contain no '..'")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cluster;

    fn check(lines: &str) -> Result<(), String> {
        let text = format!("master = 'local'\nspark_submit = '/bin/true'\n{lines}");
        toml::from_str::<Cluster>(&text).expect("a cluster").check()
    }

    #[test]
    fn keys_of_code_files_hosts_and_resources_are_not_allowed_to_requests() {
        for key in [
            "spark.jars",
            "spark.jars.packages",
            "spark.jars.ivySettings",
            "spark.files",
            "spark.archives",
            "spark.yarn.dist.archives",
            "spark.driver.extraJavaOptions",
            "spark.executor.defaultJavaOptions",
            "spark.executorEnv.LD_PRELOAD",
            "spark.yarn.appMasterEnv.PYTHONPATH",
            "spark.kubernetes.driverEnv.LD_PRELOAD",
            "spark.sql.extensions",
            "spark.extraListeners",
            "spark.sql.queryExecutionListeners",
            "spark.driver.extraLibraryPath",
            "spark.executor.extraClassPath",
            "spark.hadoop.fs.defaultFS",
            "spark.worker.resource.gpu.discoveryScript",
            "spark.pyspark.driver.python",
            "spark.plugins",
            "spark.submit.pyFiles",
            "spark.cores.max",
            "spark.executor.cores",
            "spark.executor.instances",
            "spark.executor.memory",
            "sql.shuffle.partitions",
            "spark.yarn.jars",
            "spark.yarn.archive",
            "spark.yarn.dist.files",
            "spark.yarn.dist.jars",
            "spark.yarn.stagingDir",
            "spark.sql.hive.metastore.jars",
            "spark.sql.hive.metastore.jars.path",
            "spark.sql.warehouse.dir",
            "spark.sql.streaming.checkpointLocation",
            "spark.kubernetes.driver.podTemplateFile",
            "spark.kubernetes.executor.podTemplateFile",
            "spark.kubernetes.container.image",
            "spark.kubernetes.executor.container.image",
            "spark.kubernetes.authenticate.driver.serviceAccountName",
            "spark.kubernetes.authenticate.oauthTokenFile",
            "spark.kubernetes.executor.volumes.hostPath.a.mount.path",
            "spark.kubernetes.executor.secrets.a",
            "spark.kubernetes.executor.request.cores",
            "spark.kubernetes.executor.limit.cores",
            "spark.eventLog.dir",
            "spark.local.dir",
            "spark.metrics.conf",
            "spark.metrics.conf.*.sink.console.class",
            "spark.ui.filters",
            "spark.ui.view.acls",
            "spark.redaction.regex",
            "spark.redaction.string.regex",
            "spark.ssl.keyStore",
            "spark.authenticate",
            "spark.driver.host",
            "spark.driver.bindAddress",
            "spark.firesteel.native.directory",
            "spark.firesteel.libtorch.path",
            "spark.firesteel.ssl.privateKey",
            "spark.dynamicAllocation.enabled",
            "spark.dynamicAllocation.maxExecutors",
            "spark.executor.memoryOverhead",
            "spark.executor.memoryOverheadFactor",
            "spark.driver.memoryOverhead",
            "spark.driver.memory",
            "spark.driver.cores",
            "spark.executor.resource.gpu.amount",
            "spark.memory.offHeap.size",
            "spark.yarn.am.memory",
        ] {
            let error = check(&format!("allowed_conf = ['{key}']")).expect_err(key);
            assert!(error.contains(key), "{error}");
        }
        for key in [
            "spark.sql.shuffle.partitions",
            "spark.sql.files.maxPartitionBytes",
            "spark.sql.parquet.filterPushdown",
            "spark.sql.session.timeZone",
            "spark.locality.wait",
            "spark.task.maxFailures",
            "spark.yarn.queue",
        ] {
            check(&format!("allowed_conf = ['{key}']")).expect(key);
        }
    }

    #[test]
    fn a_cluster_may_set_keys_that_requests_may_not() {
        check(
            "conf = { 'spark.yarn.archive' = 'hdfs:///a.zip', 'spark.kubernetes.container.image' = 'a', \
             'spark.dynamicAllocation.enabled' = 'true', 'spark.local.dir' = '/a' }",
        )
        .expect("keys of the operator");
    }

    #[test]
    fn keys_that_the_server_sets_are_not_allowed_to_a_cluster() {
        for key in ["spark.plugins", "spark.master", "spark.yarn.tags", "spark.jars"] {
            check(&format!("conf = {{ '{key}' = 'a' }}")).expect_err(key);
        }
        check("conf = { 'spark.submit.deployMode' = 'cluster' }").expect_err("another mode");
        check("conf = { 'spark.executor.cores' = '4' }").expect("a key of the operator");
        check("data = ['file:/srv/data']").expect_err("no slash at the end");
    }
}
