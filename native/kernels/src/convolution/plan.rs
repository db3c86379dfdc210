//! The taps of a convolution as shifts of planes.

/// A convolution with every size known: images of `[channels, height, width]`, weights of
/// `[outputs, inputs / groups, height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// The channels of an image.
    pub inputs: usize,
    /// The channels of a result.
    pub outputs: usize,
    /// The groups of channels, each with outputs of its own.
    pub groups: usize,
    /// Height and width of an image.
    pub image: [usize; 2],
    /// Height and width of a result.
    pub result: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// The distance of neighbouring windows.
    pub stride: [usize; 2],
    /// The zeros above and to the left of an image; as many as are needed follow it.
    pub padding: [usize; 2],
    /// The distance of neighbouring values of a window.
    pub dilation: [usize; 2],
}

/// The planes of a block of samples: for each channel one of each sample, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planes {
    /// The channels, or channels by phases.
    pub(super) channels: usize,
    /// The most samples of a block.
    pub(super) samples: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

/// Values of an image at equal distances along one dimension: `start`, `start + step` and so on, `count` of them. The
/// first may lie before the image and the last after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Comb {
    pub(super) start: isize,
    pub(super) step: usize,
    pub(super) count: usize,
}

/// A sum over shifted planes for each output.
#[derive(Clone, Debug)]
pub(super) struct Sum {
    /// The shift of each term's plane.
    pub(super) offsets: Vec<usize>,
    /// The weight of each term, from the first one of an output.
    pub(super) weights: Vec<usize>,
    /// The rows and columns of the result that the sum computes.
    pub(super) target: [Comb; 2],
}

/// The values of a scratch after the last plane, which tiles read and write beyond their positions.
pub(super) const SLACK: usize = 64;

/// The positions that fill the tiles well, and the values of a block that stay in the cache.
const POSITIONS: usize = 512;
const BLOCK: usize = 64 << 10;

impl Planes {
    pub(super) fn new(channels: usize, height: usize, width: usize) -> Self {
        let plane = (height * width).max(1);
        let most = (BLOCK / (plane * channels.max(1))).min(POSITIONS / plane);
        Self { channels, samples: most.max(1), height, width }
    }

    /// The values of a plane.
    pub(super) fn plane(&self) -> usize {
        self.height * self.width
    }

    /// The values of a channel.
    pub(super) fn channel(&self) -> usize {
        self.samples * self.plane()
    }

    /// The memory of all planes.
    pub(super) fn memory(&self) -> usize {
        self.channels * self.channel() + SLACK
    }

    /// The positions from the first value of the first sample to the last value of the last.
    pub(super) fn positions(&self, samples: usize, height: usize, width: usize) -> usize {
        if samples == 0 || height == 0 || width == 0 {
            return 0;
        }
        (samples - 1) * self.plane() + (height - 1) * self.width + width
    }
}

/// A dimension of the planes of an image: one plane for each remainder of a tap's place by the stride.
struct Axis {
    /// The remainders.
    phases: Vec<usize>,
    /// For each tap, the number of its phase and its shift there.
    taps: Vec<(usize, usize)>,
    length: usize,
}

impl Axis {
    fn new(geometry: &Geometry, axis: usize) -> Self {
        let (stride, dilation) = (geometry.stride[axis], geometry.dilation[axis]);
        let mut phases: Vec<usize> = Vec::new();
        let mut taps = Vec::new();
        for tap in 0..geometry.kernel[axis] {
            let (remainder, shift) = (tap * dilation % stride, tap * dilation / stride);
            let found = phases.iter().position(|&phase| phase == remainder);
            let phase = found.unwrap_or_else(|| {
                phases.push(remainder);
                phases.len() - 1
            });
            taps.push((phase, shift));
        }
        let furthest = taps.iter().map(|&(_, shift)| shift).max().unwrap_or(0);
        Self { phases, taps, length: geometry.result[axis] + furthest }
    }
}

/// The planes of an image, and its convolution as a sum of them.
#[derive(Clone, Debug)]
pub(super) struct Forward {
    pub(super) planes: Planes,
    /// The rows and columns of the image in the planes of each phase.
    pub(super) phases: Vec<[Comb; 2]>,
    pub(super) sum: Sum,
}

