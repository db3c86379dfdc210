//! Embedding.

use super::step::{Backward, Forward, Parameter, Parts, Step, Weights};
use crate::error::TrainError;

/// The rows of a table by token ids.
pub(super) struct Embedding {
    /// The number of the network's input that holds the ids.
    pub(super) ids: usize,
    /// The values of a token.
    pub(super) size: usize,
    pub(super) table: Parameter,
    /// The token that is not trained.
    pub(super) padding: Option<usize>,
}

impl Embedding {
    fn token(&self, id: i64) -> Result<usize, TrainError> {
        let tokens = self.table.range.len() / self.size.max(1);
        usize::try_from(id).ok().filter(|&token| token < tokens).ok_or_else(|| {
            let text = format!("token id {id} of an Embedding of {tokens} tokens");
            TrainError::Internal(text)
        })
    }
}

impl Step for Embedding {
    fn forward(
        &self,
        pass: &mut Forward<'_>,
        _inputs: &[&[f32]],
        output: &mut [f32],
    ) -> Result<(), TrainError> {
        let table = pass.weights.get(&self.table)?;
        for (y, &id) in output.chunks_exact_mut(self.size.max(1)).zip(pass.inputs.ids(self.ids)?) {
            let start = self.token(id)? * self.size;
            y.copy_from_slice(&table[start..start + self.size]);
        }
        Ok(())
    }

    fn input(
        &self,
        _pass: &mut Backward<'_>,
        _weights: &Weights<'_>,
        _number: usize,
        _adds: bool,
        _target: &mut [f32],
    ) -> Result<(), TrainError> {
        Err(TrainError::Internal("token ids have no gradient".to_owned()))
    }

    fn parameters(
        &self,
        pass: &mut Backward<'_>,
        parts: &mut Parts<'_, '_>,
    ) -> Result<(), TrainError> {
        let (of_table, used) = parts.table(&self.table);
        used.clear(of_table, self.size);
        let rows = pass.of_output.chunks_exact(self.size.max(1));
        for (dy, &id) in rows.zip(pass.network_inputs.ids(self.ids)?) {
            let token = self.token(id)?;
            if self.padding != Some(token) {
                let sums = &mut of_table[used.insert(token)];
                sums.iter_mut().zip(dy).for_each(|(sum, dy)| *sum += dy);
            }
        }
        parts.complete_table(&self.table);
        Ok(())
    }
}
