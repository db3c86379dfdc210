//! Recurrent layers beside autograd.

use firesteel_core::spec::{LabelKind, LabelSpec, LossSpec, NETWORK_FORMAT, NetworkSpec};
use firesteel_core::{BufferKind, Buffers};
use proptest::prelude::*;

use super::{Computed, node, noise, trained};
use crate::graph::Graph;
use crate::loss::Loss;
use crate::model::Definition as _;
use crate::network::{Autograd, Batch, Column, Gradient, InputRows, Network, Replica};
use crate::plan::Planned;

/// A recurrent layer of a test.
#[derive(Clone, Debug)]
struct Stack {
    op: &'static str,
    hidden: usize,
    layers: usize,
    bias: bool,
    dropout: f64,
    bidirectional: bool,
    last: bool,
}

/// The layer in front of a recurrent one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Front {
    /// Nothing: the layer reads the network's input.
    Nothing,
    Linear,
    Embedding,
}

impl Stack {
    fn args(&self) -> String {
        let Self { hidden, layers, bias, dropout, bidirectional, .. } = self;
        let output = if self.last { "last" } else { "sequence" };
        format!(
            r#"{{"hidden_size": {hidden}, "num_layers": {layers}, "bias": {bias}, "dropout": {dropout},
                "bidirectional": {bidirectional}, "output": "{output}"}}"#
        )
    }
}

fn stacks() -> impl Strategy<Value = Stack> {
    let op = prop::sample::select(vec!["LSTM", "GRU"]);
    let dropout = prop::sample::select(vec![0.0, 0.3, 1.0]);
    (op, 1_usize..12, 1_usize..4, any::<bool>(), dropout, any::<bool>(), any::<bool>()).prop_map(
        |(op, hidden, layers, bias, dropout, bidirectional, last)| Stack {
            op,
            hidden,
            layers,
            bias,
            dropout,
            bidirectional,
            last,
        },
    )
}

