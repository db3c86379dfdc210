//! The inspection of a network for the driver: shapes, parameters, outputs.

pub use firesteel_script::FinalActivation;
use serde::Serialize;

use super::InputShape;

/// A network with every shape known. Shapes are those of one row, without the batch.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// The layers in order; none for a TorchScript module.
    pub layers: Vec<LayerInspection>,
    /// The inputs in order.
    pub inputs: Vec<InputInspection>,
    /// The outputs in order.
    pub outputs: Vec<OutputInspection>,
    /// The number of trained parameters.
    pub parameters: u64,
    /// An upper bound, by a little, of the bytes of its saved weights.
    pub weight_bytes: u64,
    /// The hash of the layout with all parameters in row-major order, in hexadecimal digits.
    pub layout_hash: String,
    /// The reason why the network trains and predicts by autograd; none if it is planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autograd: Option<String>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerInspection {
    /// Its name.
    pub name: String,
    /// Its type.
    pub op: String,
    /// The shape of its value.
    pub output_shape: Vec<usize>,
    /// The number of its trained parameters.
    pub parameters: u64,
}

/// One input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InputInspection {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// True for whole numbers, such as token ids.
    pub integer: bool,
}

/// One output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputInspection {
    /// The name, for layers that of the layer which computes it.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The folded activation, whose input the network computes.
    pub activation: Activation,
    /// The activation that the network itself applies at its end.
    #[serde(skip)]
    pub final_activation: Option<FinalActivation>,
}

/// A folded activation at the end of a network, which the loss includes and predictions apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Activation {
    /// No activation.
    None,
    /// Softmax over the last dimension.
    Softmax,
    /// The logistic function.
    Sigmoid,
}

impl InputInspection {
    pub(crate) fn of(input: &InputShape) -> Self {
        Self { name: input.name.clone(), shape: input.shape.clone(), integer: input.integer }
    }
}
