//! The recurrent layers: stacks of layers with one or two directions.
//!
//! A layer's values lie in the order of time: those of all rows at the first step, then at the second. So the products of
//! a step read and write one slice, and the gradient of a weight is one product over all steps.

mod direction;

use std::ops::Range;

use firesteel_kernels::put;

use self::direction::{Direction, part};
use super::recurrent_state::LayerState;
use super::step::{Backward, Forward, Parameter, Parts, Step, Weights};
use super::workspace::space;
use crate::error::TrainError;
use crate::graph;

/// A stack of recurrent layers.
pub(super) struct Recurrent {
    /// The layers, each with its directions.
    layers: Vec<Vec<Direction>>,
    steps: usize,
    /// The values of a row and a step of the input.
    inputs: usize,
    /// The units of a direction.
    units: usize,
    /// The values of a row and a step of a layer's output: the units of all directions.
    outputs: usize,
    /// The probability of dropout between layers.
    dropout: f64,
    /// Only the last hidden state of the last layer is returned.
    last: bool,
}

/// The rows of a mini-batch and the steps of each.
#[derive(Clone, Copy)]
struct Extent {
    rows: usize,
    steps: usize,
}

impl Extent {
    /// The rows of all steps.
    fn all(self) -> usize {
        self.rows * self.steps
    }

    /// The number of each row and step in the order of time, and in the order of rows.
    fn orders(self) -> impl Iterator<Item = (usize, usize)> {
        let Self { rows, steps } = self;
        (0..steps)
            .flat_map(move |time| (0..rows).map(move |row| (time * rows + row, row * steps + time)))
    }
}

impl Recurrent {
    /// A stack over sequences of `steps` steps. `parameter` returns its parameters in order.
    pub(super) fn new(
        layer: &graph::Recurrent,
        steps: usize,
        parameter: impl Fn(usize) -> Parameter,
    ) -> Self {
        let outputs = layer.hidden * layer.directions();
        let direction = |number: usize, reverse: bool| {
            let index = number * layer.directions() + usize::from(reverse);
            let first = index * layer.tensors_per_layer();
            let bias = |number: usize| layer.bias.then(|| parameter(first + number));
            Direction {
                cell: layer.cell,
                inputs: if number == 0 { layer.inputs } else { outputs },
                units: layer.hidden,
                reverse,
                of_input: (parameter(first), bias(2)),
                of_hidden: (parameter(first + 1), bias(3)),
            }
        };
        let directions = if layer.bidirectional { &[false, true][..] } else { &[false] };
        let layers = (0..layer.layers)
            .map(|number| directions.iter().map(|&reverse| direction(number, reverse)).collect());
        Self {
            layers: layers.collect(),
            steps,
            inputs: layer.inputs,
            units: layer.hidden,
            outputs,
            dropout: layer.dropout,
            last: layer.last,
        }
    }

    fn extent(&self, input: &[f32]) -> Extent {
        Extent { rows: input.len() / (self.steps * self.inputs).max(1), steps: self.steps }
    }

    /// Copies the output of a layer, of one row and step.
    fn gather(
        &self,
        number: usize,
        memory: &LayerState,
        extent: Extent,
        index: usize,
        to: &mut [f32],
    ) {
        let directions = self.layers[number].iter().zip(&memory.directions);
        for ((direction, sequence), to) in directions.zip(to.chunks_exact_mut(self.units)) {
            to.copy_from_slice(direction.hidden(sequence, extent, index));
        }
    }

    /// The last step of each direction, and its place in the output of a row.
    fn ends(&self, extent: Extent) -> impl Iterator<Item = (usize, Range<usize>)> {
        let top = self.layers.last().into_iter().flatten().enumerate();
        top.filter_map(move |(side, direction)| {
            Some((direction.last(extent)?, part(side, self.units)))
        })
    }

    /// Writes the output of the last layer.
    fn finish(&self, memory: &LayerState, extent: Extent, output: &mut [f32]) {
        let top = self.layers.len().saturating_sub(1);
        if !self.last {
            for (from, to) in extent.orders() {
                self.gather(top, memory, extent, from, &mut output[part(to, self.outputs)]);
            }
            return;
        }
        let directions = self.layers[top].iter().zip(&memory.directions);
        for ((direction, sequence), (time, side)) in directions.zip(self.ends(extent)) {
            for (row, output) in output.chunks_exact_mut(self.outputs).enumerate() {
                let state = direction.hidden(sequence, extent, time * extent.rows + row);
                output[side.clone()].copy_from_slice(state);
            }
        }
    }

