//! Networks that compute over memory that is allocated once, without autograd and without tensors.
//!
//! A plan is a list of steps, one for each layer that computes something. A layer that only names a value anew, such as
//! Flatten, is no step: its value lies in the memory of the one before it. What has no step makes the whole network run
//! by autograd ([`Unplanned`]).

mod activation;
mod average_pool;
mod backward;
mod batch_norm;
mod concatenate;
mod convolution;
mod dead_units;
mod dropout;
mod embedding;
mod fused;
mod images;
mod layer_norm;
mod linear;
mod loss;
mod max_pool;
mod memory;
mod merge;
mod permute;
mod recurrent;
mod recurrent_state;
mod softmax;
mod sparse_linear;
mod step;
mod workspace;
mod zero_pad;

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

use firesteel_core::{BufferKind, Tally, TensorEntry};
use firesteel_kernels::Gemm;
use firesteel_kernels::columns::Columns;
use firesteel_kernels::norm::Features;
use tch::Tensor;

use self::dead_units::Rectifier;
use self::memory::Working;
use self::step::{
    Forward, NetworkInput, NetworkInputs, Parameter, Placed, Step, Training, Weights,
};
use crate::error::TrainError;
use crate::graph::{Graph, Layer, Node};
use crate::loss::Loss;
use crate::network::{
    Batch, Column, DeadUnits, Gradient, InputRows, Network, Replica, Update, Views,
};
use crate::raw::{Memory, dimension, elements, lengths};

/// A layer that has no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unplanned {
    /// The layer's name.
    pub(crate) layer: String,
    /// Its type.
    pub(crate) op: String,
}

/// A network whose layers all have a plan.
pub(crate) struct Planned {
    steps: Vec<Placed>,
    /// The places in memory; the network's inputs come first.
    places: Vec<Place>,
    outputs: Vec<PlannedOutput>,
    /// For each input of the network, true if it holds token ids.
    ids: Vec<bool>,
    gemm: Gemm,
    working: RefCell<Working>,
}

/// A value's place in memory. Values that differ in shape alone share one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The values of a row.
    size: usize,
    /// True if a parameter has a part in it.
    trained: bool,
}

struct PlannedOutput {
    place: usize,
    /// The shape of a row.
    shape: Vec<usize>,
}

impl fmt::Display for Unplanned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "layer '{}' ({}) has no plan", self.layer, self.op)
    }
}

impl Planned {
    /// Plans a graph.
    pub(crate) fn new(graph: &Graph) -> Result<Self, Unplanned> {
        let inputs = graph.inputs.len();
        let size = |shape: &[usize]| shape.iter().product::<usize>();
        let mut places: Vec<Place> = graph
            .inputs
            .iter()
            .map(|input| Place { size: size(&input.shape), trained: false })
            .collect();
        // The place of each value.
        let mut of_value: Vec<usize> = (0..inputs).collect();
        let mut steps: Vec<Placed> = Vec::new();
        let readers = readers(graph);
        for node in &graph.nodes {
            if !node.computed {
                of_value.push(usize::MAX);
                continue;
            }
            let read: Vec<usize> = node.inputs.iter().map(|&value| of_value[value]).collect();
            if node.layer.keeps_values() {
                of_value.push(read[0]);
                continue;
            }
            let holds_ids = |&place: &usize| graph.inputs.get(place).is_some_and(|i| i.integer);
            if read.iter().any(holds_ids) && !matches!(node.layer, Layer::Embedding { .. }) {
                return Err(unplanned(node));
            }
            if let Layer::Elementwise(function) = node.layer
                && readers[node.inputs[0]] == 1
                && let Some(before) = steps.iter_mut().rfind(|placed| placed.output == read[0])
                && before.step.fuse(activation::kernel(function))
            {
                before.rectifier = Rectifier::of(node);
                of_value.push(read[0]);
                continue;
            }
            let step = step(node, graph, &read, &places).ok_or_else(|| unplanned(node))?;
            let entries = node.tensors.clone();
            let parameters: Vec<usize> = entries
                .filter(|&entry| graph.layout.entries()[entry].kind == BufferKind::Parameter)
                .collect();
            let flat = flat(graph, &parameters);
            let trained = !parameters.is_empty() || read.iter().any(|&place| places[place].trained);
            places.push(Place { size: size(&node.shape), trained });
            of_value.push(places.len() - 1);
            steps.push(Placed {
                step,
                inputs: read,
                output: places.len() - 1,
                parameters,
                flat,
                rectifier: Rectifier::of(node),
            });
        }
        let outputs = graph.outputs.iter().map(|output| {
            let place = of_value[output.value];
            PlannedOutput { place, shape: output.shape.clone() }
        });
        let outputs: Vec<PlannedOutput> = outputs.collect();
        let of_outputs: Vec<usize> = outputs.iter().map(|output| output.place).collect();
        let working = RefCell::new(Working::new(&places, inputs, &of_outputs, steps.len()));
        let ids = graph.inputs.iter().map(|input| input.integer).collect();
        Ok(Self { steps, places, outputs, ids, gemm: Gemm::find(), working })
    }
}

