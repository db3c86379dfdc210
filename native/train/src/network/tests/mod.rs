//! Networks and losses beside PyTorch, which computes the same at test time.

mod layers;
mod losses;
#[path = "../../../tests/suite/support/pytorch.rs"]
mod python;
mod shapes;

use std::collections::BTreeMap;

use firesteel_core::spec::{LabelKind, LabelSpec, LossSpec, NETWORK_FORMAT, NetworkSpec, NodeSpec};
use firesteel_core::{BufferKind, Buffers};
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::graph::Graph;
use crate::model::Definition;
use crate::random::Generator;
use crate::raw::values;

/// The answer of PyTorch to a case.
#[derive(Deserialize)]
struct Answer {
    outputs: Vec<Vec<f64>>,
    loss: f64,
    state: BTreeMap<String, Vec<f64>>,
    gradient: BTreeMap<String, Vec<f64>>,
}

fn pytorch(cases: &[Value]) -> Vec<Answer> {
    serde_json::from_slice(&python::answer("pytorch.py", &json!(cases))).unwrap()
}

/// A network and the data of one mini-batch.
struct Case {
    about: String,
    /// The layer as PyTorch builds it.
    spec: Option<NetworkSpec>,
    graph: Graph,
    parameters: Vec<f32>,
    buffers: Buffers,
    inputs: Vec<Vec<f64>>,
    rows: usize,
    loss: Loss,
    /// The name of each term's loss in PyTorch, the value it is of, its label's shape and numbers.
    terms: Vec<(&'static str, String, Vec<usize>, Vec<f64>)>,
    weights: Option<Vec<f32>>,
    /// Class weights and label smoothing.
    classes: Option<(Vec<f64>, f64)>,
}

fn layer(name: &str, op: &str, inputs: &[&str], args: Value) -> NodeSpec {
    let inputs = inputs.iter().map(|&input| input.to_owned()).collect();
    let args = args.as_object().cloned().unwrap();
    NodeSpec { name: name.to_owned(), op: op.to_owned(), inputs, args }
}

fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut random = Generator::new(seed);
    (0..count).map(|_| random.normal() as f32).collect()
}

impl Case {
    /// A case with squared error as its loss, whose parameters and inputs are random.
    fn new(about: &str, inputs: &[(&str, &[usize])], nodes: Vec<NodeSpec>, rows: usize) -> Self {
        let outputs = vec![nodes.last().unwrap().name.clone()];
        let names = inputs.iter().map(|(name, _)| (*name).to_owned()).collect();
        let format = NETWORK_FORMAT.to_owned();
        let spec = NetworkSpec { format, inputs: names, nodes, outputs };
        let case = Self::of_graph(Graph::build(&spec, inputs).unwrap(), rows);
        Self { about: about.to_owned(), spec: Some(spec), ..case }
    }

    fn of_graph(graph: Graph, rows: usize) -> Self {
        let floats = graph.layout.len_of(BufferKind::FloatBuffer);
        let values = graph.inputs.iter().enumerate().map(|(seed, input)| {
            let count = rows * input.shape.iter().product::<usize>();
            let numbers = noise(count, 40 + seed as u64);
            match input.tokens {
                None => numbers.into_iter().map(f64::from).collect(),
                Some(tokens) => numbers
                    .into_iter()
                    .map(|x| (f64::from(x).abs() * 1e3).floor() % tokens as f64)
                    .collect(),
            }
        });
        let inputs = values.collect();
        let mut case = Self {
            about: String::new(),
            parameters: noise(graph.layout.parameters(), 1).iter().map(|x| x * 0.5).collect(),
            buffers: Buffers {
                floats: noise(floats, 2).iter().map(|x| x.abs() + 0.5).collect(),
                integers: vec![3; graph.layout.len_of(BufferKind::IntegerBuffer)],
            },
            inputs,
            rows,
            loss: Loss::resolve(
                &vec![LossSpec::MseLoss {}.into(); graph.outputs.len()],
                &graph.inspect(),
                &numbers(&graph),
            )
            .unwrap(),
            terms: Vec::new(),
            weights: None,
            classes: None,
            graph,
            spec: None,
        };
        let output = &case.graph.outputs[0];
        let mut shape = vec![rows];
        shape.extend(&output.shape);
        let label = noise(shape.iter().product(), 3).into_iter().map(f64::from).collect();
        case.terms = vec![("mse_loss", output.name.clone(), shape, label)];
        case
    }

