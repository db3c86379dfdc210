//! Where each tensor of a module lies in the flat buffers.

use firesteel_core::{Buffers, Element, ParamLayout};
use firesteel_script::{Module, Slot};
use tch::{Kind, Tensor, no_grad_guard};

use crate::error::TrainError;
use crate::network::Views;
use crate::raw::elements;
use crate::weights::Weights;

/// The places of a module's tensors and the layout of the flat buffers.
///
/// A tensor that several names share lies there once, under its first name. Frozen parameters lie among the floating
/// buffers. A buffer that is not finite, such as the mask of an attention, is a constant: it stays in the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    layout: ParamLayout,
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    slot: usize,
    /// The index of the layout's entry.
    entry: usize,
    /// The type that the module has there.
    kind: Kind,
}

/// What tells that two tensors are one.
#[derive(PartialEq)]
struct Identity {
    address: usize,
    size: Vec<i64>,
    stride: Vec<i64>,
}

impl Places {
    pub(super) fn of(module: &Module) -> Result<Self, TrainError> {
        let mut found = Self::default();
        let mut known: Vec<(Identity, Place)> = Vec::new();
        for (slot, Slot { name, parameter }) in module.slots().iter().enumerate() {
            let tensor = module.tensor(slot)?;
            let identity = Identity::of(&tensor);
            let shared = known.iter().find(|(other, _)| tensor.numel() > 0 && *other == identity);
            if let Some((_, place)) = shared {
                found.places.push(Place { slot, ..*place });
                continue;
            }
            let Some(element) = element(name, *parameter, &tensor)? else { continue };
            let shape: Vec<usize> =
                tensor.size().iter().map(|&length| length.unsigned_abs() as usize).collect();
            let entry = found.layout.entries().len();
            found.layout.push(name, &shape, element);
            let place = Place { slot, entry, kind: tensor.f_kind()? };
            found.places.push(place);
            known.push((identity, place));
        }
        Ok(found)
    }

    pub(super) fn layout(&self) -> &ParamLayout {
        &self.layout
    }

    /// The values that the module has now.
    pub(super) fn values(&self, module: &Module) -> Result<Weights, TrainError> {
        let _guard = no_grad_guard();
        let mut parameters = vec![0.0; self.layout.parameters()];
        let mut buffers = Buffers {
            floats: vec![0.0; self.layout.len_of(Element::FloatBuffer)],
            integers: vec![0; self.layout.len_of(Element::IntegerBuffer)],
        };
        for place in &self.places {
            let entry = &self.layout.entries()[place.entry];
            let range = entry.offset..entry.offset + entry.len;
            let tensor = module.tensor(place.slot)?.f_contiguous()?;
            match entry.element {
                Element::Parameter => parameters[range].copy_from_slice(elements(&tensor)?),
                Element::FloatBuffer => buffers.floats[range].copy_from_slice(elements(&tensor)?),
                Element::IntegerBuffer => {
                    buffers.integers[range]
                        .copy_from_slice(elements(&tensor.f_to_kind(Kind::Int64)?)?);
                }
            }
        }
        Ok((parameters, buffers))
    }

    /// Makes the module compute with these tensors.
    pub(super) fn bind(&self, module: &Module, views: &Views) -> Result<(), TrainError> {
        for place in &self.places {
            let view = views.get(place.entry);
            match self.is_converted(*place) {
                false => module.set_tensor(place.slot, view)?,
                true => module.set_tensor(place.slot, &view.f_to_kind(place.kind)?)?,
            }
        }
        Ok(())
    }

    /// Takes the buffers that the module has put others in the place of, and those that are of another type.
    pub(super) fn keep(&self, module: &Module, views: &Views) -> Result<(), TrainError> {
        for place in &self.places {
            if self.layout.entries()[place.entry].element == Element::Parameter {
                continue;
            }
            let current = module.tensor(place.slot)?;
            let mut view = views.get(place.entry).shallow_clone();
            if self.is_converted(*place) || current.data_ptr() != view.data_ptr() {
                view.f_copy_(&current)?;
            }
        }
        Ok(())
    }

    /// Whether the module has another type than the flat buffer: an integer that is not i64, or a truth value.
    fn is_converted(&self, place: Place) -> bool {
        let integer = self.layout.entries()[place.entry].element == Element::IntegerBuffer;
        integer && place.kind != Kind::Int64
    }
}

impl Identity {
    fn of(tensor: &Tensor) -> Self {
        Self { address: tensor.data_ptr().addr(), size: tensor.size(), stride: tensor.stride() }
    }
}

/// Which flat buffer a tensor lies in; `None` for a constant.
fn element(name: &str, parameter: bool, tensor: &Tensor) -> Result<Option<Element>, TrainError> {
    Ok(Some(match tensor.f_kind()? {
        Kind::Float if parameter && tensor.requires_grad() => Element::Parameter,
        Kind::Float => {
            let finite =
                elements(&tensor.f_contiguous()?)?.iter().all(|value: &f32| value.is_finite());
            match (finite, parameter) {
                (true, _) => Element::FloatBuffer,
                (false, false) => return Ok(None),
                (false, true) => {
                    return Err(TrainError::InvalidSpec(format!(
                        "parameter '{name}' of the TorchScript module is NaN or infinite"
                    )));
                }
            }
        }
        Kind::Bool | Kind::Uint8 | Kind::Int8 | Kind::Int16 | Kind::Int | Kind::Int64 => {
            Element::IntegerBuffer
        }
        other => {
            return Err(TrainError::InvalidSpec(format!(
                "'{name}' of the TorchScript module is of the type {other:?}; the engine trains float32: call `float()` \
                 on the module before it is scripted"
            )));
        }
    }))
}