/// The classification of sequences by two stacks, of which the first returns its sequence.
fn graph(front: Front, stacks: &[Stack], length: usize, features: usize) -> Graph {
    let mut nodes = Vec::new();
    let mut last = "x".to_owned();
    let mut push = |op: &str, args: &str| {
        nodes.push(node(nodes.len(), op, std::slice::from_ref(&last), args));
        last = (nodes.len() - 1).to_string();
    };
    match front {
        Front::Nothing => {}
        Front::Linear => push("Linear", r#"{"out_features": 3}"#),
        Front::Embedding => push("Embedding", r#"{"num_embeddings": 7, "embedding_dim": 4}"#),
    }
    for stack in stacks {
        push(stack.op, &stack.args());
    }
    push("Flatten", "{}");
    push("Linear", r#"{"out_features": 3}"#);
    let spec = NetworkSpec {
        format: NETWORK_FORMAT.to_owned(),
        inputs: vec!["x".to_owned()],
        nodes,
        outputs: vec![last],
    };
    let shape = if front == Front::Embedding { vec![length] } else { vec![length, features] };
    Graph::build(&spec, &[("x", &shape)]).unwrap()
}

fn loss(graph: &Graph) -> Loss {
    let labels = [LabelSpec { column: "label".to_owned(), kind: LabelKind::Class { classes: 3 } }];
    Loss::resolve(&[LossSpec::CrossEntropy {}.into()], &graph.inspect(), &labels).unwrap()
}

/// Trains `steps` mini-batches of changing sizes by SGD with a momentum; returns the losses and the parameters.
pub(super) fn trained_for(
    graph: &Graph,
    network: &mut dyn Network,
    steps: usize,
) -> (Vec<f64>, Vec<f32>) {
    let loss = loss(graph);
    let mut replica = Replica::new(graph).unwrap();
    let start = noise(graph.layout.parameters(), 1);
    replica.parameters_mut().iter_mut().zip(&start).for_each(|(to, from)| *to = 0.3 * from);
    replica.set_buffers(&Buffers {
        floats: vec![0.7; graph.layout.len_of(BufferKind::FloatBuffer)],
        integers: vec![1; graph.layout.len_of(BufferKind::IntegerBuffer)],
    });
    replica.seed(5);
    let mut gradient = Gradient::new(graph).unwrap();
    let mut momentum = vec![0.0; start.len()];
    let mut losses = Vec::new();
    for step in 0..steps {
        let rows = [9, 4, 1, 12][step % 4];
        let mut batch = Batch::new(graph, &loss, false, 12).unwrap();
        batch.set_rows(rows).unwrap();
        for column in batch.inputs.iter_mut().map(InputRows::dense_mut).chain(&mut batch.labels) {
            match column {
                Column::Values(block) => {
                    let values = block.rows_mut(rows);
                    values.copy_from_slice(&noise(values.len(), step as u64));
                }
                Column::Integers(block) => {
                    let values = block.rows_mut(rows).iter_mut().enumerate();
                    values.for_each(|(index, id)| *id = ((index * 5 + step) % 3) as i64);
                }
            }
        }
        let tally = network.forward_backward(&mut replica, &batch, &loss, &mut gradient).unwrap();
        losses.push(tally.loss);
        let parameters = replica.parameters_mut().iter_mut();
        for ((value, momentum), gradient) in parameters.zip(&mut momentum).zip(gradient.flat()) {
            *momentum = 0.9 * *momentum + gradient / rows as f32;
            *value -= 0.05 * *momentum;
        }
    }
    (losses, replica.parameters_mut().to_vec())
}

fn check(graph: &Graph, rows: usize) -> Result<(), String> {
    let loss = loss(graph);
    let expected: Computed = trained(graph, &mut Autograd::new(graph), &loss, rows, false);
    let found = trained(graph, &mut Planned::new(graph).unwrap(), &loss, rows, false);
    found.check(&expected, 2e-5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn a_plan_of_recurrent_layers_computes_what_autograd_computes(
        front in prop::sample::select(vec![Front::Nothing, Front::Linear, Front::Embedding]),
        stacks in prop::collection::vec(stacks(), 1..3),
        rows in prop::sample::select(vec![1_usize, 2, 5, 9, 32]),
        length in 1_usize..8,
        features in 1_usize..6,
    ) {
        let mut stacks = stacks;
        if let [first, _] = &mut stacks[..] {
            first.last = false;
        }
        check(&graph(front, &stacks, length, features), rows).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn recurrent_networks_trained_by_either_way_stay_together(
        stack in stacks(),
        length in 1_usize..6,
    ) {
        let graph = graph(Front::Linear, &[stack], length, 5);
        let (expected, parameters) = trained_for(&graph, &mut Autograd::new(&graph), 20);
        let mut planned = Planned::new(&graph).unwrap();
        let (losses, found) = trained_for(&graph, &mut planned, 20);
        for (step, (found, expected)) in losses.iter().zip(&expected).enumerate() {
            prop_assert!((found - expected).abs() <= 1e-4 * expected.abs().max(1.0), "loss of step {step}: {found} for {expected}");
        }
        let far = found.iter().zip(&parameters).find(|(a, b)| (*a - *b).abs() > 1e-4);
        prop_assert!(far.is_none(), "a parameter is {far:?}");
        let again = trained_for(&graph, &mut planned, 20);
        prop_assert_eq!((losses, found), again, "the same seed gives the same bits");
    }
}

#[test]
fn a_plan_of_recurrent_layers_predicts_for_no_row_and_for_more_rows_than_before() {
    for op in ["LSTM", "GRU"] {
        for bidirectional in [false, true] {
            let (dropout, bias) = (0.3, true);
            let stack =
                Stack { op, hidden: 6, layers: 2, bias, dropout, bidirectional, last: true };
            let graph = graph(Front::Nothing, &[stack], 4, 3);
            let planned = Planned::new(&graph).unwrap();
            let mut replica = Replica::new(&graph).unwrap();
            replica.parameters_mut().copy_from_slice(&noise(graph.layout.parameters(), 1));
            let whole = tch::Tensor::f_from_slice(&noise(120, 2)).unwrap();
            let whole = whole.f_reshape([10, 4, 3]).unwrap();
            let expected = planned.forward(replica.views(), &[&whole]).unwrap();
            for (start, rows) in [(0, 0), (3, 1), (0, 10), (2, 5)] {
                let some = whole.f_narrow(0, start, rows).unwrap();
                let found = planned.forward(replica.views(), &[&some]).unwrap();
                let expected = expected[0].f_narrow(0, start, rows).unwrap();
                assert_eq!(found[0].size(), expected.size());
                assert!(
                    found[0].f_allclose(&expected, 1e-5, 1e-6, false).unwrap(),
                    "{start} {rows}"
                );
            }
        }
    }
}
