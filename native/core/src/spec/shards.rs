//! The documents of a fit whose center variable is spread over several servers.

use serde::{Deserialize, Serialize};

use super::{ClientTls, DataSpec, NetworkDocument, OptimizerSpec, ServerTls, StrategySpec};

/// The address of a shard server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShardAddress {
    /// Its host name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The executor that runs it, for messages.
    #[serde(default)]
    pub executor: Option<String>,
}

/// The other shards of the driver's server, which is shard 0.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerShards {
    /// Shards 1, 2 and so on.
    pub servers: Vec<ShardAddress>,
    /// The secret that authenticates the driver to them and that no worker has: 64 hexadecimal digits.
    pub driver_secret: String,
    /// The time for which a broken connection to a shard is retried before the fit fails, in milliseconds.
    pub timeout_millis: u64,
    /// The encryption of the connections to them; none if absent.
    #[serde(default)]
    pub tls: Option<ClientTls>,
}

/// The specification with which an executor opens a shard server.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShardSpec {
    /// The fit's identity.
    pub fit: String,
    /// The number of the shard, from 1.
    pub shard: u32,
    /// The number of shards of the fit, the driver's included.
    pub shards: u32,
    /// The network.
    pub network: NetworkDocument,
    /// The training data's columns.
    pub data: DataSpec,
    /// The strategy.
    pub strategy: StrategySpec,
    /// The fit's optimizer.
    #[serde(default)]
    pub optimizer: Option<OptimizerSpec>,
    /// All workers of the fit, `p`.
    pub workers: u32,
    /// The address to listen on.
    pub bind_address: String,
    /// The first port tried; 0 lets the system choose.
    pub port: u16,
    /// The number of further ports to try if one is taken.
    pub port_max_retries: u16,
    /// The fit's secret: 64 hexadecimal digits.
    pub secret: String,
    /// As in [`ServerShards::driver_secret`].
    pub driver_secret: String,
    /// The time without a message from the driver after which the server closes, in milliseconds.
    pub silence_millis: u64,
    /// The encryption of connections; none if absent.
    #[serde(default)]
    pub tls: Option<ServerTls>,
}

impl std::fmt::Debug for ServerShards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerShards").field("servers", &self.servers).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ShardSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardSpec")
            .field("fit", &self.fit)
            .field("shard", &self.shard)
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}
