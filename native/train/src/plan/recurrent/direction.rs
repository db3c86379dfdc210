//! One direction of one recurrent layer.

use std::ops::Range;

use firesteel_kernels::linear::{self, Shape};
use firesteel_kernels::{Gemm, gru, lstm};

use super::super::recurrent_state::Sequence;
use super::super::step::{Parameter, Parts, Weights};
use super::super::workspace::space;
use super::Extent;
use crate::error::TrainError;
use crate::graph::Cell;

/// A pass over the steps of sequences.
pub(super) struct Direction {
    pub(super) cell: Cell,
    pub(super) inputs: usize,
    pub(super) units: usize,
    /// True if the last step comes first.
    pub(super) reverse: bool,
    /// The weight of the products with the input, and its bias.
    pub(super) of_input: (Parameter, Option<Parameter>),
    /// The weight of the products with the hidden state, and its bias.
    pub(super) of_hidden: (Parameter, Option<Parameter>),
}

impl Direction {
    /// The gates of a row.
    fn gates(&self) -> usize {
        match self.cell {
            Cell::Lstm => lstm::GATES * self.units,
            Cell::Gru => gru::GATES * self.units,
        }
    }

    /// The shape of the products of one step with the hidden state.
    fn of_step(&self, extent: Extent) -> Shape {
        Shape { rows: extent.rows, inputs: self.units, outputs: self.gates() }
    }

    /// The shape of the products of all steps with the input.
    fn of_all(&self, extent: Extent) -> Shape {
        Shape { rows: extent.all(), inputs: self.inputs, outputs: self.gates() }
    }

    /// The steps in the order of the forward pass.
    fn order(&self, extent: Extent) -> impl DoubleEndedIterator<Item = usize> {
        let last = extent.steps.wrapping_sub(1);
        let reverse = self.reverse;
        (0..extent.steps).map(move |index| if reverse { last - index } else { index })
    }

    /// The number of the hidden state before a step, and that of the state after it.
    fn slots(&self, time: usize) -> (usize, usize) {
        if self.reverse { (time + 1, time) } else { (time, time + 1) }
    }

