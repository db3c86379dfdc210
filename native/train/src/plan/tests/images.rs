//! Images and sequences.

use firesteel_core::spec::{LabelKind, LabelSpec, LossSpec, NETWORK_FORMAT, NetworkSpec, NodeSpec};
use proptest::prelude::*;

use super::{node, trained};
use crate::graph::Graph;
use crate::loss::Loss;
use crate::model::Definition as _;
use crate::network::Autograd;
use crate::plan::Planned;

/// Numbers for the arguments of a layer.
struct Arguments(u64);

impl Arguments {
    fn next(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % count
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next(most - least + 1)
    }

    fn pair(&mut self, least: u64, most: u64) -> String {
        format!("[{}, {}]", self.between(least, most), self.between(least, most))
    }
}

/// A layer for values of a shape, with random arguments, which may not fit.
fn layer(random: &mut Arguments, shape: &[usize]) -> (&'static str, String) {
    let [flag, other] = [random.next(2) == 0, random.next(2) == 0];
    let of_image = shape.len() == 3;
    match random.next(13) {
        0 | 1 if of_image => {
            let groups = if flag { 1 } else { shape[0] as u64 };
            let outputs = groups * random.between(1, 5);
            let padding = match random.next(5) {
                0 => r#""same", "stride": 1"#.to_owned(),
                1 => r#""valid""#.to_owned(),
                _ => format!(r#"{}, "stride": {}"#, random.pair(0, 3), random.pair(1, 3)),
            };
            let args = format!(
                r#"{{"out_channels": {outputs}, "kernel_size": {}, "padding": {padding},
                    "dilation": {}, "groups": {groups}, "bias": {other}}}"#,
                random.pair(1, 4),
                random.pair(1, 2),
            );
            ("Conv2d", args)
        }
        2 | 3 if of_image => {
            let args = format!(
                r#"{{"kernel_size": {}, "stride": {}, "padding": {}, "dilation": {}, "ceil_mode": {flag}}}"#,
                random.pair(1, 3),
                random.pair(1, 4),
                // libtorch writes outside of an image if all places of a window are padding.
                if other && shape.iter().any(|&length| length < 5) { 0 } else { random.next(2) },
                if other { 2 } else { 1 },
            );
            ("MaxPool2d", args)
        }
        4 | 5 if of_image => {
            let divisor = if random.next(3) == 0 { "3" } else { "null" };
            let args = format!(
                r#"{{"kernel_size": {}, "stride": {}, "padding": {}, "ceil_mode": {flag},
                    "count_include_pad": {other}, "divisor_override": {divisor}}}"#,
                random.pair(1, 3),
                random.pair(1, 4),
                random.pair(0, 1),
            );
            ("AvgPool2d", args)
        }
        6 if of_image => {
            let op = ["AdaptiveMaxPool2d", "AdaptiveAvgPool2d"][usize::from(flag)];
            (op, format!(r#"{{"output_size": {}}}"#, random.pair(1, 4)))
        }
        7 if of_image => {
            let side = |random: &mut Arguments| random.next(4) as i64 - 1;
            let sides: Vec<i64> = (0..4).map(|_| side(random)).collect();
            ("ZeroPad2d", format!(r#"{{"padding": {sides:?}}}"#))
        }
        8 => {
            let mut dims: Vec<usize> = (1..=shape.len()).collect();
            for last in (1..dims.len()).rev() {
                dims.swap(last, random.next(last as u64 + 1) as usize);
            }
            dims.insert(0, 0);
            ("Permute", format!(r#"{{"dims": {dims:?}}}"#))
        }
        9 => {
            let dimension = random.between(1, shape.len() as u64);
            let op = ["Softmax", "LogSoftmax"][usize::from(flag)];
            (op, format!(r#"{{"dim": {dimension}}}"#))
        }
        10 => (["Tanh", "ReLU", "SiLU"][random.next(3) as usize], "{}".to_owned()),
        11 => ("Linear", format!(r#"{{"out_features": {}}}"#, random.between(1, 6))),
        // A sequence becomes an image, and an image a sequence.
        _ if of_image => ("Flatten", r#"{"start_dim": 2}"#.to_owned()),
        _ => {
            let shape: Vec<usize> = [1].iter().chain(shape).copied().collect();
            ("Reshape", format!(r#"{{"shape": {shape:?}}}"#))
        }
    }
}

fn build(shape: &[usize], nodes: &[NodeSpec]) -> Option<Graph> {
    let spec = NetworkSpec {
        format: NETWORK_FORMAT.to_owned(),
        inputs: vec!["x".to_owned()],
        nodes: nodes.to_vec(),
        outputs: vec![nodes.last()?.name.clone()],
    };
    Graph::build(&spec, &[("x", shape)]).ok()
}

/// A random graph over images or sequences that ends in 3 values.
fn graph(shape: &[usize], layers: usize, seed: u64) -> Graph {
    let mut random = Arguments(seed);
    let mut nodes = vec![node(0, "Linear", &["x".to_owned()], r#"{"out_features": 7}"#)];
    let mut shape_of_last = [&shape[..shape.len() - 1], &[7]].concat();
    while nodes.len() <= layers {
        let (op, args) = layer(&mut random, &shape_of_last);
        nodes.push(node(nodes.len(), op, &[(nodes.len() - 1).to_string()], &args));
        let built = build(shape, &nodes);
        let shape = built.map(|graph| graph.nodes[nodes.len() - 1].shape.clone());
        match shape.filter(|shape| shape.iter().product::<usize>() <= 2_000) {
            Some(shape) => shape_of_last = shape,
            None => nodes.truncate(nodes.len() - 1),
        }
    }
    for (op, args) in [("Flatten", "{}"), ("Linear", r#"{"out_features": 3}"#)] {
        nodes.push(node(nodes.len(), op, &[(nodes.len() - 1).to_string()], args));
    }
    build(shape, &nodes).unwrap()
}

fn check(graph: &Graph, rows: usize, tolerance: f32) -> Result<(), String> {
    let kind = LabelKind::Class { classes: 3 };
    let labels = [LabelSpec { column: "label".to_owned(), kind }];
    let terms = [LossSpec::CrossEntropy {}.into()];
    let loss = Loss::resolve(&terms, &graph.inspect(), &labels).unwrap();
    let expected = trained(graph, &mut Autograd::new(graph), &loss, rows, false);
    let found = trained(graph, &mut Planned::new(graph).unwrap(), &loss, rows, false);
    found.check(&expected, tolerance)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn images_and_sequences_are_planned_as_by_autograd(
        shape in prop::sample::select(vec![
            vec![2, 9, 8], vec![1, 12, 5], vec![3, 7, 1], vec![4, 1, 6], vec![5, 3], vec![1, 6],
        ]),
        layers in 1_usize..6,
        rows in prop::sample::select(vec![1_usize, 2, 5, 33]),
        seed: u64,
    ) {
        let graph = graph(&shape, layers, seed);
        let names: Vec<_> = graph.nodes.iter().map(|node| (&node.op, &node.layer)).collect();
        let context = |problem| TestCaseError::fail(format!("{problem} in {names:?}"));
        check(&graph, rows, 2e-5).map_err(context)?;
    }
}

#[test]
fn a_convnet_with_normalisation_is_planned_as_by_autograd() {
    let layers = [
        ("Conv2d", r#"{"out_channels": 5, "kernel_size": 3, "padding": 1}"#),
        ("BatchNorm2d", "{}"),
        ("ReLU", "{}"),
        ("MaxPool2d", r#"{"kernel_size": 2}"#),
        ("Conv2d", r#"{"out_channels": 10, "kernel_size": 3, "groups": 5, "stride": 2}"#),
        ("ReLU", "{}"),
        ("AdaptiveAvgPool2d", r#"{"output_size": 1}"#),
        ("Flatten", "{}"),
        ("Linear", r#"{"out_features": 3}"#),
    ];
    let input = |index: usize| index.checked_sub(1).map_or("x".to_owned(), |last| last.to_string());
    let nodes: Vec<NodeSpec> = layers
        .iter()
        .enumerate()
        .map(|(index, (op, args))| node(index, op, &[input(index)], args))
        .collect();
    let graph = build(&[2, 13, 14], &nodes).unwrap();
    for rows in [2, 8] {
        check(&graph, rows, 5e-4).unwrap();
    }
}
