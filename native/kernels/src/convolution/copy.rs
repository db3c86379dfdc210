//! Copies between images and planes.
#![expect(unsafe_code, reason = "copies of rows in vectors, whose lengths are checked once")]

use super::plan::{Comb, Planes};
use crate::simd::{Kernel, Simd};
use crate::write::put;

/// The rows and columns of images of one group of channels.
#[derive(Clone, Copy)]
pub(super) struct Images {
    /// The channels of the group, the first one, and those of all groups.
    pub(super) channels: usize,
    pub(super) first: usize,
    pub(super) all: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Images {
    fn row(&self, sample: usize, channel: usize, row: usize) -> usize {
        ((sample * self.all + self.first + channel) * self.height + row) * self.width
    }
}

/// Copies images into planes. Planes keep what they have beyond the images.
pub(super) struct Load<'a> {
    pub(super) images: Images,
    pub(super) samples: usize,
    pub(super) x: &'a [f32],
    pub(super) combs: [Comb; 2],
    pub(super) planes: Planes,
    /// The values of a channel in the memory.
    pub(super) stride: usize,
    pub(super) memory: &'a mut [f32],
}

/// Copies a part of the planes to the values of images that combs name, or adds it.
pub(super) struct Store<'a> {
    pub(super) images: Images,
    pub(super) samples: usize,
    pub(super) combs: [Comb; 2],
    pub(super) planes: Planes,
    /// The values of a channel in the memory.
    pub(super) stride: usize,
    pub(super) memory: &'a [f32],
    pub(super) adds: bool,
    pub(super) y: &'a mut [f32],
}

impl Comb {
    /// The teeth within `length` values, and the place of the first of them.
    fn within(&self, length: usize) -> (std::ops::Range<usize>, usize) {
        let step = self.step as isize;
        let first = if self.start < 0 { (-self.start + step - 1) / step } else { 0 };
        let place = (self.start + first * step) as usize;
        let count = length.saturating_sub(place).div_ceil(self.step);
        let first = (first as usize).min(self.count);
        (first..(first + count).min(self.count), place)
    }
}

impl Kernel for Load<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { images, samples, x, combs: [vertical, horizontal], planes, stride, memory } =
            self;
        let (rows, top) = vertical.within(images.height);
        let (columns, left) = horizontal.within(images.width);
        if rows.is_empty() || columns.is_empty() {
            return;
        }
        for channel in 0..images.channels {
            for sample in 0..samples {
                let plane = channel * stride + sample * planes.plane();
                for (index, row) in rows.clone().enumerate() {
                    let from = images.row(sample, channel, top + index * vertical.step) + left;
                    let to = plane + row * planes.width;
                    let to = &mut memory[to + columns.start..to + columns.end];
                    if horizontal.step == 1 {
                        copy(simd, &x[from..from + columns.len()], to);
                    } else {
                        let values = x[from..].iter().step_by(horizontal.step);
                        to.iter_mut().zip(values).for_each(|(to, value)| *to = *value);
                    }
                }
            }
        }
    }
}

impl Kernel for Store<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { images, samples, combs: [vertical, horizontal], planes, stride, memory, .. } =
            self;
        let (top, left) = (vertical.start as usize, horizontal.start as usize);
        for channel in 0..images.channels {
            for sample in 0..samples {
                let plane = channel * stride + sample * planes.plane();
                for row in 0..vertical.count {
                    let from = plane + row * planes.width;
                    let from = &memory[from..from + horizontal.count];
                    let to = images.row(sample, channel, top + row * vertical.step) + left;
                    if horizontal.step == 1 {
                        let to = &mut self.y[to..to + horizontal.count];
                        if self.adds {
                            to.iter_mut().zip(from).for_each(|(y, value)| *y += value);
                        } else {
                            copy(simd, from, to);
                        }
                    } else {
                        let values = self.y[to..].iter_mut().step_by(horizontal.step);
                        values.zip(from).for_each(|(y, value)| put(y, *value, self.adds));
                    }
                }
            }
        }
    }
}

/// Copies a row. Calls of `memcpy` would take longer than the copies of most rows.
#[inline(always)]
fn copy<S: Simd>(simd: S, from: &[f32], to: &mut [f32]) {
    let count = to.len();
    assert_eq!(from.len(), count, "the length of a row");
    if count < S::LANES {
        from.iter().zip(to).for_each(|(from, to)| *to = *from);
        return;
    }
    let (from, to) = (from.as_ptr(), to.as_mut_ptr());
    // The last vector may overlap with the one before it.
    let last = count - S::LANES;
    let mut at = 0;
    while at < last {
        // SAFETY: `at` and `last` are a vector before the end of both rows.
        unsafe { simd.store(to.add(at), simd.load(from.add(at))) };
        at += S::LANES;
    }
    // SAFETY: as above.
    unsafe { simd.store(to.add(last), simd.load(from.add(last))) };
}
