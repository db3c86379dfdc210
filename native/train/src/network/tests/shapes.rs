//! The shapes that the graph infers are those of libtorch, for all arguments.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// A layer with arguments of the right type that may not fit.
fn any_layer() -> impl Strategy<Value = (&'static str, Value)> {
    let pair = || {
        prop_oneof![
            (0_usize..5).prop_map(|n| json!(n)),
            [0_usize..4, 0_usize..4].prop_map(|n| json!(n))
        ]
    };
    let window = move || {
        [pair().boxed(), pair().boxed(), pair().boxed(), pair().boxed()].prop_map(|[kernel, stride, padding, dilation]| {
            json!({"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation})
        })
    };
    let with = |mut args: Value, more: Value| {
        if let (Some(args), Some(more)) = (args.as_object_mut(), more.as_object()) {
            args.extend(more.clone());
        }
        args
    };
    let without = |mut args: Value, name: &str| {
        args.as_object_mut().map(|args| args.remove(name));
        args
    };
    prop_oneof![
        (window(), 1_usize..5, 1_usize..3).prop_map(move |(args, outputs, groups)| {
            ("Conv2d", with(args, json!({"out_channels": outputs, "groups": groups})))
        }),
        (window(), any::<bool>())
            .prop_map(move |(args, ceil)| ("MaxPool2d", with(args, json!({"ceil_mode": ceil})))),
        (window(), any::<bool>()).prop_map(move |(args, ceil)| {
            ("AvgPool2d", without(with(args, json!({"ceil_mode": ceil})), "dilation"))
        }),
        (-4_i64..5, -4_i64..5)
            .prop_map(|(start, end)| ("Flatten", json!({"start_dim": start, "end_dim": end}))),
        prop::collection::vec(-1_i64..7, 1..4)
            .prop_map(|shape| ("Reshape", json!({"shape": shape}))),
        prop::collection::vec(0_i64..4, 1..4).prop_map(|dims| ("Permute", json!({"dims": dims}))),
        prop::collection::vec(-4_i64..5, 4)
            .prop_map(|sides| ("ZeroPad2d", json!({"padding": sides}))),
        (pair(), any::<bool>()).prop_map(|(size, largest)| {
            let op = if largest { "AdaptiveMaxPool2d" } else { "AdaptiveAvgPool2d" };
            (op, json!({"output_size": size}))
        }),
        (-4_i64..5).prop_map(|dim| ("Softmax", json!({"dim": dim}))),
        (any::<bool>(), 1_usize..4, any::<bool>(), 1_usize..3).prop_map(
            |(gru, hidden, both, layers)| {
                let args =
                    json!({"hidden_size": hidden, "bidirectional": both, "num_layers": layers});
                (if gru { "GRU" } else { "LSTM" }, args)
            }
        ),
        (1_usize..4).prop_map(|size| ("Linear", json!({"out_features": size}))),
        (1_usize..4)
            .prop_map(|size| ("Embedding", json!({"num_embeddings": 3, "embedding_dim": size}))),
        Just(("BatchNorm1d", json!({}))),
        Just(("BatchNorm2d", json!({}))),
        prop::collection::vec(1_usize..7, 1..3)
            .prop_map(|shape| ("LayerNorm", json!({"normalized_shape": shape}))),
    ]
}

/// Any JSON value.
fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        (-3_i64..9).prop_map(|value| json!(value)),
        any::<f64>().prop_map(|value| json!(value)),
        prop::collection::vec(any::<i64>(), 0..4).prop_map(|value| json!(value)),
        prop_oneof![Just("same"), Just("last"), Just("tanh"), Just("zeros")]
            .prop_map(|value| json!(value)),
    ]
}

fn single(op: &str, args: Value, shape: &[usize]) -> Result<Graph, TrainError> {
    let spec = NetworkSpec {
        format: NETWORK_FORMAT.to_owned(),
        inputs: vec!["x".to_owned()],
        nodes: vec![layer("it", op, &["x"], args), layer("same", "LayerNorm", &["it"], json!({}))],
        outputs: vec!["same".to_owned()],
    };
    Graph::build(&spec, &[("x", shape)])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_inferred_shape_is_the_one_that_libtorch_gives(
        (op, args) in any_layer(),
        shape in prop::collection::vec(1_usize..7, 1..4),
    ) {
        if let Ok(graph) = single(op, args.clone(), &shape) {
            let case = Case::of_graph(graph, 2);
            let batch = case.batch();
            let replica = case.replica();
            let output = Autograd::new(&case.graph).evaluate(&replica.views, &batch).unwrap();
            let found: Vec<usize> = output[0].size()[1..].iter().map(|&size| size as usize).collect();
            prop_assert_eq!(&found, &case.graph.outputs[0].shape, "{} {} over {:?}", op, args, shape);
        }
    }

    #[test]
    fn arguments_of_any_kind_are_read_or_refused(
        (op, mut args) in any_layer(),
        name in prop_oneof![
            Just("kernel_size"), Just("stride"), Just("padding"), Just("dilation"), Just("groups"), Just("dim"),
            Just("shape"), Just("start_dim"), Just("end_dim"), Just("hidden_size"), Just("num_layers"),
            Just("out_features"), Just("out_channels"), Just("num_embeddings"), Just("padding_idx"), Just("eps"),
            Just("normalized_shape"), Just("momentum"), Just("output"), Just("in_features"), Just("dims"),
            Just("output_size"),
        ],
        value in any_value(),
        shape in prop::collection::vec(0_usize..(1 << 20), 0..5),
    ) {
        args.as_object_mut().map(|args: &mut Map<String, Value>| args.insert(name.to_owned(), value));
        if let Err(error) = single(op, args, &shape) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
