//! Pooling of images over windows.

use multiversion::multiversion;

use crate::write::put;

/// A window along one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first place within the image.
    pub start: usize,
    /// The places within the image.
    pub count: usize,
    /// The distance of neighbouring places.
    pub step: usize,
    /// The places with those of the padding.
    pub padded: usize,
}

impl Window {
    /// The windows of `kernel` places at a distance of `stride`.
    #[must_use]
    pub fn sliding(
        length: usize,
        windows: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
        dilation: usize,
    ) -> Vec<Self> {
        let window = |index: usize| {
            // Places are counted from the start of the padding.
            let (start, step) = (index * stride, dilation);
            let before = padding.saturating_sub(start).div_ceil(step).min(kernel);
            let after = |end: usize| end.saturating_sub(start).div_ceil(step).min(kernel);
            Self {
                start: (start + before * step).saturating_sub(padding),
                count: after(padding + length).saturating_sub(before),
                step,
                padded: after(length + 2 * padding),
            }
        };
        (0..windows).map(window).collect()
    }

    /// The windows that divide `length` places as evenly as may be.
    #[must_use]
    pub fn adaptive(length: usize, windows: usize) -> Vec<Self> {
        let window = |index: usize| {
            let start = index * length / windows;
            let count = ((index + 1) * length).div_ceil(windows) - start;
            Self { start, count, step: 1, padded: count }
        };
        (0..windows).map(window).collect()
    }

    fn places(&self) -> impl Iterator<Item = usize> + use<> {
        let Self { start, count, step, .. } = *self;
        (0..count).map(move |index| start + index * step)
    }
}

/// The divisor of an average.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divisor {
    /// The places of a window within the image.
    Inside,
    /// The places of a window with those of the padding.
    Padded,
    /// A given number.
    Fixed(usize),
}

/// A pooling of images of one height and width, channel by channel.
#[derive(Clone, Debug)]
pub struct Pooling {
    image: [usize; 2],
    rows: Vec<Window>,
    columns: Vec<Window>,
    /// The distance of neighbouring windows along a row, if all windows are alike.
    stride: Option<usize>,
}

/// The place of a window that has no value.
const NONE: u32 = u32::MAX;

impl Pooling {
    /// A pooling over rows and columns of an image.
    ///
    /// # Panics
    /// If a window ends after the image.
    #[must_use]
    pub fn new(image: [usize; 2], rows: Vec<Window>, columns: Vec<Window>) -> Self {
        let ends = |windows: &[Window], length: usize| {
            windows.iter().all(|window| window.places().all(|place| place < length))
        };
        assert!(ends(&rows, image[0]) && ends(&columns, image[1]), "windows within the image");
        let stride = match &columns[..] {
            [] => None,
            [_] => Some(1),
            [first, second, ..] => {
                let stride = second.start.saturating_sub(first.start);
                let is_next = |(index, window): (usize, &Window)| {
                    let alike = (window.count, window.step) == (first.count, first.step);
                    alike && window.start == first.start + index * stride
                };
                (stride > 0 && columns.iter().enumerate().all(is_next)).then_some(stride)
            }
        };
        Self { image, rows, columns, stride }
    }

    /// Computes the largest value of each window, and its place in the image. NaN is larger than any number. Of equal
    /// values the first counts, of NaN the last.
    ///
    /// # Panics
    /// If the lengths of the slices do not fit.
    pub fn maximum(&self, x: &[f32], y: &mut [f32], places: &mut [u32]) {
        assert_eq!(y.len(), places.len(), "the number of places");
        let width = self.image[1];
        let planes = x.chunks_exact(self.of_image(x, y)).zip(y.chunks_exact_mut(self.of_result()));
        for ((x, y), places) in planes.zip(places.chunks_exact_mut(self.of_result())) {
            let lines = y.chunks_exact_mut(self.columns.len());
            let lines = lines.zip(places.chunks_exact_mut(self.columns.len()));
            for (window, (y, places)) in self.rows.iter().zip(lines) {
                y.fill(f32::NEG_INFINITY);
                places.fill(NONE);
                for row in window.places() {
                    let line = &x[row * width..(row + 1) * width];
                    self.maximum_of_line(line, (row * width) as u32, y, places);
                }
            }
        }
    }

    /// Takes the values of one row of the image into the largest values so far.
    fn maximum_of_line(&self, line: &[f32], first: u32, y: &mut [f32], places: &mut [u32]) {
        let by_taps = self.stride.and_then(|stride| match stride {
            1 => Some(largest::<1> as fn(&[f32], u32, &mut [f32], &mut [u32])),
            2 => Some(largest::<2> as _),
            3 => Some(largest::<3> as _),
            _ => None,
        });
        if let Some(take) = by_taps {
            for place in self.columns[0].places() {
                take(&line[place..], first + place as u32, y, places);
            }
            return;
        }
        for (window, (y, place)) in self.columns.iter().zip(y.iter_mut().zip(places)) {
            for column in window.places() {
                keep_larger(line[column], first + column as u32, y, place);
            }
        }
    }

