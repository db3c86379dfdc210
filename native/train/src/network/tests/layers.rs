//! Layers and graphs of them.

use serde_json::{Value, json};

use super::{Case, check_all, layer};

#[test]
fn every_layer_computes_and_differentiates_as_pytorch() {
    let one = |op: &str, args: Value, shape: &[usize]| {
        Case::new(
            &format!("{op} {args}"),
            &[("x", shape)],
            vec![layer("it", op, &["x"], args.clone())],
            5,
        )
    };
    // A layer without parameters is followed by one that has some, and read behind one.
    let between = |op: &str, args: Value, shape: &[usize]| {
        let nodes = vec![
            layer("norm", "LayerNorm", &["x"], json!({"normalized_shape": shape})),
            layer("it", op, &["norm"], args.clone()),
            layer("same", "Identity", &["it"], json!({})),
        ];
        Case::new(&format!("{op} {args} between"), &[("x", shape)], nodes, 5)
    };
    check_all(&[
        one("Linear", json!({"in_features": 4, "out_features": 3}), &[4]),
        one("Linear", json!({"in_features": 4, "out_features": 3, "bias": false}), &[2, 4]),
        between("Linear", json!({"in_features": 4, "out_features": 3, "bias": false}), &[4]),
        between("Linear", json!({"in_features": 4, "out_features": 3}), &[3, 2, 4]),
        one("Conv2d", json!({"in_channels": 2, "out_channels": 4, "kernel_size": 3}), &[2, 6, 7]),
        one(
            "Conv2d",
            json!({"in_channels": 2, "out_channels": 4, "kernel_size": [3, 2], "stride": [2, 1], "padding": [1, 0],
                   "dilation": [1, 2], "groups": 2, "bias": false}),
            &[2, 6, 7],
        ),
        between(
            "Conv2d",
            json!({"in_channels": 2, "out_channels": 3, "kernel_size": 4, "padding": "same"}),
            &[2, 6, 7],
        ),
        between(
            "MaxPool2d",
            json!({"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": true}),
            &[2, 6, 7],
        ),
        between("MaxPool2d", json!({"kernel_size": 2, "dilation": 2}), &[2, 6, 7]),
        between("AvgPool2d", json!({"kernel_size": [2, 3]}), &[2, 6, 7]),
        between(
            "AvgPool2d",
            json!({"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": true, "count_include_pad": false}),
            &[2, 6, 7],
        ),
        between(
            "AvgPool2d",
            json!({"kernel_size": 3, "padding": 1, "divisor_override": 5}),
            &[2, 6, 7],
        ),
        between("AdaptiveMaxPool2d", json!({"output_size": 1}), &[2, 6, 7]),
        between("AdaptiveAvgPool2d", json!({"output_size": 1}), &[2, 6, 7]),
        between("AdaptiveMaxPool2d", json!({"output_size": [4, 5]}), &[2, 6, 7]),
        between("AdaptiveAvgPool2d", json!({"output_size": [4, 9]}), &[2, 6, 7]),
        one("BatchNorm1d", json!({"num_features": 4}), &[4]),
        one("BatchNorm1d", json!({"num_features": 4, "momentum": null, "eps": 0.01}), &[4, 6]),
        between("BatchNorm2d", json!({"num_features": 2, "momentum": 0.3}), &[2, 3, 4]),
        between("BatchNorm2d", json!({"num_features": 2, "affine": false}), &[2, 3, 4]),
        one("BatchNorm2d", json!({"num_features": 2, "track_running_stats": false}), &[2, 3, 4]),
        one("LayerNorm", json!({"normalized_shape": [3, 4]}), &[2, 3, 4]),
        one("LayerNorm", json!({"normalized_shape": 4, "bias": false, "eps": 0.1}), &[3, 4]),
        between("LayerNorm", json!({"normalized_shape": 4, "elementwise_affine": false}), &[3, 4]),
        between("Dropout", json!({"p": 0.0}), &[3, 4]),
        between("Flatten", json!({"start_dim": 2}), &[2, 3, 4]),
        between("Reshape", json!({"shape": [-1, 2]}), &[3, 4]),
        between("Permute", json!({"dims": [3, 1, 2]}), &[2, 3, 4]),
        between("ZeroPad2d", json!({"padding": 2}), &[2, 3, 4]),
        between("ZeroPad2d", json!({"padding": [0, 1, 2, 3]}), &[2, 3, 4]),
        between("ZeroPad2d", json!({"padding": [-1, 2, 3, -2]}), &[2, 3, 4]),
        between("ReLU", json!({}), &[9]),
        between("ReLU6", json!({}), &[9]),
        between("LeakyReLU", json!({}), &[9]),
        between("LeakyReLU", json!({"negative_slope": 0.3}), &[9]),
        between("ELU", json!({}), &[9]),
        between("ELU", json!({"alpha": 1.7}), &[9]),
        between("SELU", json!({}), &[9]),
        between("SiLU", json!({}), &[9]),
        between("Mish", json!({}), &[9]),
        between("Hardtanh", json!({}), &[9]),
        between("LogSigmoid", json!({}), &[9]),
        between("Hardsigmoid", json!({}), &[9]),
        between("Hardswish", json!({}), &[9]),
        between("Softplus", json!({}), &[9]),
        between("Softsign", json!({}), &[9]),
        between("GELU", json!({}), &[9]),
        between("GELU", json!({"approximate": "tanh"}), &[9]),
        between("Tanh", json!({}), &[9]),
        between("Sigmoid", json!({}), &[9]),
        between("Softmax", json!({"dim": 1}), &[3, 4]),
        between("Softmax", json!({"dim": -1}), &[3, 4]),
        between("LogSoftmax", json!({"dim": -1}), &[9]),
        one("Embedding", json!({"num_embeddings": 6, "embedding_dim": 3}), &[4]),
        one(
            "Embedding",
            json!({"num_embeddings": 6, "embedding_dim": 3, "padding_idx": 2}),
            &[2, 4],
        ),
        one("LSTM", json!({"input_size": 3, "hidden_size": 4}), &[6, 3]),
        one(
            "LSTM",
            json!({"input_size": 3, "hidden_size": 4, "output": "last", "bias": false}),
            &[6, 3],
        ),
        between(
            "LSTM",
            json!({"input_size": 3, "hidden_size": 4, "num_layers": 3, "bidirectional": true}),
            &[6, 3],
        ),
        between(
            "LSTM",
            json!({"input_size": 3, "hidden_size": 2, "num_layers": 2, "bidirectional": true, "output": "last"}),
            &[6, 3],
        ),
        one("GRU", json!({"input_size": 3, "hidden_size": 4}), &[6, 3]),
        one(
            "GRU",
            json!({"input_size": 3, "hidden_size": 4, "output": "last", "bias": false}),
            &[6, 3],
        ),
        between(
            "GRU",
            json!({"input_size": 3, "hidden_size": 2, "num_layers": 2, "bidirectional": true, "output": "last"}),
            &[6, 3],
        ),
    ]);
}

