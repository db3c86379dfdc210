//! Embedding.

use firesteel_kernels::{AHEAD, prefetch};

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
    /// Begins to bring the row of a token that is used soon into the cache, unless it is none.
    fn prefetch(&self, table: &[f32], ids: &[i64], number: usize) {
        let soon = ids.get(number + AHEAD).and_then(|&id| self.token(id).ok());
        if let Some(token) = soon {
            prefetch(&table[token * self.size..(token + 1) * self.size]);
        }
    }

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
        let ids = pass.inputs.ids(self.ids)?;
        let rows = output.chunks_exact_mut(self.size.max(1)).zip(ids).enumerate();
        for (number, (y, &id)) in rows {
            self.prefetch(table, ids, number);
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
        let ids = pass.network_inputs.ids(self.ids)?;
        let rows = pass.of_output.chunks_exact(self.size.max(1)).zip(ids).enumerate();
        for (number, (dy, &id)) in rows {
            self.prefetch(of_table, ids, number);
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
