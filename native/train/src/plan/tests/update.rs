//! Updates of each part of the gradient in the backward pass beside one of the whole gradient after it.

use firesteel_core::clipping::Bound;
use firesteel_core::optimizer;
use firesteel_core::spec::{
    ClippingSpec, LabelKind, LabelSpec, LossSpec, NETWORK_FORMAT, NetworkSpec, OptimizerSpec,
};

use super::{batch, node, replica};
use crate::graph::Graph;
use crate::loss::Loss;
use crate::model::Definition as _;
use crate::network::{Batch, Column, Gradient, Network as _, Update};
use crate::plan::Planned;

/// More tokens than a mini-batch of a few rows has.
const TOKENS: usize = 200;

/// Layers of several kinds, of which the gradient of the first is computed in several blocks.
fn graph() -> Graph {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let table = format!(r#"{{"num_embeddings": {TOKENS}, "embedding_dim": 4}}"#);
    let spec = NetworkSpec {
        format: NETWORK_FORMAT.to_owned(),
        inputs: names(&["ids", "x"]),
        nodes: vec![
            node(0, "Linear", &names(&["x"]), r#"{"out_features": 70}"#),
            node(1, "ReLU", &names(&["0"]), "{}"),
            node(2, "Linear", &names(&["1"]), r#"{"out_features": 5, "bias": false}"#),
            node(3, "BatchNorm1d", &names(&["2"]), "{}"),
            node(4, "LayerNorm", &names(&["3"]), "{}"),
            node(5, "Embedding", &names(&["ids"]), &table),
            node(6, "Flatten", &names(&["5"]), "{}"),
            node(7, "Reshape", &names(&["x"]), r#"{"shape": [10, 30]}"#),
            node(8, "LSTM", &names(&["7"]), r#"{"hidden_size": 6, "output": "last"}"#),
            node(9, "Concatenate", &names(&["4", "6", "8"]), "{}"),
            node(10, "Linear", &names(&["9"]), r#"{"out_features": 3}"#),
        ],
        outputs: names(&["10"]),
    };
    Graph::build(&spec, &[("ids", &[2]), ("x", &[300])]).unwrap()
}

fn optimizers() -> [OptimizerSpec; 8] {
    let (learning_rate, weight_decay, epsilon) = (0.01, 0.02, 1e-8);
    let (beta1, beta2, dampening) = (0.9, 0.999, 0.1);
    let momentum = 0.9;
    [
        OptimizerSpec::Sgd {
            learning_rate,
            momentum: 0.0,
            dampening: 0.0,
            nesterov: false,
            weight_decay,
        },
        // These two leave out the tokens that no row has.
        OptimizerSpec::Sgd {
            learning_rate,
            momentum: 0.0,
            dampening: 0.0,
            nesterov: false,
            weight_decay: 0.0,
        },
        OptimizerSpec::Adagrad {
            learning_rate,
            learning_rate_decay: 0.1,
            epsilon,
            weight_decay: 0.0,
            initial_accumulator: 0.0,
        },
        OptimizerSpec::Sgd { learning_rate, momentum, dampening, nesterov: false, weight_decay },
        OptimizerSpec::Adam {
            learning_rate,
            beta1,
            beta2,
            epsilon,
            weight_decay: 0.0,
            amsgrad: false,
        },
        OptimizerSpec::AdamW { learning_rate, beta1, beta2, epsilon, weight_decay, amsgrad: true },
        OptimizerSpec::NAdam {
            learning_rate,
            beta1,
            beta2,
            epsilon,
            weight_decay,
            momentum_decay: 0.004,
        },
        OptimizerSpec::RmsProp {
            learning_rate,
            alpha: 0.99,
            epsilon,
            weight_decay,
            momentum,
            centered: true,
        },
    ]
}

fn loss(graph: &Graph) -> Loss {
    let kind = LabelKind::Class { classes: 3 };
    let labels = [LabelSpec { column: "label".to_owned(), kind }];
    Loss::resolve(&[LossSpec::CrossEntropy {}.into()], &graph.inspect(), &labels).unwrap()
}

/// Gives a mini-batch the tokens of a step.
fn other_tokens(batch: &mut Batch, rows: usize, step: usize) {
    let Column::Integers(ids) = batch.inputs[0].dense_mut() else { panic!("no token ids") };
    for (index, id) in ids.rows_mut(rows).iter_mut().enumerate() {
        *id = ((index * 5 + step * 31) % TOKENS) as i64;
    }
}

#[test]
fn the_gradient_of_a_table_is_that_of_the_last_mini_batch_alone() {
    let graph = graph();
    let loss = loss(&graph);
    let mut batch = batch(&graph, &loss, 4, false);
    let gradients = |steps: &[usize], batch: &mut Batch| {
        let (mut planned, mut replica) = (Planned::new(&graph).unwrap(), replica(&graph));
        let mut gradient = Gradient::new(&graph).unwrap();
        for &step in steps {
            other_tokens(batch, 4, step);
            planned.forward_backward(&mut replica, batch, &loss, &mut gradient).unwrap();
        }
        let table = graph.layout.entries().iter().find(|entry| entry.name == "5.weight").unwrap();
        gradient.flat()[table.offset..table.offset + table.len].to_vec()
    };
    let alone = gradients(&[2], &mut batch);
    assert_eq!(alone.iter().filter(|&&value| value != 0.0).count(), 8 * 4);
    // The running moments of the normalisation have no part in a gradient, and nothing else has changed.
    assert_eq!(gradients(&[0, 1, 2], &mut batch), alone);
}

#[test]
fn an_update_by_parts_has_the_bits_of_one_update() {
    let graph = graph();
    let loss = loss(&graph);
    for spec in optimizers() {
        for (rows, value) in [(4, None), (19, Some(0.01)), (100, None)] {
            let clipping = ClippingSpec { value, norm: None };
            let bound = Bound::of(&clipping, std::iter::empty());
            let trained = |by_parts: bool| {
                let mut batch = batch(&graph, &loss, rows, false);
                let mut planned = Planned::new(&graph).unwrap();
                let mut replica = replica(&graph);
                let mut gradient = Gradient::new(&graph).unwrap();
                let mut optimizer = optimizer::build(&spec, graph.layout.parameters()).unwrap();
                let mut losses = Vec::new();
                for step in 0..20 {
                    other_tokens(&mut batch, rows, step);
                    let tally = if by_parts {
                        let mut update = Update::new(&mut *optimizer, bound);
                        planned.train(&mut replica, &batch, &loss, &mut gradient, &mut update)
                    } else {
                        let tally =
                            planned.forward_backward(&mut replica, &batch, &loss, &mut gradient);
                        bound.apply(gradient.flat_mut());
                        optimizer.step(replica.parameters_mut(), gradient.flat());
                        tally
                    };
                    losses.push(tally.unwrap().loss);
                }
                let bits: Vec<u32> = replica.parameters().iter().map(|x| x.to_bits()).collect();
                (bits, losses, optimizer.state())
            };
            assert_eq!(trained(true), trained(false), "{spec:?}, {rows} rows");
        }
    }
}

#[test]
fn a_loss_that_is_not_finite_changes_no_parameter() {
    let graph = graph();
    let loss = loss(&graph);
    let batch = batch(&graph, &loss, 4, false);
    let mut replica = replica(&graph);
    replica.parameters_mut().fill(f32::NAN);
    replica.parameters_mut()[0] = 1.0;
    let mut gradient = Gradient::new(&graph).unwrap();
    let mut optimizer = optimizer::build(&optimizers()[0], graph.layout.parameters()).unwrap();
    let mut update = Update::new(&mut *optimizer, Bound::NONE);
    let mut planned = Planned::new(&graph).unwrap();
    let tally = planned.train(&mut replica, &batch, &loss, &mut gradient, &mut update).unwrap();
    assert!(tally.loss.is_nan());
    assert_eq!(replica.parameters()[0], 1.0);
}
