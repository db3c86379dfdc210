//! What the rest of the crate knows of a network, in whichever way it is defined.

use firesteel_core::ParamLayout;
use firesteel_core::spec::{DataSpec, NetworkDocument};

use crate::error::TrainError;
use crate::graph::{Graph, Input};
use crate::inspect::Inspection;
use crate::network::Network;
use crate::script::Script;
use crate::weights::Weights;

/// A network with every shape known.
pub(crate) trait Definition {
    /// The inputs in order.
    fn inputs(&self) -> &[Input];

    /// Where its tensors lie in the flat buffers.
    fn layout(&self) -> &ParamLayout;

    /// Whether autograd follows each tensor of the layout.
    fn requires_grad(&self) -> Vec<bool>;

    /// Its first weights.
    fn initial(&self, seed: u64) -> Result<Weights, TrainError>;

    /// What trains and predicts, for one thread at a time.
    fn network(&self) -> Result<Box<dyn Network>, TrainError>;

    /// What the driver reads.
    fn inspect(&self) -> Inspection;
}

/// The network of a document, with the shape of a row of each input.
pub(crate) fn define(
    document: &NetworkDocument,
    shapes: &[(&str, &[usize])],
) -> Result<Box<dyn Definition>, TrainError> {
    Ok(match document {
        NetworkDocument::Layers(spec) => Box::new(Graph::build(spec, shapes)?),
        NetworkDocument::TorchScript(spec) => Box::new(Script::load(spec, shapes)?),
    })
}

/// The network of a document over these columns.
pub(crate) fn define_over(
    document: &NetworkDocument,
    data: &DataSpec,
) -> Result<Box<dyn Definition>, TrainError> {
    let shapes: Vec<(&str, &[usize])> =
        data.inputs.iter().map(|input| (input.name.as_str(), input.shape.as_slice())).collect();
    define(document, &shapes)
}