#[test]
fn graphs_with_branches_compute_and_differentiate_as_pytorch() {
    let linear = |name: &str, input: &str, sizes: [usize; 2]| {
        layer(name, "Linear", &[input], json!({"in_features": sizes[0], "out_features": sizes[1]}))
    };
    let residual = vec![
        linear("in", "x", [4, 6]),
        layer("relu", "ReLU", &["in"], json!({})),
        linear("inner", "relu", [6, 6]),
        layer("sum", "Add", &["relu", "inner", "in"], json!({})),
        linear("out", "sum", [6, 2]),
    ];
    let merged = |op: &str, count: usize| {
        let names = ["a", "b", "c"];
        let mut nodes: Vec<_> =
            names[..count].iter().map(|&name| linear(name, "x", [4, 6])).collect();
        nodes.push(layer("it", op, &names[..count], json!({})));
        nodes.push(linear("out", "it", [6, 2]));
        Case::new(op, &[("x", &[4])], nodes, 7)
    };
    // As a convolution over an image whose channels come last is written.
    let channels_last = vec![
        layer("first", "Permute", &["x"], json!({"dims": [3, 1, 2]})),
        layer("pad", "ZeroPad2d", &["first"], json!({"padding": [0, 1, 0, 1]})),
        layer(
            "conv",
            "Conv2d",
            &["pad"],
            json!({"in_channels": 2, "out_channels": 3, "kernel_size": 3, "stride": 2}),
        ),
        layer("norm", "BatchNorm2d", &["conv"], json!({"num_features": 3})),
        layer("last", "Permute", &["norm"], json!({"dims": [2, 3, 1]})),
        layer("flat", "Flatten", &["last"], json!({})),
        linear("out", "flat", [27, 4]),
    ];
    let two_inputs = vec![
        layer("words", "Embedding", &["ids"], json!({"num_embeddings": 9, "embedding_dim": 3})),
        layer("flat", "Flatten", &["words"], json!({})),
        layer("both", "Concatenate", &["flat", "x"], json!({"dim": 1})),
        linear("out", "both", [10, 2]),
    ];
    let images = vec![
        layer(
            "0",
            "Conv2d",
            &["x"],
            json!({"in_channels": 1, "out_channels": 3, "kernel_size": 3, "padding": 1}),
        ),
        layer("1", "BatchNorm2d", &["0"], json!({"num_features": 3})),
        layer("2", "ReLU", &["1"], json!({})),
        layer("3", "MaxPool2d", &["2"], json!({"kernel_size": 2})),
        layer("4", "Flatten", &["3"], json!({})),
        linear("5", "4", [27, 4]),
    ];
    check_all(&[
        Case::new("residual", &[("x", &[4])], residual, 7),
        Case::new("two inputs", &[("x", &[4]), ("ids", &[2])], two_inputs, 7),
        Case::new("images", &[("x", &[1, 6, 6])], images, 7),
        Case::new("channels last", &[("x", &[6, 6, 2])], channels_last, 7),
        merged("Subtract", 2),
        merged("Multiply", 3),
        merged("Average", 3),
        merged("Maximum", 3),
        merged("Minimum", 2),
    ]);
}
