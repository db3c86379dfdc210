//! The state of recurrent layers from the forward to the backward pass.

/// The state of a stack of layers.
#[derive(Default)]
pub(super) struct RecurrentState(pub(super) Vec<LayerState>);

/// The state of a layer.
#[derive(Default)]
pub(super) struct LayerState {
    /// The input in the order of time.
    pub(super) input: Vec<f32>,
    /// The mask of the dropout before the layer, in the order of rows. Empty if there is none.
    pub(super) mask: Vec<f32>,
    pub(super) directions: [Sequence; 2],
}

/// The state of a direction, in the order of time.
#[derive(Default)]
pub(super) struct Sequence {
    /// The products with the input, then the gates, then the gradients of the products.
    pub(super) gates: Vec<f32>,
    /// The products with the hidden state: of one step in an LSTM; in a GRU of all steps, then their gradients.
    pub(super) products: Vec<f32>,
    /// The hidden states, with one of zeros before the first step.
    pub(super) hidden: Vec<f32>,
    /// The states of an LSTM's cells, in the same way.
    pub(super) states: Vec<f32>,
    pub(super) of_hidden: Vec<f32>,
    pub(super) of_state: Vec<f32>,
}
