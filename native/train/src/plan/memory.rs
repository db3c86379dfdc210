//! The memory of a plan.

use super::Place;
use super::step::Scratch;

/// Values and gradients of all places, for as many rows as the largest mini-batch so far had.
pub(super) struct Working {
    rows: usize,
    gradient_rows: usize,
    sizes: Vec<usize>,
    inputs: usize,
    /// For each place, true if a gradient is written there.
    receives: Vec<bool>,
    /// The values by place; those of the network's inputs are elsewhere.
    pub(super) values: Vec<Vec<f32>>,
    /// The gradients by place.
    pub(super) gradients: Vec<Vec<f32>>,
    /// For each place, true if its gradient has been written in this pass.
    pub(super) reached: Vec<bool>,
    /// The state that each step keeps from the forward to the backward pass.
    pub(super) scratch: Vec<Scratch>,
    /// The gradient of one of several losses of a place.
    pub(super) term: Vec<f32>,
    /// The memory that all steps share.
    pub(super) workspace: Vec<f32>,
    /// The working memory of a loss for a row.
    pub(super) of_loss: Vec<f32>,
}

impl Working {
    /// Memory for `places`, of which the first are the inputs of the network and `outputs` are its outputs.
    pub(super) fn new(places: &[Place], inputs: usize, outputs: &[usize], steps: usize) -> Self {
        // The gradient of an output is written even if no parameter has a part in it.
        let receives = |(place, size): (usize, &Place)| size.trained || outputs.contains(&place);
        Self {
            rows: 0,
            gradient_rows: 0,
            sizes: places.iter().map(|place| place.size).collect(),
            inputs,
            receives: places.iter().enumerate().map(receives).collect(),
            values: vec![Vec::new(); places.len()],
            gradients: vec![Vec::new(); places.len()],
            reached: vec![false; places.len()],
            scratch: (0..steps).map(|_| Scratch::default()).collect(),
            term: Vec::new(),
            workspace: Vec::new(),
            of_loss: Vec::new(),
        }
    }

    /// Makes room for the values of this many rows.
    pub(super) fn set_rows(&mut self, rows: usize) {
        if rows <= self.rows {
            return;
        }
        self.rows = rows;
        for (values, &size) in self.values.iter_mut().zip(&self.sizes).skip(self.inputs) {
            values.resize(rows * size, 0.0);
        }
    }

    /// Makes room for the gradients of as many rows as there are values. Predictions need none.
    pub(super) fn hold_gradients(&mut self) {
        if self.rows <= self.gradient_rows {
            return;
        }
        self.gradient_rows = self.rows;
        for (place, (gradient, &size)) in self.gradients.iter_mut().zip(&self.sizes).enumerate() {
            if self.receives[place] {
                gradient.resize(self.rows * size, 0.0);
            }
        }
    }
}
