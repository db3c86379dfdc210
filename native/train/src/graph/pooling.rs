//! Pooling over `[channels, height, width]`.

use super::arguments::Arguments;
use super::convolution::{image, kernel, slide, too_large};
use crate::error::TrainError;

pub(super) const MAX_ARGUMENTS: &[&str] =
    &["kernel_size", "stride", "padding", "dilation", "ceil_mode"];
pub(super) const AVERAGE_ARGUMENTS: &[&str] =
    &["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"];

/// A pooling with every size known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pooling {
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) padding: [usize; 2],
    pub(crate) dilation: [usize; 2],
    pub(crate) ceil: bool,
    pub(crate) count_padding: bool,
    pub(crate) divisor: Option<usize>,
}

pub(super) fn max_pool(
    arguments: &Arguments<'_>,
    shape: &[usize],
) -> Result<(Pooling, Vec<usize>), TrainError> {
    let dilation = arguments.pair("dilation", 1)?.unwrap_or([1, 1]);
    pool(arguments, shape, dilation)
}

pub(super) fn average_pool(
    arguments: &Arguments<'_>,
    shape: &[usize],
) -> Result<(Pooling, Vec<usize>), TrainError> {
    let (mut pooling, output) = pool(arguments, shape, [1, 1])?;
    pooling.count_padding = arguments.flag("count_include_pad", true)?;
    pooling.divisor = arguments.size("divisor_override")?;
    Ok((pooling, output))
}

fn pool(
    arguments: &Arguments<'_>,
    shape: &[usize],
    dilation: [usize; 2],
) -> Result<(Pooling, Vec<usize>), TrainError> {
    let [channels, height, width] = image(arguments, shape)?;
    let kernel = kernel(arguments)?;
    let stride = arguments.pair("stride", 1)?.unwrap_or(kernel);
    let padding = arguments.pair("padding", 0)?.unwrap_or([0, 0]);
    let ceil = arguments.flag("ceil_mode", false)?;
    if (0..2).any(|axis| padding[axis] > kernel[axis] / 2) {
        return Err(arguments
            .problem(format!("padding {padding:?} is more than half of kernel_size {kernel:?}")));
    }
    let size = |axis: usize, length| {
        slide(length, kernel[axis], stride[axis], padding[axis], dilation[axis], ceil)
    };
    let (out_height, out_width) =
        size(0, height).zip(size(1, width)).ok_or_else(|| too_large(arguments, shape, kernel))?;
    let pooling =
        Pooling { kernel, stride, padding, dilation, ceil, count_padding: true, divisor: None };
    Ok((pooling, vec![channels, out_height, out_width]))
}

/// Pooling to a given height and width, whatever those of the image; both may be larger than it.
pub(super) fn adaptive(
    arguments: &Arguments<'_>,
    shape: &[usize],
) -> Result<([usize; 2], Vec<usize>), TrainError> {
    let [channels, ..] = image(arguments, shape)?;
    let size = arguments.pair("output_size", 1)?.ok_or_else(|| arguments.missing("output_size"))?;
    Ok((size, vec![channels, size[0], size[1]]))
}