    /// The same case with another loss of one output.
    fn with_loss(
        mut self,
        spec: &LossSpec,
        kind: LabelKind,
        (name, of): (&'static str, &str),
        shape: &[usize],
        label: &[f64],
    ) -> Self {
        let labels = [LabelSpec { column: "label".to_owned(), kind }];
        self.loss = Loss::resolve(&[(*spec).into()], &self.graph.inspect(), &labels).unwrap();
        self.terms = vec![(name, of.to_owned(), shape.to_vec(), label.to_vec())];
        self
    }

    /// The same case with class weights and label smoothing; `spec` is its loss.
    fn with_classes(mut self, spec: &LossSpec, weights: &[f64], smoothing: f64) -> Self {
        self.about.push_str(&format!(", class weights {weights:?}, smoothing {smoothing}"));
        self.loss = self.loss.with_classes(&[(*spec).into()], weights, smoothing).unwrap();
        self.classes = Some((weights.to_vec(), smoothing));
        self
    }

    fn with_weights(mut self) -> Self {
        self.about.push_str(", weighted");
        self.weights = Some((0..self.rows).map(|row| row as f32 * 0.5).collect());
        self
    }

    /// The tensors in the layout's order.
    fn state(&self) -> Vec<Value> {
        let value = |entry: &firesteel_core::TensorEntry| {
            let range = entry.offset..entry.offset + entry.len;
            let values = match entry.kind {
                BufferKind::Parameter => json!(self.parameters[range]),
                BufferKind::FloatBuffer => json!(self.buffers.floats[range]),
                BufferKind::IntegerBuffer => json!(self.buffers.integers[range]),
            };
            let integer = entry.kind == BufferKind::IntegerBuffer;
            json!({"name": entry.name, "shape": entry.shape, "values": values, "integer": integer})
        };
        self.graph.layout.entries().iter().map(value).collect()
    }

    /// Returns the value that the network itself computes for its output: the logits if an activation is folded.
    fn computed(&self) -> Vec<String> {
        let inputs = self.graph.inputs.len();
        self.graph
            .outputs
            .iter()
            .map(|output| self.graph.nodes[output.value - inputs].name.clone())
            .collect()
    }

    fn request(&self) -> Value {
        let inputs: BTreeMap<&str, Value> = self
            .graph
            .inputs
            .iter()
            .zip(&self.inputs)
            .map(|(input, values)| {
                let mut shape = vec![self.rows];
                shape.extend(&input.shape);
                let integer = input.tokens.is_some();
                (input.name.as_str(), json!({"shape": shape, "values": values, "integer": integer}))
            })
            .collect();
        let terms: Vec<Value> = self
            .terms
            .iter()
            .map(|(loss, value, shape, label)| {
                let integer = matches!(*loss, "cross_entropy" | "nll_loss" | "multi_margin_loss")
                    && shape.len() == 1;
                let label = json!({"shape": shape, "values": label, "integer": integer});
                json!({"loss": loss, "value": value, "label": label})
            })
            .collect();
        let mut request = json!({
            "network": self.spec, "state": self.state(), "inputs": inputs, "terms": terms,
            "values": self.computed(),
        });
        if let Some(weights) = &self.weights {
            request["weights"] = json!({"shape": [self.rows], "values": weights});
        }
        if let Some((weights, smoothing)) = &self.classes {
            request["classWeights"] = json!(weights);
            request["labelSmoothing"] = json!(smoothing);
        }
        request
    }

    fn batch(&self) -> Batch {
        let mut batch =
            Batch::new(&self.graph, &self.loss, self.weights.is_some(), self.rows).unwrap();
        for (column, numbers) in batch.inputs.iter_mut().zip(&self.inputs) {
            fill(column.dense_mut(), self.rows, numbers);
        }
        let terms = self.loss.terms().iter().zip(&self.terms);
        for (column, (term, (_, _, _, label))) in batch.labels.iter_mut().zip(terms) {
            match term.target {
                crate::loss::Target::Indicator { off, on } if self.classes.is_some() => {
                    let drawn = |&y: &f64| f64::from(if y > 0.0 { on } else { off });
                    fill(column, self.rows, &label.iter().map(drawn).collect::<Vec<_>>());
                }
                _ => fill(column, self.rows, label),
            }
        }
        if let Some(block) = &mut batch.weights {
            let weights = block.rows_mut(self.rows);
            match &self.weights {
                Some(given) => weights.copy_from_slice(given),
                None => weights.fill(1.0),
            }
            if self.loss.weighs_classes() {
                let classes: Vec<i64> = self.terms[0].3.iter().map(|&class| class as i64).collect();
                batch.divisor = self.loss.weigh(&classes, weights);
            }
        }
        batch
    }

    fn replica(&self) -> Replica {
        let mut replica = Replica::new(&self.graph).unwrap();
        replica.parameters_mut().copy_from_slice(&self.parameters);
        replica.set_buffers(&self.buffers);
        replica
    }

    /// Compares with PyTorch's answer.
    fn check(&self, answer: &Answer) {
        let about = &self.about;
        let (mut replica, batch) = (self.replica(), self.batch());
        let mut network = Autograd::new(&self.graph);
        let outputs = network.evaluate(&replica.views, &batch).unwrap();
        for (output, expected) in outputs.iter().zip(&answer.outputs) {
            close(about, "output", values(&output.f_contiguous().unwrap()).unwrap(), expected);
        }
        // The result must not depend on an earlier mini-batch.
        let mut gradient = Gradient::new(&self.graph).unwrap();
        network.forward_backward(&mut self.replica(), &batch, &self.loss, &mut gradient).unwrap();
        let tally =
            network.forward_backward(&mut replica, &batch, &self.loss, &mut gradient).unwrap();
        close(about, "loss", &[(tally.loss / tally.weight) as f32], &[answer.loss]);
        let mut buffers = self.buffers.clone();
        replica.copy_buffers(&mut buffers);
        for entry in self.graph.layout.entries() {
            let range = entry.offset..entry.offset + entry.len;
            match entry.kind {
                BufferKind::Parameter => {
                    close(
                        about,
                        &entry.name,
                        &gradient.flat()[range],
                        &answer.gradient[&entry.name],
                    );
                }
                BufferKind::FloatBuffer => {
                    close(about, &entry.name, &buffers.floats[range], &answer.state[&entry.name]);
                }
                BufferKind::IntegerBuffer => {
                    assert_eq!(
                        buffers.integers[range][0] as f64, answer.state[&entry.name][0],
                        "{about}"
                    );
                }
            }
        }
        assert_eq!(
            answer.gradient.len(),
            self.graph.layout.of(BufferKind::Parameter).count(),
            "{about}"
        );
    }
}

/// The label of squared error for a network's outputs.
fn numbers(graph: &Graph) -> Vec<LabelSpec> {
    let label = |output: &crate::graph::Output| LabelSpec {
        column: "label".to_owned(),
        kind: LabelKind::Values { size: output.shape.iter().product() },
    };
    graph.outputs.iter().map(label).collect()
}

fn fill(column: &mut Column, rows: usize, numbers: &[f64]) {
    match column {
        Column::Values(block) => {
            block.rows_mut(rows).iter_mut().zip(numbers).for_each(|(to, &from)| *to = from as f32);
        }
        Column::Integers(block) => {
            block.rows_mut(rows).iter_mut().zip(numbers).for_each(|(to, &from)| *to = from as i64);
        }
    }
}

/// Compares to 1e-5 of the largest value, or of 0.1, so that a rounding error around zero passes.
fn close(about: &str, what: &str, found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{about}: {what}");
    let scale = expected.iter().fold(0.1_f64, |most, value| most.max(value.abs()));
    for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(found) - expected).abs();
        assert!(
            difference <= 1e-5 * scale,
            "{about}: {what}[{index}] is {found}, PyTorch has {expected}"
        );
    }
}

fn check_all(cases: &[Case]) {
    let answers = pytorch(&cases.iter().map(Case::request).collect::<Vec<_>>());
    for (case, answer) in cases.iter().zip(&answers) {
        case.check(answer);
    }
}
