//! The steps of a plan.

use std::ops::Range;

use firesteel_data::SparseRows;
use firesteel_kernels::Gemm;
use firesteel_kernels::activation::Activation;
use firesteel_kernels::norm::Moments;

use super::dead_units::Rectifier;
use super::recurrent_state::RecurrentState;
use crate::error::TrainError;
use crate::network::{Gradient, Update, UsedRows, Views};
use crate::random::Generator;
use crate::raw::values;

/// The arithmetic of one layer.
pub(super) trait Step: Send {
    /// Computes the output.
    fn forward(
        &self,
        pass: &mut Forward<'_>,
        inputs: &[&[f32]],
        output: &mut [f32],
    ) -> Result<(), TrainError>;

    /// Takes a function of the output into the step, which then computes both in one memory. Returns false if it cannot.
    fn fuse(&mut self, _function: Activation) -> bool {
        false
    }

    /// Begins the backward pass of the step: turns the gradient of the output into that before a function that was fused,
    /// and computes what [`Self::input`] and [`Self::parameters`] share.
    fn prepare(&self, _pass: &mut Backward<'_>, _weights: &Weights<'_>) -> Result<(), TrainError> {
        Ok(())
    }

    /// Computes the gradient of an input, or adds it.
    fn input(
        &self,
        pass: &mut Backward<'_>,
        weights: &Weights<'_>,
        number: usize,
        adds: bool,
        target: &mut [f32],
    ) -> Result<(), TrainError>;

    /// Writes the gradient of the layer's parameters into the flat gradient, after the gradients of all inputs. The
    /// optimizer may take each part as soon as it is complete ([`Parts::complete`]), so that no weight can be read here.
    fn parameters(
        &self,
        _pass: &mut Backward<'_>,
        _parts: &mut Parts<'_, '_>,
    ) -> Result<(), TrainError> {
        Ok(())
    }
}

/// A step with the places that it reads and writes.
pub(super) struct Placed {
    pub(super) step: Box<dyn Step>,
    pub(super) inputs: Vec<usize>,
    pub(super) output: usize,
    /// Its parameters, as indices of the layout's entries.
    pub(super) parameters: Vec<usize>,
    /// The place of the parameters in the flat gradient.
    pub(super) flat: Range<usize>,
    pub(super) rectifier: Option<Rectifier>,
}

/// The inputs of the network, each of numbers, of token ids or of the entries of sparse rows.
#[derive(Clone, Copy)]
pub(super) struct NetworkInputs<'a>(pub(super) &'a [NetworkInput<'a>]);

/// The rows of one input of the network.
#[derive(Clone, Copy)]
pub(super) enum NetworkInput<'a> {
    Values(&'a [f32]),
    Ids(&'a [i64]),
    Sparse(&'a SparseRows),
}

impl Training<'_> {
    /// The same for a shorter time.
    pub(super) fn reborrow(&mut self) -> Training<'_> {
        Training { random: self.random, floats: self.floats, integers: self.integers }
    }
}

impl<'a> NetworkInputs<'a> {
    /// Returns the token ids of an input.
    pub(super) fn ids(&self, number: usize) -> Result<&'a [i64], TrainError> {
        match self.0.get(number) {
            Some(NetworkInput::Ids(ids)) => Ok(ids),
            _ => Err(TrainError::Internal(format!("input {number} holds no token ids"))),
        }
    }

    /// Returns the rows of a sparse input.
    pub(super) fn sparse(&self, number: usize) -> Result<&'a SparseRows, TrainError> {
        match self.0.get(number) {
            Some(NetworkInput::Sparse(rows)) => Ok(rows),
            _ => Err(TrainError::Internal(format!("input {number} is not sparse"))),
        }
    }
}

/// The state that a step keeps from the forward to the backward pass.
#[derive(Default)]
pub(super) struct Scratch {
    /// The mask of a dropout.
    pub(super) mask: Vec<f32>,
    /// The places of the largest values of windows.
    pub(super) places: Vec<u32>,
    /// The moments by which values were normalised.
    pub(super) moments: Vec<Moments>,
    /// True if the moments are those of the mini-batch itself.
    pub(super) measured: bool,
    /// The values of recurrent layers.
    pub(super) recurrent: RecurrentState,
    /// The sums that the gradients of a batch normalisation share.
    pub(super) sums: Vec<(f64, f64)>,
}

