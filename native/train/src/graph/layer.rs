//! The layers: their arguments, output shapes and tensors.
//!
//! Shapes are those of one row, without the batch. Names, arguments and defaults are those of `torch.nn`.

use firesteel_core::spec::NodeSpec;

use super::arguments::{Arguments, layer_error};
use super::convolution::{self, Convolution};
use super::elementwise::{self, Elementwise};
use super::merge::{self, Merge};
use super::norm::{self, BatchNorm, LayerNorm};
use super::pooling::{self, Pooling};
use super::recurrent::{self, Cell, Recurrent};
use super::shaping;
use super::tensors::{Initial, LayerTensor};
use crate::error::TrainError;

/// Every type of layer with its arguments.
const KNOWN: [(&str, &[&str]); 43] = [
    ("Linear", &["in_features", "out_features", "bias"]),
    ("Conv2d", convolution::CONVOLUTION_ARGUMENTS),
    ("MaxPool2d", pooling::MAX_ARGUMENTS),
    ("AvgPool2d", pooling::AVERAGE_ARGUMENTS),
    ("AdaptiveMaxPool2d", &["output_size"]),
    ("AdaptiveAvgPool2d", &["output_size"]),
    ("BatchNorm1d", norm::BATCH_ARGUMENTS),
    ("BatchNorm2d", norm::BATCH_ARGUMENTS),
    ("LayerNorm", norm::LAYER_ARGUMENTS),
    ("Dropout", &["p", "inplace"]),
    ("Flatten", &["start_dim", "end_dim"]),
    ("Reshape", &["shape"]),
    ("Permute", &["dims"]),
    ("ZeroPad2d", &["padding"]),
    ("ReLU", &["inplace"]),
    ("ReLU6", &["inplace"]),
    ("LeakyReLU", elementwise::LEAKY_ARGUMENTS),
    ("ELU", elementwise::ELU_ARGUMENTS),
    ("SELU", &["inplace"]),
    ("GELU", elementwise::GELU_ARGUMENTS),
    ("SiLU", &["inplace"]),
    ("Mish", &["inplace"]),
    ("Tanh", &[]),
    ("Hardtanh", &["inplace"]),
    ("Sigmoid", &[]),
    ("LogSigmoid", &[]),
    ("Hardsigmoid", &["inplace"]),
    ("Hardswish", &["inplace"]),
    ("Softplus", &[]),
    ("Softsign", &[]),
    ("Softmax", &["dim"]),
    ("LogSoftmax", &["dim"]),
    ("Embedding", &["num_embeddings", "embedding_dim", "padding_idx"]),
    ("LSTM", recurrent::ARGUMENTS),
    ("GRU", recurrent::ARGUMENTS),
    ("Add", &[]),
    ("Subtract", &[]),
    ("Multiply", &[]),
    ("Average", &[]),
    ("Maximum", &[]),
    ("Minimum", &[]),
    ("Concatenate", &["dim"]),
    ("Identity", &[]),
];

/// One layer with every size known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Layer {
    Linear {
        inputs: usize,
        outputs: usize,
        bias: bool,
    },
    Conv2d(Convolution),
    MaxPool2d(Pooling),
    AvgPool2d(Pooling),
    AdaptiveMaxPool2d {
        size: [usize; 2],
    },
    AdaptiveAvgPool2d {
        size: [usize; 2],
    },
    BatchNorm(BatchNorm),
    LayerNorm(LayerNorm),
    Dropout {
        probability: f64,
    },
    Reshape {
        shape: Vec<usize>,
    },
    /// For each dimension of the output row, the dimension of the input row.
    Permute {
        order: Vec<usize>,
    },
    /// Left, right, top and bottom.
    ZeroPad2d {
        sides: [i64; 4],
    },
    Elementwise(Elementwise),
    /// Over a dimension of the row.
    Softmax {
        dimension: usize,
    },
    /// Over a dimension of the row.
    LogSoftmax {
        dimension: usize,
    },
    Embedding {
        tokens: usize,
        size: usize,
        padding: Option<usize>,
    },
    Recurrent(Recurrent),
    Merge(Merge),
    /// Along a dimension of the row.
    Concatenate {
        dimension: usize,
    },
    Identity,
}

impl Layer {
    /// Reads the layer and returns it with the shape of its output row.
    pub(super) fn read(
        node: &NodeSpec,
        inputs: &[&[usize]],
    ) -> Result<(Self, Vec<usize>), TrainError> {
        let Some((op, known)) = KNOWN.iter().find(|(op, _)| *op == node.op) else {
            let list: Vec<&str> = KNOWN.iter().map(|(op, _)| *op).collect();
            return Err(layer_error(
                node,
                format!("unknown layer type; use one of {}", list.join(", ")),
            ));
        };
        let arguments = Arguments::new(node, known)?;
        if let Some(merge) = Merge::of(op) {
            return Ok((Self::Merge(merge), merge.shape(&arguments, inputs)?));
        }
        if *op == "Concatenate" {
            let (dimension, output) = merge::concatenate(&arguments, inputs)?;
            return Ok((Self::Concatenate { dimension }, output));
        }
        let [shape] = *inputs else {
            return Err(arguments.problem(format!("reads one input, not {}", inputs.len())));
        };
        single(op, &arguments, shape)
    }

