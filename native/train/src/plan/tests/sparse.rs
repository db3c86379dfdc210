//! Sparse inputs beside the same rows with all of their values.

use firesteel_core::clipping::Bound;
use firesteel_core::optimizer;
use firesteel_core::spec::{
    LabelKind, LabelSpec, LossSpec, NETWORK_FORMAT, NetworkSpec, OptimizerSpec,
};
use firesteel_data::SparseRows;

use super::{near, node, noise};
use crate::graph::Graph;
use crate::loss::Loss;
use crate::model::Definition as _;
use crate::network::{Autograd, Batch, Column, Gradient, InputRows, Network, Replica, Update};
use crate::plan::Planned;

const SIZE: usize = 70;

/// Two layers read the sparse input, one of them alone with a bias.
fn graph() -> Graph {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let spec = NetworkSpec {
        format: NETWORK_FORMAT.to_owned(),
        inputs: names(&["x", "z"]),
        nodes: vec![
            node(0, "Linear", &names(&["x"]), r#"{"out_features": 9}"#),
            node(1, "ReLU", &names(&["0"]), "{}"),
            node(2, "Linear", &names(&["x"]), r#"{"out_features": 66, "bias": false}"#),
            node(3, "Concatenate", &names(&["1", "2", "z"]), "{}"),
            node(4, "Linear", &names(&["3"]), r#"{"out_features": 3}"#),
        ],
        outputs: names(&["4"]),
    };
    Graph::build(&spec, &[("x", &[SIZE]), ("z", &[2])]).unwrap()
}

fn loss(graph: &Graph) -> Loss {
    let kind = LabelKind::Class { classes: 3 };
    let labels = [LabelSpec { column: "label".to_owned(), kind }];
    Loss::resolve(&[LossSpec::CrossEntropy {}.into()], &graph.inspect(), &labels).unwrap()
}

/// The entries of a row of a step; every fifth row has none.
fn entries(row: usize, step: usize) -> (Vec<i32>, Vec<f32>) {
    let mut indices: Vec<i32> =
        (0..row % 5).map(|entry| ((row * 7 + entry * 11 + step * 13) % SIZE) as i32).collect();
    indices.sort_unstable();
    let values = noise(indices.len(), (row + 100 * step) as u64);
    (indices, values)
}

fn batch(graph: &Graph, loss: &Loss, rows: usize, step: usize) -> Batch {
    let mut batch = Batch::new(graph, loss, false, 12).unwrap();
    batch.set_rows(rows).unwrap();
    match &mut batch.inputs[0] {
        InputRows::Sparse(sparse) => {
            *sparse = SparseRows::default();
            for row in 0..rows {
                let (indices, values) = entries(row, step);
                sparse.push(&indices, &values, 1.0);
            }
        }
        InputRows::Dense(column) => {
            let Column::Values(block) = column else { panic!("token ids") };
            for (row, target) in block.rows_mut(rows).chunks_exact_mut(SIZE).enumerate() {
                target.fill(0.0);
                let (indices, values) = entries(row, step);
                indices
                    .iter()
                    .zip(values)
                    .for_each(|(&index, value)| target[index as usize] = value);
            }
        }
    }
    let Column::Values(block) = batch.inputs[1].dense_mut() else { panic!("token ids") };
    block.rows_mut(rows).copy_from_slice(&noise(2 * rows, step as u64));
    let Column::Integers(block) = &mut batch.labels[0] else { panic!("no classes") };
    block.rows_mut(rows).iter_mut().enumerate().for_each(|(row, class)| *class = row as i64 % 3);
    batch
}

/// Flat parameters of a graph from those in row-major order.
fn placed(graph: &Graph, row_major: &[f32]) -> Vec<f32> {
    let mut flat = vec![0.0; row_major.len()];
    for entry in graph.layout.entries() {
        let range = entry.offset..entry.offset + entry.len;
        entry.place(&row_major[range.clone()], &mut flat[range]);
    }
    flat
}

fn row_major(graph: &Graph, flat: &[f32]) -> Vec<f32> {
    let entries = graph.layout.entries().iter();
    entries.flat_map(|e| e.row_major(&flat[e.offset..e.offset + e.len]).into_owned()).collect()
}

/// The losses, gradients and outputs of some steps, and the parameters after them, all in row-major order.
fn trained(
    graph: &Graph,
    network: &mut dyn Network,
    spec: &OptimizerSpec,
    by_parts: bool,
) -> Vec<Vec<f32>> {
    let loss = loss(graph);
    let mut replica = Replica::new(graph).unwrap();
    let start: Vec<f32> = noise(graph.layout.parameters(), 1).iter().map(|x| 0.3 * x).collect();
    replica.parameters_mut().copy_from_slice(&placed(graph, &start));
    let mut gradient = Gradient::new(graph).unwrap();
    let mut optimizer = optimizer::build(spec, graph.layout.parameters()).unwrap();
    let mut found = Vec::new();
    for (step, rows) in [9, 12, 1, 5, 11].into_iter().enumerate() {
        let batch = batch(graph, &loss, rows, step);
        let tally = if by_parts {
            let mut update = Update::new(&mut *optimizer, Bound::NONE);
            network.train(&mut replica, &batch, &loss, &mut gradient, &mut update).unwrap()
        } else {
            let tally =
                network.forward_backward(&mut replica, &batch, &loss, &mut gradient).unwrap();
            optimizer.step(replica.parameters_mut(), gradient.flat());
            tally
        };
        found.push(vec![tally.loss as f32]);
        found.push(row_major(graph, gradient.flat()));
        for output in network.evaluate(replica.views(), &batch).unwrap() {
            found.push(crate::raw::values(&output).unwrap().to_vec());
        }
    }
    found.push(row_major(graph, replica.parameters()));
    found
}

#[test]
fn sparse_rows_train_as_the_same_rows_with_all_values_do() {
    let dense = graph();
    let sparse = graph().with_sparse_inputs(|name| name == "x");
    assert_eq!(sparse.inputs.iter().map(|input| input.sparse).collect::<Vec<_>>(), [true, false]);
    let sgd = |momentum| OptimizerSpec::Sgd {
        learning_rate: 0.1,
        momentum,
        dampening: 0.0,
        nesterov: false,
        weight_decay: 0.0,
    };
    let adagrad = OptimizerSpec::Adagrad {
        learning_rate: 0.05,
        learning_rate_decay: 0.0,
        epsilon: 1e-10,
        weight_decay: 0.0,
        initial_accumulator: 0.1,
    };
    for spec in [sgd(0.0), sgd(0.9), adagrad] {
        let expected = trained(&dense, &mut Autograd::new(&dense), &spec, false);
        for by_parts in [false, true] {
            let found = trained(&sparse, &mut Planned::new(&sparse).unwrap(), &spec, by_parts);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                near("sparse rows", found, expected, 2e-5).unwrap();
            }
        }
    }
}

#[test]
fn an_input_that_another_layer_reads_stays_dense() {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let spec = NetworkSpec {
        format: NETWORK_FORMAT.to_owned(),
        inputs: names(&["x"]),
        nodes: vec![
            node(0, "Linear", &names(&["x"]), r#"{"out_features": 4}"#),
            node(1, "Concatenate", &names(&["0", "x"]), "{}"),
        ],
        outputs: names(&["1"]),
    };
    let graph = Graph::build(&spec, &[("x", &[SIZE])]).unwrap().with_sparse_inputs(|_| true);
    assert!(!graph.inputs[0].sparse);
    assert!(graph.layout.entries().iter().all(|entry| !entry.transposed));
}
