//! The weights that a network starts from.

use firesteel_core::spec::{DataSpec, NetworkDocument};
use firesteel_core::{BufferKind, Buffers, ParamLayout};

use crate::build::{define, define_for_training};
use crate::error::TrainError;
use crate::weights::{weights_from_bytes, weights_to_bytes};

/// Returns the layout of a network that trains on these columns.
///
/// # Errors
/// As [`inspect()`](crate::inspect()).
pub fn layout(network: &NetworkDocument, data: &DataSpec) -> Result<ParamLayout, TrainError> {
    Ok(define_for_training(network, data)?.layout().clone())
}

/// Returns the layout of a network that trains on these columns and its initial parameters and buffers: the saved ones of a
/// TorchScript module; for layers, values drawn from PyTorch's distributions.
///
/// Each tensor of a layer has its own stream of the seed, named by the tensor: the same seed gives the same weights on every
/// machine, and a layer keeps its weights when another one is added.
///
/// # Errors
/// As [`inspect()`](crate::inspect()).
pub fn initialise(
    network: &NetworkDocument,
    data: &DataSpec,
    seed: u64,
) -> Result<(ParamLayout, Vec<f32>, Buffers), TrainError> {
    let definition = define_for_training(network, data)?;
    let (parameters, buffers) = definition.initial(seed)?;
    Ok((definition.layout().clone(), parameters, buffers))
}

/// Returns the safetensors file of a network with all weights 0, whose predictions are the same for every row: the
/// model of a failed fit in a search that goes on.
///
/// # Errors
/// As [`inspect`](crate::inspect()).
pub fn zero_weights(
    network: &NetworkDocument,
    inputs: &[(impl AsRef<str>, Vec<usize>)],
) -> Result<Vec<u8>, TrainError> {
    let shapes: Vec<(&str, &[usize])> =
        inputs.iter().map(|(name, shape)| (name.as_ref(), shape.as_slice())).collect();
    let definition = define(network, &shapes)?;
    let layout = definition.layout();
    let buffers = Buffers {
        floats: vec![0.0; layout.len_of(BufferKind::FloatBuffer)],
        integers: vec![0; layout.len_of(BufferKind::IntegerBuffer)],
    };
    weights_to_bytes(layout, &vec![0.0; layout.parameters()], &buffers)
}

