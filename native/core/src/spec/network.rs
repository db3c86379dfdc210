//! A network as a graph of standard layers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The value of [`NetworkSpec::format`] that this version reads and writes.
pub const NETWORK_FORMAT: &str = "firesteel.network/1";

/// A directed graph of layers. A node's inputs are names of network inputs or of nodes before it.
///
/// Shapes are those of one row: the batch is always the first dimension and is never named, except that a layer's argument
/// `dim` counts it, as in PyTorch. A network input that an `Embedding` reads holds token ids. A `Softmax` over the last
/// dimension or a `Sigmoid` that is an output, and that no other layer reads, is folded: the network computes the logits.
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
    /// The layer's type, named as in `torch.nn`: `Linear`, `Conv2d`, `MaxPool2d`, `AvgPool2d`, `AdaptiveMaxPool2d`,
    /// `AdaptiveAvgPool2d`, `BatchNorm1d`, `BatchNorm2d`, `LayerNorm`, `Dropout`, `Flatten`, `ZeroPad2d` (a negative side is
    /// cut off), `ReLU`, `ReLU6`, `LeakyReLU`, `ELU`, `SELU`, `GELU`, `SiLU`, `Mish`, `Tanh`, `Hardtanh`, `Sigmoid`,
    /// `LogSigmoid`, `Hardsigmoid`, `Hardswish`, `Softplus`, `Softsign`, `Softmax`, `LogSoftmax`, `Embedding`, `LSTM`, `GRU`,
    /// `Identity`; or one that has no module there: `Add`, `Subtract` (of two), `Multiply`, `Average`, `Maximum` and `Minimum`
    /// of inputs of one shape, `Concatenate` (its inputs along `dim`, 1 unless given), `Reshape` (to `shape`, without the
    /// batch, one length -1), `Permute` (to the dimensions `dims`, each of 1 to the row's number of them, as 0 is the batch).
    pub op: String,
    /// The names of its inputs.
    pub inputs: Vec<String>,
    /// The layer's arguments, named as in `torch.nn`. An absent one takes PyTorch's default; an absent input size
    /// (`in_features`, `in_channels`, `num_features`, `input_size`, `normalized_shape`) is inferred. `Softmax` and
    /// `LogSoftmax` default to the last dimension; `LSTM` and `GRU` are always `batch_first`, and their `output` is the
    /// `sequence` or the `last` hidden state. `Hardtanh` and `Softplus` have PyTorch's defaults alone.
    #[serde(default)]
    pub args: Map<String, Value>,
}
