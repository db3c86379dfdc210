//! Convolutions, as sums of shifted planes.
//!
//! A block of samples is copied to planes with the zeros around each image, one plane for each channel. The values of a
//! plane that one tap of the kernel reads for all positions then lie one after the other, shifted by the place of the
//! tap, and no tap needs a check of bounds. A stride takes a plane for each remainder of a tap's place by the stride.
//! Between the rows lie positions that no window starts at; they are computed and left out.

mod copy;
mod plan;
#[cfg(test)]
mod tests;
mod tiles;

pub use self::plan::Geometry;

use self::copy::{Images, Load, Store};
use self::plan::{Backward, Forward, Planes, SLACK, Sum};
use self::tiles::{Correlate, OfWeights, Total, tall};
use crate::activation::Activation;
use crate::simd::Level;

/// A convolution whose taps are planned.
#[derive(Clone, Debug)]
pub struct Convolution {
    geometry: Geometry,
    forward: Forward,
    backward: Backward,
    level: Level,
}

impl Convolution {
    /// Plans the taps of a convolution.
    ///
    /// # Panics
    /// If channels cannot be divided into the groups.
    #[must_use]
    pub fn new(geometry: Geometry) -> Self {
        Self::with(geometry, Level::best())
    }

    fn with(geometry: Geometry, level: Level) -> Self {
        let Geometry { inputs, outputs, groups, .. } = geometry;
        let divides = inputs.is_multiple_of(groups) && outputs.is_multiple_of(groups) && groups > 0;
        assert!(divides, "{inputs} and {outputs} channels in {groups} groups");
        let (forward, backward) = (Forward::new(&geometry), Backward::new(&geometry));
        Self { geometry, forward, backward, level }
    }

    /// Returns the number of values of the scratch memory that each call needs.
    #[must_use]
    pub fn scratch(&self) -> usize {
        let Geometry { inputs, outputs, groups, .. } = self.geometry;
        let (forward, backward) = (self.forward.planes, self.backward.planes);
        let results = |channels: usize, planes: Planes| channels / groups * stride(planes);
        let of_forward = forward.memory() + results(outputs, forward);
        let of_backward = backward.memory() + results(inputs, backward);
        self.weights() + of_forward.max(of_backward)
    }

    fn weights(&self) -> usize {
        let Geometry { inputs, outputs, groups, kernel, .. } = self.geometry;
        outputs * (inputs / groups) * kernel[0] * kernel[1]
    }

    /// The channels of one group of the images, or of the results.
    fn images(&self, group: usize, of_results: bool) -> Images {
        let Geometry { inputs, outputs, groups, image, result, .. } = self.geometry;
        let (all, [height, width]) = if of_results { (outputs, result) } else { (inputs, image) };
        let channels = all / groups;
        Images { channels, first: group * channels, all, height, width }
    }

    /// Computes the convolution, adds the bias, and applies a function to the results.
    ///
    /// # Panics
    /// If a slice does not have the length that the geometry gives it.
    pub fn forward(
        &self,
        x: &[f32],
        w: &[f32],
        bias: Option<&[f32]>,
        function: Option<Activation>,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        let Geometry { inputs, outputs, groups, image, result, .. } = self.geometry;
        let (of_x, of_y) = (inputs * image[0] * image[1], outputs * result[0] * result[1]);
        self.check(x.len(), w.len(), y.len(), scratch.len());
        let Forward { planes, sum, .. } = &self.forward;
        let [vertical, horizontal] = sum.target;
        let (packed, scratch) = scratch.split_at_mut(self.weights());
        let (memory, of_sums) = scratch.split_at_mut(planes.memory());
        let (of_group, of_packed) = (outputs / groups, packed.len() / groups);
        for (group, packed) in packed.chunks_exact_mut(of_packed.max(1)).enumerate() {
            let w = &w[group * of_packed..];
            pack(w, sum, of_group, sum.offsets.len(), packed);
        }
        memory.fill(0.0);
        let blocks = x.chunks(planes.samples * of_x).zip(y.chunks_mut(planes.samples * of_y));
        for (x, y) in blocks {
            let samples = x.len() / of_x;
            for group in 0..groups {
                self.load(group, samples, x, memory);
                self.level.run(Correlate {
                    outputs: of_group,
                    positions: planes.positions(samples, vertical.count, horizontal.count),
                    x: memory,
                    offsets: &sum.offsets,
                    weights: &packed[group * of_packed..(group + 1) * of_packed],
                    bias: bias.map(|bias| &bias[group * of_group..(group + 1) * of_group]),
                    stride: stride(*planes),
                    y: of_sums,
                });
                self.level.run(Store {
                    images: self.images(group, true),
                    samples,
                    combs: sum.target,
                    planes: *planes,
                    stride: stride(*planes),
                    memory: of_sums,
                    adds: false,
                    y,
                });
            }
            if let Some(function) = function {
                function.forward_in_place(y);
            }
        }
    }

