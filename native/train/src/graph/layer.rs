//! The layers: their arguments, what shape they give, which tensors they own.
//!
//! Shapes are those of one row, without the batch. Names, arguments and defaults are those of `torch.nn`; where a layer has
//! no module there (`Add`, `Concatenate`, `Reshape`) its arguments are given here.

use firesteel_core::spec::NodeSpec;

use super::arguments::{Arguments, layer_error, show};
use super::convolution::{self, Convolution, Pooling};
use super::recurrent::{self, Lstm};
use super::tensors::{Initial, OwnTensor};
use crate::error::TrainError;

/// Every type of layer with its arguments.
const KNOWN: [(&str, &[&str]); 21] = [
    ("Linear", &["in_features", "out_features", "bias"]),
    ("Conv2d", convolution::CONVOLUTION_ARGUMENTS),
    ("MaxPool2d", convolution::MAX_POOL_ARGUMENTS),
    ("AvgPool2d", convolution::AVERAGE_POOL_ARGUMENTS),
    ("BatchNorm1d", NORM_ARGUMENTS),
    ("BatchNorm2d", NORM_ARGUMENTS),
    ("LayerNorm", &["normalized_shape", "eps", "elementwise_affine", "bias"]),
    ("Dropout", &["p", "inplace"]),
    ("Flatten", &["start_dim", "end_dim"]),
    ("Reshape", &["shape"]),
    ("ReLU", &["inplace"]),
    ("GELU", &["approximate"]),
    ("Tanh", &[]),
    ("Sigmoid", &[]),
    ("Softmax", &["dim"]),
    ("LogSoftmax", &["dim"]),
    ("Embedding", &["num_embeddings", "embedding_dim", "padding_idx"]),
    ("LSTM", recurrent::ARGUMENTS),
    ("Add", &[]),
    ("Concatenate", &["dim"]),
    ("Identity", &[]),
];

const NORM_ARGUMENTS: &[&str] =
    &["num_features", "eps", "momentum", "affine", "track_running_stats"];

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
    Relu,
    Gelu {
        approximate: &'static str,
    },
    Tanh,
    Sigmoid,
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
    Lstm(Lstm),
    Add,
    /// Along a dimension of the row.
    Concatenate {
        dimension: usize,
    },
    Identity,
}

/// Batch normalisation over every dimension but the first of the row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BatchNorm {
    pub(crate) features: usize,
    pub(crate) epsilon: f64,
    /// `None` averages over all batches.
    pub(crate) momentum: Option<f64>,
    pub(crate) affine: bool,
    pub(crate) track: bool,
    /// The values of one row that a feature's statistics cover.
    pub(crate) values: usize,
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
        match *op {
            "Add" => return add(&arguments, inputs),
            "Concatenate" => return concatenate(&arguments, inputs),
            _ => {}
        }
        let [shape] = *inputs else {
            return Err(arguments.problem(format!("reads one input, not {}", inputs.len())));
        };
        single(op, &arguments, shape)
    }

    /// The tensors this layer owns, in `state_dict` order.
    pub(super) fn tensors(&self) -> Vec<OwnTensor> {
        match self {
            Self::Linear { inputs, outputs, bias } => {
                let initial = Initial::within_root_of(*inputs as f64);
                let mut tensors =
                    vec![OwnTensor::parameter("weight", &[*outputs, *inputs], initial)];
                tensors.extend(bias.then(|| OwnTensor::parameter("bias", &[*outputs], initial)));
                tensors
            }
            Self::Conv2d(convolution) => convolution.tensors(),
            Self::BatchNorm(norm) => norm.tensors(),
            Self::LayerNorm { shape, affine: true, bias, .. } => {
                let mut tensors =
                    vec![OwnTensor::parameter("weight", shape, Initial::Constant(1.0))];
                tensors.extend(
                    bias.then(|| OwnTensor::parameter("bias", shape, Initial::Constant(0.0))),
                );
                tensors
            }
            Self::Embedding { tokens, size, padding } => {
                let initial = Initial::Normal { zero_row: *padding };
                vec![OwnTensor::parameter("weight", &[*tokens, *size], initial)]
            }
            Self::Lstm(lstm) => lstm.tensors(),
            _ => Vec::new(),
        }
    }

    /// Whether it gives the values that it gets, in another shape.
    pub(super) fn keeps_values(&self) -> bool {
        matches!(self, Self::Reshape { .. } | Self::Identity)
    }
}