    /// Computes the gradient of the images from the places of the largest values, or adds it.
    ///
    /// # Panics
    /// As [`Self::maximum`].
    pub fn of_maximum(&self, dy: &[f32], places: &[u32], adds: bool, dx: &mut [f32]) {
        assert_eq!(dy.len(), places.len(), "the number of places");
        if !adds {
            dx.fill(0.0);
        }
        let planes = dy.chunks_exact(self.of_result()).zip(places.chunks_exact(self.of_result()));
        let of_image = self.of_image(dx, dy);
        for ((dy, places), dx) in planes.zip(dx.chunks_exact_mut(of_image)) {
            for (dy, &place) in dy.iter().zip(places) {
                if place != NONE {
                    dx[place as usize] += dy;
                }
            }
        }
    }

    /// Computes the average of each window.
    ///
    /// # Panics
    /// As [`Self::maximum`].
    pub fn average(&self, x: &[f32], divisor: Divisor, y: &mut [f32]) {
        let width = self.image[1];
        let planes = x.chunks_exact(self.of_image(x, y)).zip(y.chunks_exact_mut(self.of_result()));
        for (x, y) in planes {
            self.each_window(|index, rows, columns| {
                let mut sum = 0.0;
                for row in rows.places() {
                    let line = &x[row * width..(row + 1) * width];
                    sum += columns.places().map(|column| line[column]).sum::<f32>();
                }
                y[index] = sum / count(rows, columns, divisor);
            });
        }
    }

    /// Computes the gradient of the images of an average, or adds it.
    ///
    /// # Panics
    /// As [`Self::maximum`].
    pub fn of_average(&self, dy: &[f32], divisor: Divisor, adds: bool, dx: &mut [f32]) {
        let width = self.image[1];
        if !adds {
            dx.fill(0.0);
        }
        let of_image = self.of_image(dx, dy);
        let planes = dy.chunks_exact(self.of_result()).zip(dx.chunks_exact_mut(of_image));
        for (dy, dx) in planes {
            self.each_window(|index, rows, columns| {
                let share = dy[index] / count(rows, columns, divisor);
                for row in rows.places() {
                    let line = &mut dx[row * width..(row + 1) * width];
                    columns.places().for_each(|column| put(&mut line[column], share, true));
                }
            });
        }
    }

    /// Calls a function for each window that has a value, with its number in the result.
    fn each_window(&self, mut each: impl FnMut(usize, &Window, &Window)) {
        for (row, rows) in self.rows.iter().enumerate() {
            for (column, columns) in self.columns.iter().enumerate() {
                each(row * self.columns.len() + column, rows, columns);
            }
        }
    }

    fn of_result(&self) -> usize {
        (self.rows.len() * self.columns.len()).max(1)
    }

    /// The values of an image's channel, after a check of the lengths.
    fn of_image(&self, x: &[f32], y: &[f32]) -> usize {
        let (of_x, of_y) = (self.image[0] * self.image[1], self.of_result());
        assert!(of_x > 0, "an image without values");
        let whole = x.len().is_multiple_of(of_x) && y.len().is_multiple_of(of_y);
        assert!(whole, "the length of images");
        assert_eq!(x.len() / of_x, y.len() / of_y, "the number of images");
        of_x
    }
}

/// The divisor of a window's average; 1 for a window without a value, whose sum is 0.
fn count(rows: &Window, columns: &Window, divisor: Divisor) -> f32 {
    let count = match divisor {
        Divisor::Inside => rows.count * columns.count,
        Divisor::Padded => rows.padded * columns.padded,
        Divisor::Fixed(count) => count,
    };
    count.max(1) as f32
}

#[inline(always)]
fn keep_larger(value: f32, place: u32, largest: &mut f32, of_largest: &mut u32) {
    // The first place counts even if its value is the smallest that there is.
    let takes = value > *largest || value.is_nan() || *of_largest == NONE;
    *largest = if takes { value } else { *largest };
    *of_largest = if takes { place } else { *of_largest };
}

