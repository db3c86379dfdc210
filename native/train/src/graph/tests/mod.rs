mod structure;

use firesteel_core::BufferKind;
use serde_json::{Map, Value, json};

use super::*;

fn node(name: &str, op: &str, inputs: &[&str], args: Value) -> NodeSpec {
    let args: Map<String, Value> = args.as_object().cloned().unwrap();
    let inputs = inputs.iter().map(|&input| input.to_owned()).collect();
    NodeSpec { name: name.to_owned(), op: op.to_owned(), inputs, args }
}

fn network(inputs: &[&str], nodes: Vec<NodeSpec>, outputs: &[&str]) -> NetworkSpec {
    let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect();
    NetworkSpec {
        format: NETWORK_FORMAT.to_owned(),
        inputs: names(inputs),
        nodes,
        outputs: names(outputs),
    }
}

/// One layer over the input `x`.
fn single(op: &str, args: Value, shape: &[usize]) -> Result<Graph, TrainError> {
    let spec = network(&["x"], vec![node("it", op, &["x"], args)], &["it"]);
    Graph::build(&spec, &[("x", shape)])
}

fn text(result: Result<Graph, TrainError>) -> String {
    result.err().unwrap().to_string()
}

fn parameters(graph: &Graph) -> Vec<(String, Vec<usize>)> {
    graph.layout.entries().iter().map(|entry| (entry.name.clone(), entry.shape.clone())).collect()
}

