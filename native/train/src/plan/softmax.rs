//! Softmax and LogSoftmax.

use firesteel_kernels::columns::Columns;
use firesteel_kernels::rows;

use super::step::{Backward, Forward, Step, Weights};
use crate::error::TrainError;

/// A softmax of columns, or its logarithm.
pub(super) struct Softmax {
    columns: Columns,
    log: bool,
}

impl Softmax {
    pub(super) fn new(columns: Columns, log: bool) -> Self {
        Self { columns, log }
    }
}

impl Step for Softmax {
    fn forward(
        &self,
        _pass: &mut Forward<'_>,
        inputs: &[&[f32]],
        output: &mut [f32],
    ) -> Result<(), TrainError> {
        let (x, columns) = (inputs[0], self.columns);
        match (columns.count, self.log) {
            // A column of a matrix with no other is a row.
            (1, true) => rows::log_softmax(x, columns.size, output),
            (1, false) => rows::softmax(x, columns.size, output),
            (_, log) => columns.softmax(x, log, output),
        }
        Ok(())
    }

    fn input(
        &self,
        pass: &mut Backward<'_>,
        _weights: &Weights<'_>,
        _number: usize,
        adds: bool,
        target: &mut [f32],
    ) -> Result<(), TrainError> {
        let (y, dy, columns) = (pass.output, &*pass.of_output, self.columns);
        match (columns.count, self.log) {
            (1, true) => rows::log_softmax_backward(y, dy, columns.size, adds, target),
            (1, false) => rows::softmax_backward(y, dy, columns.size, adds, target),
            (_, log) => columns.softmax_backward(y, dy, log, adds, target),
        }
        Ok(())
    }
}
