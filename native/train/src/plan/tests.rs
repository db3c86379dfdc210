//! Plans beside autograd, which computes the same.

use firesteel_core::spec::{LabelKind, LabelSpec, LossSpec, NETWORK_FORMAT, NetworkSpec, NodeSpec};
use firesteel_core::{BufferKind, Buffers};
use proptest::prelude::*;
use serde_json::Value;

use super::Planned;
use crate::graph::Graph;
use crate::loss::Loss;
use crate::model::Definition;
use crate::network::{Autograd, Batch, Column, Gradient, Network, Replica};
use crate::random::Generator;

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

fn node(name: usize, op: &str, inputs: &[String], args: &str) -> NodeSpec {
    let args: Value = serde_json::from_str(args).unwrap();
    NodeSpec {
        name: name.to_string(),
        op: op.to_owned(),
        inputs: inputs.to_vec(),
        args: args.as_object().cloned().unwrap(),
    }
}

fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut random = Generator::new(seed);
    (0..count).map(|_| random.normal() as f32).collect()
}

/// A random graph over inputs of `width` values, which ends in `classes` values. Earlier values are read again.
fn graph(choices: &[u8], width: usize, classes: usize) -> Graph {
    let mut nodes =
        vec![node(0, "Linear", &["x".to_owned()], &format!(r#"{{"out_features": {width}}}"#))];
    for &choice in choices {
        let index = nodes.len();
        let last = (index - 1).to_string();
        let earlier = (usize::from(choice) * 7 % index).to_string();
        let (op, inputs, args) = match choice % 6 {
            0 => (
                "Linear".to_owned(),
                vec![last],
                format!(r#"{{"out_features": {width}, "bias": {}}}"#, choice % 4 < 2),
            ),
            1 => ("Dropout".to_owned(), vec![last], r#"{"p": 0.3}"#.to_owned()),
            2 => {
                let ops = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"];
                (ops[usize::from(choice / 6) % 6].to_owned(), vec![last, earlier], "{}".to_owned())
            }
            3 => ("Identity".to_owned(), vec![last], "{}".to_owned()),
            4 => (
                ["Softmax", "LogSoftmax"][usize::from(choice / 6) % 2].to_owned(),
                vec![last],
                "{}".to_owned(),
            ),
            _ => {
                let (op, args) = ACTIVATIONS[usize::from(choice / 6) % ACTIVATIONS.len()];
                (op.to_owned(), vec![last], args.to_owned())
            }
        };
        nodes.push(node(index, &op, &inputs, &args));
    }
    let last = (nodes.len() - 1).to_string();
    // What nothing reads is read at the end, so that every layer counts.
    nodes.push(node(nodes.len(), "Linear", &[last], &format!(r#"{{"out_features": {classes}}}"#)));
    let outputs = vec![(nodes.len() - 1).to_string()];
    let spec = NetworkSpec {
        format: NETWORK_FORMAT.to_owned(),
        inputs: vec!["x".to_owned()],
        nodes,
        outputs,
    };
    Graph::build(&spec, &[("x", &[width])]).unwrap()
}

/// Trains one mini-batch; returns the loss, the gradient and the outputs in evaluation mode.
fn trained(
    graph: &Graph,
    network: &mut dyn Network,
    loss: &Loss,
    rows: usize,
    weighted: bool,
) -> (f64, Vec<f32>, Vec<f32>) {
    let mut replica = Replica::new(graph).unwrap();
    let parameters = noise(graph.layout.parameters(), 1);
    for (value, parameter) in replica.parameters_mut().iter_mut().zip(&parameters) {
        *value = 0.5 * parameter;
    }
    replica.set_buffers(&Buffers {
        floats: vec![0.0; graph.layout.len_of(BufferKind::FloatBuffer)],
        integers: vec![0; graph.layout.len_of(BufferKind::IntegerBuffer)],
    });
    replica.seed(5);
    let mut batch = Batch::new(graph, loss, weighted, rows.max(1) + 3).unwrap();
    batch.set_rows(rows).unwrap();
    for column in &mut batch.inputs {
        let Column::Values(block) = column else { panic!() };
        let values = block.rows_mut(rows);
        let numbers = noise(values.len(), 2);
        values.copy_from_slice(&numbers);
    }
    for column in &mut batch.labels {
        match column {
            Column::Integers(block) => {
                for (index, label) in block.rows_mut(rows).iter_mut().enumerate() {
                    *label = (index * 7 % 3) as i64;
                }
            }
            Column::Values(block) => {
                let values = block.rows_mut(rows);
                let numbers: Vec<f32> =
                    noise(values.len(), 3).iter().map(|x| x.abs().min(1.0)).collect();
                values.copy_from_slice(&numbers);
            }
        }
    }
    if let Some(block) = &mut batch.weights {
        for (index, weight) in block.rows_mut(rows).iter_mut().enumerate() {
            *weight = index as f32 % 3.0;
        }
    }
    let mut gradient = Gradient::new(graph).unwrap();
    let tally = network.forward_backward(&mut replica, &batch, loss, &mut gradient).unwrap();
    let inputs: Vec<_> = batch.inputs.iter().map(Column::tensor).collect();
    let outputs = network.forward(replica.views(), &inputs).unwrap();
    let outputs = crate::raw::values(&outputs[0].f_contiguous().unwrap()).unwrap().to_vec();
    (tally.loss, gradient.flat().to_vec(), outputs)
}

fn near(found: &[f32], expected: &[f32]) -> Result<(), String> {
    let largest = expected.iter().fold(1e-3_f32, |largest, value| largest.max(value.abs()));
    for (index, (a, b)) in found.iter().zip(expected).enumerate() {
        if !((a - b).abs() <= 2e-5 * largest.max(b.abs())) {
            return Err(format!("value {index}: {a} for {b}, largest {largest}"));
        }
    }
    if found.len() == expected.len() { Ok(()) } else { Err("lengths".to_owned()) }
}

fn resolve(graph: &Graph, spec: LossSpec, kind: LabelKind) -> Loss {
    let labels = [LabelSpec { column: "label".to_owned(), kind }];
    Loss::resolve(&[spec.into()], &graph.inspect(), &labels).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_plan_computes_what_autograd_computes(
        choices in prop::collection::vec(any::<u8>(), 0..8),
        width in 1_usize..20,
        rows in prop::sample::select(vec![1_usize, 2, 5, 32]),
        weighted: bool,
        classes: bool,
    ) {
        let graph = graph(&choices, width, 3);
        let loss = match classes {
            true => resolve(&graph, LossSpec::CrossEntropy {}, LabelKind::Class { classes: 3 }),
            false => resolve(&graph, LossSpec::MseLoss {}, LabelKind::Values { size: 3 }),
        };
        let mut planned = Planned::new(&graph).unwrap();
        let mut autograd = Autograd::new(&graph);
        let expected = trained(&graph, &mut autograd, &loss, rows, weighted);
        let found = trained(&graph, &mut planned, &loss, rows, weighted);
        prop_assert!((found.0 - expected.0).abs() <= 2e-5 * expected.0.abs().max(1.0), "{} {}", found.0, expected.0);
        near(&found.1, &expected.1).map_err(|error| TestCaseError::fail(format!("gradient, {error}")))?;
        near(&found.2, &expected.2).map_err(|error| TestCaseError::fail(format!("output, {error}")))?;
    }
}
