//! The graph of a network of layers, with every shape known and checked. Nothing here calls libtorch.

mod arguments;
mod convolution;
mod elementwise;
mod layer;
mod merge;
mod norm;
mod pooling;
mod recurrent;
mod shaping;
mod tensors;

use std::collections::HashMap;
use std::ops::Range;

use firesteel_core::ParamLayout;
use firesteel_core::spec::{NETWORK_FORMAT, NetworkSpec, NodeSpec};

use self::arguments::layer_error;
pub(crate) use self::convolution::{Convolution, Padding};
pub(crate) use self::elementwise::Elementwise;
pub(crate) use self::layer::Layer;
pub(crate) use self::merge::Merge;
pub(crate) use self::norm::BatchNorm;
pub(crate) use self::pooling::Pooling;
pub(crate) use self::recurrent::{Cell, Recurrent};
pub(crate) use self::tensors::Initial;
use crate::error::TrainError;
use crate::model::{Activation, FinalActivation, InputShape, show};

/// The largest number of values of a tensor that the layers' kernels index.
const LARGEST_TENSOR: usize = i32::MAX as usize;

/// A value that flows through the graph: the network's inputs first, then the nodes' values.
pub(crate) type ValueId = usize;

/// A network with every shape known. Shapes are those of one row.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    pub(crate) inputs: Vec<InputShape>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) layout: ParamLayout,
    /// The initialisation of each tensor of the layout.
    pub(crate) initial: Vec<Initial>,
}

/// One layer.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) op: String,
    pub(crate) layer: Layer,
    pub(crate) inputs: Vec<ValueId>,
    pub(crate) shape: Vec<usize>,
    /// Its tensors, as indices of the layout's entries.
    pub(crate) tensors: Range<usize>,
    /// True if the network computes the layer; false for an activation that is folded into its output.
    pub(crate) computed: bool,
}

/// One output of the network.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) name: String,
    /// The value that the network computes: the logits if the activation is folded.
    pub(crate) value: ValueId,
    pub(crate) shape: Vec<usize>,
    /// The folded activation, which turns the value into the output.
    pub(crate) activation: Activation,
    /// The activation that the network itself applies last, if it is not folded.
    pub(crate) final_activation: Option<FinalActivation>,
}

impl Graph {
    /// The shape of a row of a value.
    pub(crate) fn shape(&self, value: ValueId) -> &[usize] {
        match value.checked_sub(self.inputs.len()) {
            None => &self.inputs[value].shape,
            Some(node) => &self.nodes[node].shape,
        }
    }

    /// Builds the graph of a specification from the shape of a row of each input.
    pub(crate) fn build(
        spec: &NetworkSpec,
        shapes: &[(&str, &[usize])],
    ) -> Result<Self, TrainError> {
        if spec.format != NETWORK_FORMAT {
            return Err(TrainError::InvalidSpec(format!(
                "the network has the format '{}'; this version reads '{NETWORK_FORMAT}'",
                spec.format
            )));
        }
        let mut builder = Builder::new(spec, shapes)?;
        for node in &spec.nodes {
            builder.push(node)?;
        }
        builder.finish(spec)
    }

    /// Makes inputs sparse that only Linear layers read. The weights of such a layer lie in memory by inputs, so that the
    /// entries of a row use whole runs of them.
    pub(crate) fn with_sparse_inputs(mut self, is_sparse: impl Fn(&str) -> bool) -> Self {
        for value in 0..self.inputs.len() {
            let input = &self.inputs[value];
            let readers: Vec<usize> = (0..self.nodes.len())
                .filter(|&node| self.nodes[node].inputs.contains(&value))
                .collect();
            let is_linear = |&node: &usize| matches!(self.nodes[node].layer, Layer::Linear { .. });
            if !is_sparse(&input.name) || input.shape.len() != 1 || !readers.iter().all(is_linear) {
                continue;
            }
            self.inputs[value].sparse = true;
            for node in readers {
                self.layout.transpose(self.nodes[node].tensors.start);
            }
        }
        self
    }
}

struct Builder {
    graph: Graph,
    /// The value of each name.
    values: HashMap<String, ValueId>,
    /// For each value, true if a layer reads it.
    read: Vec<bool>,
}