/// Checks that a safetensors file holds finite weights for exactly the tensors of a network with these input shapes (of
/// one row), to start training from.
///
/// # Errors
/// As [`weights_from_bytes`] and [`inspect`](crate::inspect()); [`TrainError::Weights`] naming the tensor that is not finite.
pub fn check_weights(
    network: &NetworkDocument,
    inputs: &[(impl AsRef<str>, Vec<usize>)],
    bytes: &[u8],
) -> Result<(), TrainError> {
    let shapes: Vec<(&str, &[usize])> =
        inputs.iter().map(|(name, shape)| (name.as_ref(), shape.as_slice())).collect();
    let definition = define(network, &shapes)?;
    let layout = definition.layout();
    let (parameters, buffers) = weights_from_bytes(bytes, layout)?;
    for entry in layout.entries() {
        let flat = match entry.kind {
            BufferKind::Parameter => &parameters,
            BufferKind::FloatBuffer => &buffers.floats,
            BufferKind::IntegerBuffer => continue,
        };
        let values = &flat[entry.offset..entry.offset + entry.len];
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(TrainError::Weights(format!(
                "tensor '{}' of the weights holds {value}; expected finite numbers",
                entry.name
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use firesteel_core::BufferKind;
    use firesteel_core::spec::{
        ElementType, InputFormat, InputSpec, NETWORK_FORMAT, NetworkSpec, NodeSpec,
    };
    use serde_json::{Value, json};

    use super::*;

    fn data(shape: &[usize]) -> DataSpec {
        let input = InputSpec {
            name: "x".to_owned(),
            column: "features".to_owned(),
            format: InputFormat::Dense,
            element: ElementType::F32,
            shape: shape.to_vec(),
            scale: 1.0,
        };
        DataSpec { inputs: vec![input], labels: vec![], weight: None, validation: None }
    }

    fn chain(layers: &[(&str, &str, Value)]) -> NetworkDocument {
        let mut input = "x";
        let mut nodes = Vec::new();
        for (name, op, args) in layers {
            nodes.push(NodeSpec {
                name: (*name).to_owned(),
                op: (*op).to_owned(),
                inputs: vec![input.to_owned()],
                args: args.as_object().cloned().unwrap(),
            });
            input = name;
        }
        let (inputs, outputs) = (vec!["x".to_owned()], vec![input.to_owned()]);
        NetworkSpec { format: NETWORK_FORMAT.to_owned(), inputs, nodes, outputs }.into()
    }

    /// The values of one layer's tensor.
    fn tensor(op: &str, args: Value, shape: &[usize], name: &str) -> Vec<f32> {
        let (layout, parameters, buffers) =
            initialise(&chain(&[("it", op, args)]), &data(shape), 3).unwrap();
        let entry =
            layout.entries().iter().find(|entry| entry.name == format!("it.{name}")).unwrap();
        let flat = if entry.kind == BufferKind::Parameter { parameters } else { buffers.floats };
        flat[entry.offset..entry.offset + entry.len].to_vec()
    }

    /// Uniform within the bound: it is reached, kept, and the variance is a third of its square.
    fn uniform(values: &[f32], bound: f64) {
        let most = values.iter().fold(0.0_f64, |most, value| most.max(f64::from(value.abs())));
        assert!(most <= bound && most > 0.95 * bound, "{most} of {bound}");
        let square = |value: &f32| f64::from(*value).powi(2);
        let variance = values.iter().map(square).sum::<f64>() / values.len() as f64;
        assert!((variance / (bound * bound / 3.0) - 1.0).abs() < 0.1, "{variance}");
    }

    #[test]
    fn tensors_are_drawn_from_the_distributions_of_pytorch() {
        let linear = || json!({"out_features": 200});
        uniform(&tensor("Linear", linear(), &[50], "weight"), 1.0 / 50_f64.sqrt());
        uniform(&tensor("Linear", linear(), &[50], "bias"), 1.0 / 50_f64.sqrt());
        let conv = json!({"out_channels": 64, "kernel_size": [3, 5], "groups": 2});
        uniform(&tensor("Conv2d", conv, &[4, 9, 9], "weight"), 1.0 / 30_f64.sqrt());
        let lstm = json!({"hidden_size": 64, "num_layers": 2});
        uniform(&tensor("LSTM", lstm, &[3, 9], "weight_hh_l1"), 0.125);
        assert_eq!(tensor("LayerNorm", json!({}), &[4], "weight"), [1.0; 4]);
        assert_eq!(tensor("BatchNorm1d", json!({}), &[4], "bias"), [0.0; 4]);
        assert_eq!(tensor("BatchNorm1d", json!({}), &[4], "running_mean"), [0.0; 4]);
        assert_eq!(tensor("BatchNorm1d", json!({}), &[4], "running_var"), [1.0; 4]);
        let args = json!({"num_embeddings": 100, "embedding_dim": 50, "padding_idx": -1});
        let table = tensor("Embedding", args, &[4], "weight");
        assert_eq!(table[99 * 50..], [0.0; 50]);
        let square: f32 = table.iter().map(|value| value * value).sum();
        assert!((square / (99.0 * 50.0) - 1.0).abs() < 0.1, "{square}");
    }

    #[test]
    fn a_seed_gives_the_same_weights_and_a_layer_keeps_its_own_when_another_is_added() {
        let first = || ("0", "Linear", json!({"out_features": 3}));
        let short = chain(&[first()]);
        let long = chain(&[first(), ("1", "Linear", json!({"out_features": 3}))]);
        let of =
            |network: &NetworkDocument, seed| initialise(network, &data(&[3]), seed).unwrap().1;
        assert_eq!(of(&short, 1), of(&short, 1));
        assert_ne!(of(&short, 1), of(&short, 2));
        let long = of(&long, 1);
        assert_eq!(long[..12], of(&short, 1));
        assert_ne!(long[..12], long[12..], "layers of one shape differ");
    }

    #[test]
    fn training_starts_only_from_finite_weights() {
        let network: NetworkDocument = serde_json::from_value(serde_json::json!({
            "format": "firesteel.network/1",
            "inputs": ["x"],
            "nodes": [{"name": "0", "op": "Linear", "inputs": ["x"], "args": {"out_features": 1}},
                {"name": "1", "op": "BatchNorm1d", "inputs": ["0"]}],
            "outputs": ["1"],
        }))
        .unwrap();
        let inputs = [("x", vec![2])];
        let layout = define(&network, &[("x", &[2])]).unwrap().layout().clone();
        let check = |parameters: &[f32], floats: &[f32]| {
            let buffers = Buffers { floats: floats.to_vec(), integers: vec![7] };
            let bytes = weights_to_bytes(&layout, parameters, &buffers).unwrap();
            check_weights(&network, &inputs, &bytes).map_err(|error| error.to_string())
        };
        assert_eq!(check(&[1.0; 5], &[0.5; 2]), Ok(()));
        let refused = |tensor, value| {
            Err(format!("tensor '{tensor}' of the weights holds {value}; expected finite numbers"))
        };
        assert_eq!(check(&[1.0, f32::NAN, 1.0, 1.0, 1.0], &[0.5; 2]), refused("0.weight", "NaN"));
        assert_eq!(check(&[1.0; 5], &[0.5, f32::INFINITY]), refused("1.running_var", "inf"));
    }

    #[test]
    fn the_columns_of_a_network_draw_the_same_weights_sparse_or_dense() {
        let network = chain(&[
            ("0", "Linear", json!({"out_features": 5})),
            ("1", "Linear", json!({"out_features": 2})),
        ]);
        let dense = data(&[5000]);
        let mut sparse = data(&[5000]);
        sparse.inputs[0].format = InputFormat::Sparse;
        let bytes = |data: &DataSpec| {
            let (layout, parameters, buffers) = initialise(&network, data, 7).unwrap();
            (
                layout.entries()[0].transposed,
                weights_to_bytes(&layout, &parameters, &buffers).unwrap(),
            )
        };
        let ((plain, of_dense), (transposed, of_sparse)) = (bytes(&dense), bytes(&sparse));
        assert_eq!((plain, transposed), (false, true));
        assert_eq!(of_sparse, of_dense);
    }
}