impl Forward {
    /// Plans one group of channels.
    pub(super) fn new(geometry: &Geometry) -> Self {
        let channels = geometry.inputs / geometry.groups;
        let [vertical, horizontal] = [0, 1].map(|axis| Axis::new(geometry, axis));
        let across = horizontal.phases.len();
        let count = vertical.phases.len() * across;
        let planes = Planes::new(count * channels, vertical.length, horizontal.length);
        let mut offsets = Vec::new();
        for channel in 0..channels {
            for &(row, down) in &vertical.taps {
                for &(column, right) in &horizontal.taps {
                    let plane = (row * across + column) * channels + channel;
                    offsets.push(plane * planes.channel() + down * planes.width + right);
                }
            }
        }
        let comb = |axis: usize, phase: usize, count| Comb {
            start: phase as isize - geometry.padding[axis] as isize,
            step: geometry.stride[axis],
            count,
        };
        let rows = vertical.phases.iter().map(|&phase| comb(0, phase, planes.height));
        let phases = rows.flat_map(|rows| {
            let columns = horizontal.phases.iter();
            columns.map(move |&phase| [rows, comb(1, phase, planes.width)])
        });
        let target = geometry.result.map(|count| Comb { start: 0, step: 1, count });
        let weights = (0..offsets.len()).collect();
        Self { planes, phases: phases.collect(), sum: Sum { offsets, weights, target } }
    }
}

/// The planes of a result's gradient, and the gradient of the image as sums of them: one sum for each remainder of a
/// place in the image by the stride.
#[derive(Clone, Debug)]
pub(super) struct Backward {
    pub(super) planes: Planes,
    /// The rows and columns of the result in the planes.
    pub(super) source: [Comb; 2],
    pub(super) sums: Vec<Sum>,
}

/// The taps that reach the values of one phase of an image, with their shifts in the result.
struct Phase {
    target: Comb,
    taps: Vec<(usize, isize)>,
}

fn phases(geometry: &Geometry, axis: usize) -> Vec<Phase> {
    let (stride, dilation) = (geometry.stride[axis], geometry.dilation[axis]);
    let phase = |start: usize| {
        let taps = (0..geometry.kernel[axis]).filter_map(|tap| {
            let distance = (start + geometry.padding[axis]) as isize - (tap * dilation) as isize;
            let stride = stride as isize;
            (distance % stride == 0).then_some((tap, distance / stride))
        });
        let count = (geometry.image[axis] - start).div_ceil(stride);
        let target = Comb { start: start as isize, step: stride, count };
        Phase { target, taps: taps.collect() }
    };
    (0..stride.min(geometry.image[axis])).map(phase).collect()
}

impl Backward {
    /// Plans one group of channels.
    pub(super) fn new(geometry: &Geometry) -> Self {
        let outputs = geometry.outputs / geometry.groups;
        let axes = [0, 1].map(|axis| phases(geometry, axis));
        // The zeros before the result, and the length of a plane.
        let [(above, height), (left, width)] = axes.each_ref().map(|phases| {
            let shifts = || phases.iter().flat_map(|phase| phase.taps.iter().map(|tap| tap.1));
            let before = shifts().map(|shift| -shift).max().unwrap_or(0).max(0);
            let end = |phase: &Phase| {
                let furthest = phase.taps.iter().map(|tap| tap.1 + before).max().unwrap_or(0);
                phase.target.count + furthest as usize
            };
            (before, phases.iter().map(end).max().unwrap_or(0))
        });
        let planes = Planes::new(outputs, height, width);
        let [vertical, horizontal] = &axes;
        let of_kernel = geometry.kernel[0] * geometry.kernel[1];
        let of_output = geometry.inputs / geometry.groups * of_kernel;
        let mut sums = Vec::new();
        for rows in vertical {
            for columns in horizontal {
                let (mut offsets, mut weights) = (Vec::new(), Vec::new());
                for output in 0..outputs {
                    for (row, down) in &rows.taps {
                        for (column, right) in &columns.taps {
                            let down = (above + down) as usize;
                            let right = (left + right) as usize;
                            offsets.push(output * planes.channel() + down * width + right);
                            let tap = row * geometry.kernel[1] + column;
                            weights.push(output * of_output + tap);
                        }
                    }
                }
                sums.push(Sum { offsets, weights, target: [rows.target, columns.target] });
            }
        }
        let source = [(above, height), (left, width)].map(|(before, count)| Comb {
            start: -before,
            step: 1,
            count,
        });
        Self { planes, source, sums }
    }
}
