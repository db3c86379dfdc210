//! The windows of poolings.

use firesteel_kernels::pooling::{Divisor, Pooling, Window};

use crate::graph;

/// Windows of one size.
pub(super) fn sliding(layer: &graph::Pooling, image: [usize; 2], result: [usize; 2]) -> Pooling {
    let [rows, columns] = [0, 1].map(|axis| {
        let (kernel, stride) = (layer.kernel[axis], layer.stride[axis]);
        let (padding, dilation) = (layer.padding[axis], layer.dilation[axis]);
        Window::sliding(image[axis], result[axis], kernel, stride, padding, dilation)
    });
    Pooling::new(image, rows, columns)
}

/// Windows that divide an image.
pub(super) fn adaptive(image: [usize; 2], result: [usize; 2]) -> Pooling {
    let [rows, columns] = [0, 1].map(|axis| Window::adaptive(image[axis], result[axis]));
    Pooling::new(image, rows, columns)
}

/// The divisor of an average.
pub(super) fn divisor(layer: &graph::Pooling) -> Divisor {
    match layer.divisor {
        Some(divisor) => Divisor::Fixed(divisor),
        None if layer.count_padding => Divisor::Padded,
        None => Divisor::Inside,
    }
}
