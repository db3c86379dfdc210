//! The request of a job, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// The request of a job. An unknown field is an error, so that a misspelt one is not ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// The name, for people; it is also the name of the Spark application.
    pub name: String,
    /// The name of the cluster; if absent, the `default_cluster` of the server, or its only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The number of executors. It has no effect on a local master, which is one process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub executors: Option<u32>,
    /// The cores of each executor. They have no effect on a local master.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub cores: Option<u32>,
    /// The memory of each executor, such as `2g`. It has no effect on a local master.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// The number of further attempts after a failed one.
    #[serde(default)]
    pub retries: u32,
    /// Configuration keys of Spark that the cluster allows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub conf: BTreeMap<String, String>,
    /// The work to do.
    pub work: Work,
}

/// The work of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Work {
    /// A training by a trainer of `firesteel.distkeras`.
    Trainer {
        /// The trainer.
        trainer: TrainerSpec,
        /// The id of the upload with the network's JSON.
        network: String,
        /// The id of the upload with the starting weights in safetensors.
        #[serde(default)]
        weights: Option<String>,
        /// The rows.
        data: DataSource,
        /// True to distribute rows to the workers at random.
        #[serde(default)]
        shuffle: bool,
    },
    /// A fit of an estimator of Firesteel.
    Estimator {
        /// The class: `NetworkClassifier`, `NetworkRegressor` or `NetworkEstimator`.
        estimator: String,
        /// The params by name, without `network`.
        #[schema(value_type = Object)]
        params: Map<String, Value>,
        /// The id of the upload with the network's JSON.
        network: String,
        /// The id of the upload with the starting weights in safetensors.
        #[serde(default)]
        weights: Option<String>,
        /// The rows.
        data: DataSource,
    },
    /// An uploaded program, for users who may run programs.
    Program {
        /// The id of the upload with the program: a Python file or a jar.
        file: String,
        /// The main class of a jar.
        #[serde(default)]
        main_class: Option<String>,
        /// The program's arguments.
        #[serde(default)]
        arguments: Vec<String>,
        /// Uploads that the program finds in its working folder, by file name.
        #[serde(default)]
        files: BTreeMap<String, String>,
    },
}

/// A trainer of `firesteel.distkeras`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainerSpec {
    /// The class, such as `ADAG`.
    pub class: String,
    /// The keyword arguments, without `keras_model`.
    #[schema(value_type = Object)]
    pub arguments: Map<String, Value>,
}

/// The rows of a job, read by `spark.read`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    /// A path in one of the folders that the cluster allows.
    pub path: String,
    /// The format.
    #[serde(default = "parquet")]
    pub format: String,
    /// The options of the reader.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// The number of partitions to distribute the rows into.
    #[serde(default)]
    #[schema(minimum = 1)]
    pub partitions: Option<u32>,
}

fn parquet() -> String {
    "parquet".to_owned()
}

impl Work {
    /// Returns the name of the kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Trainer { .. } => "trainer",
            Self::Estimator { .. } => "estimator",
            Self::Program { .. } => "program",
        }
    }

    /// Returns the rows that the work reads, if the request names them.
    #[must_use]
    pub const fn data(&self) -> Option<&DataSource> {
        match self {
            Self::Trainer { data, .. } | Self::Estimator { data, .. } => Some(data),
            Self::Program { .. } => None,
        }
    }

    /// Returns the uploads that the work refers to, each with the field that names it.
    #[must_use]
    pub fn uploads(&self) -> Vec<UploadReference<'_>> {
        match self {
            Self::Trainer { network, weights, .. } | Self::Estimator { network, weights, .. } => {
                let network = UploadReference::new("work.network", network, &["json"]);
                let weights = weights
                    .iter()
                    .map(|id| UploadReference::new("work.weights", id, &["safetensors"]));
                std::iter::once(network).chain(weights).collect()
            }
            Self::Program { file, files, .. } => {
                let file = UploadReference::new("work.file", file, &["py", "jar"]);
                let files = files.values().map(|id| UploadReference::new("work.files", id, &[]));
                std::iter::once(file).chain(files).collect()
            }
        }
    }

    /// Returns the work with each upload's id replaced.
    #[must_use]
    pub fn map_uploads(&self, path: impl Fn(&str) -> String) -> Self {
        let mut work = self.clone();
        match &mut work {
            Self::Trainer { network, weights, .. } | Self::Estimator { network, weights, .. } => {
                *network = path(network);
                *weights = weights.as_deref().map(path);
            }
            Self::Program { file, files, .. } => {
                *file = path(file);
                for id in files.values_mut() {
                    *id = path(id);
                }
            }
        }
        work
    }
}

/// A reference of a job to an upload, which is kept as long as the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadReference<'a> {
    /// The field of the request that names the upload.
    pub field: &'static str,
    /// The upload's id.
    pub id: &'a str,
    /// The extensions that the field accepts; all if empty.
    pub extensions: &'static [&'static str],
}

impl<'a> UploadReference<'a> {
    const fn new(field: &'static str, id: &'a str, extensions: &'static [&'static str]) -> Self {
        Self { field, id, extensions }
    }
}
