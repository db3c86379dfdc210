//! Weights as safetensors, the form in which models are saved and weights cross the boundary.

use std::borrow::Cow;

use firesteel_core::{Buffers, Element, ParamLayout, TensorEntry};
use safetensors::tensor::{SafeTensors, View};
use safetensors::{Dtype, SafeTensorError};

use crate::error::TrainError;

/// A tensor of the flat buffers as safetensors sees it.
struct Stored<'a> {
    entry: &'a TensorEntry,
    bytes: &'a [u8],
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        dtype(self.entry)
    }

    fn shape(&self) -> &[usize] {
        &self.entry.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

fn dtype(entry: &TensorEntry) -> Dtype {
    match entry.element {
        Element::Parameter | Element::FloatBuffer => Dtype::F32,
        Element::IntegerBuffer => Dtype::I64,
    }
}

/// The safetensors file of these weights, each tensor under its `state_dict` name.
///
/// # Errors
/// [`TrainError::Internal`] if the buffers are not those of the layout.
pub fn weights_to_bytes(
    layout: &ParamLayout,
    parameters: &[f32],
    buffers: &Buffers,
) -> Result<Vec<u8>, TrainError> {
    let stored = layout
        .entries()
        .iter()
        .map(|entry| {
            let range = entry.offset..entry.offset + entry.len;
            let bytes = match entry.element {
                Element::Parameter => parameters.get(range).map(bytemuck::cast_slice),
                Element::FloatBuffer => buffers.floats.get(range).map(bytemuck::cast_slice),
                Element::IntegerBuffer => buffers.integers.get(range).map(bytemuck::cast_slice),
            };
            let bytes = bytes.ok_or_else(|| {
                TrainError::Internal(format!("the buffers do not hold '{}'", entry.name))
            })?;
            Ok((entry.name.as_str(), Stored { entry, bytes }))
        })
        .collect::<Result<Vec<_>, TrainError>>()?;
    safetensors::serialize(stored, None).map_err(|error| TrainError::Internal(error.to_string()))
}

/// The parameters and buffers of a safetensors file that holds exactly the tensors of the layout.
///
/// # Errors
/// [`TrainError::Weights`] naming the tensor that is missing, too many or of another shape or type.
pub fn weights_from_bytes(
    bytes: &[u8],
    layout: &ParamLayout,
) -> Result<(Vec<f32>, Buffers), TrainError> {
    let unreadable = |error: SafeTensorError| {
        TrainError::Weights(format!("the weights are no safetensors file: {error}"))
    };
    let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
    let mut parameters = vec![0.0_f32; layout.parameters()];
    let mut buffers = Buffers {
        floats: vec![0.0; layout.len_of(Element::FloatBuffer)],
        integers: vec![0; layout.len_of(Element::IntegerBuffer)],
    };
    for entry in layout.entries() {
        let name = &entry.name;
        let tensor = file.tensor(name).map_err(|_| {
            TrainError::Weights(format!("the weights lack the network's tensor '{name}'"))
        })?;
        if tensor.dtype() != dtype(entry) || tensor.shape() != entry.shape {
            return Err(TrainError::Weights(format!(
                "tensor '{name}' of the weights is {} {:?}; the network needs {} {:?}",
                tensor.dtype(),
                tensor.shape(),
                dtype(entry),
                entry.shape
            )));
        }
        let range = entry.offset..entry.offset + entry.len;
        let target: &mut [u8] = match entry.element {
            Element::Parameter => bytemuck::cast_slice_mut(&mut parameters[range]),
            Element::FloatBuffer => bytemuck::cast_slice_mut(&mut buffers.floats[range]),
            Element::IntegerBuffer => bytemuck::cast_slice_mut(&mut buffers.integers[range]),
        };
        target.copy_from_slice(tensor.data());
    }
    let known = |name: &str| layout.entries().iter().any(|entry| entry.name == name);
    match file.names().into_iter().find(|name| !known(name)) {
        Some(extra) => Err(TrainError::Weights(format!(
            "the network has no tensor '{extra}', which the weights hold"
        ))),
        None => Ok((parameters, buffers)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> ParamLayout {
        let mut layout = ParamLayout::new();
        layout.push("0.weight", &[2, 3], Element::Parameter);
        layout.push("0.bias", &[2], Element::Parameter);
        layout.push("1.running_mean", &[2], Element::FloatBuffer);
        layout.push("1.num_batches_tracked", &[], Element::IntegerBuffer);
        layout
    }

    fn weights() -> (Vec<f32>, Buffers) {
        let buffers = Buffers { floats: vec![9.0, -0.0], integers: vec![1 << 40] };
        ((0..8).map(|value| value as f32 / 3.0).collect(), buffers)
    }

    #[test]
    fn weights_come_back_bit_for_bit() {
        let (parameters, buffers) = weights();
        let bytes = weights_to_bytes(&layout(), &parameters, &buffers).unwrap();
        assert_eq!(weights_from_bytes(&bytes, &layout()).unwrap(), (parameters, buffers));
    }

    #[test]
    fn weights_of_another_network_are_refused_by_the_tensor_name() {
        let (parameters, buffers) = weights();
        let bytes = weights_to_bytes(&layout(), &parameters, &buffers).unwrap();
        let mut more = layout();
        more.push("2.weight", &[1], Element::Parameter);
        let text = weights_from_bytes(&bytes, &more).unwrap_err().to_string();
        assert_eq!(text, "the weights lack the network's tensor '2.weight'");
        let mut other = ParamLayout::new();
        other.push("0.weight", &[3, 2], Element::Parameter);
        let text = weights_from_bytes(&bytes, &other).unwrap_err().to_string();
        assert_eq!(
            text,
            "tensor '0.weight' of the weights is F32 [2, 3]; the network needs F32 [3, 2]"
        );
        let mut fewer = ParamLayout::new();
        fewer.push("0.weight", &[2, 3], Element::Parameter);
        assert!(
            weights_from_bytes(&bytes, &fewer).unwrap_err().to_string().contains("has no tensor")
        );
    }

    #[test]
    fn damaged_weights_are_refused() {
        let (parameters, buffers) = weights();
        let bytes = weights_to_bytes(&layout(), &parameters, &buffers).unwrap();
        for end in [0, 7, 20, bytes.len() - 1] {
            assert!(matches!(
                weights_from_bytes(&bytes[..end], &layout()),
                Err(TrainError::Weights(_))
            ));
        }
    }
}
