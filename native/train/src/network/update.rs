//! The update of parameters by their gradient, as a whole or part by part.

use std::ops::Range;

use firesteel_core::clipping::Bound;
use firesteel_core::optimizer::Optimizer;
use firesteel_kernels::prefetch;

use super::used_rows::UsedRows;

/// A step of an optimizer, by a gradient that is clipped without its norm, so that no part waits for another.
pub(crate) struct Update<'a> {
    optimizer: &'a mut dyn Optimizer,
    bound: Bound,
}

impl<'a> Update<'a> {
    pub(crate) fn new(optimizer: &'a mut dyn Optimizer, bound: Bound) -> Self {
        Self { optimizer, bound }
    }

    /// Begins the step.
    pub(crate) fn begin(&mut self) {
        self.optimizer.begin_step();
    }

    /// Updates the rows of a table that have a gradient, and the others only if the optimizer moves them as well.
    pub(crate) fn apply_rows(
        &mut self,
        table: Range<usize>,
        rows: &UsedRows,
        parameters: &mut [f32],
        gradient: &mut [f32],
    ) {
        if !self.optimizer.ignores_zeros() {
            return self.apply(table, parameters, gradient);
        }
        for (number, row) in rows.ranges().enumerate() {
            if let Some(soon) = rows.soon(number) {
                let soon = table.start + soon.start..table.start + soon.end;
                prefetch(&parameters[soon.clone()]);
                prefetch(&gradient[soon]);
            }
            self.apply(table.start + row.start..table.start + row.end, parameters, gradient);
        }
    }

    /// Updates a range of the flat parameters.
    pub(crate) fn apply(
        &mut self,
        range: Range<usize>,
        parameters: &mut [f32],
        gradient: &mut [f32],
    ) {
        let (offset, gradient) = (range.start, &mut gradient[range.clone()]);
        self.bound.apply(gradient);
        self.optimizer.step_part(offset, &mut parameters[range], gradient);
    }
}
