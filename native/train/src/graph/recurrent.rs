//! The LSTM and the GRU over `[length, features]`.

use super::arguments::Arguments;
use super::tensors::{Initial, LayerTensor};
use crate::error::TrainError;
use crate::model::show;

pub(super) const ARGUMENTS: &[&str] = &[
    "input_size",
    "hidden_size",
    "num_layers",
    "bias",
    "batch_first",
    "dropout",
    "bidirectional",
    "output",
];

/// The type of the recurrent cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell {
    Lstm,
    Gru,
}

/// A stack of recurrent layers with every size known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recurrent {
    pub(crate) cell: Cell,
    pub(crate) inputs: usize,
    pub(crate) hidden: usize,
    pub(crate) layers: usize,
    pub(crate) bias: bool,
    pub(crate) dropout: f64,
    pub(crate) bidirectional: bool,
    /// Only the last hidden state of the last layer (both directions side by side), not one of each step.
    pub(crate) last: bool,
}

impl Recurrent {
    pub(crate) fn directions(&self) -> usize {
        1 + usize::from(self.bidirectional)
    }

    /// The tensors of one layer in one direction.
    pub(crate) fn tensors_per_layer(&self) -> usize {
        if self.bias { 4 } else { 2 }
    }

    pub(super) fn tensors(&self) -> Vec<LayerTensor> {
        let initial = Initial::within_root_of(self.hidden as f64);
        let gates = match self.cell {
            Cell::Lstm => 4 * self.hidden,
            Cell::Gru => 3 * self.hidden,
        };
        let mut tensors = Vec::new();
        for layer in 0..self.layers {
            let inputs = if layer == 0 { self.inputs } else { self.hidden * self.directions() };
            for direction in 0..self.directions() {
                let suffix = if direction == 1 { "_reverse" } else { "" };
                let mut push = |name: &str, shape: &[usize]| {
                    tensors.push(LayerTensor::parameter(
                        format!("{name}_l{layer}{suffix}"),
                        shape,
                        initial,
                    ));
                };
                push("weight_ih", &[gates, inputs]);
                push("weight_hh", &[gates, self.hidden]);
                if self.bias {
                    push("bias_ih", &[gates]);
                    push("bias_hh", &[gates]);
                }
            }
        }
        tensors
    }
}

pub(super) fn recurrent(
    cell: Cell,
    arguments: &Arguments<'_>,
    shape: &[usize],
) -> Result<(Recurrent, Vec<usize>), TrainError> {
    let [length, features] = *shape else {
        return Err(
            arguments.problem(format!("got the shape {}; needs [length, features]", show(shape)))
        );
    };
    if !arguments.flag("batch_first", true)? {
        return Err(arguments.problem("batch_first must be true: rows are the first dimension"));
    }
    let recurrent = Recurrent {
        cell,
        inputs: arguments.inferred_size("input_size", features, shape)?,
        hidden: arguments.required_size("hidden_size")?,
        layers: arguments.size("num_layers")?.unwrap_or(1),
        bias: arguments.flag("bias", true)?,
        dropout: arguments
            .number("dropout", 0.0, "between 0 and 1", |p| (0.0..=1.0).contains(&p))?,
        bidirectional: arguments.flag("bidirectional", false)?,
        last: arguments.word("output", &["sequence", "last"])? == "last",
    };
    let size = recurrent.hidden * recurrent.directions();
    let output = if recurrent.last { vec![size] } else { vec![length, size] };
    Ok((recurrent, output))
}
