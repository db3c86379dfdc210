//! The documents of one fit: the server's, the client's, the worker's and the predictor's.

use serde::{Deserialize, Serialize};

use super::{
    ClientTls, ControlSpec, DataSpec, NetworkDocument, OptimizerSpec, ServerShards, ServerTls,
    ShardAddress, StrategySpec, TermSpec,
};

/// The specification with which the driver opens a parameter server.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerSpec {
    /// The fit's identity.
    pub fit: String,
    /// The network; its initial weights come from `seed` unless given.
    pub network: NetworkDocument,
    /// The training data's columns; the inputs' shapes fix the network's.
    pub data: DataSpec,
    /// The strategy.
    pub strategy: StrategySpec,
    /// The fit's optimizer, which `sync` runs on the server and whose learning rate multiplies `rho`.
    #[serde(default)]
    pub optimizer: Option<OptimizerSpec>,
    /// The training controls.
    #[serde(default)]
    pub controls: ControlSpec,
    /// All workers of the fit, `p`.
    pub workers: u32,
    /// The number of tasks that share the workers, which may be smaller after resuming from a checkpoint.
    #[serde(default)]
    pub tasks: Option<u32>,
    /// The epochs each worker trains.
    pub epochs: u32,
    /// The seed of the initial weights.
    pub seed: u64,
    /// The address to listen on.
    pub bind_address: String,
    /// The first port tried; 0 lets the system choose.
    pub port: u16,
    /// The number of further ports to try if one is taken.
    pub port_max_retries: u16,
    /// The fit's secret: 64 hexadecimal digits.
    pub secret: String,
    /// The lease of a silent worker, in milliseconds.
    pub lease_millis: u64,
    /// The time that a strategy with rounds waits for all workers to start, in milliseconds.
    pub start_timeout_millis: u64,
    /// The encryption of connections; none if absent.
    #[serde(default)]
    pub tls: Option<ServerTls>,
    /// The servers that hold the other shards of the center variable; `None` if this one holds all of it.
    #[serde(default)]
    pub shards: Option<ServerShards>,
}

/// The specification with which a worker connects.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientSpec {
    /// The fit's identity; a server of the same process is reached through memory.
    pub fit: String,
    /// The driver's host name or address.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// The fit's secret: 64 hexadecimal digits.
    pub secret: String,
    /// The time for which a broken connection is retried, in milliseconds.
    pub timeout_millis: u64,
    /// The encryption of the connection; none if absent. The server's certificate must be valid for `host`.
    #[serde(default)]
    pub tls: Option<ClientTls>,
    /// Shards 1, 2 and so on of the center variable; empty if the server holds all of it.
    #[serde(default)]
    pub shards: Vec<ShardAddress>,
}

/// The specification of a task's workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkerSpec {
    /// The address of the server.
    pub server: ClientSpec,
    /// The network.
    pub network: NetworkDocument,
    /// The stream's columns.
    pub data: DataSpec,
    /// The loss of each output of the network, in their order.
    pub losses: Vec<TermSpec>,
    /// The worker's optimizer.
    pub optimizer: OptimizerSpec,
    /// The strategy.
    pub strategy: StrategySpec,
    /// The training controls.
    #[serde(default)]
    pub controls: ControlSpec,
    /// Rows of a mini-batch.
    pub batch_size: usize,
    /// Passes over the data.
    pub epochs: u32,
    /// The seed of the row order and of dropout.
    pub seed: u64,
    /// True to shuffle the rows every epoch.
    pub shuffle: bool,
    /// True if the server started from given weights; the members of an ensemble then start from them, too.
    #[serde(default)]
    pub given_weights: bool,
    /// The partition this task reads.
    pub partition: u32,
    /// Spark's `taskAttemptId`.
    pub attempt: i64,
    /// The number of workers that this task runs in turn over its rows.
    pub workers_in_task: u32,
    /// Intra-op threads of libtorch in this task.
    pub threads: u32,
    /// The memory for the data of all tasks of this executor, in bytes; the rest is spilled.
    pub cache_bytes: u64,
    /// Directories for spilled blocks.
    pub spill_directories: Vec<String>,
}

/// The specification of a task's predictor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PredictorSpec {
    /// A hash of the weights; predictors of one process that agree in it and in the network share the weights.
    pub weights: String,
    /// The network.
    pub network: NetworkDocument,
    /// The stream's columns, without labels.
    pub data: DataSpec,
    /// The prediction task.
    pub task: PredictionTask,
    /// The requested columns, in order.
    pub outputs: Vec<PredictionColumn>,
    /// Class thresholds, or empty.
    pub thresholds: Vec<f64>,
    /// Intra-op threads of libtorch in this task.
    pub threads: u32,
}

/// The task of a predictor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PredictionTask {
    /// A class: the network's output has one number for each class, or a single one for two classes.
    Classification,
    /// The network's output itself.
    Regression,
    /// The outputs of a network with any number of them.
    Outputs,
}

/// A column that a predictor can return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PredictionColumn {
    /// The network's value before a trailing activation, the logits: a fixed-size list of Float64.
    RawPrediction,
    /// The probability of each class: a fixed-size list of Float64.
    Probability,
    /// The class or the network's output: Float64 for one number, a fixed-size list of Float64 for several.
    Prediction,
    /// For the task `outputs`, the output of this index after its activation: Float64 for one number, a fixed-size list
    /// of Float64 for several.
    Output(usize),
}

impl std::fmt::Debug for ServerSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerSpec")
            .field("fit", &self.fit)
            .field("strategy", &self.strategy)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ClientSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientSpec")
            .field("fit", &self.fit)
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}
