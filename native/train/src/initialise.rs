//! The first weights of a network.

use firesteel_core::spec::{DataSpec, NetworkSpec};
use firesteel_core::{Buffers, Element, ParamLayout};

use crate::error::TrainError;
use crate::graph::Graph;
use crate::random::Generator;

/// The layout of a network over these columns.
///
/// # Errors
/// As [`inspect`](crate::inspect).
pub fn layout(spec: &NetworkSpec, data: &DataSpec) -> Result<ParamLayout, TrainError> {
    Ok(Graph::of_data(spec, data)?.layout)
}

/// The layout of a network over these columns, and its parameters and buffers drawn from PyTorch's distributions.
///
/// Each tensor has its own stream of the seed, named by the tensor: the same seed gives the same weights on every machine,
/// and a layer keeps its weights when another one is added.
///
/// # Errors
/// As [`inspect`](crate::inspect).
pub fn initialise(
    spec: &NetworkSpec,
    data: &DataSpec,
    seed: u64,
) -> Result<(ParamLayout, Vec<f32>, Buffers), TrainError> {
    let graph = Graph::of_data(spec, data)?;
    let layout = graph.layout;
    let mut parameters = vec![0.0; layout.parameters()];
    let mut buffers = Buffers {
        floats: vec![0.0; layout.len_of(Element::FloatBuffer)],
        integers: vec![0; layout.len_of(Element::IntegerBuffer)],
    };
    for (entry, initial) in layout.entries().iter().zip(&graph.initial) {
        let flat = match entry.element {
            Element::Parameter => &mut parameters,
            Element::FloatBuffer => &mut buffers.floats,
            Element::IntegerBuffer => continue,
        };
        let values = &mut flat[entry.offset..entry.offset + entry.len];
        let columns = entry.shape.last().copied().unwrap_or(1);
        initial.fill(values, columns, &mut Generator::of_stream(seed, entry.name.as_bytes()));
    }
    Ok((layout, parameters, buffers))
}
