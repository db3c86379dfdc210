//! Plans beside autograd, which computes the same.

mod determinism;
mod images;
mod random;
mod sequences;
mod sparse;
mod update;

use firesteel_core::spec::{
    LabelKind, LabelSpec, LossSpec, NETWORK_FORMAT, NetworkSpec, NodeSpec, TermSpec,
};
use firesteel_core::{BufferKind, Buffers};
use serde_json::Value;

use super::Planned;
use crate::graph::Graph;
use crate::loss::Loss;
use crate::model::Definition as _;
use crate::network::{Autograd, Batch, Column, Gradient, InputRows, Network, Replica};
use crate::random::Generator;

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

/// The results of a network: loss, gradient and buffers of a mini-batch in training mode, then outputs in evaluation mode.
struct Computed {
    loss: f64,
    gradient: Vec<f32>,
    floats: Vec<f32>,
    outputs: Vec<f32>,
}

impl Computed {
    /// Compares with what autograd computes.
    fn check(&self, expected: &Self, tolerance: f32) -> Result<(), String> {
        // A loss that overflows ends a fit in both ways.
        if !expected.loss.is_finite() && !self.loss.is_finite() {
            return Ok(());
        }
        let is_near = (self.loss - expected.loss).abs()
            <= f64::from(tolerance) * expected.loss.abs().max(1.0);
        if !is_near {
            return Err(format!("the loss is {} for {}", self.loss, expected.loss));
        }
        near("gradient", &self.gradient, &expected.gradient, tolerance)?;
        near("buffers", &self.floats, &expected.floats, tolerance)?;
        near("outputs", &self.outputs, &expected.outputs, tolerance)
    }
}

/// A replica of random parameters.
fn replica(graph: &Graph) -> Replica {
    let mut replica = Replica::new(graph).unwrap();
    let parameters = noise(graph.layout.parameters(), 1);
    for (value, parameter) in replica.parameters_mut().iter_mut().zip(&parameters) {
        *value = 0.3 * parameter;
    }
    replica.set_buffers(&Buffers {
        floats: vec![0.7; graph.layout.len_of(BufferKind::FloatBuffer)],
        integers: vec![1; graph.layout.len_of(BufferKind::IntegerBuffer)],
    });
    replica.seed(5);
    replica
}

/// A mini-batch of random rows.
fn batch(graph: &Graph, loss: &Loss, rows: usize, weighted: bool) -> Batch {
    let mut batch = Batch::new(graph, loss, weighted, rows.max(1) + 3).unwrap();
    batch.set_rows(rows).unwrap();
    for column in batch.inputs.iter_mut().map(InputRows::dense_mut) {
        match column {
            Column::Values(block) => {
                let values = block.rows_mut(rows);
                let numbers = noise(values.len(), 2);
                values.copy_from_slice(&numbers);
            }
            Column::Integers(block) => {
                for (index, id) in block.rows_mut(rows).iter_mut().enumerate() {
                    *id = (index * 5 % 7) as i64;
                }
            }
        }
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
            *weight = if weighted { index as f32 % 3.0 } else { 1.0 };
        }
        if loss.weighs_classes() {
            let classes: Vec<i64> = (0..rows).map(|index| (index * 7 % 3) as i64).collect();
            batch.divisor = loss.weigh(&classes, block.rows_mut(rows));
        }
    }
    batch
}

/// Trains one mini-batch and predicts its rows.
fn trained(
    graph: &Graph,
    network: &mut dyn Network,
    loss: &Loss,
    rows: usize,
    weighted: bool,
) -> Computed {
    let (mut replica, batch) = (replica(graph), batch(graph, loss, rows, weighted));
    let mut gradient = Gradient::new(graph).unwrap();
    let tally = network.forward_backward(&mut replica, &batch, loss, &mut gradient).unwrap();
    let outputs = network.evaluate(replica.views(), &batch).unwrap();
    let outputs = outputs
        .iter()
        .flat_map(|output| crate::raw::values(&output.f_contiguous().unwrap()).unwrap().to_vec());
    Computed {
        loss: tally.loss,
        gradient: gradient.flat().to_vec(),
        floats: replica.floats().to_vec(),
        outputs: outputs.collect(),
    }
}

