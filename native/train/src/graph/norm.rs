//! Batch and layer normalisation.

use super::arguments::Arguments;
use super::tensors::{Initial, LayerTensor};
use crate::error::TrainError;
use crate::model::show;

pub(super) const BATCH_ARGUMENTS: &[&str] =
    &["num_features", "eps", "momentum", "affine", "track_running_stats"];
pub(super) const LAYER_ARGUMENTS: &[&str] =
    &["normalized_shape", "eps", "elementwise_affine", "bias"];

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

/// Layer normalisation over the last dimensions of the row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LayerNorm {
    pub(crate) shape: Vec<usize>,
    pub(crate) epsilon: f64,
    pub(crate) affine: bool,
    pub(crate) bias: bool,
}

impl LayerNorm {
    pub(super) fn tensors(&self) -> Vec<LayerTensor> {
        let mut tensors = Vec::new();
        if self.affine {
            tensors.push(LayerTensor::parameter("weight", &self.shape, Initial::Constant(1.0)));
            if self.bias {
                tensors.push(LayerTensor::parameter("bias", &self.shape, Initial::Constant(0.0)));
            }
        }
        tensors
    }
}

impl BatchNorm {
    pub(super) fn tensors(&self) -> Vec<LayerTensor> {
        let shape = &[self.features];
        let mut tensors = Vec::new();
        if self.affine {
            tensors.push(LayerTensor::parameter("weight", shape, Initial::Constant(1.0)));
            tensors.push(LayerTensor::parameter("bias", shape, Initial::Constant(0.0)));
        }
        if self.track {
            tensors.push(LayerTensor::buffer("running_mean", shape, 0.0));
            tensors.push(LayerTensor::buffer("running_var", shape, 1.0));
            tensors.push(LayerTensor::counter("num_batches_tracked"));
        }
        tensors
    }
}

pub(super) fn batch_norm(
    arguments: &Arguments<'_>,
    shape: &[usize],
    dimensions: &[usize],
) -> Result<(BatchNorm, Vec<usize>), TrainError> {
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
    Ok((norm, shape.to_vec()))
}

pub(super) fn layer_norm(
    arguments: &Arguments<'_>,
    shape: &[usize],
) -> Result<(LayerNorm, Vec<usize>), TrainError> {
    let normalized =
        arguments.sizes("normalized_shape")?.unwrap_or_else(|| vec![shape[shape.len() - 1]]);
    if !shape.ends_with(&normalized) {
        return Err(arguments.problem(format!(
            "got the shape {}; normalized_shape {} must be its end",
            show(shape),
            show(&normalized)
        )));
    }
    let layer = LayerNorm {
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