    /// The state before a step, and that after it.
    fn states<'a>(
        &self,
        states: &'a mut [f32],
        time: usize,
        length: usize,
    ) -> (&'a [f32], &'a mut [f32]) {
        let both = &mut states[time * length..(time + 2) * length];
        let (first, second) = both.split_at_mut(length);
        if self.reverse { (second, first) } else { (first, second) }
    }

    /// Makes room for states, with zeros before the first step.
    fn start(&self, states: &mut Vec<f32>, extent: Extent) {
        let length = extent.rows * self.units;
        states.resize((extent.steps + 1) * length, 0.0);
        let first = if self.reverse { extent.steps } else { 0 };
        states[part(first, length)].fill(0.0);
    }

    /// Computes the hidden states of all steps.
    pub(super) fn forward(
        &self,
        gemm: &Gemm,
        weights: &Weights<'_>,
        extent: Extent,
        input: &[f32],
        memory: &mut Sequence,
        workspace: &mut Vec<f32>,
    ) -> Result<(), TrainError> {
        let Sequence { gates, products, hidden, states, .. } = memory;
        let (length, width) = (extent.rows * self.units, extent.rows * self.gates());
        gates.resize(extent.steps * width, 0.0);
        let (weight, bias) = read(weights, &self.of_input)?;
        let shape = self.of_all(extent);
        let panels = space(workspace, linear::workspace(gemm, shape));
        linear::forward(gemm, shape, input, weight, bias, panels, gates);
        let (weight, bias) = read(weights, &self.of_hidden)?;
        self.start(hidden, extent);
        match self.cell {
            Cell::Lstm => {
                self.start(states, extent);
                products.resize(width, 0.0);
            }
            Cell::Gru => products.resize(extent.steps * width, 0.0),
        }
        let shape = self.of_step(extent);
        let panels = space(workspace, linear::workspace(gemm, shape));
        for time in self.order(extent) {
            let (before, hidden) = self.states(hidden, time, length);
            let gates = &mut gates[part(time, width)];
            let products = match self.cell {
                Cell::Lstm => &mut products[..],
                Cell::Gru => &mut products[part(time, width)],
            };
            linear::forward(gemm, shape, before, weight, bias, panels, products);
            match self.cell {
                Cell::Lstm => {
                    let (before, state) = self.states(states, time, length);
                    lstm::forward(gemm, self.units, gates, products, before, state, hidden);
                }
                Cell::Gru => gru::forward(gemm, self.units, gates, products, before, hidden),
            }
        }
        Ok(())
    }

    /// Computes the gradients of all products. `of_sequence` is the gradient of the layer's output, of which this
    /// direction's values begin at `offset` in each row of `stride` values.
    pub(super) fn backward(
        &self,
        gemm: &Gemm,
        weights: &Weights<'_>,
        extent: Extent,
        (of_sequence, stride, offset): (&[f32], usize, usize),
        memory: &mut Sequence,
    ) -> Result<(), TrainError> {
        let Sequence { gates, products, hidden, states, of_hidden, of_state } = memory;
        let (length, width) = (extent.rows * self.units, extent.rows * self.gates());
        let weight = weights.get(&self.of_hidden.0)?;
        for gradient in [&mut *of_hidden, of_state] {
            gradient.clear();
            gradient.resize(length, 0.0);
        }
        let mut steps = self.order(extent).rev().peekable();
        while let Some(time) = steps.next() {
            let rows = of_sequence[part(time, extent.rows * stride)].chunks_exact(stride);
            for (sum, dy) in of_hidden.chunks_exact_mut(self.units).zip(rows) {
                sum.iter_mut().zip(&dy[offset..]).for_each(|(sum, dy)| *sum += dy);
            }
            let gates = &mut gates[part(time, width)];
            let (of_products, adds) = match self.cell {
                Cell::Lstm => {
                    let (before, state) = self.states(states, time, length);
                    lstm::backward(gemm, self.units, gates, before, state, of_hidden, of_state);
                    (&*gates, false)
                }
                Cell::Gru => {
                    let products = &mut products[part(time, width)];
                    let before = &hidden[part(self.slots(time).0, length)];
                    gru::backward(gemm, self.units, gates, products, before, of_hidden);
                    (&*products, true)
                }
            };
            // Nothing reads the gradient of the zeros before the first step.
            if steps.peek().is_some() {
                linear::of_input(gemm, self.of_step(extent), weight, of_products, adds, of_hidden);
            }
        }
        Ok(())
    }

    /// Computes the gradient of the input from those of the products, or adds it.
    pub(super) fn input(
        &self,
        gemm: &Gemm,
        weights: &Weights<'_>,
        extent: Extent,
        memory: &Sequence,
        adds: bool,
        target: &mut [f32],
    ) -> Result<(), TrainError> {
        let weight = weights.get(&self.of_input.0)?;
        linear::of_input(gemm, self.of_all(extent), weight, &memory.gates, adds, target);
        Ok(())
    }

    /// Writes the gradients of the weights and biases.
    pub(super) fn parameters(
        &self,
        gemm: &Gemm,
        extent: Extent,
        input: &[f32],
        memory: &Sequence,
        parts: &mut Parts<'_, '_>,
    ) {
        let Sequence { gates, products, hidden, .. } = memory;
        let of_products = match self.cell {
            Cell::Lstm => gates,
            Cell::Gru => products,
        };
        let shape = self.of_all(extent);
        of_weight(gemm, shape, input, gates, parts.range(&self.of_input.0.range));
        let length = extent.rows * self.units;
        let first = if self.reverse { length } else { 0 };
        let before = &hidden[first..first + extent.steps * length];
        let shape = Shape { inputs: self.units, ..shape };
        of_weight(gemm, shape, before, of_products, parts.range(&self.of_hidden.0.range));
        for (bias, gradient) in [(&self.of_input.1, gates), (&self.of_hidden.1, of_products)] {
            if let Some(bias) = bias {
                linear::of_bias(gemm, gradient, parts.range(&bias.range));
            }
        }
    }

    /// The hidden state of a row after a step; `index` counts rows in the order of time.
    pub(super) fn hidden<'a>(
        &self,
        memory: &'a Sequence,
        extent: Extent,
        index: usize,
    ) -> &'a [f32] {
        let skipped = if self.reverse { 0 } else { extent.rows };
        &memory.hidden[part(skipped + index, self.units)]
    }

    /// The step whose hidden state is the last.
    pub(super) fn last(&self, extent: Extent) -> Option<usize> {
        self.order(extent).next_back()
    }
}

/// Computes the gradient of a weight.
fn of_weight(gemm: &Gemm, shape: Shape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    for outputs in linear::blocks(gemm, shape) {
        let rows = outputs.start * shape.inputs..outputs.end * shape.inputs;
        linear::of_weight(gemm, shape, x, dy, outputs, &mut dw[rows]);
    }
}

/// The range of the part with this number, of parts of one length.
pub(super) fn part(number: usize, length: usize) -> Range<usize> {
    number * length..(number + 1) * length
}

fn read<'a>(
    weights: &Weights<'a>,
    (weight, bias): &(Parameter, Option<Parameter>),
) -> Result<(&'a [f32], Option<&'a [f32]>), TrainError> {
    let bias = weights.optional(bias.as_ref())?;
    Ok((weights.get(weight)?, bias))
}
