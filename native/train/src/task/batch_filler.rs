//! Fills mini-batches from a partition.

use firesteel_core::spec::DataSpec;
use firesteel_data::{Partition, Scope};
use ndarray::ArrayViewMut2;

use crate::error::TrainError;
use crate::input_column::InputColumn;
use crate::loss::{Loss, Target};
use crate::model::Definition;
use crate::network::{Batch, Column, InputRows};

/// The columns that fill a mini-batch.
pub(super) struct BatchFiller {
    inputs: Vec<InputColumn>,
    loss: Loss,
    /// Scratch memory for class indices that become numbers.
    classes: Vec<i64>,
}

impl BatchFiller {
    pub(super) fn new(
        definition: &dyn Definition,
        data: &DataSpec,
        loss: &Loss,
    ) -> Result<Self, TrainError> {
        Ok(Self {
            inputs: InputColumn::of(definition, data)?,
            loss: loss.clone(),
            classes: Vec::new(),
        })
    }

    /// Fills `batch` with these rows of the partition.
    pub(super) fn fill(
        &mut self,
        batch: &mut Batch,
        partition: &Partition,
        rows: &[u32],
    ) -> Result<(), TrainError> {
        batch.set_rows(rows.len())?;
        for (source, column) in self.inputs.iter().zip(&mut batch.inputs) {
            match column {
                InputRows::Sparse(entries) => {
                    partition.gather_sparse(source.index, rows, entries)?;
                }
                InputRows::Dense(Column::Values(block)) => {
                    partition.gather_f32(source.index, rows, block.matrix_mut(rows.len())?)?;
                }
                InputRows::Dense(Column::Integers(block)) => {
                    let mut ids = block.matrix_mut(rows.len())?;
                    partition.gather_i64(source.index, rows, ids.view_mut())?;
                    source.check_tokens(ids.view(), Scope::Partition, |row| rows[row] as usize)?;
                }
            }
        }
        for (label, (term, column)) in self.loss.terms().iter().zip(&mut batch.labels).enumerate() {
            match (&term.target, column) {
                (_, Column::Integers(block)) => {
                    partition.gather_classes(label, rows, block.rows_mut(rows.len()))?;
                }
                (&Target::Indicator { off, on }, Column::Values(block)) => {
                    self.classes.resize(rows.len(), 0);
                    partition.gather_classes(label, rows, &mut self.classes)?;
                    indicate(&self.classes, off, on, block.matrix_mut(rows.len())?);
                }
                (_, Column::Values(block)) => {
                    partition.gather_values(label, rows, block.matrix_mut(rows.len())?)?;
                }
            }
        }
        let Some(block) = &mut batch.weights else { return Ok(()) };
        let weights = block.rows_mut(rows.len());
        partition.gather_weights(rows, weights)?;
        if self.loss.weighs_classes() {
            self.classes.resize(rows.len(), 0);
            partition.gather_classes(0, rows, &mut self.classes)?;
            batch.divisor = self.loss.weigh(&self.classes, weights);
        }
        Ok(())
    }
}

/// Writes a number for each output of a row: `on` for the row's class, `off` elsewhere. A single output stands for
/// class 1.
fn indicate(classes: &[i64], off: f32, on: f32, mut numbers: ArrayViewMut2<'_, f32>) {
    let first = i64::from(numbers.ncols() == 1);
    for (row, &class) in numbers.outer_iter_mut().zip(classes) {
        for (number, output) in row.into_iter().zip(first..) {
            *number = if output == class { on } else { off };
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, aview2};

    use super::indicate;

    #[test]
    fn a_class_becomes_one_number_for_each_output() {
        let mut numbers = Array2::from_elem((2, 3), 9.0);
        indicate(&[2, 0], 0.0, 1.0, numbers.view_mut());
        assert_eq!(numbers, aview2(&[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]));
    }

    #[test]
    fn a_single_output_stands_for_class_1() {
        let mut numbers = Array2::from_elem((2, 1), 9.0);
        indicate(&[1, 0], -1.0, 1.0, numbers.view_mut());
        assert_eq!(numbers, aview2(&[[1.0], [-1.0]]));
    }
}