/// Returns, for each value, the number of layers and outputs that read its memory, which layers that keep values share.
fn readers(graph: &Graph) -> Vec<usize> {
    let inputs = graph.inputs.len();
    // The value that computed the memory of each.
    let mut owners: Vec<usize> = (0..inputs).collect();
    let mut readers = vec![0; inputs + graph.nodes.len()];
    for node in &graph.nodes {
        if node.layer.keeps_values() {
            owners.push(owners[node.inputs[0]]);
            continue;
        }
        owners.push(owners.len());
        if node.computed {
            node.inputs.iter().for_each(|&value| readers[owners[value]] += 1);
        }
    }
    graph.outputs.iter().for_each(|output| readers[owners[output.value]] += 1);
    owners.iter().map(|&owner| readers[owner]).collect()
}

/// Returns the place of a layer's parameters, which follow each other, in the flat parameters.
fn flat(graph: &Graph, parameters: &[usize]) -> Range<usize> {
    let entry = |&index: &usize| &graph.layout.entries()[index];
    match (parameters.first().map(entry), parameters.last().map(entry)) {
        (Some(first), Some(last)) => first.offset..last.offset + last.len,
        _ => 0..0,
    }
}

fn unplanned(node: &Node) -> Unplanned {
    Unplanned { layer: node.name.clone(), op: node.op.clone() }
}

