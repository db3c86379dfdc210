//! The data columns of a network's inputs.

use firesteel_core::spec::DataSpec;
use firesteel_data::{DataError, Scope, ValueLocation};
use ndarray::ArrayView2;

use crate::error::TrainError;
use crate::model::{Definition, InputShape};

/// The column of one network input.
pub(crate) struct InputColumn {
    pub(crate) index: usize,
    column: String,
    tokens: Option<usize>,
}

impl InputColumn {
    /// Returns the columns of a network's inputs, in their order.
    pub(crate) fn of(
        definition: &dyn Definition,
        data: &DataSpec,
    ) -> Result<Vec<Self>, TrainError> {
        let source = |input: &InputShape| {
            let index = data.inputs.iter().position(|column| column.name == input.name);
            let index = index.ok_or_else(|| {
                TrainError::Internal(format!("no column for input '{}'", input.name))
            })?;
            Ok(Self { index, column: data.inputs[index].column.clone(), tokens: input.tokens })
        };
        definition.inputs().iter().map(source).collect()
    }

    /// Checks token ids; `row` returns the number of the n-th row.
    pub(crate) fn check_tokens(
        &self,
        ids: ArrayView2<'_, i64>,
        scope: Scope,
        row: impl Fn(usize) -> usize,
    ) -> Result<(), TrainError> {
        let Some(tokens) = self.tokens else { return Ok(()) };
        let fits = |&id: &i64| usize::try_from(id).is_ok_and(|id| id < tokens);
        if ids.iter().all(fits) {
            return Ok(());
        }
        let Some(((index, position), wrong)) = ids.indexed_iter().find(|(_, id)| !fits(id)) else {
            return Ok(());
        };
        let location = ValueLocation {
            column: self.column.clone(),
            scope,
            row: row(index),
            position: (ids.ncols() > 1).then_some(position),
        };
        Err(TrainError::Data(DataError::Value {
            location,
            found: wrong.to_string(),
            allowed: format!("token ids from 0 to {} (num_embeddings is {tokens})", tokens - 1),
        }))
    }
}
