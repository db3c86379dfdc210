//! A mini-batch in tensors that are allocated once and refilled.

use firesteel_data::SparseRows;
use ndarray::ArrayViewMut2;
use tch::Tensor;

use crate::error::TrainError;
use crate::loss::{Loss, RowWeights, Target};
use crate::model::Definition;
use crate::raw::{Memory, TensorElement, dimension, lengths};

/// A mini-batch: inputs, labels and weights in tensors' memory.
#[derive(Debug)]
pub(crate) struct Batch {
    capacity: usize,
    rows: usize,
    pub(crate) inputs: Vec<InputRows>,
    pub(crate) labels: Vec<Column>,
    /// The rows' weights.
    pub(crate) weights: Option<Block<f32>>,
    /// The divisor of the sum of the rows' losses, if it is not the sum of the weights.
    pub(crate) divisor: Option<f64>,
}

/// The rows of one input of a mini-batch.
#[derive(Debug)]
pub(crate) enum InputRows {
    /// All values.
    Dense(Column),
    /// The entries of sparse rows.
    Sparse(SparseRows),
}

/// One column of a mini-batch.
#[derive(Debug)]
pub(crate) enum Column {
    /// Numbers.
    Values(Block<f32>),
    /// Token ids or class indices.
    Integers(Block<i64>),
}

/// Rows of one shape in memory for a full mini-batch.
#[derive(Debug)]
pub(crate) struct Block<T> {
    memory: Memory<T>,
    /// The values of a row.
    size: usize,
    /// The tensor of a mini-batch's rows; the first length is replaced by their number.
    shape: Vec<i64>,
    view: Tensor,
}

impl<T: TensorElement> Block<T> {
    pub(crate) fn new(capacity: usize, row: &[usize]) -> Result<Self, TrainError> {
        let size = row.iter().product();
        let memory = Memory::zeros(capacity * size)?;
        let mut shape = vec![dimension(capacity)?];
        shape.extend(lengths(row)?);
        let view = memory.view(0, &shape)?;
        Ok(Self { memory, size, shape, view })
    }

    pub(crate) fn set_rows(&mut self, rows: usize) -> Result<(), TrainError> {
        self.shape[0] = dimension(rows)?;
        self.view = self.memory.view(0, &self.shape)?;
        Ok(())
    }

    /// The values of the first `rows` rows.
    pub(crate) fn rows_mut(&mut self, rows: usize) -> &mut [T] {
        &mut self.memory.slice_mut()[..rows * self.size]
    }

    /// The values of the first `rows` rows as a matrix.
    pub(crate) fn matrix_mut(&mut self, rows: usize) -> Result<ArrayViewMut2<'_, T>, TrainError> {
        let shape = (rows, self.size);
        Ok(ArrayViewMut2::from_shape(shape, self.rows_mut(rows))?)
    }

    /// The values of the first `rows` rows.
    pub(crate) fn rows(&self, rows: usize) -> &[T] {
        &self.memory.slice()[..rows * self.size]
    }

    pub(crate) fn tensor(&self) -> &Tensor {
        &self.view
    }
}

#[cfg(test)]
impl InputRows {
    /// The column of a dense input.
    pub(crate) fn dense_mut(&mut self) -> &mut Column {
        match self {
            Self::Dense(column) => column,
            Self::Sparse(_) => panic!("a sparse input"),
        }
    }
}

impl Column {
    pub(crate) fn tensor(&self) -> &Tensor {
        match self {
            Self::Values(block) => block.tensor(),
            Self::Integers(block) => block.tensor(),
        }
    }

    pub(crate) fn set_rows(&mut self, rows: usize) -> Result<(), TrainError> {
        match self {
            Self::Values(block) => block.set_rows(rows),
            Self::Integers(block) => block.set_rows(rows),
        }
    }
}

impl Batch {
    /// Memory for `capacity` rows of a network's inputs and a loss's targets.
    pub(crate) fn new(
        definition: &dyn Definition,
        loss: &Loss,
        weighted: bool,
        capacity: usize,
    ) -> Result<Self, TrainError> {
        let inputs = definition.inputs().iter().map(|input| {
            Ok(match (input.sparse, input.integer) {
                (true, _) => InputRows::Sparse(SparseRows::default()),
                (_, true) => {
                    InputRows::Dense(Column::Integers(Block::new(capacity, &input.shape)?))
                }
                _ => InputRows::Dense(Column::Values(Block::new(capacity, &input.shape)?)),
            })
        });
        let labels = loss.terms().iter().map(|term| {
            Ok(match term.target {
                Target::Class => Column::Integers(Block::new(capacity, &[])?),
                Target::Values | Target::Indicator { .. } => {
                    Column::Values(Block::new(capacity, &[term.size])?)
                }
            })
        });
        Ok(Self {
            capacity,
            rows: capacity,
            inputs: inputs.collect::<Result<_, TrainError>>()?,
            labels: labels.collect::<Result<_, TrainError>>()?,
            weights: match weighted || loss.weighs_classes() {
                true => Some(Block::new(capacity, &[])?),
                false => None,
            },
            divisor: None,
        })
    }

    /// Returns the tensors of the inputs.
    ///
    /// # Errors
    /// [`TrainError::Internal`] if one is sparse.
    pub(crate) fn tensors(&self) -> Result<Vec<&Tensor>, TrainError> {
        let tensors = self.inputs.iter().map(|input| match input {
            InputRows::Dense(column) => Ok(column.tensor()),
            InputRows::Sparse(_) => Err(TrainError::Internal("an input is sparse".to_owned())),
        });
        tensors.collect()
    }

    /// Returns the rows' weights; `None` if all count alike.
    pub(crate) fn weights(&self) -> Option<RowWeights<'_>> {
        let block = self.weights.as_ref()?;
        let sum = || block.rows(self.rows).iter().copied().map(f64::from).sum();
        Some(RowWeights { tensor: block.tensor(), sum: self.divisor.unwrap_or_else(sum) })
    }

    /// Returns the current number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Sets the number of rows, at most the capacity.
    pub(crate) fn set_rows(&mut self, rows: usize) -> Result<(), TrainError> {
        if rows == self.rows {
            return Ok(());
        }
        if rows > self.capacity {
            let text = format!("{rows} rows in a mini-batch of {}", self.capacity);
            return Err(TrainError::Internal(text));
        }
        let inputs = self.inputs.iter_mut().filter_map(|input| match input {
            InputRows::Dense(column) => Some(column),
            InputRows::Sparse(_) => None,
        });
        for column in inputs.chain(&mut self.labels) {
            column.set_rows(rows)?;
        }
        if let Some(weights) = &mut self.weights {
            weights.set_rows(rows)?;
        }
        self.rows = rows;
        Ok(())
    }
}