    /// Returns the tensors of this layer, in `state_dict` order.
    pub(super) fn tensors(&self) -> Vec<LayerTensor> {
        match self {
            Self::Linear { inputs, outputs, bias } => {
                let initial = Initial::within_root_of(*inputs as f64);
                let mut tensors =
                    vec![LayerTensor::parameter("weight", &[*outputs, *inputs], initial)];
                tensors.extend(bias.then(|| LayerTensor::parameter("bias", &[*outputs], initial)));
                tensors
            }
            Self::Conv2d(convolution) => convolution.tensors(),
            Self::BatchNorm(norm) => norm.tensors(),
            Self::LayerNorm(norm) => norm.tensors(),
            Self::Embedding { tokens, size, padding } => {
                let initial = Initial::Normal { zero_row: *padding };
                vec![LayerTensor::parameter("weight", &[*tokens, *size], initial)]
            }
            Self::Recurrent(recurrent) => recurrent.tensors(),
            _ => Vec::new(),
        }
    }

    /// Returns true if the layer returns its input's values, possibly in another shape.
    pub(crate) fn keeps_values(&self) -> bool {
        matches!(self, Self::Reshape { .. } | Self::Identity)
    }
}

/// A layer that reads one input.
fn single(
    op: &str,
    arguments: &Arguments<'_>,
    shape: &[usize],
) -> Result<(Layer, Vec<usize>), TrainError> {
    let same = |layer: Layer| Ok((layer, shape.to_vec()));
    let reshaped = |output: Vec<usize>| Ok((Layer::Reshape { shape: output.clone() }, output));
    if let Some(function) = Elementwise::read(op, arguments)? {
        return same(Layer::Elementwise(function));
    }
    match op {
        "Linear" => linear(arguments, shape),
        "Conv2d" => {
            let (layer, output) = convolution::convolution(arguments, shape)?;
            Ok((Layer::Conv2d(layer), output))
        }
        "MaxPool2d" => {
            let (pooling, output) = pooling::max_pool(arguments, shape)?;
            Ok((Layer::MaxPool2d(pooling), output))
        }
        "AvgPool2d" => {
            let (pooling, output) = pooling::average_pool(arguments, shape)?;
            Ok((Layer::AvgPool2d(pooling), output))
        }
        "AdaptiveMaxPool2d" => {
            let (size, output) = pooling::adaptive(arguments, shape)?;
            Ok((Layer::AdaptiveMaxPool2d { size }, output))
        }
        "AdaptiveAvgPool2d" => {
            let (size, output) = pooling::adaptive(arguments, shape)?;
            Ok((Layer::AdaptiveAvgPool2d { size }, output))
        }
        "BatchNorm1d" | "BatchNorm2d" => {
            let dimensions: &[usize] = if op == "BatchNorm1d" { &[1, 2] } else { &[3] };
            let (norm, output) = norm::batch_norm(arguments, shape, dimensions)?;
            Ok((Layer::BatchNorm(norm), output))
        }
        "LayerNorm" => {
            let (norm, output) = norm::layer_norm(arguments, shape)?;
            Ok((Layer::LayerNorm(norm), output))
        }
        "Dropout" => {
            arguments.flag("inplace", false)?;
            let accepts = |p| (0.0..=1.0).contains(&p);
            same(Layer::Dropout {
                probability: arguments.number("p", 0.5, "between 0 and 1", accepts)?,
            })
        }
        "Flatten" => reshaped(shaping::flatten(arguments, shape)?),
        "Reshape" => reshaped(shaping::reshape(arguments, shape)?),
        "Permute" => {
            let (order, output) = shaping::permute(arguments, shape)?;
            Ok((Layer::Permute { order }, output))
        }
        "ZeroPad2d" => {
            let (sides, output) = shaping::zero_pad(arguments, shape)?;
            Ok((Layer::ZeroPad2d { sides }, output))
        }
        "Softmax" => same(Layer::Softmax { dimension: arguments.dimension("dim", -1, shape)? }),
        "LogSoftmax" => {
            same(Layer::LogSoftmax { dimension: arguments.dimension("dim", -1, shape)? })
        }
        "Embedding" => embedding(arguments, shape),
        "LSTM" | "GRU" => {
            let cell = if op == "LSTM" { Cell::Lstm } else { Cell::Gru };
            let (recurrent, output) = recurrent::recurrent(cell, arguments, shape)?;
            Ok((Layer::Recurrent(recurrent), output))
        }
        _ => same(Layer::Identity),
    }
}

fn linear(arguments: &Arguments<'_>, shape: &[usize]) -> Result<(Layer, Vec<usize>), TrainError> {
    let outputs = arguments.required_size("out_features")?;
    let inputs = arguments.inferred_size("in_features", shape[shape.len() - 1], shape)?;
    let mut output = shape.to_vec();
    output[shape.len() - 1] = outputs;
    Ok((Layer::Linear { inputs, outputs, bias: arguments.flag("bias", true)? }, output))
}

fn embedding(
    arguments: &Arguments<'_>,
    shape: &[usize],
) -> Result<(Layer, Vec<usize>), TrainError> {
    let tokens = arguments.required_size("num_embeddings")?;
    let size = arguments.required_size("embedding_dim")?;
    let padding = match arguments.integer("padding_idx")? {
        None => None,
        Some(given) => {
            let index = if given < 0 { given + tokens as i64 } else { given };
            if !(0..tokens as i64).contains(&index) {
                return Err(arguments.problem(format!(
                    "padding_idx {given} is not within num_embeddings {tokens}"
                )));
            }
            Some(index as usize)
        }
    };
    let mut output = shape.to_vec();
    output.push(size);
    Ok((Layer::Embedding { tokens, size, padding }, output))
}
