//! Convolution over `[channels, height, width]`.

use super::arguments::Arguments;
use super::tensors::{Initial, LayerTensor};
use crate::error::TrainError;
use crate::model::show;

pub(super) const CONVOLUTION_ARGUMENTS: &[&str] = &[
    "in_channels",
    "out_channels",
    "kernel_size",
    "stride",
    "padding",
    "dilation",
    "groups",
    "bias",
    "padding_mode",
];

/// A convolution with every size known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Convolution {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) padding: Padding,
    pub(crate) dilation: [usize; 2],
    pub(crate) groups: usize,
    pub(crate) bias: bool,
}

/// The zeros around an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Padding {
    Each([usize; 2]),
    /// As many as keep the image's size.
    Same,
}

impl Convolution {
    pub(super) fn tensors(&self) -> Vec<LayerTensor> {
        let per_group = self.inputs / self.groups;
        let initial = Initial::within_root_of(
            per_group as f64 * self.kernel[0] as f64 * self.kernel[1] as f64,
        );
        let shape = [self.outputs, per_group, self.kernel[0], self.kernel[1]];
        let mut tensors = vec![LayerTensor::parameter("weight", &shape, initial)];
        tensors.extend(self.bias.then(|| LayerTensor::parameter("bias", &[self.outputs], initial)));
        tensors
    }
}

pub(super) fn image(arguments: &Arguments<'_>, shape: &[usize]) -> Result<[usize; 3], TrainError> {
    <[usize; 3]>::try_from(shape).map_err(|_| {
        arguments.problem(format!("got the shape {}; needs [channels, height, width]", show(shape)))
    })
}

pub(super) fn kernel(arguments: &Arguments<'_>) -> Result<[usize; 2], TrainError> {
    arguments.pair("kernel_size", 1)?.ok_or_else(|| arguments.missing("kernel_size"))
}

pub(super) fn convolution(
    arguments: &Arguments<'_>,
    shape: &[usize],
) -> Result<(Convolution, Vec<usize>), TrainError> {
    let [channels, height, width] = image(arguments, shape)?;
    let outputs = arguments.required_size("out_channels")?;
    let kernel = kernel(arguments)?;
    let stride = arguments.pair("stride", 1)?.unwrap_or([1, 1]);
    let dilation = arguments.pair("dilation", 1)?.unwrap_or([1, 1]);
    let groups = arguments.size("groups")?.unwrap_or(1);
    arguments.word("padding_mode", &["zeros"])?;
    let inputs = arguments.inferred_size("in_channels", channels, shape)?;
    if inputs % groups != 0 || outputs % groups != 0 {
        return Err(arguments.problem(format!(
            "in_channels {inputs} and out_channels {outputs} must be divisible by groups {groups}"
        )));
    }
    let padding = match arguments.get("padding").and_then(|value| value.as_str()) {
        None => Padding::Each(arguments.pair("padding", 0)?.unwrap_or([0, 0])),
        Some("valid") => Padding::Each([0, 0]),
        Some("same") if stride == [1, 1] => Padding::Same,
        Some("same") => return Err(arguments.problem("padding \"same\" needs stride 1")),
        Some(other) => {
            let known = "an integer, a pair, \"same\" or \"valid\"";
            return Err(
                arguments.problem(format!("argument 'padding' must be {known}, not \"{other}\""))
            );
        }
    };
    let (height, width) = match padding {
        Padding::Same => (height, width),
        Padding::Each(padding) => {
            let size = |axis: usize, length| {
                slide(length, kernel[axis], stride[axis], padding[axis], dilation[axis], false)
            };
            size(0, height)
                .zip(size(1, width))
                .ok_or_else(|| too_large(arguments, shape, kernel))?
        }
    };
    let bias = arguments.flag("bias", true)?;
    let layer = Convolution { inputs, outputs, kernel, stride, padding, dilation, groups, bias };
    Ok((layer, vec![outputs, height, width]))
}

/// The positions of a window of `kernel` values over `length` values, if there is one.
pub(super) fn slide(
    length: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
    ceil: bool,
) -> Option<usize> {
    let room = (length + 2 * padding).checked_sub(dilation * (kernel - 1) + 1)?;
    let positions = if ceil { room.div_ceil(stride) } else { room / stride } + 1;
    // The last window must start within the image or the padding before it.
    let starts_outside = ceil && (positions - 1) * stride >= length + padding;
    Some(if starts_outside { positions - 1 } else { positions })
}

pub(super) fn too_large(
    arguments: &Arguments<'_>,
    shape: &[usize],
    kernel: [usize; 2],
) -> TrainError {
    arguments.problem(format!(
        "got the shape {}; kernel_size {kernel:?} with its dilation is larger than the padded image",
        show(shape)
    ))
}