impl BatchNorm {
    fn tensors(&self) -> Vec<OwnTensor> {
        let shape = &[self.features];
        let mut tensors = Vec::new();
        if self.affine {
            tensors.push(OwnTensor::parameter("weight", shape, Initial::Constant(1.0)));
            tensors.push(OwnTensor::parameter("bias", shape, Initial::Constant(0.0)));
        }
        if self.track {
            tensors.push(OwnTensor::buffer("running_mean", shape, 0.0));
            tensors.push(OwnTensor::buffer("running_var", shape, 1.0));
            tensors.push(OwnTensor::counter("num_batches_tracked"));
        }
        tensors
    }
}

/// A layer that reads one input.
fn single(
    op: &str,
    arguments: &Arguments<'_>,
    shape: &[usize],
) -> Result<(Layer, Vec<usize>), TrainError> {
    let same = |layer: Layer| Ok((layer, shape.to_vec()));
    match op {
        "Linear" => linear(arguments, shape),
        "Conv2d" => convolution::convolution(arguments, shape),
        "MaxPool2d" => convolution::max_pool(arguments, shape),
        "AvgPool2d" => convolution::average_pool(arguments, shape),
        "BatchNorm1d" => batch_norm(arguments, shape, &[1, 2]),
        "BatchNorm2d" => batch_norm(arguments, shape, &[3]),
        "LayerNorm" => layer_norm(arguments, shape),
        "Dropout" => {
            arguments.flag("inplace", false)?;
            let accepts = |p| (0.0..=1.0).contains(&p);
            same(Layer::Dropout {
                probability: arguments.number("p", 0.5, "between 0 and 1", accepts)?,
            })
        }
        "Flatten" => flatten(arguments, shape),
        "Reshape" => reshape(arguments, shape),
        "ReLU" => {
            arguments.flag("inplace", false)?;
            same(Layer::Relu)
        }
        "GELU" => {
            same(Layer::Gelu { approximate: arguments.word("approximate", &["none", "tanh"])? })
        }
        "Tanh" => same(Layer::Tanh),
        "Sigmoid" => same(Layer::Sigmoid),
        "Softmax" => same(Layer::Softmax { dimension: arguments.dimension("dim", -1, shape)? }),
        "LogSoftmax" => {
            same(Layer::LogSoftmax { dimension: arguments.dimension("dim", -1, shape)? })
        }
        "Embedding" => embedding(arguments, shape),
        "LSTM" => recurrent::lstm(arguments, shape),
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

fn batch_norm(
    arguments: &Arguments<'_>,
    shape: &[usize],
    dimensions: &[usize],
) -> Result<(Layer, Vec<usize>), TrainError> {
    if !dimensions.contains(&shape.len()) {
        let accepted = if dimensions == [3] {
            "[channels, height, width]"
        } else {
            "[features] or [features, length]"
        };
        return Err(arguments.problem(format!("got the shape {}; needs {accepted}", show(shape))));
    }
    let momentum = if arguments.is_null("momentum") {
        None
    } else {
        let accepts = |momentum| (0.0..=1.0).contains(&momentum);
        Some(arguments.number("momentum", 0.1, "between 0 and 1, or null", accepts)?)
    };
    let norm = BatchNorm {
        features: arguments.inferred_size("num_features", shape[0], shape)?,
        epsilon: epsilon(arguments)?,
        momentum,
        affine: arguments.flag("affine", true)?,
        track: arguments.flag("track_running_stats", true)?,
        values: shape[1..].iter().product(),
    };
    Ok((Layer::BatchNorm(norm), shape.to_vec()))
}

fn layer_norm(
    arguments: &Arguments<'_>,
    shape: &[usize],
) -> Result<(Layer, Vec<usize>), TrainError> {
    let normalized =
        arguments.sizes("normalized_shape")?.unwrap_or_else(|| vec![shape[shape.len() - 1]]);
    if !shape.ends_with(&normalized) {
        return Err(arguments.problem(format!(
            "got the shape {}; normalized_shape {} must be its end",
            show(shape),
            show(&normalized)
        )));
    }
    let layer = Layer::LayerNorm {
        shape: normalized,
        epsilon: epsilon(arguments)?,
        affine: arguments.flag("elementwise_affine", true)?,
        bias: arguments.flag("bias", true)?,
    };
    Ok((layer, shape.to_vec()))
}

fn epsilon(arguments: &Arguments<'_>) -> Result<f64, TrainError> {
    arguments.number("eps", 1e-5, "a number of at least 0", |epsilon| epsilon >= 0.0)
}

fn flatten(arguments: &Arguments<'_>, shape: &[usize]) -> Result<(Layer, Vec<usize>), TrainError> {
    let start = arguments.dimension("start_dim", 1, shape)?;
    let end = arguments.dimension("end_dim", -1, shape)?;
    if start > end {
        return Err(arguments.problem("start_dim comes after end_dim"));
    }
    let mut output = shape[..start].to_vec();
    output.push(shape[start..=end].iter().product());
    output.extend(&shape[end + 1..]);
    Ok((Layer::Reshape { shape: output.clone() }, output))
}

fn reshape(arguments: &Arguments<'_>, shape: &[usize]) -> Result<(Layer, Vec<usize>), TrainError> {
    let target = arguments.integers("shape")?;
    let size: usize = shape.iter().product();
    let unfit = || {
        arguments.problem(format!(
            "got the shape {} of {size} values, which do not fit the shape {target:?}",
            show(shape)
        ))
    };
    if target.iter().any(|&length| length == 0 || length < -1)
        || target.iter().filter(|&&length| length == -1).count() > 1
    {
        return Err(arguments.problem(format!(
            "shape {target:?} must hold lengths of at least 1, and -1 at most once"
        )));
    }
    let known = target
        .iter()
        .filter(|&&length| length > 0)
        .try_fold(1_usize, |product, &length| product.checked_mul(usize::try_from(length).ok()?))
        .ok_or_else(unfit)?;
    let open = target.contains(&-1);
    if (open && !size.is_multiple_of(known)) || (!open && size != known) {
        return Err(unfit());
    }
    let output: Vec<usize> =
        target.iter().map(|&length| usize::try_from(length).unwrap_or(size / known)).collect();
    Ok((Layer::Reshape { shape: output.clone() }, output))
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

fn add(arguments: &Arguments<'_>, inputs: &[&[usize]]) -> Result<(Layer, Vec<usize>), TrainError> {
    let [first, rest @ ..] = inputs else {
        return Err(arguments.problem("reads two inputs or more, not 0"));
    };
    if rest.is_empty() {
        return Err(arguments.problem("reads two inputs or more, not 1"));
    }
    if let Some(other) = rest.iter().find(|other| *other != first) {
        return Err(arguments.problem(format!(
            "got the shapes {} and {}; needs inputs of one shape",
            show(first),
            show(other)
        )));
    }
    Ok((Layer::Add, first.to_vec()))
}

fn concatenate(
    arguments: &Arguments<'_>,
    inputs: &[&[usize]],
) -> Result<(Layer, Vec<usize>), TrainError> {
    let [first, rest @ ..] = inputs else {
        return Err(arguments.problem("reads two inputs or more, not 0"));
    };
    if rest.is_empty() {
        return Err(arguments.problem("reads two inputs or more, not 1"));
    }
    let dimension = arguments.dimension("dim", 1, first)?;
    let mut output = first.to_vec();
    for other in rest {
        let fits = other.len() == first.len()
            && (0..first.len()).all(|d| d == dimension || other[d] == first[d]);
        if !fits {
            return Err(arguments.problem(format!(
                "got the shapes {} and {}; they may differ in dimension {} only",
                show(first),
                show(other),
                dimension + 1
            )));
        }
        output[dimension] += other[dimension];
    }
    Ok((Layer::Concatenate { dimension }, output))
}
