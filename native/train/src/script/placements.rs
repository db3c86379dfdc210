//! The placement of a module's tensors in the flat buffers.

use firesteel_core::{BufferKind, Buffers, ParamLayout};
use firesteel_script::{Module, Slot};
use tch::{Kind, Tensor, no_grad_guard};

use crate::error::TrainError;
use crate::model::Weights;
use crate::network::Views;
use crate::raw::elements;

/// The placements of a module's tensors and the layout of the flat buffers.
///
/// A tensor that several names share is placed once, under its first name. Frozen parameters are placed among the
/// floating buffers. A buffer that is not finite, such as the mask of an attention, is a constant: it stays in the
/// module.
#[derive(Clone, Debug, Default)]
pub(super) struct TensorPlacements {
    layout: ParamLayout,
    placements: Vec<TensorPlacement>,
}

#[derive(Clone, Copy, Debug)]
struct TensorPlacement {
    slot: usize,
    /// The index of the layout's entry.
    entry: usize,
    /// The tensor's type in the module.
    kind: Kind,
}

/// The identity of a tensor's memory, by which shared tensors are found.
#[derive(PartialEq)]
struct Identity {
    address: usize,
    size: Vec<i64>,
    stride: Vec<i64>,
}

impl TensorPlacements {
    pub(super) fn of(module: &Module) -> Result<Self, TrainError> {
        let mut found = Self::default();
        let mut known: Vec<(Identity, TensorPlacement)> = Vec::new();
        for (slot, Slot { name, parameter }) in module.slots().iter().enumerate() {
            let tensor = module.tensor(slot)?;
            let identity = Identity::of(&tensor);
            let shared = known.iter().find(|(other, _)| tensor.numel() > 0 && *other == identity);
            if let Some((_, placement)) = shared {
                found.placements.push(TensorPlacement { slot, ..*placement });
                continue;
            }
            let Some(element) = element(name, *parameter, &tensor)? else { continue };
            let shape: Vec<usize> =
                tensor.size().iter().map(|&length| length.unsigned_abs() as usize).collect();
            let entry = found.layout.entries().len();
            found.layout.push(name, &shape, element);
            let placement = TensorPlacement { slot, entry, kind: tensor.f_kind()? };
            found.placements.push(placement);
            known.push((identity, placement));
        }
        Ok(found)
    }

    pub(super) fn layout(&self) -> &ParamLayout {
        &self.layout
    }

    /// Returns the current values of the module.
    pub(super) fn values(&self, module: &Module) -> Result<Weights, TrainError> {
        let _guard = no_grad_guard();
        let mut parameters = vec![0.0; self.layout.parameters()];
        let mut buffers = Buffers {
            floats: vec![0.0; self.layout.len_of(BufferKind::FloatBuffer)],
            integers: vec![0; self.layout.len_of(BufferKind::IntegerBuffer)],
        };
        for placement in &self.placements {
            let entry = &self.layout.entries()[placement.entry];
            let range = entry.offset..entry.offset + entry.len;
            let tensor = module.tensor(placement.slot)?.f_contiguous()?;
            match entry.kind {
                BufferKind::Parameter => parameters[range].copy_from_slice(elements(&tensor)?),
                BufferKind::FloatBuffer => {
                    buffers.floats[range].copy_from_slice(elements(&tensor)?)
                }
                BufferKind::IntegerBuffer => {
                    buffers.integers[range]
                        .copy_from_slice(elements(&tensor.f_to_kind(Kind::Int64)?)?);
                }
            }
        }
        Ok((parameters, buffers))
    }

    /// Sets the module's tensors to these views.
    pub(super) fn bind(&self, module: &Module, views: &Views) -> Result<(), TrainError> {
        for placement in &self.placements {
            let view = views.get(placement.entry);
            match self.is_converted(*placement) {
                false => module.set_tensor(placement.slot, view)?,
                true => module.set_tensor(placement.slot, &view.f_to_kind(placement.kind)?)?,
            }
        }
        Ok(())
    }

    /// Copies the buffers that the module has replaced by others, and those of another type, back to the views.
    pub(super) fn copy_back(&self, module: &Module, views: &Views) -> Result<(), TrainError> {
        for placement in &self.placements {
            if self.layout.entries()[placement.entry].kind == BufferKind::Parameter {
                continue;
            }
            let current = module.tensor(placement.slot)?;
            let mut view = views.get(placement.entry).shallow_clone();
            if self.is_converted(*placement) || current.data_ptr() != view.data_ptr() {
                view.f_copy_(&current)?;
            }
        }
        Ok(())
    }

    /// Returns true if the module's type differs from the flat buffer's: an integer other than i64, or a Boolean.
    fn is_converted(&self, placement: TensorPlacement) -> bool {
        let integer = self.layout.entries()[placement.entry].kind == BufferKind::IntegerBuffer;
        integer && placement.kind != Kind::Int64
    }
}

impl Identity {
    fn of(tensor: &Tensor) -> Self {
        Self { address: tensor.data_ptr().addr(), size: tensor.size(), stride: tensor.stride() }
    }
}

/// Returns the kind of flat buffer of a tensor; `None` for a constant.
fn element(name: &str, parameter: bool, tensor: &Tensor) -> Result<Option<BufferKind>, TrainError> {
    Ok(Some(match tensor.f_kind()? {
        Kind::Float if parameter && tensor.requires_grad() => BufferKind::Parameter,
        Kind::Float => {
            let finite =
                elements(&tensor.f_contiguous()?)?.iter().all(|value: &f32| value.is_finite());
            match (finite, parameter) {
                (true, _) => BufferKind::FloatBuffer,
                (false, false) => return Ok(None),
                (false, true) => {
                    return Err(TrainError::InvalidSpec(format!(
                        "parameter '{name}' of the TorchScript module is NaN or infinite"
                    )));
                }
            }
        }
        Kind::Bool | Kind::Uint8 | Kind::Int8 | Kind::Int16 | Kind::Int | Kind::Int64 => {
            BufferKind::IntegerBuffer
        }
        other => {
            return Err(TrainError::InvalidSpec(format!(
                "'{name}' of the TorchScript module has the type {other:?}; the engine trains float32: call `float()` \
                 on the module before it is scripted"
            )));
        }
    }))
}
