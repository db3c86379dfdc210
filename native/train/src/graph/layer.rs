//! The layers: their arguments, what shape they give, which tensors they own.
//!
//! Shapes are those of one row, without the batch. Names, arguments and defaults are those of `torch.nn`; where

use firesteel_core::spec::NodeSpec;

use super::arguments::{Arguments, layer_error};
use super::convolution::{self, Convolution};
use super::elementwise::{self, Elementwise};
use super::merge::{self, Merge};
use super::norm::{self, BatchNorm};
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

/// What one layer computes, with every size known.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::enum_variant_names, reason = "LayerNorm is the layer's name")]
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
    LayerNorm {
        shape: Vec<usize>,
        epsilon: f64,
        affine: bool,
        bias: bool,
    },
    Dropout {
        probability: f64,
    },
    Reshape {
        shape: Vec<usize>,
    },
    /// Each dimension of the row given as the one of its input that it is.
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
    /// Reads the layer and gives the shape of its row.
    pub(super) fn read(
        node: &NodeSpec,
        inputs: &[&[usize]],
    ) -> Result<(Self, Vec<usize>), TrainError> {
        let Some((op, known)) = KNOWN.iter().find(|(op, _)| *op == node.op) else {
            let list: Vec<&str> = KNOWN.iter().map(|(op, _)| *op).collect();
            return Err(layer_error(
                node,
                format!("unknown layer type; known are {}", list.join(", ")),
            ));
        };
        let arguments = Arguments::new(node, known)?;
        if let Some(merge) = Merge::of(op) {
            return merge.read(&arguments, inputs);
        }
        if *op == "Concatenate" {
            return merge::concatenate(&arguments, inputs);
        }
        let [shape] = *inputs else {
            return Err(arguments.problem(format!("reads one input, not {}", inputs.len())));
        };
        single(op, &arguments, shape)
    }

    /// The tensors this layer owns, in `state_dict` order.
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
            Self::LayerNorm { shape, affine: true, bias, .. } => {
                let mut tensors =
                    vec![LayerTensor::parameter("weight", shape, Initial::Constant(1.0))];
                tensors.extend(
                    bias.then(|| LayerTensor::parameter("bias", shape, Initial::Constant(0.0))),
                );
                tensors
            }
            Self::Embedding { tokens, size, padding } => {
                let initial = Initial::Normal { zero_row: *padding };
                vec![LayerTensor::parameter("weight", &[*tokens, *size], initial)]
            }
            Self::Recurrent(recurrent) => recurrent.tensors(),
            _ => Vec::new(),
        }
    }

    /// Whether it gives the values that it gets, in another shape.
    pub(super) fn keeps_values(&self) -> bool {
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
    if let Some(function) = Elementwise::read(op, arguments)? {
        return same(Layer::Elementwise(function));
    }
    match op {
        "Linear" => linear(arguments, shape),
        "Conv2d" => convolution::convolution(arguments, shape),
        "MaxPool2d" => pooling::max_pool(arguments, shape),
        "AvgPool2d" => pooling::average_pool(arguments, shape),
        "AdaptiveMaxPool2d" => {
            let (size, output) = pooling::adaptive(arguments, shape)?;
            Ok((Layer::AdaptiveMaxPool2d { size }, output))
        }
        "AdaptiveAvgPool2d" => {
            let (size, output) = pooling::adaptive(arguments, shape)?;
            Ok((Layer::AdaptiveAvgPool2d { size }, output))
        }
        "BatchNorm1d" => norm::batch_norm(arguments, shape, &[1, 2]),
        "BatchNorm2d" => norm::batch_norm(arguments, shape, &[3]),
        "LayerNorm" => norm::layer_norm(arguments, shape),
        "Dropout" => {
            arguments.flag("inplace", false)?;
            let accepts = |p| (0.0..=1.0).contains(&p);
            same(Layer::Dropout {
                probability: arguments.number("p", 0.5, "between 0 and 1", accepts)?,
            })
        }
        "Flatten" => shaping::flatten(arguments, shape),
        "Reshape" => shaping::reshape(arguments, shape),
        "Permute" => shaping::permute(arguments, shape),
        "ZeroPad2d" => shaping::zero_pad(arguments, shape),
        "Softmax" => same(Layer::Softmax { dimension: arguments.dimension("dim", -1, shape)? }),
        "LogSoftmax" => {
            same(Layer::LogSoftmax { dimension: arguments.dimension("dim", -1, shape)? })
        }
        "Embedding" => embedding(arguments, shape),
        "LSTM" => recurrent::recurrent(Cell::Lstm, arguments, shape),
        "GRU" => recurrent::recurrent(Cell::Gru, arguments, shape),
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
