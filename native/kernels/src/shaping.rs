//! Permuted and padded values.

use crate::write::put;

/// A permutation of the dimensions of a row.
#[derive(Clone, Debug)]
pub struct Permutation {
    /// The lengths of the result's dimensions, and the distances of their neighbours in the input.
    dimensions: Vec<(usize, usize)>,
    size: usize,
}

impl Permutation {
    /// A permutation of values of a shape; `order` holds, for each dimension of the result, the dimension of the input.
    #[must_use]
    pub fn new(shape: &[usize], order: &[usize]) -> Self {
        let distance = |dimension: usize| shape[dimension + 1..].iter().product();
        let dimensions =
            order.iter().map(|&dimension| (shape[dimension], distance(dimension))).collect();
        Self { dimensions, size: shape.iter().product() }
    }

    /// Permutes each row.
    pub fn forward(&self, x: &[f32], y: &mut [f32]) {
        let size = self.size.max(1);
        for (x, y) in x.chunks_exact(size).zip(y.chunks_exact_mut(size)) {
            let mut next = y.iter_mut();
            each(&self.dimensions, 0, &mut |place| {
                if let Some(y) = next.next() {
                    *y = x[place];
                }
            });
        }
    }

    /// Computes the gradient of the input, or adds it.
    pub fn of_input(&self, dy: &[f32], adds: bool, dx: &mut [f32]) {
        let size = self.size.max(1);
        for (dy, dx) in dy.chunks_exact(size).zip(dx.chunks_exact_mut(size)) {
            let mut next = dy.iter();
            each(&self.dimensions, 0, &mut |place| {
                if let Some(dy) = next.next() {
                    put(&mut dx[place], *dy, adds);
                }
            });
        }
    }
}

/// Calls a function with the places in the input in the order of the result.
fn each(dimensions: &[(usize, usize)], start: usize, call: &mut impl FnMut(usize)) {
    match dimensions {
        [] => call(start),
        [(length, distance)] => (0..*length).for_each(|index| call(start + index * distance)),
        [(length, distance), rest @ ..] => {
            (0..*length).for_each(|index| each(rest, start + index * distance, call));
        }
    }
}

/// Zeros around images, or images without their edges.
#[derive(Clone, Copy, Debug)]
pub struct Padding {
    /// Height and width of an image.
    pub image: [usize; 2],
    /// Height and width of a result.
    pub result: [usize; 2],
    /// The zeros above and to the left of an image; a negative number cuts rows or columns off.
    pub before: [isize; 2],
}

impl Padding {
    /// The places along a dimension that image and result share: the first in each, and their number.
    fn shared(&self, axis: usize) -> (usize, usize, usize) {
        let before = self.before[axis];
        let (from, to) = ((-before).max(0) as usize, before.max(0) as usize);
        let left = self.image[axis].saturating_sub(from);
        (from, to, left.min(self.result[axis].saturating_sub(to)))
    }

    /// Calls a function with the places of each row that image and result share, plane by plane.
    fn each_row(&self, planes: usize, mut call: impl FnMut(usize, usize, usize)) {
        let [(top, row, rows), (left, column, columns)] = [0, 1].map(|axis| self.shared(axis));
        let [[height, width], [of_height, of_width]] = [self.image, self.result];
        for plane in 0..planes {
            for index in 0..rows {
                let from = (plane * height + top + index) * width + left;
                let to = (plane * of_height + row + index) * of_width + column;
                call(from, to, columns);
            }
        }
    }

    /// Pads each image.
    pub fn forward(&self, x: &[f32], y: &mut [f32]) {
        y.fill(0.0);
        let planes = x.len() / (self.image[0] * self.image[1]).max(1);
        self.each_row(planes, |from, to, count| {
            y[to..to + count].copy_from_slice(&x[from..from + count]);
        });
    }

    /// Computes the gradient of the images, or adds it.
    pub fn of_input(&self, dy: &[f32], adds: bool, dx: &mut [f32]) {
        if !adds {
            dx.fill(0.0);
        }
        let planes = dx.len() / (self.image[0] * self.image[1]).max(1);
        self.each_row(planes, |from, to, count| {
            for (dx, dy) in dx[from..from + count].iter_mut().zip(&dy[to..to + count]) {
                *dx += dy;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Padding, Permutation};

    #[test]
    fn a_permutation_and_its_gradient_move_values() {
        let permutation = Permutation::new(&[2, 3], &[1, 0]);
        let x: Vec<f32> = (0..12).map(|value| value as f32).collect();
        let mut y = vec![0.0; 12];
        permutation.forward(&x, &mut y);
        assert_eq!(y[..6], [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(y[6..], [6.0, 9.0, 7.0, 10.0, 8.0, 11.0]);
        let mut dx = vec![f32::NAN; 12];
        permutation.of_input(&y, false, &mut dx);
        assert_eq!(dx, x);
        permutation.of_input(&y, true, &mut dx);
        assert!(dx.iter().zip(&x).all(|(dx, x)| *dx == 2.0 * x));
    }

    #[test]
    fn images_get_zeros_at_one_side_and_lose_values_at_another() {
        let padding = Padding { image: [2, 3], result: [3, 2], before: [1, -2] };
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut y = [f32::NAN; 6];
        padding.forward(&x, &mut y);
        assert_eq!(y, [0.0, 0.0, 3.0, 0.0, 6.0, 0.0]);
        let mut dx = [1.0; 6];
        padding.of_input(&[9.0, 9.0, 1.0, 9.0, 2.0, 9.0], true, &mut dx);
        assert_eq!(dx, [1.0, 1.0, 2.0, 1.0, 1.0, 3.0]);
    }
}