/// Takes every `STRIDE`-th value of a row of the image into the largest values so far.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn largest<const STRIDE: usize>(x: &[f32], first: u32, y: &mut [f32], places: &mut [u32]) {
    let x = &x[..(y.len() - 1) * STRIDE + 1];
    for (index, (y, place)) in y.iter_mut().zip(places).enumerate() {
        keep_larger(x[index * STRIDE], first + (index * STRIDE) as u32, y, place);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Divisor, Pooling, Window};

    fn numbers(len: usize, seed: usize) -> Vec<f32> {
        // Few different values, so that some of them are equal.
        (0..len).map(|index| ((index * 7 + seed * 13) as f32 * 0.37).sin().round()).collect()
    }

    fn windows() -> impl Strategy<Value = (usize, Vec<Window>)> {
        let sliding = (1_usize..12, 1_usize..5, 1_usize..4, 0_usize..3, 1_usize..3).prop_map(
            |(length, kernel, stride, padding, dilation)| {
                let padding = padding.min(kernel / 2);
                let span = dilation * (kernel - 1) + 1;
                let length = length.max(span);
                let count = (length + 2 * padding - span) / stride + 1;
                (length, Window::sliding(length, count, kernel, stride, padding, dilation))
            },
        );
        let adaptive = (1_usize..12, 1_usize..15)
            .prop_map(|(length, windows)| (length, Window::adaptive(length, windows)));
        prop_oneof![sliding, adaptive]
    }

    proptest! {
        #[test]
        fn windows_are_pooled_as_one_by_one(
            (height, rows) in windows(),
            (width, columns) in windows(),
            planes in 0_usize..4,
            seed in 0_usize..100,
            adds: bool,
        ) {
            let pooling = Pooling::new([height, width], rows.clone(), columns.clone());
            let x = numbers(planes * height * width, seed);
            let of_result = rows.len() * columns.len();
            let dy = numbers(planes * of_result, seed + 1);
            let (mut y, mut places) = (vec![0.0; dy.len()], vec![0; dy.len()]);
            pooling.maximum(&x, &mut y, &mut places);
            let mut averages = vec![0.0; dy.len()];
            pooling.average(&x, Divisor::Padded, &mut averages);
            let mut of_maximum = vec![if adds { 1.0 } else { f32::NAN }; x.len()];
            let mut of_average = of_maximum.clone();
            pooling.of_maximum(&dy, &places, adds, &mut of_maximum);
            pooling.of_average(&dy, Divisor::Padded, adds, &mut of_average);
            let mut expected_of_maximum = vec![if adds { 1.0 } else { 0.0 }; x.len()];
            let mut expected_of_average: Vec<f64> = vec![if adds { 1.0 } else { 0.0 }; x.len()];
            for plane in 0..planes {
                for (row, vertical) in rows.iter().enumerate() {
                    for (column, horizontal) in columns.iter().enumerate() {
                        let index = plane * of_result + row * columns.len() + column;
                        let mut within = Vec::new();
                        for down in 0..vertical.count {
                            for right in 0..horizontal.count {
                                let y = vertical.start + down * vertical.step;
                                let x = horizontal.start + right * horizontal.step;
                                within.push((plane * height + y) * width + x);
                            }
                        }
                        let mut best = within[0];
                        for &place in &within {
                            if x[place] > x[best] {
                                best = place;
                            }
                        }
                        prop_assert_eq!(y[index], x[best]);
                        prop_assert_eq!(places[index] as usize, best - plane * height * width);
                        expected_of_maximum[best] += dy[index];
                        let count = (vertical.padded * horizontal.padded) as f64;
                        let sum: f64 = within.iter().map(|&place| f64::from(x[place])).sum();
                        prop_assert!((f64::from(averages[index]) - sum / count).abs() < 1e-5);
                        for place in within {
                            expected_of_average[place] += f64::from(dy[index]) / count;
                        }
                    }
                }
            }
            prop_assert_eq!(of_maximum, expected_of_maximum);
            for (found, expected) in of_average.iter().zip(expected_of_average) {
                prop_assert!((f64::from(*found) - expected).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn the_largest_value_is_nan_if_there_is_one() {
        for stride in [1, 2, 4] {
            let columns = Window::sliding(6, (6 - 2) / stride + 1, 2, stride, 0, 1);
            let pooling = Pooling::new([1, 6], Window::adaptive(1, 1), columns);
            let x = [1.0, f32::NAN, f32::NEG_INFINITY, f32::NEG_INFINITY, 2.0, 2.0];
            let count = (6 - 2) / stride + 1;
            let (mut y, mut places) = (vec![0.0; count], vec![0; count]);
            pooling.maximum(&x, &mut y, &mut places);
            assert!(y[0].is_nan() && places[0] == 1, "{y:?} {places:?}");
            let last = (count - 1) * stride;
            assert_eq!((y[count - 1], places[count - 1] as usize), (2.0, last));
            if stride == 2 {
                assert_eq!((y[1], places[1]), (f32::NEG_INFINITY, 2));
            }
        }
    }

    #[test]
    fn windows_count_the_padding_that_the_image_has() {
        // Five places with one zero at each side; the last window would end after the padding.
        let windows = Window::sliding(5, 3, 3, 3, 1, 1);
        let found: Vec<_> = windows.iter().map(|w| (w.start, w.count, w.padded)).collect();
        assert_eq!(found, [(0, 2, 3), (2, 3, 3), (5, 0, 1)]);
    }
}