impl Builder {
    fn new(spec: &NetworkSpec, shapes: &[(&str, &[usize])]) -> Result<Self, TrainError> {
        let invalid = |text: String| Err(TrainError::InvalidSpec(text));
        if spec.inputs.is_empty() {
            return invalid("the network has no input".to_owned());
        }
        if let Some((extra, _)) =
            shapes.iter().find(|(name, _)| !spec.inputs.iter().any(|input| input == name))
        {
            return invalid(format!(
                "the network has no input '{extra}'; it has {}",
                spec.inputs.join(", ")
            ));
        }
        let mut builder = Self {
            graph: Graph {
                inputs: Vec::new(),
                nodes: Vec::new(),
                outputs: Vec::new(),
                layout: ParamLayout::new(),
                initial: Vec::new(),
            },
            values: HashMap::new(),
            read: Vec::new(),
        };
        for name in &spec.inputs {
            let Some((_, shape)) = shapes.iter().find(|(known, _)| known == name) else {
                return invalid(format!("input '{name}' of the network has no column"));
            };
            if shape.is_empty() || elements(shape).is_none_or(|size| size == 0) {
                return invalid(format!(
                    "input '{name}' has the shape {}, but a row needs at least one dimension, each of at least 1",
                    show(shape)
                ));
            }
            if !builder.name(name) {
                return invalid(format!("the name '{name}' of an input is empty or used twice"));
            }
            builder.graph.inputs.push(InputShape {
                name: name.clone(),
                shape: shape.to_vec(),
                integer: false,
                tokens: None,
                sparse: false,
            });
        }
        Ok(builder)
    }

    /// Takes the next value's name, unless it is empty or used.
    fn name(&mut self, name: &str) -> bool {
        let id = self.read.len();
        self.read.push(false);
        !name.is_empty() && self.values.insert(name.to_owned(), id).is_none()
    }

    fn push(&mut self, node: &NodeSpec) -> Result<(), TrainError> {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for name in &node.inputs {
            let value = *self.values.get(name).ok_or_else(|| {
                let what = "neither an input of the network nor a layer before it";
                layer_error(node, format!("reads '{name}', which is {what}"))
            })?;
            self.read[value] = true;
            inputs.push(value);
        }
        let shapes: Vec<&[usize]> = inputs.iter().map(|&value| self.graph.shape(value)).collect();
        let (layer, shape) = Layer::read(node, &shapes)?;
        if elements(&shape).is_none() {
            return Err(layer_error(node, format!("its output {} is too large", show(&shape))));
        }
        if !self.name(&node.name) {
            return Err(layer_error(node, "its name is empty or used twice"));
        }
        let first = self.graph.initial.len();
        for tensor in layer.tensors() {
            if elements(&tensor.shape).is_none() {
                return Err(layer_error(
                    node,
                    format!("its {} {} is too large", tensor.name, show(&tensor.shape)),
                ));
            }
            self.graph.layout.push(
                format!("{}.{}", node.name, tensor.name),
                &tensor.shape,
                tensor.kind,
            );
            self.graph.initial.push(tensor.initial);
        }
        self.graph.nodes.push(Node {
            name: node.name.clone(),
            op: node.op.clone(),
            layer,
            inputs,
            shape,
            tensors: first..self.graph.initial.len(),
            computed: true,
        });
        Ok(())
    }

    fn finish(mut self, spec: &NetworkSpec) -> Result<Graph, TrainError> {
        let inputs = self.graph.inputs.len();
        let mut outputs: Vec<ValueId> = Vec::new();
        for name in &spec.outputs {
            match self.values.get(name) {
                Some(&value) if value >= inputs && !outputs.contains(&value) => outputs.push(value),
                Some(&value) if value >= inputs => {
                    return Err(TrainError::InvalidSpec(format!("output '{name}' is named twice")));
                }
                _ => {
                    return Err(TrainError::InvalidSpec(format!(
                        "output '{name}' is not a layer of the network"
                    )));
                }
            }
        }
        if outputs.is_empty() {
            return Err(TrainError::InvalidSpec("the network has no output".to_owned()));
        }
        for (value, input) in self.graph.inputs.iter().enumerate() {
            if !self.read[value] {
                return Err(TrainError::InvalidSpec(format!(
                    "no layer reads input '{}'",
                    input.name
                )));
            }
        }
        for (index, node) in spec.nodes.iter().enumerate() {
            if !self.read[inputs + index] && !outputs.contains(&(inputs + index)) {
                return Err(layer_error(
                    node,
                    "its value is neither read by a layer nor an output",
                ));
            }
        }
        self.find_tokens(spec)?;
        for value in outputs {
            let output = self.fold(value);
            self.graph.outputs.push(output);
        }
        Ok(self.graph)
    }

