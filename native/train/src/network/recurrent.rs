//! Recurrent layers as libtorch operations.

use tch::{Device, Kind, Tensor};

use super::operations::{dropout, rows};
use super::tape::Tape;
use crate::error::TrainError;
use crate::graph::{Cell, Recurrent};
use crate::raw::dimension;

/// Runs a recurrent layer, stacked layer by layer for the dropout between them.
pub(super) fn recur(
    recurrent: &Recurrent,
    own: &[Tensor],
    x: &Tensor,
    mut tape: Option<&mut Tape<'_>>,
) -> Result<Tensor, TrainError> {
    let directions = dimension(recurrent.directions())?;
    let shape = [directions, rows(x), dimension(recurrent.hidden)?];
    let start = Tensor::f_zeros(shape, (Kind::Float, Device::Cpu))?;
    let each = recurrent.tensors_per_layer() * recurrent.directions();
    let (bias, both) = (recurrent.bias, recurrent.bidirectional);
    let mut sequence = x.shallow_clone();
    let mut hidden = Tensor::new();
    for layer in 0..recurrent.layers {
        if layer > 0 {
            sequence = dropout(&sequence, recurrent.dropout, tape.as_deref_mut())?;
        }
        let weights: Vec<&Tensor> = own[layer * each..(layer + 1) * each].iter().collect();
        let training = tape.is_some();
        (sequence, hidden) = match recurrent.cell {
            Cell::Lstm => {
                let state = [&start, &start];
                let (sequence, hidden, _) =
                    sequence.f_lstm(&state, &weights, bias, 1, 0.0, training, both, true)?;
                (sequence, hidden)
            }
            Cell::Gru => sequence.f_gru(&start, &weights, bias, 1, 0.0, training, both, true)?,
        };
    }
    if !recurrent.last {
        return Ok(sequence);
    }
    Ok(hidden.f_transpose(0, 1)?.f_reshape([rows(x), -1])?)
}
