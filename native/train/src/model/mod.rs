//! The description of a network that the rest of the crate shares, for layers and for TorchScript modules.

mod inspection;

use firesteel_core::{Buffers, ParamLayout};

pub use self::inspection::{
    Activation, FinalActivation, InputInspection, Inspection, LayerInspection, OutputInspection,
};
use crate::error::TrainError;

/// The weights of one network: flat parameters and buffers.
pub type Weights = (Vec<f32>, Buffers);

/// One input of a network.
#[derive(Clone, Debug)]
pub(crate) struct InputShape {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    /// True for whole numbers.
    pub(crate) integer: bool,
    /// The number of tokens if the input holds token ids for an `Embedding`.
    pub(crate) tokens: Option<usize>,
    /// True if mini-batches hold the entries of sparse rows.
    pub(crate) sparse: bool,
}

/// A network with every shape known.
pub(crate) trait Definition {
    /// The inputs in order.
    fn inputs(&self) -> &[InputShape];

    /// The layout of the tensors in the flat buffers.
    fn layout(&self) -> &ParamLayout;

    /// For each tensor of the layout, true if autograd computes its gradient.
    fn requires_grad(&self) -> Vec<bool>;

    /// The initial weights.
    fn initial(&self, seed: u64) -> Result<Weights, TrainError>;

    /// The inspection that the driver reads.
    fn inspect(&self) -> Inspection;
}

/// A shape as users write it.
pub(crate) fn show(shape: &[usize]) -> String {
    format!("{shape:?}")
}