/// The state that a forward pass changes in training mode.
pub(super) struct Training<'a> {
    pub(super) random: &'a mut Generator,
    /// The floating buffers of the replica.
    pub(super) floats: &'a mut [f32],
    /// The integer buffers of the replica.
    pub(super) integers: &'a mut [i64],
}

/// A forward pass, in training mode if something may change.
pub(super) struct Forward<'a> {
    pub(super) gemm: &'a Gemm,
    pub(super) weights: &'a Weights<'a>,
    pub(super) inputs: NetworkInputs<'a>,
    pub(super) scratch: &'a mut Scratch,
    /// Memory that all steps share, of any length. Nothing in it lasts.
    pub(super) workspace: &'a mut Vec<f32>,
    pub(super) training: Option<Training<'a>>,
}

/// A backward pass through one step.
pub(super) struct Backward<'a> {
    pub(super) gemm: &'a Gemm,
    pub(super) network_inputs: NetworkInputs<'a>,
    pub(super) scratch: &'a mut Scratch,
    /// As in [`Forward`].
    pub(super) workspace: &'a mut Vec<f32>,
    pub(super) inputs: &'a [&'a [f32]],
    pub(super) output: &'a [f32],
    pub(super) of_output: &'a mut [f32],
}

/// The flat gradient, of which a step writes the parts that belong to its parameters.
pub(super) struct Parts<'a, 'b> {
    parameters: &'a mut [f32],
    gradient: &'a mut Gradient,
    update: Option<&'a mut Update<'b>>,
    /// The first of the step's parameters whose gradient is not complete.
    next: usize,
}

impl<'a, 'b> Parts<'a, 'b> {
    /// The parts of a step whose parameters begin at `start`, and the update of the parameters if there is one.
    pub(super) fn new(
        start: usize,
        parameters: &'a mut [f32],
        gradient: &'a mut Gradient,
        update: Option<&'a mut Update<'b>>,
    ) -> Self {
        Self { parameters, gradient, update, next: start }
    }

    /// The gradient of a range of the flat parameters.
    pub(super) fn range(&mut self, range: &Range<usize>) -> &mut [f32] {
        &mut self.gradient.flat_mut()[range.clone()]
    }

    /// Declares the step's gradient complete before this index of the flat parameters. A step that computes large
    /// gradients block by block calls it for each block.
    pub(super) fn complete(&mut self, end: usize) {
        if let Some(update) = &mut self.update {
            update.apply(self.next..end, self.parameters, self.gradient.flat_mut());
        }
        self.next = end;
    }

    /// The gradient of a table whose mini-batches use few of its rows, and the rows that the last one used.
    pub(super) fn table(&mut self, table: &Parameter) -> (&mut [f32], &mut UsedRows) {
        let (flat, rows) = self.gradient.flat_and_rows(table.entry);
        (&mut flat[table.range.clone()], rows)
    }

    /// Declares the gradient of a table complete, which comes next.
    pub(super) fn complete_table(&mut self, table: &Parameter) {
        assert_eq!(self.next, table.range.start, "the gradient of a table out of order");
        if let Some(update) = &mut self.update {
            let (flat, rows) = self.gradient.flat_and_rows(table.entry);
            update.apply_rows(table.range.clone(), rows, self.parameters, flat);
        }
        self.next = table.range.end;
    }
}

/// The weights of a network.
pub(super) enum Weights<'a> {
    /// The flat parameters of a replica.
    Flat(&'a [f32]),
    /// The tensors of a predictor or an evaluation.
    Views(&'a Views),
}

/// A parameter: its entry in the layout, and its place in the flat parameters.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub(super) entry: usize,
    pub(super) range: Range<usize>,
}

impl<'a> Weights<'a> {
    pub(super) fn get(&self, parameter: &Parameter) -> Result<&'a [f32], TrainError> {
        match self {
            Self::Flat(flat) => Ok(&flat[parameter.range.clone()]),
            Self::Views(views) => values(views.get(parameter.entry)),
        }
    }

    /// As [`Self::get`], for a parameter that a layer may lack.
    pub(super) fn optional(
        &self,
        parameter: Option<&Parameter>,
    ) -> Result<Option<&'a [f32]>, TrainError> {
        parameter.map(|parameter| self.get(parameter)).transpose()
    }
}
