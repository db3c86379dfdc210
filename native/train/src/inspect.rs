//! The inspection of a network for the driver.

use firesteel_core::spec::NetworkDocument;

use crate::build::define;
use crate::error::TrainError;
use crate::model::Inspection;

/// Infers and checks every shape of a network with these input shapes (of one row). A TorchScript module runs on two
/// rows of zeros.
///
/// # Errors
/// [`TrainError::Layer`] naming the layer, or [`TrainError::InvalidSpec`] for problems of the whole network.
pub fn inspect(
    network: &NetworkDocument,
    inputs: &[(impl AsRef<str>, Vec<usize>)],
) -> Result<Inspection, TrainError> {
    let shapes: Vec<(&str, &[usize])> =
        inputs.iter().map(|(name, shape)| (name.as_ref(), shape.as_slice())).collect();
    Ok(define(network, &shapes)?.inspect())
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
