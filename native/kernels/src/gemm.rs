//! Products of matrices in row-major order.

use multiversion::multiversion;

use crate::blas::{Blas, Operand};
use crate::shape::Shape;
use crate::simd::{Level, MostRows};

/// A matrix in row-major order, or the transpose of one.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    transposed: bool,
}

impl<'a> Matrix<'a> {
    /// A matrix of `rows` x `columns` values.
    ///
    /// # Panics
    /// If the slice has another length.
    #[must_use]
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "the length of a matrix of {rows} x {columns}");
        Self { values, rows, columns, transposed: false }
    }

    /// Its transpose.
    #[must_use]
    pub fn t(self) -> Self {
        Self { rows: self.columns, columns: self.rows, transposed: !self.transposed, ..self }
    }

    /// The matrix as BLAS sees its memory, which is that of the transpose in column-major order.
    fn operand(self) -> Operand<'a> {
        let stride = if self.transposed { self.rows } else { self.columns };
        Operand { values: self.values, transposed: self.transposed, stride: stride.max(1) }
    }

    fn at(&self, row: usize, column: usize) -> f32 {
        let index =
            if self.transposed { column * self.rows + row } else { row * self.columns + column };
        self.values[index]
    }
}

/// The product of matrices: that of libtorch's BLAS, or a portable one where there is none.
#[derive(Clone, Copy, Debug)]
pub struct Gemm {
    blas: Option<Blas>,
    level: Level,
    most_rows: MostRows,
}

impl Gemm {
    fn new(blas: Option<Blas>, level: Level) -> Self {
        Self { blas, level, most_rows: level.most_rows() }
    }

    /// Takes the BLAS of libtorch, if it is loaded.
    #[must_use]
    pub fn find() -> Self {
        Self::new(Blas::find(), Level::best())
    }

    /// Takes no BLAS.
    #[must_use]
    pub fn portable() -> Self {
        Self::new(None, Level::best())
    }

    /// One without BLAS for each instruction set of the processor.
    #[cfg(test)]
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Level::all().into_iter().map(|level| Self::new(None, level))
    }

    /// The instruction set of our own kernels.
    pub(crate) fn level(&self) -> Level {
        self.level
    }

    /// Returns true if BLAS computes the output of a Linear layer.
    pub(crate) fn computes_forward(&self, shape: Shape) -> bool {
        self.blas.is_some() && shape.rows > self.most_rows.forward
    }

    /// Returns true if BLAS computes the gradients of a Linear layer.
    pub(crate) fn computes_gradients(&self, shape: Shape) -> bool {
        self.blas.is_some() && shape.rows > self.most_rows.gradients
    }

    /// The same that takes BLAS for every number of rows, if there is one: benchmarks compare with it.
    #[must_use]
    pub fn of_blas_only(self) -> Self {
        Self { most_rows: MostRows { forward: 0, gradients: 0 }, ..self }
    }

    /// Returns true if libtorch's BLAS was found.
    #[must_use]
    pub fn is_of_blas(&self) -> bool {
        self.blas.is_some()
    }

    /// Computes `c = a b`, or `c += a b` if `adds`.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn product(&self, a: Matrix<'_>, b: Matrix<'_>, adds: bool, c: &mut [f32]) {
        let (m, n, k) = (a.rows, b.columns, a.columns);
        assert_eq!(k, b.rows, "the inner lengths of a product");
        assert_eq!(c.len(), m * n, "the length of a product");
        if c.is_empty() {
            return;
        }
        if k == 0 {
            if !adds {
                c.fill(0.0);
            }
            return;
        }
        match self.blas {
            // The transpose of a product is the product of the transposes in the other order.
            Some(blas) => {
                let beta = if adds { 1.0 } else { 0.0 };
                blas.product((n, m, k), b.operand(), a.operand(), beta, c);
            }
            None => portable(a, b, adds, c),
        }
    }
}

fn portable(a: Matrix<'_>, b: Matrix<'_>, adds: bool, c: &mut [f32]) {
    let columns = b.columns;
    for (row, c) in c.chunks_exact_mut(columns).enumerate() {
        if !adds {
            c.fill(0.0);
        }
        for inner in 0..a.columns {
            let factor = a.at(row, inner);
            if b.transposed {
                // Column `inner` of the stored matrix.
                let column = b.values[inner..].iter().step_by(b.rows);
                c.iter_mut().zip(column).for_each(|(c, b)| *c += factor * b);
            } else {
                add_scaled(c, factor, &b.values[inner * columns..(inner + 1) * columns]);
            }
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2+fma"))]
fn add_scaled(sum: &mut [f32], factor: f32, values: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += factor * value;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Gemm, Matrix};
    use crate::numbers::numbers;

    proptest! {
        #[test]
        fn a_product_is_that_of_f64_for_every_shape_and_transposition(
            m in 0_usize..20,
            n in 0_usize..40,
            k in 0_usize..40,
            of_a: bool,
            of_b: bool,
            adds: bool,
            seed: u64,
        ) {
            let (a, b) = (numbers(m * k, seed), numbers(k * n, seed ^ 1));
            let before = numbers(m * n, seed ^ 2);
            let first = if of_a { Matrix::new(&a, k, m).t() } else { Matrix::new(&a, m, k) };
            let second = if of_b { Matrix::new(&b, n, k).t() } else { Matrix::new(&b, k, n) };
            let mut found = before.clone();
            Gemm::portable().product(first, second, adds, &mut found);
            for row in 0..m {
                for column in 0..n {
                    let start = if adds { f64::from(before[row * n + column]) } else { 0.0 };
                    let sum = (0..k).fold(start, |sum, inner| {
                        sum + f64::from(first.at(row, inner)) * f64::from(second.at(inner, column))
                    });
                    prop_assert!((f64::from(found[row * n + column]) - sum).abs() < 1e-5 * (1.0 + k as f64));
                }
            }
        }
    }
}
