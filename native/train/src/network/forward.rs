//! The forward pass of a graph as a list of libtorch operations.

use std::ops::Range;

use firesteel_core::BufferKind;
use tch::Tensor;

use super::operations::{axis, dropout, rows};
use super::recurrent::recur;
use super::replica::Views;
use super::tape::{LinearCall, Tape};
use super::{DeadUnits, elementwise};
use crate::error::TrainError;
use crate::graph::{BatchNorm, Convolution, Elementwise, Graph, Layer, Padding, Pooling, ValueId};
use crate::raw::{dimension, lengths, values};

/// The operations of a graph in order.
#[derive(Debug)]
pub(super) struct Plan {
    inputs: usize,
    steps: Vec<Step>,
    outputs: Vec<ValueId>,
}

#[derive(Debug)]
pub(super) struct Step {
    name: String,
    layer: Layer,
    inputs: Vec<ValueId>,
    output: ValueId,
    /// Its tensors, as indices of the layout's entries.
    tensors: Range<usize>,
    /// The offset of its integer buffer, if it has one.
    counter: Option<usize>,
    /// True if no parameter precedes it.
    first: bool,
    /// The values that no later step reads.
    spent: Vec<ValueId>,
}

impl Plan {
    pub(super) fn new(graph: &Graph) -> Self {
        let inputs = graph.inputs.len();
        let outputs: Vec<ValueId> = graph.outputs.iter().map(|output| output.value).collect();
        let mut last_read = vec![usize::MAX; inputs + graph.nodes.len()];
        let mut trained = vec![false; inputs];
        let mut steps = Vec::new();
        for (index, node) in graph.nodes.iter().enumerate() {
            let follows = node.inputs.iter().any(|&value| trained[value]);
            let entries = &graph.layout.entries()[node.tensors.clone()];
            let has = |element| entries.iter().find(|entry| entry.kind == element);
            trained.push(follows || has(BufferKind::Parameter).is_some());
            if !node.computed {
                continue;
            }
            for &value in &node.inputs {
                last_read[value] = steps.len();
            }
            steps.push(Step {
                name: node.name.clone(),
                layer: node.layer.clone(),
                inputs: node.inputs.clone(),
                output: inputs + index,
                tensors: node.tensors.clone(),
                counter: has(BufferKind::IntegerBuffer).map(|entry| entry.offset),
                first: !follows,
                spent: Vec::new(),
            });
        }
        for (value, &step) in last_read.iter().enumerate().skip(inputs) {
            if let Some(step) = steps.get_mut(step).filter(|_| !outputs.contains(&value)) {
                step.spent.push(value);
            }
        }
        Self { inputs, steps, outputs }
    }

    /// Runs the steps and returns the outputs, in training mode if there is a tape. `watch` is called with the value of
    /// each step.
    pub(super) fn run(
        &self,
        views: &Views,
        inputs: &[&Tensor],
        mut tape: Option<&mut Tape<'_>>,
        watch: &mut dyn FnMut(&Step, &Tensor) -> Result<(), TrainError>,
    ) -> Result<Vec<Tensor>, TrainError> {
        let mut values: Vec<Option<Tensor>> = Vec::new();
        values.resize_with(self.steps.last().map_or(self.inputs, |step| step.output + 1), || None);
        for step in &self.steps {
            let read = step
                .inputs
                .iter()
                .map(|&value| self.value(inputs, &values, value))
                .collect::<Result<Vec<&Tensor>, _>>()?;
            let result = step.run(&views.0[step.tensors.clone()], &read, tape.as_deref_mut())?;
            watch(step, &result)?;
            values[step.output] = Some(result);
            for &value in &step.spent {
                values[value] = None;
            }
        }
        self.outputs
            .iter()
            .map(|&value| self.value(inputs, &values, value).map(Tensor::shallow_clone))
            .collect()
    }

    fn value<'a>(
        &self,
        inputs: &[&'a Tensor],
        values: &'a [Option<Tensor>],
        value: ValueId,
    ) -> Result<&'a Tensor, TrainError> {
        let found = match value.checked_sub(self.inputs) {
            None => inputs.get(value).copied(),
            Some(_) => values[value].as_ref(),
        };
        found.ok_or_else(|| TrainError::Internal(format!("value {value} is not computed")))
    }
}

impl Step {
    /// Returns the units of a ReLU that are 0 for all rows, if there are any. A unit is a feature or a channel.
    pub(super) fn dead_units(&self, value: &Tensor) -> Result<Option<DeadUnits>, TrainError> {
        let Layer::Elementwise(Elementwise::Relu | Elementwise::Relu6) = self.layer else {
            return Ok(None);
        };
        let count = value.dim() as i64;
        // Channels come first in an image, features last in a sequence.
        let unit = if count == 3 { 2 } else { 1 };
        let others: Vec<i64> = (0..count).filter(|&dimension| dimension != unit).collect();
        let largest = value.f_amax(others, false)?.f_contiguous()?;
        let units = values(&largest)?;
        let dead = units.iter().filter(|&&unit| unit == 0.0).count() as u64;
        let found = DeadUnits { layer: self.name.clone(), dead, units: units.len() as u64 };
        Ok((dead > 0).then_some(found))
    }