#[test]
fn every_layer_gives_the_shape_that_pytorch_gives() {
    let cases: &[(&str, Value, &[usize], &[usize])] = &[
        ("Linear", json!({"out_features": 5}), &[3], &[5]),
        ("Linear", json!({"out_features": 5, "in_features": 3}), &[7, 3], &[7, 5]),
        ("Conv2d", json!({"out_channels": 8, "kernel_size": 3}), &[1, 28, 28], &[8, 26, 26]),
        (
            "Conv2d",
            json!({"out_channels": 4, "kernel_size": [3, 5], "stride": 2, "padding": [1, 2], "dilation": [2, 1]}),
            &[2, 11, 12],
            &[4, 5, 6],
        ),
        (
            "Conv2d",
            json!({"out_channels": 4, "kernel_size": 4, "padding": "same"}),
            &[2, 9, 9],
            &[4, 9, 9],
        ),
        (
            "Conv2d",
            json!({"out_channels": 4, "kernel_size": 4, "padding": "valid", "groups": 2}),
            &[2, 9, 9],
            &[4, 6, 6],
        ),
        ("MaxPool2d", json!({"kernel_size": 2}), &[8, 27, 26], &[8, 13, 13]),
        ("MaxPool2d", json!({"kernel_size": 2, "ceil_mode": true}), &[8, 27, 26], &[8, 14, 13]),
        (
            "MaxPool2d",
            json!({"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2}),
            &[1, 10, 10],
            &[1, 4, 4],
        ),
        // The last window would start in the padding behind the image, so it is left out.
        (
            "AvgPool2d",
            json!({"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": true}),
            &[1, 5, 5],
            &[1, 2, 2],
        ),
        ("BatchNorm1d", json!({}), &[6], &[6]),
        ("BatchNorm1d", json!({"num_features": 6}), &[6, 9], &[6, 9]),
        ("BatchNorm2d", json!({}), &[6, 9, 9], &[6, 9, 9]),
        ("LayerNorm", json!({"normalized_shape": [4, 5]}), &[3, 4, 5], &[3, 4, 5]),
        ("Flatten", json!({}), &[3, 4, 5], &[60]),
        ("Flatten", json!({"start_dim": 2}), &[3, 4, 5], &[3, 20]),
        ("Flatten", json!({"start_dim": 1, "end_dim": -2}), &[3, 4, 5], &[12, 5]),
        ("Reshape", json!({"shape": [-1, 5]}), &[3, 4, 5], &[12, 5]),
        ("Reshape", json!({"shape": [60]}), &[3, 4, 5], &[60]),
        ("Permute", json!({"dims": [3, 1, 2]}), &[4, 5, 6], &[6, 4, 5]),
        ("ZeroPad2d", json!({"padding": 2}), &[3, 4, 5], &[3, 8, 9]),
        ("ZeroPad2d", json!({"padding": [1, 0, -2, 3]}), &[3, 4, 5], &[3, 5, 6]),
        ("AdaptiveMaxPool2d", json!({"output_size": 1}), &[3, 4, 5], &[3, 1, 1]),
        ("AdaptiveAvgPool2d", json!({"output_size": [2, 7]}), &[3, 4, 5], &[3, 2, 7]),
        ("Embedding", json!({"num_embeddings": 10, "embedding_dim": 4}), &[7], &[7, 4]),
        ("LSTM", json!({"hidden_size": 6}), &[7, 4], &[7, 6]),
        (
            "LSTM",
            json!({"hidden_size": 6, "bidirectional": true, "output": "last"}),
            &[7, 4],
            &[12],
        ),
        ("GRU", json!({"hidden_size": 6, "bidirectional": true}), &[7, 4], &[7, 12]),
        ("GELU", json!({"approximate": "tanh"}), &[3], &[3]),
        ("LeakyReLU", json!({"negative_slope": 0.3, "inplace": true}), &[3, 4], &[3, 4]),
        ("Dropout", json!({"p": 0.1, "inplace": true}), &[3], &[3]),
        ("Softmax", json!({"dim": 1}), &[3, 4], &[3, 4]),
    ];
    for (op, args, input, output) in cases {
        let graph = single(op, args.clone(), input)
            .unwrap_or_else(|error| panic!("{op} {args} over {input:?}: {error}"));
        assert_eq!(graph.outputs[0].shape, *output, "{op} {args} over {input:?}");
    }
}

#[test]
fn parameters_have_the_names_and_order_of_a_state_dict() {
    let norm = single("BatchNorm2d", json!({}), &[3, 4, 4]).unwrap();
    let names: Vec<&str> = norm.layout.entries().iter().map(|entry| entry.name.as_str()).collect();
    let expected =
        ["it.weight", "it.bias", "it.running_mean", "it.running_var", "it.num_batches_tracked"];
    assert_eq!(names, expected);
    assert_eq!(norm.layout.len_of(BufferKind::FloatBuffer), 6);
    let lstm = single(
        "LSTM",
        json!({"hidden_size": 2, "num_layers": 2, "bidirectional": true, "bias": false}),
        &[5, 3],
    );
    let expected = [
        ("it.weight_ih_l0", [8, 3]),
        ("it.weight_hh_l0", [8, 2]),
        ("it.weight_ih_l0_reverse", [8, 3]),
        ("it.weight_hh_l0_reverse", [8, 2]),
        ("it.weight_ih_l1", [8, 4]),
        ("it.weight_hh_l1", [8, 2]),
        ("it.weight_ih_l1_reverse", [8, 4]),
        ("it.weight_hh_l1_reverse", [8, 2]),
    ];
    let expected: Vec<(String, Vec<usize>)> =
        expected.iter().map(|(name, shape)| ((*name).to_owned(), shape.to_vec())).collect();
    assert_eq!(parameters(&lstm.unwrap()), expected);
    let gru = single("GRU", json!({"hidden_size": 2}), &[5, 3]).unwrap();
    let expected = [
        ("it.weight_ih_l0", vec![6, 3]),
        ("it.weight_hh_l0", vec![6, 2]),
        ("it.bias_ih_l0", vec![6]),
        ("it.bias_hh_l0", vec![6]),
    ];
    assert_eq!(parameters(&gru), expected.map(|(name, shape)| (name.to_owned(), shape)));
}

#[test]
fn a_shape_that_does_not_fit_names_the_layer_what_it_got_and_what_it_needs() {
    let cases: &[(&str, Value, &[usize], &str)] = &[
        (
            "Linear",
            json!({"in_features": 784, "out_features": 10}),
            &[100],
            "layer 'it' (Linear): in_features is 784, but its input has the shape [100] and needs 100",
        ),
        (
            "Conv2d",
            json!({"out_channels": 10, "kernel_size": 3}),
            &[784],
            "layer 'it' (Conv2d): got the shape [784]; needs [channels, height, width]",
        ),
        (
            "Conv2d",
            json!({"out_channels": 10, "kernel_size": 5}),
            &[1, 4, 4],
            "layer 'it' (Conv2d): got the shape [1, 4, 4]; kernel_size [5, 5] with its dilation is larger than the padded image",
        ),
        (
            "BatchNorm1d",
            json!({}),
            &[1, 4, 4],
            "layer 'it' (BatchNorm1d): got the shape [1, 4, 4]; needs [features] or [features, length]",
        ),
        (
            "Reshape",
            json!({"shape": [3, -1]}),
            &[4, 4],
            "layer 'it' (Reshape): got the shape [4, 4] of 16 values, which do not fit the shape [3, -1]",
        ),
        (
            "Permute",
            json!({"dims": [1, 1, 2]}),
            &[4, 4, 4],
            "layer 'it' (Permute): got the shape [4, 4, 4]; dims [1, 1, 2] must hold each of 1 to 3 once, 0 being the batch",
        ),
        (
            "ZeroPad2d",
            json!({"padding": [0, 9, 0, -4]}),
            &[4, 4, 4],
            "layer 'it' (ZeroPad2d): got the shape [4, 4, 4]; padding [0, 9, 0, -4] leaves nothing of it or is too large",
        ),
        (
            "ZeroPad2d",
            json!({"padding": [0, 9]}),
            &[4, 4, 4],
            "layer 'it' (ZeroPad2d): padding [0, 9] must be one integer or [left, right, top, bottom]",
        ),
        (
            "AdaptiveAvgPool2d",
            json!({"output_size": 1}),
            &[4, 4],
            "layer 'it' (AdaptiveAvgPool2d): got the shape [4, 4]; needs [channels, height, width]",
        ),
        (
            "LSTM",
            json!({"hidden_size": 3}),
            &[4],
            "layer 'it' (LSTM): got the shape [4]; needs [length, features]",
        ),
        (
            "LayerNorm",
            json!({"normalized_shape": 5}),
            &[4],
            "layer 'it' (LayerNorm): got the shape [4]; normalized_shape [5] must be its end",
        ),
        (
            "Softmax",
            json!({"dim": 0}),
            &[4],
            "layer 'it' (Softmax): dim 0 is the batch dimension; choose a dimension of the row",
        ),
    ];
    for (op, args, shape, expected) in cases {
        assert_eq!(text(single(op, args.clone(), shape)), *expected);
    }
}

#[test]
fn an_unknown_layer_or_argument_is_refused_with_what_is_known() {
    let unknown = text(single("Dense", json!({}), &[3]));
    assert!(
        unknown.starts_with("layer 'it' (Dense): unknown layer type; use one of Linear, Conv2d,"),
        "{unknown}"
    );
    assert_eq!(
        text(single("Linear", json!({"units": 3}), &[3])),
        "layer 'it' (Linear): unknown argument 'units'; use one of in_features, out_features, bias"
    );
    assert_eq!(
        text(single("Tanh", json!({"a": 3}), &[3])),
        "layer 'it' (Tanh): unknown argument 'a'; it takes none"
    );
    assert_eq!(
        text(single("Linear", json!({}), &[3])),
        "layer 'it' (Linear): argument 'out_features' is missing"
    );
}

#[test]
fn arguments_of_a_wrong_type_or_range_are_refused() {
    let cases = [
        ("Linear", json!({"out_features": "ten"})),
        ("Linear", json!({"out_features": 0})),
        ("Linear", json!({"out_features": 2.5})),
        ("Linear", json!({"out_features": -3})),
        ("Linear", json!({"out_features": 1_u64 << 40})),
        ("Linear", json!({"out_features": 3, "bias": 1})),
        ("Dropout", json!({"p": 1.5})),
        ("Dropout", json!({"p": true})),
        ("GELU", json!({"approximate": "fast"})),
        ("Reshape", json!({"shape": [-1, -1]})),
        ("Reshape", json!({"shape": [0, 3]})),
        ("Reshape", json!({"shape": []})),
        ("Reshape", json!({"shape": [i64::MAX, i64::MAX, -1]})),
        ("Flatten", json!({"start_dim": 5})),
        ("Permute", json!({"dims": [0]})),
        ("Permute", json!({"dims": [i64::MIN]})),
        ("LeakyReLU", json!({"negative_slope": "steep"})),
        ("Embedding", json!({"num_embeddings": 3, "embedding_dim": 2, "padding_idx": 3})),
        ("LayerNorm", json!({"eps": -1.0})),
        ("Linear", json!({"out_features": i32::MAX})),
    ];
    for (op, args) in cases {
        let error = single(op, args.clone(), &[3]).err().unwrap_or_else(|| panic!("{op} {args}"));
        assert!(matches!(error, TrainError::Layer { .. }), "{op} {args}: {error}");
    }
    let lstm = text(single("LSTM", json!({"hidden_size": 3, "batch_first": false}), &[4, 4]));
    assert!(lstm.contains("batch_first must be true"), "{lstm}");
}