/// Returns the step of a layer, if it has one.
fn step(node: &Node, graph: &Graph, read: &[usize], places: &[Place]) -> Option<Box<dyn Step>> {
    let size = places[read[0]].size;
    let shape = graph.shape(node.inputs[0]);
    let parameter = |number: usize| {
        let entry = node.tensors.start + number;
        let TensorEntry { offset, len, .. } = graph.layout.entries()[entry];
        Parameter { entry, range: offset..offset + len }
    };
    Some(match &node.layer {
        Layer::Linear { inputs, outputs, bias } => {
            let bias = bias.then(|| parameter(1));
            match graph.inputs.get(read[0]) {
                Some(input) if input.sparse => Box::new(sparse_linear::SparseLinear::new(
                    read[0],
                    *outputs,
                    parameter(0),
                    bias,
                )),
                _ => Box::new(linear::Linear::new(*inputs, *outputs, parameter(0), bias)),
            }
        }
        Layer::Elementwise(function) => Box::new(activation::Activate::new(*function)),
        Layer::Dropout { probability } => Box::new(dropout::Dropout::new(*probability)),
        Layer::Softmax { dimension } | Layer::LogSoftmax { dimension } => {
            let log = matches!(node.layer, Layer::LogSoftmax { .. });
            let count = shape[dimension + 1..].iter().product();
            Box::new(softmax::Softmax::new(Columns { size: shape[*dimension], count }, log))
        }
        Layer::Merge(merge) => Box::new(merge::Merging::new(*merge)),
        Layer::Concatenate { dimension } => {
            let runs = node.inputs.iter().map(|&value| graph.shape(value)[*dimension..].iter());
            Box::new(concatenate::Concatenate { runs: runs.map(Iterator::product).collect() })
        }
        Layer::Embedding { size, padding, .. } => {
            let (ids, table) = (read[0], parameter(0));
            Box::new(embedding::Embedding { ids, size: *size, table, padding: *padding })
        }
        Layer::LayerNorm(norm) => Box::new(layer_norm::LayerNorm {
            size: norm.shape.iter().product(),
            epsilon: norm.epsilon,
            weight: norm.affine.then(|| parameter(0)),
            bias: (norm.affine && norm.bias).then(|| parameter(1)),
        }),
        Layer::Recurrent(layer) => {
            let steps = graph.shape(node.inputs[0])[0];
            Box::new(recurrent::Recurrent::new(layer, steps, parameter))
        }
        Layer::BatchNorm(norm) => {
            let first = if norm.affine { 2 } else { 0 };
            let running = norm.track.then(|| batch_norm::Running {
                mean: parameter(first),
                variance: parameter(first + 1),
                counter: parameter(first + 2).range.start,
            });
            Box::new(batch_norm::BatchNorm {
                features: Features { features: norm.features, run: size / norm.features.max(1) },
                epsilon: norm.epsilon,
                momentum: norm.momentum,
                affine: norm.affine.then(|| (parameter(0), parameter(1))),
                running,
            })
        }
        Layer::Conv2d(layer) => {
            let (image, result) = (images::plane(shape), images::plane(&node.shape));
            let (weight, bias) = (parameter(0), layer.bias.then(|| parameter(1)));
            Box::new(convolution::Convolution::new(layer, image, result, weight, bias))
        }
        layer => return images::step(layer, shape, &node.shape),
    })
}

/// Reads the inputs of a mini-batch.
fn inputs_of(batch: &Batch) -> Result<Vec<NetworkInput<'_>>, TrainError> {
    let each = batch.inputs.iter().map(|input| {
        Ok(match input {
            InputRows::Dense(Column::Values(block)) => {
                NetworkInput::Values(elements(block.tensor())?)
            }
            InputRows::Dense(Column::Integers(block)) => {
                NetworkInput::Ids(elements(block.tensor())?)
            }
            InputRows::Sparse(rows) => NetworkInput::Sparse(rows),
        })
    });
    each.collect()
}

impl Network for Planned {
    fn forward(&self, views: &Views, inputs: &[&Tensor]) -> Result<Vec<Tensor>, TrainError> {
        let each = self.ids.iter().zip(inputs).map(|(ids, tensor)| {
            Ok(match ids {
                true => NetworkInput::Ids(elements(tensor)?),
                false => NetworkInput::Values(elements(tensor)?),
            })
        });
        let each = each.collect::<Result<Vec<_>, TrainError>>()?;
        self.outputs(views, rows_of(inputs), &each, |outputs, _| outputs)
    }

    fn evaluate(&self, views: &Views, batch: &Batch) -> Result<Vec<Tensor>, TrainError> {
        self.outputs(views, batch.rows(), &inputs_of(batch)?, |outputs, _| outputs)
    }

    fn examine(
        &self,
        views: &Views,
        batch: &Batch,
    ) -> Result<(Vec<Tensor>, Vec<DeadUnits>), TrainError> {
        self.outputs(views, batch.rows(), &inputs_of(batch)?, |outputs, read| {
            let rectifiers = self
                .steps
                .iter()
                .filter_map(|placed| placed.rectifier.as_ref()?.dead_units(read(placed.output)));
            (outputs, rectifiers.collect())
        })
    }

    fn forward_backward(
        &mut self,
        replica: &mut Replica,
        batch: &Batch,
        loss: &Loss,
        gradient: &mut Gradient,
    ) -> Result<Tally, TrainError> {
        self.train_batch(replica, batch, loss, gradient, None)
    }

