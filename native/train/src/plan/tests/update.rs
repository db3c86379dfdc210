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
use crate::network::{Gradient, Network as _, Update};
use crate::plan::Planned;

/// Layers of several kinds, of which the gradient of the first is computed in several blocks.
fn graph() -> Graph {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let spec = NetworkSpec {
        format: NETWORK_FORMAT.to_owned(),
        inputs: names(&["ids", "x"]),
        nodes: vec![
            node(0, "Linear", &names(&["x"]), r#"{"out_features": 70}"#),
            node(1, "ReLU", &names(&["0"]), "{}"),
            node(2, "Linear", &names(&["1"]), r#"{"out_features": 5, "bias": false}"#),
            node(3, "BatchNorm1d", &names(&["2"]), "{}"),
            node(4, "LayerNorm", &names(&["3"]), "{}"),
            node(5, "Embedding", &names(&["ids"]), r#"{"num_embeddings": 7, "embedding_dim": 4}"#),
            node(6, "Flatten", &names(&["5"]), "{}"),
            node(7, "Concatenate", &names(&["4", "6"]), "{}"),
            node(8, "Linear", &names(&["7"]), r#"{"out_features": 3}"#),
        ],
        outputs: names(&["8"]),
    };
    Graph::build(&spec, &[("ids", &[2]), ("x", &[300])]).unwrap()
}

fn optimizers() -> [OptimizerSpec; 6] {
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

#[test]
fn an_update_by_parts_has_the_bits_of_one_update() {
    let graph = graph();
    let kind = LabelKind::Class { classes: 3 };
    let labels = [LabelSpec { column: "label".to_owned(), kind }];
    let terms = [LossSpec::CrossEntropy {}.into()];
    let loss = Loss::resolve(&terms, &graph.inspect(), &labels).unwrap();
    for spec in optimizers() {
        for (rows, value) in [(4, None), (19, Some(0.01)), (100, None)] {
            let clipping = ClippingSpec { value, norm: None };
            let bound = Bound::of(&clipping, std::iter::empty());
            let batch = batch(&graph, &loss, rows, false);
            let trained = |by_parts: bool| {
                let mut planned = Planned::new(&graph).unwrap();
                let mut replica = replica(&graph);
                let mut gradient = Gradient::new(&graph).unwrap();
                let mut optimizer = optimizer::build(&spec, graph.layout.parameters()).unwrap();
                let mut losses = Vec::new();
                for _ in 0..20 {
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
    let kind = LabelKind::Class { classes: 3 };
    let labels = [LabelSpec { column: "label".to_owned(), kind }];
    let terms = [LossSpec::CrossEntropy {}.into()];
    let loss = Loss::resolve(&terms, &graph.inspect(), &labels).unwrap();
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
