//! The documents of a fit whose center variable is spread over several servers.

use serde::{Deserialize, Serialize};

use super::{ClientTls, DataSpec, NetworkDocument, OptimizerSpec, ServerTls, StrategySpec};

/// Where a shard server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShardAddress {
    /// Its host name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The executor that it is in, for people.
    #[serde(default)]
    pub executor: Option<String>,
}

/// What the driver's server, which is shard 0, knows of the others.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerShards {
    /// Shards 1, 2 and so on.
    pub servers: Vec<ShardAddress>,
    /// What the driver proves itself to them with, which no worker knows: 64 hexadecimal digits.
    pub driver_secret: String,
    /// How long a broken connection to one of them is retried before the fit fails, in milliseconds.
    pub timeout_millis: u64,
    /// How the connections to them are encrypted; not at all if absent.
    #[serde(default)]
    pub tls: Option<ClientTls>,
}

/// What an executor opens a shard server with.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShardSpec {
    /// The fit's identity.
    pub fit: String,
    /// Which shard it is, from 1.
    pub shard: u32,
    /// All shards of the fit, the driver's included.
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
    /// How many further ports are tried when one is taken.
    pub port_max_retries: u16,
    /// The fit's secret: 64 hexadecimal digits.
    pub secret: String,
    /// As in [`ServerShards::driver_secret`].
    pub driver_secret: String,
    /// How long it waits for a driver that is silent before it closes itself, in milliseconds.
    pub silence_millis: u64,
    /// How connections are encrypted; not at all if absent.
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
