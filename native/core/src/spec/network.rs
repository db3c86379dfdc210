//! A network as a graph of standard layers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The value of [`NetworkSpec::format`] that this version reads and writes.
pub const NETWORK_FORMAT: &str = "firesteel.network/1";

/// A directed graph of layers. A node's inputs are names of network inputs or of nodes before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkSpec {
    /// Always [`NETWORK_FORMAT`].
    pub format: String,
    /// The names of the network's inputs.
    pub inputs: Vec<String>,
    /// The layers, each after those it reads.
    pub nodes: Vec<NodeSpec>,
    /// The nodes whose values are the network's outputs.
    pub outputs: Vec<String>,
}

/// One layer. Parameters are named `<name>.weight` and so on, as in PyTorch's `state_dict`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeSpec {
    /// The layer's name, unique in the network, such as `0` or `block.conv1`.
    pub name: String,
    /// The layer's type, named as in `torch.nn` (`Linear`, `ReLU`), or `Add`.
    pub op: String,
    /// What it reads.
    pub inputs: Vec<String>,
    /// The layer's arguments, named as in `torch.nn`; an absent one takes PyTorch's default, an absent input size is inferred.
    #[serde(default)]
    pub args: Map<String, Value>,
}