fn near(what: &str, found: &[f32], expected: &[f32], tolerance: f32) -> Result<(), String> {
    // Gradients near 0 are differences of numbers near 1, with the rounding of these.
    let largest = expected.iter().fold(0.05_f32, |largest, value| largest.max(value.abs()));
    for (index, (a, b)) in found.iter().zip(expected).enumerate() {
        let is_near = (a - b).abs() <= tolerance * largest.max(b.abs());
        if !is_near {
            return Err(format!("{what}, value {index}: {a} for {b}, largest {largest}"));
        }
    }
    if found.len() == expected.len() { Ok(()) } else { Err(format!("{what}: lengths")) }
}

/// The network of two outputs, of which the second reads the first.
fn two_outputs() -> Graph {
    let linear = |index: usize, from: &str, size: usize| {
        node(index, "Linear", &[from.to_owned()], &format!(r#"{{"out_features": {size}}}"#))
    };
    let spec = NetworkSpec {
        format: NETWORK_FORMAT.to_owned(),
        inputs: vec!["x".to_owned()],
        nodes: vec![linear(0, "x", 5), node(1, "Tanh", &["0".to_owned()], "{}"), linear(2, "1", 3)],
        outputs: vec!["1".to_owned(), "2".to_owned()],
    };
    Graph::build(&spec, &[("x", &[4])]).unwrap()
}

#[test]
fn losses_of_several_outputs_add_up_by_their_weights() {
    let graph = two_outputs();
    let labels = [
        LabelSpec { column: "a".to_owned(), kind: LabelKind::Values { size: 5 } },
        LabelSpec { column: "b".to_owned(), kind: LabelKind::Class { classes: 3 } },
    ];
    let terms = [
        TermSpec { loss: LossSpec::MseLoss {}, weight: 0.3 },
        TermSpec { loss: LossSpec::CrossEntropy {}, weight: 2.0 },
    ];
    let loss = Loss::resolve(&terms, &graph.inspect(), &labels).unwrap();
    for weighted in [false, true] {
        let expected = trained(&graph, &mut Autograd::new(&graph), &loss, 7, weighted);
        let found = trained(&graph, &mut Planned::new(&graph).unwrap(), &loss, 7, weighted);
        found.check(&expected, 2e-5).unwrap();
    }
}

#[test]
fn a_function_of_a_renamed_value_leaves_the_value_to_its_other_readers() {
    let spec = NetworkSpec {
        format: NETWORK_FORMAT.to_owned(),
        inputs: vec!["x".to_owned()],
        nodes: vec![
            node(0, "Linear", &["x".to_owned()], r#"{"out_features": 4}"#),
            node(1, "Identity", &["0".to_owned()], "{}"),
            node(2, "Tanh", &["1".to_owned()], "{}"),
            node(3, "Add", &["0".to_owned(), "2".to_owned()], "{}"),
        ],
        outputs: vec!["3".to_owned()],
    };
    let graph = Graph::build(&spec, &[("x", &[4])]).unwrap();
    let labels = [LabelSpec { column: "y".to_owned(), kind: LabelKind::Values { size: 4 } }];
    let terms = [TermSpec { loss: LossSpec::MseLoss {}, weight: 1.0 }];
    let loss = Loss::resolve(&terms, &graph.inspect(), &labels).unwrap();
    let expected = trained(&graph, &mut Autograd::new(&graph), &loss, 7, false);
    let found = trained(&graph, &mut Planned::new(&graph).unwrap(), &loss, 7, false);
    found.check(&expected, 2e-5).unwrap();
}

#[test]
fn an_output_that_only_reshapes_an_input_has_a_loss_and_no_gradient() {
    let spec = NetworkSpec {
        format: NETWORK_FORMAT.to_owned(),
        inputs: vec!["x".to_owned()],
        nodes: vec![
            node(0, "Reshape", &["x".to_owned()], r#"{"shape": [2, 2]}"#),
            node(1, "Linear", &["x".to_owned()], r#"{"out_features": 3}"#),
        ],
        outputs: vec!["0".to_owned(), "1".to_owned()],
    };
    let graph = Graph::build(&spec, &[("x", &[4])]).unwrap();
    let labels =
        [4, 3].map(|size| LabelSpec { column: size.to_string(), kind: LabelKind::Values { size } });
    let terms = [0.3, 2.0].map(|weight| TermSpec { loss: LossSpec::MseLoss {}, weight });
    let loss = Loss::resolve(&terms, &graph.inspect(), &labels).unwrap();
    let expected = trained(&graph, &mut Autograd::new(&graph), &loss, 7, false);
    let found = trained(&graph, &mut Planned::new(&graph).unwrap(), &loss, 7, false);
    found.check(&expected, 2e-5).unwrap();
}

/// Token ids beside numbers.
fn tabular(padding: &str) -> Graph {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let table = format!(r#"{{"num_embeddings": 7, "embedding_dim": 4, "padding_idx": {padding}}}"#);
    let spec = NetworkSpec {
        format: NETWORK_FORMAT.to_owned(),
        inputs: names(&["ids", "x"]),
        nodes: vec![
            node(0, "Embedding", &names(&["ids"]), &table),
            node(1, "LayerNorm", &names(&["0"]), "{}"),
            node(2, "Flatten", &names(&["1"]), "{}"),
            node(3, "Concatenate", &names(&["2", "x"]), "{}"),
            node(4, "Linear", &names(&["3"]), r#"{"out_features": 3}"#),
        ],
        outputs: names(&["4"]),
    };
    Graph::build(&spec, &[("ids", &[2]), ("x", &[5])]).unwrap()
}

#[test]
fn tokens_are_embedded_beside_numbers() {
    for padding in ["null", "3"] {
        let graph = tabular(padding);
        let kind = LabelKind::Class { classes: 3 };
        let labels = [LabelSpec { column: "label".to_owned(), kind }];
        let loss = Loss::resolve(&[LossSpec::CrossEntropy {}.into()], &graph.inspect(), &labels);
        let loss = loss.unwrap();
        let expected = trained(&graph, &mut Autograd::new(&graph), &loss, 9, true);
        let found = trained(&graph, &mut Planned::new(&graph).unwrap(), &loss, 9, true);
        found.check(&expected, 2e-5).unwrap();
    }
}

#[test]
fn a_plan_predicts_for_no_row_and_for_more_rows_than_before() {
    let graph = two_outputs();
    let planned = Planned::new(&graph).unwrap();
    let mut replica = Replica::new(&graph).unwrap();
    replica.parameters_mut().copy_from_slice(&noise(graph.layout.parameters(), 1));
    let inputs = noise(40, 2);
    let whole = tch::Tensor::f_from_slice(&inputs).unwrap().f_reshape([10, 4]).unwrap();
    let expected = planned.forward(replica.views(), &[&whole]).unwrap();
    for (start, rows) in [(0, 0), (3, 1), (0, 10), (2, 5)] {
        let some = whole.f_narrow(0, start, rows).unwrap();
        let found = planned.forward(replica.views(), &[&some]).unwrap();
        for (found, expected) in found.iter().zip(&expected) {
            let expected = expected.f_narrow(0, start, rows).unwrap();
            assert_eq!(found.size(), expected.size());
            assert!(found.f_allclose(&expected, 1e-5, 1e-6, false).unwrap(), "{start} {rows}");
        }
    }
}

#[test]
fn the_inspection_says_that_layers_have_plans() {
    let spec = NetworkSpec {
        format: NETWORK_FORMAT.to_owned(),
        inputs: vec!["x".to_owned()],
        nodes: vec![
            node(0, "Linear", &["x".to_owned()], r#"{"out_features": 4}"#),
            node(1, "LSTM", &["0".to_owned()], r#"{"hidden_size": 2}"#),
        ],
        outputs: vec!["1".to_owned()],
    };
    let graph = Graph::build(&spec, &[("x", &[5, 3])]).unwrap();
    assert_eq!(graph.inspect().autograd, None);
    assert_eq!(two_outputs().inspect().autograd, None);
}
