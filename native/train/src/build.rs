//! Builds the definition of a network from its document.

use firesteel_core::spec::{DataSpec, NetworkDocument};

use crate::error::TrainError;
use crate::graph::Graph;
use crate::network::NetworkDefinition;
use crate::script::Script;

/// Builds the network of a document from the shape of a row of each input.
pub(crate) fn define(
    document: &NetworkDocument,
    shapes: &[(&str, &[usize])],
) -> Result<Box<dyn NetworkDefinition>, TrainError> {
    Ok(match document {
        NetworkDocument::Layers(spec) => Box::new(Graph::build(spec, shapes)?),
        NetworkDocument::TorchScript(spec) => Box::new(Script::load(spec, shapes)?),
    })
}

/// Builds the network of a document over the columns of the data.
pub(crate) fn define_over(
    document: &NetworkDocument,
    data: &DataSpec,
) -> Result<Box<dyn NetworkDefinition>, TrainError> {
    let shapes: Vec<(&str, &[usize])> =
        data.inputs.iter().map(|input| (input.name.as_str(), input.shape.as_slice())).collect();
    define(document, &shapes)
}