    /// Returns an output; its trailing Softmax or Sigmoid is folded unless a layer reads it too.
    fn fold(&mut self, value: ValueId) -> Output {
        let read = self.read[value];
        let final_activation = self.final_activation(value);
        let node = &mut self.graph.nodes[value - self.graph.inputs.len()];
        let last = node.shape.len() - 1;
        let activation = match node.layer {
            _ if read => Activation::None,
            Layer::Softmax { dimension } if dimension == last => Activation::Softmax,
            Layer::Elementwise(Elementwise::Sigmoid) => Activation::Sigmoid,
            _ => Activation::None,
        };
        let folded = activation != Activation::None;
        node.computed = !folded;
        Output {
            name: node.name.clone(),
            value: if folded { node.inputs[0] } else { value },
            shape: node.shape.clone(),
            activation,
            final_activation: final_activation.filter(|_| !folded),
        }
    }

    /// Returns the activation that produced a value, seen through layers that only move or drop values.
    fn final_activation(&self, value: ValueId) -> Option<FinalActivation> {
        let node = &self.graph.nodes[value.checked_sub(self.graph.inputs.len())?];
        match node.layer {
            Layer::Softmax { .. } => Some(FinalActivation::Softmax),
            Layer::LogSoftmax { .. } => Some(FinalActivation::LogSoftmax),
            Layer::Elementwise(Elementwise::Sigmoid) => Some(FinalActivation::Sigmoid),
            Layer::Reshape { .. }
            | Layer::Permute { .. }
            | Layer::Dropout { .. }
            | Layer::Identity => self.final_activation(node.inputs[0]),
            _ => None,
        }
    }

    /// Finds the inputs that hold token ids: those that an `Embedding` reads, through layers that keep values.
    fn find_tokens(&mut self, spec: &NetworkSpec) -> Result<(), TrainError> {
        let inputs = self.graph.inputs.len();
        let mut tokens: Vec<Option<usize>> = vec![None; self.read.len()];
        for (index, node) in self.graph.nodes.iter().enumerate().rev() {
            let wanted = match node.layer {
                Layer::Embedding { tokens, .. } => tokens,
                _ => match tokens[inputs + index] {
                    None => continue,
                    Some(wanted) if node.layer.keeps_values() => wanted,
                    Some(_) => {
                        return Err(layer_error(
                            &spec.nodes[index],
                            "an Embedding reads its output, but needs token ids from an input",
                        ));
                    }
                },
            };
            let known = &mut tokens[node.inputs[0]];
            *known = Some(known.map_or(wanted, |other| other.min(wanted)));
        }
        for (index, node) in self.graph.nodes.iter().enumerate() {
            let takes_tokens =
                matches!(node.layer, Layer::Embedding { .. }) || tokens[inputs + index].is_some();
            if !takes_tokens && node.inputs.iter().any(|&value| tokens[value].is_some()) {
                return Err(layer_error(
                    &spec.nodes[index],
                    "reads token ids that an Embedding also reads",
                ));
            }
        }
        if let Some(name) = spec.outputs.iter().find(|name| tokens[self.values[*name]].is_some()) {
            let text = format!("output '{name}' of the network holds token ids");
            return Err(TrainError::InvalidSpec(text));
        }
        for (input, tokens) in self.graph.inputs.iter_mut().zip(tokens) {
            input.integer = tokens.is_some();
            input.tokens = tokens;
        }
        Ok(())
    }
}

/// Returns the number of values of a shape; `None` if it exceeds that of a tensor.
fn elements(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1_usize, |product, &size| product.checked_mul(size))
        .filter(|&size| size <= LARGEST_TENSOR)
}

#[cfg(test)]
mod tests;
