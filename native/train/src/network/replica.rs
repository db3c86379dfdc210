//! The flat buffers of one replica with the tensors that lie in them.

use firesteel_core::{Buffers, Element};
use tch::Tensor;

use crate::error::TrainError;
use crate::graph::{Graph, Layer};
use crate::random::Generator;
use crate::raw::{Memory, dimension, lengths, view};

/// A worker's copy of the model: parameters and buffers, each one flat buffer.
pub(crate) struct Replica {
    parameters: Memory<f32>,
    floats: Memory<f32>,
    pub(super) integers: Vec<i64>,
    pub(super) views: Views,
    /// Draws the dropout masks.
    pub(super) random: Generator,
}

/// The tensors of the layout over flat buffers, an empty one for each integer buffer.
pub(crate) struct Views(pub(super) Vec<Tensor>);

impl Replica {
    /// A replica of zeros.
    pub(crate) fn new(graph: &Graph) -> Result<Self, TrainError> {
        let layout = &graph.layout;
        let parameters = Memory::zeros(layout.parameters())?;
        let floats = Memory::zeros(layout.len_of(Element::FloatBuffer))?;
        let views = Views::new(
            graph,
            &parameters.view(0, &[dimension(layout.parameters())?])?,
            &floats.view(0, &[dimension(layout.len_of(Element::FloatBuffer))?])?,
        )?;
        let integers = vec![0; layout.len_of(Element::IntegerBuffer)];
        Ok(Self { parameters, floats, integers, views, random: Generator::new(0) })
    }

    /// The flat parameters.
    pub(crate) fn parameters(&self) -> &[f32] {
        self.parameters.slice()
    }

    /// The flat parameters.
    pub(crate) fn parameters_mut(&mut self) -> &mut [f32] {
        self.parameters.slice_mut()
    }

    /// The tensors.
    pub(crate) fn views(&self) -> &Views {
        &self.views
    }

    /// The flat floating buffers.
    pub(crate) fn floats(&self) -> &[f32] {
        self.floats.slice()
    }

    /// Takes these buffers.
    pub(crate) fn set_buffers(&mut self, buffers: &Buffers) {
        self.floats.slice_mut().copy_from_slice(&buffers.floats);
        self.integers.copy_from_slice(&buffers.integers);
    }

    /// Copies the buffers out.
    pub(crate) fn copy_buffers(&self, buffers: &mut Buffers) {
        buffers.floats.copy_from_slice(self.floats.slice());
        buffers.integers.copy_from_slice(&self.integers);
    }

    /// Restarts the stream of dropout masks.
    pub(crate) fn seed(&mut self, seed: u64) {
        self.random = Generator::new(seed);
    }
}

impl Views {
    /// Views of flat parameters and floating buffers. Autograd follows those parameters whose gradient it has to find: all
    /// but those of Linear layers, whose gradient is a product of what goes in and what comes back.
    pub(crate) fn new(
        graph: &Graph,
        parameters: &Tensor,
        floats: &Tensor,
    ) -> Result<Self, TrainError> {
        let mut views = Vec::with_capacity(graph.layout.entries().len());
        for node in &graph.nodes {
            let followed = !matches!(node.layer, Layer::Linear { .. });
            for entry in &graph.layout.entries()[node.tensors.clone()] {
                let shape = lengths(&entry.shape)?;
                views.push(match entry.element {
                    Element::Parameter => {
                        view(parameters, entry.offset, &shape)?.f_set_requires_grad(followed)?
                    }
                    Element::FloatBuffer => view(floats, entry.offset, &shape)?,
                    Element::IntegerBuffer => Tensor::new(),
                });
            }
        }
        Ok(Self(views))
    }
}