    fn run(
        &self,
        own: &[Tensor],
        inputs: &[&Tensor],
        tape: Option<&mut Tape<'_>>,
    ) -> Result<Tensor, TrainError> {
        let x = inputs[0];
        Ok(match &self.layer {
            Layer::Linear { inputs, bias, .. } => self.linear(own, x, *inputs, *bias, tape)?,
            Layer::Conv2d(convolution) => convolve(convolution, own, x)?,
            Layer::MaxPool2d(pooling) => max_pool(pooling, x)?,
            Layer::AvgPool2d(pooling) => average_pool(pooling, x)?,
            Layer::AdaptiveMaxPool2d { size } => x.f_adaptive_max_pool2d(lengths(size)?)?.0,
            Layer::AdaptiveAvgPool2d { size } => x.f_adaptive_avg_pool2d(lengths(size)?)?,
            Layer::BatchNorm(norm) => self.batch_norm(norm, own, x, tape)?,
            Layer::LayerNorm(norm) => {
                x.f_layer_norm(lengths(&norm.shape)?, own.first(), own.get(1), norm.epsilon, false)?
            }
            Layer::Dropout { probability } => dropout(x, *probability, tape)?,
            Layer::Reshape { shape } => {
                let mut target = vec![rows(x)];
                target.extend(lengths(shape)?);
                x.f_reshape(target)?
            }
            Layer::Permute { order } => {
                let mut dims = vec![0];
                for &dimension in order {
                    dims.push(axis(dimension)?);
                }
                x.f_permute(dims)?
            }
            Layer::ZeroPad2d { sides } => x.f_constant_pad_nd(sides)?,
            Layer::Elementwise(function) => elementwise::apply(*function, x)?,
            Layer::Softmax { dimension } => x.f_softmax(axis(*dimension)?, None)?,
            Layer::LogSoftmax { dimension } => x.f_log_softmax(axis(*dimension)?, None)?,
            Layer::Embedding { padding, .. } => {
                let padding = padding.map_or(Ok(-1), dimension)?;
                Tensor::f_embedding(&own[0], x, padding, false, false)?
            }
            Layer::Recurrent(recurrent) => recur(recurrent, own, x, tape)?,
            Layer::Merge(merge) => elementwise::merge(*merge, x, &inputs[1..])?,
            Layer::Concatenate { dimension } => Tensor::f_cat(inputs, axis(*dimension)?)?,
            Layer::Identity => x.shallow_clone(),
        })
    }

    /// Runs a Linear layer. In training mode the tape records it, so that its gradient is written once, into the flat
    /// buffer.
    fn linear(
        &self,
        own: &[Tensor],
        x: &Tensor,
        inputs: usize,
        bias: bool,
        tape: Option<&mut Tape<'_>>,
    ) -> Result<Tensor, TrainError> {
        let Some(tape) = tape else { return Ok(x.f_linear(&own[0], own.get(1))?) };
        let mut shape = x.size();
        let matrix = if shape.len() == 2 {
            x.shallow_clone()
        } else {
            x.f_reshape([-1, dimension(inputs)?])?
        };
        let mut output = matrix.f_linear(&own[0], own.get(1))?;
        if self.first {
            output = output.f_set_requires_grad(true)?;
        }
        let result = if shape.len() == 2 {
            output.shallow_clone()
        } else {
            let last = shape.len() - 1;
            shape[last] = -1;
            output.f_reshape(shape)?
        };
        tape.linear_calls.push(LinearCall {
            input: matrix,
            output,
            weight: self.tensors.start,
            bias,
        });
        Ok(result)
    }

    fn batch_norm(
        &self,
        norm: &BatchNorm,
        own: &[Tensor],
        x: &Tensor,
        tape: Option<&mut Tape<'_>>,
    ) -> Result<Tensor, TrainError> {
        let (affine, running) = own.split_at(if norm.affine { 2 } else { 0 });
        // A single value has no variance: it is normalised by the running statistics and leaves them as they are.
        let measurable = rows(x) * dimension(norm.values)? > 1;
        let mut momentum = norm.momentum.unwrap_or(0.0);
        let training = match (tape, self.counter) {
            (_, None) => true,
            (Some(tape), Some(counter)) if measurable => {
                tape.integers[counter] += 1;
                momentum = norm.momentum.unwrap_or(1.0 / tape.integers[counter] as f64);
                true
            }
            _ => false,
        };
        Ok(x.f_batch_norm(
            affine.first(),
            affine.get(1),
            running.first(),
            running.get(1),
            training,
            momentum,
            norm.epsilon,
            false,
        )?)
    }
}

fn convolve(layer: &Convolution, own: &[Tensor], x: &Tensor) -> Result<Tensor, TrainError> {
    let (weight, bias) = (&own[0], own.get(1));
    let (stride, dilation) = (lengths(&layer.stride)?, lengths(&layer.dilation)?);
    let groups = dimension(layer.groups)?;
    Ok(match layer.padding {
        Padding::Each(padding) => {
            x.f_conv2d(weight, bias, stride, lengths(&padding)?, dilation, groups)?
        }
        Padding::Same => x.f_conv2d_padding(weight, bias, stride, "same", dilation, groups)?,
    })
}

fn max_pool(layer: &Pooling, x: &Tensor) -> Result<Tensor, TrainError> {
    let (kernel, stride) = (lengths(&layer.kernel)?, lengths(&layer.stride)?);
    let (padding, dilation) = (lengths(&layer.padding)?, lengths(&layer.dilation)?);
    Ok(x.f_max_pool2d(kernel, stride, padding, dilation, layer.ceil)?)
}

fn average_pool(layer: &Pooling, x: &Tensor) -> Result<Tensor, TrainError> {
    let (kernel, stride) = (lengths(&layer.kernel)?, lengths(&layer.stride)?);
    let divisor = layer.divisor.map(dimension).transpose()?;
    let padding = lengths(&layer.padding)?;
    Ok(x.f_avg_pool2d(kernel, stride, padding, layer.ceil, layer.count_padding, divisor)?)
}