    /// Computes the gradient of the images, or adds it.
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn of_input(&self, w: &[f32], dy: &[f32], adds: bool, dx: &mut [f32], scratch: &mut [f32]) {
        let Geometry { inputs, outputs, groups, image, result, kernel, .. } = self.geometry;
        let (of_x, of_y) = (inputs * image[0] * image[1], outputs * result[0] * result[1]);
        self.check(dx.len(), w.len(), dy.len(), scratch.len());
        let Backward { planes, source, sums } = &self.backward;
        let (packed, scratch) = scratch.split_at_mut(self.weights());
        let (memory, of_sums) = scratch.split_at_mut(planes.memory());
        let (of_group, of_weights) = (inputs / groups, w.len() / groups);
        // The weights of all sums of a group are those of the group.
        for (group, mut packed) in packed.chunks_exact_mut(of_weights.max(1)).enumerate() {
            for sum in sums {
                let (of_sum, rest) = packed.split_at_mut(of_group * sum.offsets.len());
                pack(&w[group * of_weights..], sum, of_group, kernel[0] * kernel[1], of_sum);
                packed = rest;
            }
        }
        memory.fill(0.0);
        let blocks = dy.chunks(planes.samples * of_y).zip(dx.chunks_mut(planes.samples * of_x));
        for (dy, dx) in blocks {
            let samples = dy.len() / of_y;
            for group in 0..groups {
                self.level.run(Load {
                    images: self.images(group, true),
                    samples,
                    x: dy,
                    combs: *source,
                    planes: *planes,
                    stride: planes.channel(),
                    memory,
                });
                let mut start = group * of_weights;
                for sum in sums {
                    let [vertical, horizontal] = sum.target;
                    let end = start + of_group * sum.offsets.len();
                    self.level.run(Correlate {
                        outputs: of_group,
                        positions: planes.positions(samples, vertical.count, horizontal.count),
                        x: memory,
                        offsets: &sum.offsets,
                        weights: &packed[start..end],
                        bias: None,
                        stride: stride(*planes),
                        y: of_sums,
                    });
                    start = end;
                    self.level.run(Store {
                        images: self.images(group, false),
                        samples,
                        combs: sum.target,
                        planes: *planes,
                        stride: stride(*planes),
                        memory: of_sums,
                        adds,
                        y: dx,
                    });
                }
            }
        }
    }

    /// Computes the gradient of the weights.
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn of_weight(&self, x: &[f32], dy: &[f32], dw: &mut [f32], scratch: &mut [f32]) {
        let Geometry { inputs, outputs, groups, image, result, .. } = self.geometry;
        let (of_x, of_y) = (inputs * image[0] * image[1], outputs * result[0] * result[1]);
        self.check(x.len(), dw.len(), dy.len(), scratch.len());
        let Forward { planes, sum, .. } = &self.forward;
        let [vertical, horizontal] = sum.target;
        let (memory, of_results) = scratch.split_at_mut(planes.memory());
        let (of_group, of_weights) = (outputs / groups, dw.len() / groups);
        let of_results = &mut of_results[..of_group * stride(*planes)];
        memory.fill(0.0);
        of_results.fill(0.0);
        dw.fill(0.0);
        let blocks = x.chunks(planes.samples * of_x).zip(dy.chunks(planes.samples * of_y));
        for (x, dy) in blocks {
            let samples = x.len() / of_x;
            if samples < planes.samples {
                // A shorter block would be followed by samples of the one before.
                of_results.fill(0.0);
            }
            for group in 0..groups {
                self.load(group, samples, x, memory);
                self.level.run(Load {
                    images: self.images(group, true),
                    samples,
                    x: dy,
                    combs: sum.target,
                    planes: *planes,
                    stride: stride(*planes),
                    memory: of_results,
                });
                self.level.run(OfWeights {
                    outputs: of_group,
                    positions: planes.positions(samples, vertical.count, horizontal.count),
                    x: memory,
                    offsets: &sum.offsets,
                    stride: stride(*planes),
                    dy: of_results,
                    dw: &mut dw[group * of_weights..(group + 1) * of_weights],
                });
            }
        }
    }

    /// Computes the gradient of the bias.
    pub fn of_bias(&self, dy: &[f32], db: &mut [f32]) {
        let plane = self.geometry.result[0] * self.geometry.result[1];
        db.fill(0.0);
        for planes in dy.chunks_exact((db.len() * plane).max(1)) {
            for (sum, plane) in db.iter_mut().zip(planes.chunks_exact(plane.max(1))) {
                *sum += self.level.run(Total(plane));
            }
        }
    }

    /// Copies the images of a group to the planes of all phases.
    fn load(&self, group: usize, samples: usize, x: &[f32], memory: &mut [f32]) {
        let (images, planes) = (self.images(group, false), self.forward.planes);
        for (phase, combs) in self.forward.phases.iter().enumerate() {
            let memory = &mut memory[phase * images.channels * planes.channel()..];
            let (combs, stride) = (*combs, planes.channel());
            self.level.run(Load { images, samples, x, combs, planes, stride, memory });
        }
    }

    fn check(&self, x: usize, w: usize, y: usize, scratch: usize) {
        let Geometry { inputs, outputs, image, result, .. } = self.geometry;
        let (of_x, of_y) = (inputs * image[0] * image[1], outputs * result[0] * result[1]);
        assert!(of_x > 0 && of_y > 0, "an image without values");
        let whole = x.is_multiple_of(of_x) && y.is_multiple_of(of_y);
        assert!(whole && x / of_x == y / of_y, "the length of images");
        assert_eq!(w, self.weights(), "the number of weights");
        assert!(scratch >= self.scratch(), "the length of the scratch");
    }
}

/// The values of a channel in the memory of sums.
fn stride(planes: Planes) -> usize {
    planes.channel() + SLACK
}

/// Copies the weights of a sum in the order in which tiles read them.
fn pack(w: &[f32], sum: &Sum, outputs: usize, of_output: usize, packed: &mut [f32]) {
    let terms = sum.weights.len();
    let mut first = 0;
    while first < outputs {
        let tall = tall(outputs - first);
        let packed = packed[first * terms..].chunks_exact_mut(tall);
        for (packed, &term) in packed.zip(&sum.weights) {
            for (output, weight) in packed.iter_mut().enumerate() {
                *weight = w[(first + output) * of_output + term];
            }
        }
        first += tall;
    }
}
