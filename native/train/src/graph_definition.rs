//! The definition of a network of layers.

use firesteel_core::{BufferKind, Buffers, ParamLayout};

use crate::error::TrainError;
use crate::graph::{Graph, Layer};
use crate::model::{
    Definition, InputInspection, InputShape, Inspection, LayerInspection, OutputInspection, Weights,
};
use crate::network::{Autograd, Network, NetworkDefinition};
use crate::plan::Planned;
use crate::random::Generator;
use crate::weights::weight_bytes;

impl Definition for Graph {
    fn inputs(&self) -> &[InputShape] {
        &self.inputs
    }

    fn layout(&self) -> &ParamLayout {
        &self.layout
    }

    /// All parameters but those of Linear layers, whose gradient is a matrix product of their input and their output's
    /// gradient.
    fn requires_grad(&self) -> Vec<bool> {
        let mut followed = vec![false; self.layout.entries().len()];
        let nodes = self.nodes.iter().filter(|node| !matches!(node.layer, Layer::Linear { .. }));
        for index in nodes.flat_map(|node| node.tensors.clone()) {
            followed[index] = self.layout.entries()[index].kind == BufferKind::Parameter;
        }
        followed
    }

    /// Draws the weights from PyTorch's distributions, each tensor from its own stream of the seed.
    fn initial(&self, seed: u64) -> Result<Weights, TrainError> {
        let mut parameters = vec![0.0; self.layout.parameters()];
        let mut buffers = Buffers {
            floats: vec![0.0; self.layout.len_of(BufferKind::FloatBuffer)],
            integers: vec![0; self.layout.len_of(BufferKind::IntegerBuffer)],
        };
        for (entry, initial) in self.layout.entries().iter().zip(&self.initial) {
            let flat = match entry.kind {
                BufferKind::Parameter => &mut parameters,
                BufferKind::FloatBuffer => &mut buffers.floats,
                BufferKind::IntegerBuffer => continue,
            };
            let values = &mut flat[entry.offset..entry.offset + entry.len];
            let columns = entry.shape.last().copied().unwrap_or(1);
            initial.fill(values, columns, &mut Generator::of_stream(seed, entry.name.as_bytes()));
            if entry.transposed {
                let drawn = values.to_vec();
                entry.place(&drawn, values);
            }
        }
        Ok((parameters, buffers))
    }

    fn inspect(&self) -> Inspection {
        let entries = self.layout.entries();
        let layers = self.nodes.iter().map(|node| LayerInspection {
            name: node.name.clone(),
            op: node.op.clone(),
            output_shape: node.shape.clone(),
            parameters: entries[node.tensors.clone()]
                .iter()
                .filter(|entry| entry.kind == BufferKind::Parameter)
                .map(|entry| entry.len as u64)
                .sum(),
        });
        let outputs = self.outputs.iter().map(|output| OutputInspection {
            name: output.name.clone(),
            shape: output.shape.clone(),
            activation: output.activation,
            final_activation: output.final_activation,
        });
        Inspection {
            layers: layers.collect(),
            inputs: self.inputs.iter().map(InputInspection::of).collect(),
            outputs: outputs.collect(),
            parameters: self.layout.parameters() as u64,
            weight_bytes: weight_bytes(&self.layout),
            layout_hash: format!("{:016x}", self.layout.hash()),
            autograd: Planned::new(self).err().map(|reason| reason.to_string()),
        }
    }
}

impl NetworkDefinition for Graph {
    fn network(&self) -> Result<Box<dyn Network>, TrainError> {
        Ok(match Planned::new(self) {
            Ok(planned) => Box::new(planned),
            Err(_) => Box::new(Autograd::new(self)),
        })
    }
}
