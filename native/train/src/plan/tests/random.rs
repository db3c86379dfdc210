//! Random graphs.

use firesteel_core::spec::{LabelKind, LabelSpec, LossSpec, NETWORK_FORMAT, NetworkSpec};
use proptest::prelude::*;

use super::{node, trained};
use crate::graph::Graph;
use crate::loss::Loss;
use crate::model::Definition as _;
use crate::network::Autograd;
use crate::plan::Planned;

const ACTIVATIONS: [(&str, &str); 17] = [
    ("ReLU", "{}"),
    ("ReLU6", "{}"),
    ("LeakyReLU", r#"{"negative_slope": 0.2}"#),
    ("ELU", r#"{"alpha": 0.7}"#),
    ("SELU", "{}"),
    ("GELU", "{}"),
    ("GELU", r#"{"approximate": "tanh"}"#),
    ("SiLU", "{}"),
    ("Mish", "{}"),
    ("Tanh", "{}"),
    ("Hardtanh", "{}"),
    ("Sigmoid", "{}"),
    ("LogSigmoid", "{}"),
    ("Hardsigmoid", "{}"),
    ("Hardswish", "{}"),
    ("Softplus", "{}"),
    ("Softsign", "{}"),
];

/// A random graph over inputs of `width` values, which ends in 3 values, for mini-batches of `rows`. Earlier values are
/// read again.
pub(super) fn graph(choices: &[u8], width: usize, rows: usize, activation: Option<&str>) -> Graph {
    let mut nodes =
        vec![node(0, "Linear", &["x".to_owned()], &format!(r#"{{"out_features": {width}}}"#))];
    // The layers whose values are as wide as the input.
    let mut narrow = vec![0];
    for &choice in choices {
        let index = nodes.len();
        let last = (index - 1).to_string();
        let earlier = narrow[usize::from(choice) * 7 % narrow.len()].to_string();
        let (op, inputs, args) = match choice % 9 {
            0 => (
                "Linear".to_owned(),
                vec![last],
                format!(r#"{{"out_features": {width}, "bias": {}}}"#, choice % 4 < 2),
            ),
            1 => ("Dropout".to_owned(), vec![last], r#"{"p": 0.3}"#.to_owned()),
            2 => {
                let ops = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"];
                // The difference of a value and itself would make all rows equal.
                let which = if earlier == last { 0 } else { usize::from(choice / 9) % 6 };
                (ops[which].to_owned(), vec![last, earlier], "{}".to_owned())
            }
            3 => ("Identity".to_owned(), vec![last], "{}".to_owned()),
            4 => (
                ["Softmax", "LogSoftmax"][usize::from(choice / 9) % 2].to_owned(),
                vec![last],
                "{}".to_owned(),
            ),
            // Two or three normalised values are rounding if they are nearly equal.
            5 if width < 4 => ("Identity".to_owned(), vec![last], "{}".to_owned()),
            5 => {
                let affine = choice % 2 == 0;
                let args =
                    format!(r#"{{"elementwise_affine": {affine}, "bias": {}}}"#, choice % 4 == 0);
                ("LayerNorm".to_owned(), vec![last], args)
            }
            6 if nodes[index - 1].op != "Linear" || (2..5).contains(&rows) => {
                ("Identity".to_owned(), vec![last], "{}".to_owned())
            }
            6 => {
                // Without running statistics a single row has no variance: its gradient is rounding.
                let (affine, track) = (choice % 2 == 0, choice % 4 < 2 || rows == 1);
                let momentum = if choice % 8 < 4 { "0.3" } else { "null" };
                let args = format!(
                    r#"{{"affine": {affine}, "track_running_stats": {track}, "momentum": {momentum}}}"#
                );
                ("BatchNorm1d".to_owned(), vec![last], args)
            }
            7 => {
                let both = vec![last, earlier];
                nodes.push(node(index, "Concatenate", &both, "{}"));
                let args = format!(r#"{{"out_features": {width}}}"#);
                nodes.push(node(index + 1, "Linear", &[index.to_string()], &args));
                narrow.push(index + 1);
                continue;
            }
            _ => {
                let (op, args) = ACTIVATIONS[usize::from(choice / 9) % ACTIVATIONS.len()];
                (op.to_owned(), vec![last], args.to_owned())
            }
        };
        nodes.push(node(index, &op, &inputs, &args));
        narrow.push(index);
    }
    let last = (nodes.len() - 1).to_string();
    // What nothing reads is read at the end, so that every layer counts.
    nodes.push(node(nodes.len(), "Linear", &[last], r#"{"out_features": 3}"#));
    if let Some(activation) = activation {
        let last = (nodes.len() - 1).to_string();
        nodes.push(node(nodes.len(), activation, &[last], "{}"));
    }
    let outputs = vec![(nodes.len() - 1).to_string()];
    let spec = NetworkSpec {
        format: NETWORK_FORMAT.to_owned(),
        inputs: vec!["x".to_owned()],
        nodes,
        outputs,
    };
    Graph::build(&spec, &[("x", &[width])]).unwrap()
}

/// The losses, with the label that each of them takes and the activation that may end the network.
const LOSSES: [(LossSpec, bool, Option<&str>); 13] = [
    (LossSpec::CrossEntropy {}, true, None),
    (LossSpec::CrossEntropy {}, true, Some("Softmax")),
    (LossSpec::CrossEntropy {}, false, None),
    (LossSpec::NllLoss {}, true, Some("LogSoftmax")),
    (LossSpec::KlDiv {}, false, Some("Softmax")),
    (LossSpec::BinaryCrossEntropyWithLogits {}, false, Some("Sigmoid")),
    (LossSpec::BinaryCrossEntropyWithLogits {}, true, None),
    (LossSpec::Hinge {}, true, None),
    (LossSpec::MseLoss {}, false, None),
    (LossSpec::MseLoss {}, false, Some("Sigmoid")),
    (LossSpec::L1Loss {}, false, Some("Softmax")),
    (LossSpec::HuberLoss { delta: 0.5 }, false, None),
    (LossSpec::PoissonNllLoss {}, false, None),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn a_plan_computes_what_autograd_computes(
        choices in prop::collection::vec(any::<u8>(), 0..8),
        width in 1_usize..20,
        rows in prop::sample::select(vec![1_usize, 2, 5, 32]),
        weighted: bool,
        which in 0..LOSSES.len(),
        smoothing in prop::sample::select(vec![0.0, 0.2]),
        by_class: bool,
    ) {
        let (loss, is_class, last) = LOSSES[which];
        let graph = graph(&choices, width, rows, last);
        let kind = match is_class {
            true => LabelKind::Class { classes: 3 },
            false => LabelKind::Values { size: 3 },
        };
        let labels = [LabelSpec { column: "label".to_owned(), kind }];
        let terms = [loss.into()];
        let resolved = || Loss::resolve(&terms, &graph.inspect(), &labels).unwrap();
        let class_weights: &[f64] = if by_class && is_class { &[0.5, 2.0, 1.0] } else { &[] };
        // Not every loss has a smoothing.
        let loss = resolved()
            .with_classes(&terms, class_weights, smoothing)
            .or_else(|_| resolved().with_classes(&terms, class_weights, 0.0))
            .unwrap();
        let mut planned = Planned::new(&graph).unwrap();
        let mut autograd = Autograd::new(&graph);
        let expected = trained(&graph, &mut autograd, &loss, rows, weighted);
        let found = trained(&graph, &mut planned, &loss, rows, weighted);
        // A gradient through a normalisation is the small rest of a difference, also in autograd.
        let normalised = graph.nodes.iter().any(|node| node.op.ends_with("Norm") || node.op.ends_with("Norm1d"));
        let tolerance = if normalised { 5e-4 } else { 2e-5 };
        found.check(&expected, tolerance).map_err(TestCaseError::fail)?;
    }
}
