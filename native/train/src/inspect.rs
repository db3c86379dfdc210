//! What a network is, for the driver: shapes, parameters, outputs.

use firesteel_core::spec::NetworkDocument;
pub use firesteel_script::FinalActivation;
use serde::Serialize;

use crate::definition::define;
use crate::error::TrainError;
use crate::graph::Input;

/// A network with every shape known. Shapes are those of one row, without the batch.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// The layers in order; none for a TorchScript module.
    pub layers: Vec<LayerInspection>,
    /// The inputs in order.
    pub inputs: Vec<InputInspection>,
    /// The outputs in order.
    pub outputs: Vec<OutputInspection>,
    /// The number of trained parameters.
    pub parameters: u64,
    /// The bytes of its weights as they are saved, or a little more.
    pub weight_bytes: u64,
    /// The hash of the parameters' layout, in hexadecimal digits.
    pub layout_hash: String,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerInspection {
    /// Its name.
    pub name: String,
    /// Its type.
    pub op: String,
    /// The shape of its value.
    pub output_shape: Vec<usize>,
    /// The number of its trained parameters.
    pub parameters: u64,
}

/// One input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InputInspection {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Whether it holds whole numbers, such as token ids.
    pub integer: bool,
}

/// One output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputInspection {
    /// Its name: that of the layer whose value it is, where there are layers.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The folded activation: the network itself computes what goes into it.
    pub activation: Activation,
    /// The activation that the network itself applies at its end.
    #[serde(skip)]
    pub final_activation: Option<FinalActivation>,
}

/// An activation at the end of a network, which the loss includes and predictions apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Activation {
    /// None: the output is what the network computes.
    None,
    /// Softmax over the last dimension.
    Softmax,
    /// The logistic function.
    Sigmoid,
}

/// Infers and checks every shape of a network whose inputs have these shapes (of one row). A TorchScript module is run on
/// two rows of zeros.
///
/// # Errors
/// [`TrainError::Layer`] naming the layer, [`TrainError::InvalidSpec`] where it is no layer's fault.
pub fn inspect(
    network: &NetworkDocument,
    inputs: &[(impl AsRef<str>, Vec<usize>)],
) -> Result<Inspection, TrainError> {
    let shapes: Vec<(&str, &[usize])> =
        inputs.iter().map(|(name, shape)| (name.as_ref(), shape.as_slice())).collect();
    Ok(define(network, &shapes)?.inspect())
}

impl InputInspection {
    pub(crate) fn of(input: &Input) -> Self {
        Self { name: input.name.clone(), shape: input.shape.clone(), integer: input.integer }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_network_is_described_as_the_driver_reads_it() {
        let network: NetworkDocument = serde_json::from_value(json!({
            "format": "firesteel.network/1",
            "inputs": ["ids"],
            "nodes": [
                {"name": "words", "op": "Embedding", "inputs": ["ids"],
                 "args": {"num_embeddings": 10, "embedding_dim": 4}},
                {"name": "flat", "op": "Flatten", "inputs": ["words"]},
                {"name": "norm", "op": "BatchNorm1d", "inputs": ["flat"]},
                {"name": "out", "op": "Linear", "inputs": ["norm"], "args": {"out_features": 3}},
                {"name": "shares", "op": "Softmax", "inputs": ["out"]},
            ],
            "outputs": ["shares"],
        }))
        .unwrap();
        let inspection = inspect(&network, &[("ids", vec![2])]).unwrap();
        let hash = inspection.layout_hash.clone();
        let bytes = inspection.weight_bytes;
        assert_eq!(hash.len(), 16);
        assert_eq!(
            serde_json::to_value(inspection).unwrap(),
            json!({
                "layers": [
                    {"name": "words", "op": "Embedding", "outputShape": [2, 4], "parameters": 40},
                    {"name": "flat", "op": "Flatten", "outputShape": [8], "parameters": 0},
                    {"name": "norm", "op": "BatchNorm1d", "outputShape": [8], "parameters": 16},
                    {"name": "out", "op": "Linear", "outputShape": [3], "parameters": 27},
                    {"name": "shares", "op": "Softmax", "outputShape": [3], "parameters": 0},
                ],
                "inputs": [{"name": "ids", "shape": [2], "integer": true}],
                "outputs": [{"name": "shares", "shape": [3], "activation": "softmax"}],
                "parameters": 83,
                "weightBytes": bytes,
                "layoutHash": hash,
            })
        );
    }
}