    fn train(
        &mut self,
        replica: &mut Replica,
        batch: &Batch,
        loss: &Loss,
        gradient: &mut Gradient,
        update: &mut Update<'_>,
    ) -> Result<Tally, TrainError> {
        self.train_batch(replica, batch, loss, gradient, Some(update))
    }
}

impl Planned {
    /// Computes the outputs in evaluation mode, and a result from them and from the values of each place.
    fn outputs<R>(
        &self,
        views: &Views,
        rows: usize,
        inputs: &[NetworkInput<'_>],
        result: impl for<'a> FnOnce(Vec<Tensor>, &dyn Fn(usize) -> &'a [f32]) -> R,
    ) -> Result<R, TrainError> {
        let mut working = self.working.borrow_mut();
        working.set_rows(rows);
        self.run(&mut working, &Weights::Views(views), inputs, rows, None)?;
        let read = |place: usize| value(place, rows, &self.places, inputs, &working.values);
        let outputs = self.outputs.iter().map(|output| {
            let found = read(output.place);
            let mut memory = Memory::zeros(found.len())?;
            memory.slice_mut().copy_from_slice(found);
            let mut shape = vec![dimension(rows)?];
            shape.extend(lengths(&output.shape)?);
            memory.view(0, &shape)
        });
        let outputs = outputs.collect::<Result<_, TrainError>>()?;
        Ok(result(outputs, &read))
    }

    fn run(
        &self,
        working: &mut Working,
        weights: &Weights<'_>,
        inputs: &[NetworkInput<'_>],
        rows: usize,
        mut training: Option<Training<'_>>,
    ) -> Result<(), TrainError> {
        let Working { values, scratch, workspace, .. } = working;
        for (placed, scratch) in self.steps.iter().zip(scratch) {
            let mut output = std::mem::take(&mut values[placed.output]);
            let read = |place: usize| value(place, rows, &self.places, inputs, values);
            let (mut few, mut many) = ([&[] as &[f32]; FEW], Vec::new());
            let read = gather(&placed.inputs, read, &mut few, &mut many);
            let mut pass = Forward {
                gemm: &self.gemm,
                weights,
                inputs: NetworkInputs(inputs),
                scratch,
                workspace,
                training: training.as_mut().map(Training::reborrow),
            };
            let length = rows * self.places[placed.output].size;
            let result = placed.step.forward(&mut pass, read, &mut output[..length]);
            values[placed.output] = output;
            result?;
        }
        Ok(())
    }
}

/// The number of a step's inputs that take no allocation.
const FEW: usize = 4;

/// Returns the inputs of a step.
fn gather<'a, 'b>(
    places: &[usize],
    read: impl Fn(usize) -> &'a [f32],
    few: &'b mut [&'a [f32]; FEW],
    many: &'b mut Vec<&'a [f32]>,
) -> &'b [&'a [f32]] {
    if places.len() > FEW {
        many.extend(places.iter().map(|&place| read(place)));
        return many;
    }
    for (slot, &place) in few.iter_mut().zip(places) {
        *slot = read(place);
    }
    &few[..places.len()]
}

/// Returns the rows of a value: of an input of the network, or of a step's result.
fn value<'a>(
    place: usize,
    rows: usize,
    places: &[Place],
    inputs: &[NetworkInput<'a>],
    values: &'a [Vec<f32>],
) -> &'a [f32] {
    let length = rows * places[place].size;
    match inputs.get(place) {
        Some(NetworkInput::Values(input)) => &input[..length],
        // Their layers read them elsewhere.
        Some(NetworkInput::Ids(_) | NetworkInput::Sparse(_)) => &[],
        None => &values[place][..length],
    }
}

fn rows_of(inputs: &[&Tensor]) -> usize {
    let rows = inputs.first().and_then(|input| input.size().first().copied()).unwrap_or(0);
    usize::try_from(rows).unwrap_or(0)
}

#[cfg(test)]
mod tests;
