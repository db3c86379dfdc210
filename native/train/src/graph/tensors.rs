//! The tensors of layers and their initialisation.

use firesteel_core::BufferKind;

use crate::random::Generator;

/// A tensor of a layer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LayerTensor {
    /// The name within the layer, such as `weight`.
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) kind: BufferKind,
    pub(crate) initial: Initial,
}

/// The initialisation of a tensor, as in PyTorch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Initial {
    /// The same value everywhere.
    Constant(f32),
    /// Uniform within `-bound..bound`.
    Uniform { bound: f64 },
    /// Standard normal, one row zero.
    Normal { zero_row: Option<usize> },
}

impl Initial {
    /// Uniform within `1 / sqrt(fan)`, which is PyTorch's `kaiming_uniform_(a=sqrt(5))`.
    pub(super) fn within_root_of(fan: f64) -> Self {
        Self::Uniform { bound: 1.0 / fan.sqrt() }
    }

    /// Fills a tensor whose last dimension is `columns` long.
    pub(crate) fn fill(self, values: &mut [f32], columns: usize, random: &mut Generator) {
        match self {
            Self::Constant(value) => values.fill(value),
            Self::Uniform { bound } => {
                for value in values {
                    *value = ((2.0 * random.uniform() - 1.0) * bound) as f32;
                }
            }
            Self::Normal { zero_row } => {
                for value in values.iter_mut() {
                    *value = random.normal() as f32;
                }
                if let Some(row) = zero_row {
                    values[row * columns..(row + 1) * columns].fill(0.0);
                }
            }
        }
    }
}

impl LayerTensor {
    pub(super) fn parameter(name: impl Into<String>, shape: &[usize], initial: Initial) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), kind: BufferKind::Parameter, initial }
    }

    pub(super) fn buffer(name: &str, shape: &[usize], value: f32) -> Self {
        Self {
            name: name.to_owned(),
            shape: shape.to_vec(),
            kind: BufferKind::FloatBuffer,
            initial: Initial::Constant(value),
        }
    }

    /// A scalar integer that starts at 0.
    pub(super) fn counter(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            shape: Vec::new(),
            kind: BufferKind::IntegerBuffer,
            initial: Initial::Constant(0.0),
        }
    }
}
