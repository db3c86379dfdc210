//! The documents of one fit: the server's, the client's, the worker's and the predictor's.

use serde::{Deserialize, Serialize};

use super::{
    ControlSpec, DataSpec, NetworkDocument, OptimizerSpec, ServerShards, ShardAddress,
    StrategySpec, TermSpec,
};

/// What the driver opens a parameter server with.
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
    /// The fit's optimizer, which `sync` keeps on the server and whose learning rate `rho` is multiplied with.
    #[serde(default)]
    pub optimizer: Option<OptimizerSpec>,
    /// What steers the training.
    #[serde(default)]
    pub controls: ControlSpec,
    /// All workers of the fit, `p`.
    pub workers: u32,
    /// The tasks that the workers are spread over, which a fit that goes on from a checkpoint may have fewer of than before.
    #[serde(default)]
    pub tasks: Option<u32>,
    /// The epochs each worker trains.
    pub epochs: u32,
    /// Seeds the initial weights.
    pub seed: u64,
    /// The address to listen on.
    pub bind_address: String,
    /// The first port tried; 0 lets the system choose.
    pub port: u16,
    /// How many further ports are tried when one is taken.
    pub port_max_retries: u16,
    /// The fit's secret: 64 hexadecimal digits.
    pub secret: String,
    /// How long a silent worker keeps its lease, in milliseconds.
    pub lease_millis: u64,
    /// How long a strategy with rounds waits for all workers to start, in milliseconds.
    pub start_timeout_millis: u64,
    /// How connections are encrypted; not at all if absent.
    #[serde(default)]
    pub tls: Option<ServerTls>,
    /// The servers that hold the rest of the center variable; this one holds all of it if absent.
    #[serde(default)]
    pub shards: Option<ServerShards>,
}

/// What a worker connects with.
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
    /// How long a broken connection is retried, in milliseconds.
    pub timeout_millis: u64,
    /// How the connection is encrypted; not at all if absent. The server's certificate must be valid for `host`.
    #[serde(default)]
    pub tls: Option<ClientTls>,
    /// Shards 1, 2 and so on of the center variable; none where the server holds all of it.
    #[serde(default)]
    pub shards: Vec<ShardAddress>,
}

/// What a server proves itself with over TLS, and what it wants of workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerTls {
    /// The server's own certificate.
    pub identity: TlsIdentity,
    /// A PEM file with the authorities that may issue workers' certificates.
    pub trusted_certificates: String,
    /// Whether a worker without a certificate is refused; one with a certificate of another authority always is.
    pub need_client_auth: bool,
}

/// What a worker accepts over TLS, and what it proves itself with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientTls {
    /// A PEM file with the authorities that may issue the server's certificate.
    pub trusted_certificates: String,
    /// The worker's own certificate, if it has one.
    #[serde(default)]
    pub identity: Option<TlsIdentity>,
}

/// A certificate and its key, as files on the machine that uses them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsIdentity {
    /// A PEM file with the certificate, followed by those between it and its authority.
    pub certificate: String,
    /// A PEM file with the private key: PKCS #8, PKCS #1 or SEC1, not encrypted.
    pub private_key: String,
}

/// What a task opens a worker with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkerSpec {
    /// Where the server is.
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
    /// What steers the training.
    #[serde(default)]
    pub controls: ControlSpec,
    /// Rows of a mini-batch.
    pub batch_size: usize,
    /// Passes over the data.
    pub epochs: u32,
    /// Seeds the order of rows and dropout.
    pub seed: u64,
    /// Whether rows are shuffled every epoch.
    pub shuffle: bool,
    /// Whether the server started from given weights; the members of an ensemble start from them, too, then.
    #[serde(default)]
    pub given_weights: bool,
    /// The partition this task reads.
    pub partition: u32,
    /// Spark's `taskAttemptId`.
    pub attempt: i64,
    /// How many workers this task runs in turn over its rows.
    pub workers_in_task: u32,
    /// Intra-op threads of libtorch in this task.
    pub threads: u32,
    /// What the tasks of this executor may keep in memory together, in bytes; the rest is spilled.
    pub cache_bytes: u64,
    /// Directories for spilled blocks.
    pub spill_directories: Vec<String>,
}

/// What a task opens a predictor with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PredictorSpec {
    /// A hash of the weights; predictors of one process that agree in it and in the network share the weights.
    pub weights: String,
    /// The network.
    pub network: NetworkDocument,
    /// The stream's columns, without labels.
    pub data: DataSpec,
    /// What is predicted.
    pub task: PredictionTask,
    /// The columns that are wanted, in order.
    pub outputs: Vec<PredictionColumn>,
    /// Class thresholds, or empty.
    pub thresholds: Vec<f64>,
    /// Intra-op threads of libtorch in this task.
    pub threads: u32,
}

/// What a model predicts.
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

/// A column that a predictor can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PredictionColumn {
    /// What the network computes before a trailing activation, the logits: a fixed-size list of Float64.
    RawPrediction,
    /// The probability of each class: a fixed-size list of Float64.
    Probability,
    /// The class, or the network's output where it is one number, as Float64; a fixed-size list of Float64 where it is several.
    Prediction,
    /// Of the task `outputs`: the output of this index behind its activation, as Float64 where it is one number; a fixed-size
    /// list of Float64 where it is several.
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

#[cfg(test)]
mod tests {
    use super::{ClientTls, ServerTls, TlsIdentity};

    fn identity() -> TlsIdentity {
        TlsIdentity { certificate: "/own.pem".to_owned(), private_key: "/own-key.pem".to_owned() }
    }

    #[test]
    fn the_tls_of_a_server_and_of_a_worker_are_read_as_the_driver_writes_them() {
        let text = r#"{"identity":{"certificate":"/own.pem","privateKey":"/own-key.pem"},
            "trustedCertificates":"/ca.pem","needClientAuth":true}"#;
        let trusted = "/ca.pem".to_owned();
        let server = ServerTls {
            identity: identity(),
            trusted_certificates: trusted.clone(),
            need_client_auth: true,
        };
        assert_eq!(serde_json::from_str::<ServerTls>(text).unwrap(), server);

        let text = r#"{"trustedCertificates":"/ca.pem"}"#;
        let without = ClientTls { trusted_certificates: trusted, identity: None };
        assert_eq!(serde_json::from_str::<ClientTls>(text).unwrap(), without);

        let text = r#"{"trustedCertificates":"/ca.pem",
            "identity":{"certificate":"/own.pem","privateKey":"/own-key.pem"}}"#;
        let with = ClientTls { identity: Some(identity()), ..without };
        assert_eq!(serde_json::from_str::<ClientTls>(text).unwrap(), with);
    }
}
