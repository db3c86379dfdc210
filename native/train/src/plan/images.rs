//! The steps of layers over images that have no parameters.

use firesteel_kernels::pooling::{Divisor, Pooling, Window};
use firesteel_kernels::shaping::{Padding, Permutation};

use super::average_pool::AveragePool;
use super::max_pool::MaxPool;
use super::permute::Permute;
use super::step::Step;
use super::zero_pad::ZeroPad;
use crate::graph::{self, Layer};

/// Returns the step of a layer for input and output of these shapes, if it has one.
pub(super) fn step(layer: &Layer, input: &[usize], output: &[usize]) -> Option<Box<dyn Step>> {
    let (image, result) = (plane(input), plane(output));
    Some(match layer {
        Layer::MaxPool2d(layer) => Box::new(MaxPool(sliding(layer, image, result))),
        Layer::AdaptiveMaxPool2d { .. } => Box::new(MaxPool(adaptive(image, result))),
        Layer::AvgPool2d(layer) => Box::new(AveragePool {
            pooling: sliding(layer, image, result),
            divisor: divisor(layer),
        }),
        Layer::AdaptiveAvgPool2d { .. } => {
            Box::new(AveragePool { pooling: adaptive(image, result), divisor: Divisor::Inside })
        }
        Layer::Permute { order } => Box::new(Permute(Permutation::new(input, order))),
        Layer::ZeroPad2d { sides: [left, _, top, _] } => {
            let before = [*top as isize, *left as isize];
            Box::new(ZeroPad(Padding { image, result, before }))
        }
        _ => return None,
    })
}

/// Returns the last two dimensions, which are height and width of an image.
pub(super) fn plane(shape: &[usize]) -> [usize; 2] {
    match shape {
        [.., height, width] => [*height, *width],
        _ => [1, shape.iter().product()],
    }
}

/// Windows of one size.
fn sliding(layer: &graph::Pooling, image: [usize; 2], result: [usize; 2]) -> Pooling {
    let [rows, columns] = [0, 1].map(|axis| {
        let (kernel, stride) = (layer.kernel[axis], layer.stride[axis]);
        let (padding, dilation) = (layer.padding[axis], layer.dilation[axis]);
        Window::sliding(image[axis], result[axis], kernel, stride, padding, dilation)
    });
    Pooling::new(image, rows, columns)
}

/// Windows that divide an image.
fn adaptive(image: [usize; 2], result: [usize; 2]) -> Pooling {
    let [rows, columns] = [0, 1].map(|axis| Window::adaptive(image[axis], result[axis]));
    Pooling::new(image, rows, columns)
}

/// The divisor of an average.
fn divisor(layer: &graph::Pooling) -> Divisor {
    match layer.divisor {
        Some(divisor) => Divisor::Fixed(divisor),
        None if layer.count_padding => Divisor::Padded,
        None => Divisor::Inside,
    }
}
