//! Builds the definition of a network from its document.

use firesteel_core::spec::{DataSpec, InputFormat, InputSpec, NetworkDocument};

use crate::error::TrainError;
use crate::graph::Graph;
use crate::network::NetworkDefinition;
use crate::plan::Planned;
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
    define(document, &shapes(data))
}

/// The values of a row from which on mini-batches hold the entries of sparse rows. The columns of narrower rows may be
/// sparse because the first row is, and a product of dense rows then costs less than one entry after the other.
const WIDE: usize = 4096;

/// As [`define_over`], for training: a planned network takes the entries of wide sparse columns where it can.
pub(crate) fn define_for_training(
    document: &NetworkDocument,
    data: &DataSpec,
) -> Result<Box<dyn NetworkDefinition>, TrainError> {
    let NetworkDocument::Layers(spec) = document else { return define_over(document, data) };
    let graph = Graph::build(spec, &shapes(data))?;
    let is_sparse = |name: &str| {
        let is_wide = |input: &InputSpec| {
            input.format == InputFormat::Sparse && input.shape.iter().product::<usize>() >= WIDE
        };
        data.inputs.iter().any(|input| input.name == name && is_wide(input))
    };
    let takes_entries =
        graph.inputs.iter().any(|input| is_sparse(&input.name)) && Planned::new(&graph).is_ok();
    Ok(Box::new(if takes_entries { graph.with_sparse_inputs(is_sparse) } else { graph }))
}

fn shapes(data: &DataSpec) -> Vec<(&str, &[usize])> {
    data.inputs.iter().map(|input| (input.name.as_str(), input.shape.as_slice())).collect()
}