    /// Writes the gradient of the last layer's hidden states, in the order of time.
    fn begin(&self, extent: Extent, of_output: &[f32], of_sequence: &mut [f32]) {
        if !self.last {
            for (to, from) in extent.orders() {
                of_sequence[part(to, self.outputs)]
                    .copy_from_slice(&of_output[part(from, self.outputs)]);
            }
            return;
        }
        of_sequence.fill(0.0);
        for (time, side) in self.ends(extent) {
            for (row, of_output) in of_output.chunks_exact(self.outputs).enumerate() {
                let to = &mut of_sequence[part(time * extent.rows + row, self.outputs)];
                to[side.clone()].copy_from_slice(&of_output[side.clone()]);
            }
        }
    }
}

impl Step for Recurrent {
    fn forward(
        &self,
        pass: &mut Forward<'_>,
        inputs: &[&[f32]],
        output: &mut [f32],
    ) -> Result<(), TrainError> {
        let extent = self.extent(inputs[0]);
        let memory = &mut pass.scratch.recurrent.0;
        memory.resize_with(self.layers.len(), LayerState::default);
        for (number, directions) in self.layers.iter().enumerate() {
            let (before, rest) = memory.split_at_mut(number);
            let LayerState { input, mask, directions: sequences } = &mut rest[0];
            let width = if number == 0 { self.inputs } else { self.outputs };
            input.resize(extent.all() * width, 0.0);
            mask.clear();
            match before.last() {
                None => {
                    for (to, from) in extent.orders() {
                        input[part(to, width)].copy_from_slice(&inputs[0][part(from, width)]);
                    }
                }
                Some(before) => {
                    for (index, input) in input.chunks_exact_mut(width).enumerate() {
                        self.gather(number - 1, before, extent, index, input);
                    }
                    if let Some(training) = pass.training.as_mut().filter(|_| self.dropout > 0.0) {
                        mask.resize(input.len(), 0.0);
                        training.random.mask(self.dropout, mask);
                        drop_out(extent, mask, width, input);
                    }
                }
            }
            for (direction, sequence) in directions.iter().zip(sequences) {
                direction.forward(
                    pass.gemm,
                    pass.weights,
                    extent,
                    input,
                    sequence,
                    pass.workspace,
                )?;
            }
        }
        if let Some(top) = memory.last() {
            self.finish(top, extent, output);
        }
        Ok(())
    }

    fn prepare(&self, pass: &mut Backward<'_>, weights: &Weights<'_>) -> Result<(), TrainError> {
        let extent = self.extent(pass.inputs[0]);
        let of_sequence = space(pass.workspace, extent.all() * self.outputs);
        self.begin(extent, pass.of_output, of_sequence);
        let layers = self.layers.iter().zip(&mut pass.scratch.recurrent.0);
        for (number, (directions, memory)) in layers.enumerate().rev() {
            let sequences = &mut memory.directions;
            for (side, (direction, sequence)) in directions.iter().zip(&mut *sequences).enumerate()
            {
                let of_output = (&*of_sequence, self.outputs, side * self.units);
                direction.backward(pass.gemm, weights, extent, of_output, sequence)?;
            }
            if number == 0 {
                break;
            }
            for (side, (direction, sequence)) in directions.iter().zip(&*sequences).enumerate() {
                direction.input(pass.gemm, weights, extent, sequence, side > 0, of_sequence)?;
            }
            if !memory.mask.is_empty() {
                drop_out(extent, &memory.mask, self.outputs, of_sequence);
            }
        }
        Ok(())
    }

    fn input(
        &self,
        pass: &mut Backward<'_>,
        weights: &Weights<'_>,
        _number: usize,
        adds: bool,
        target: &mut [f32],
    ) -> Result<(), TrainError> {
        let extent = self.extent(target);
        let of_input = space(pass.workspace, target.len());
        let Some(memory) = pass.scratch.recurrent.0.first() else { return Ok(()) };
        let directions = self.layers[0].iter().zip(&memory.directions);
        for (side, (direction, sequence)) in directions.enumerate() {
            direction.input(pass.gemm, weights, extent, sequence, side > 0, of_input)?;
        }
        for (from, to) in extent.orders() {
            let from = &of_input[part(from, self.inputs)];
            let to = target[part(to, self.inputs)].iter_mut();
            to.zip(from).for_each(|(to, from)| put(to, *from, adds));
        }
        Ok(())
    }

    fn parameters(
        &self,
        pass: &mut Backward<'_>,
        parts: &mut Parts<'_, '_>,
    ) -> Result<(), TrainError> {
        let extent = self.extent(pass.inputs[0]);
        for (directions, memory) in self.layers.iter().zip(&pass.scratch.recurrent.0) {
            for (direction, sequence) in directions.iter().zip(&memory.directions) {
                direction.parameters(pass.gemm, extent, &memory.input, sequence, parts);
            }
        }
        Ok(())
    }
}

/// Multiplies values in the order of time by a mask in the order of rows.
fn drop_out(extent: Extent, mask: &[f32], width: usize, values: &mut [f32]) {
    for (to, from) in extent.orders() {
        let values = values[part(to, width)].iter_mut();
        values.zip(&mask[part(from, width)]).for_each(|(value, mask)| *value *= mask);
    }
}
