//! Weights as safetensors, the format of saved models and of the JVM boundary.

use std::borrow::Cow;

use firesteel_core::{BufferKind, Buffers, ParamLayout, TensorEntry};
use safetensors::tensor::{SafeTensors, View};
use safetensors::{Dtype, SafeTensorError};

use crate::error::TrainError;
use crate::model::Weights;

/// A tensor of the flat buffers, for safetensors.
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
        if !self.entry.transposed {
            return Cow::Borrowed(self.bytes);
        }
        let values = self.entry.row_major(bytemuck::cast_slice::<_, f32>(self.bytes));
        Cow::Owned(bytemuck::cast_slice(&values).to_vec())
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

fn dtype(entry: &TensorEntry) -> Dtype {
    match entry.kind {
        BufferKind::Parameter | BufferKind::FloatBuffer => Dtype::F32,
        BufferKind::IntegerBuffer => Dtype::I64,
    }
}

/// Returns the safetensors file of these weights, each tensor under its `state_dict` name.
///
/// # Errors
/// [`TrainError::Internal`] if the buffers are not those of the layout.
pub fn weights_to_bytes(
    layout: &ParamLayout,
    parameters: &[f32],
    buffers: &Buffers,
) -> Result<Vec<u8>, TrainError> {
    serialize(stored(layout, "", parameters, buffers)?)
}

/// Returns the safetensors file of an ensemble: the tensors of member `i` are named `member.i.` and their `state_dict`
/// name.
///
/// # Errors
/// As [`weights_to_bytes`].
pub fn members_to_bytes(layout: &ParamLayout, members: &[Weights]) -> Result<Vec<u8>, TrainError> {
    let mut all = Vec::with_capacity(members.len() * layout.entries().len());
    for (index, (parameters, buffers)) in members.iter().enumerate() {
        all.extend(stored(layout, &prefix(index), parameters, buffers)?);
    }
    serialize(all)
}

/// Returns an upper bound of the bytes of one model's tensors in a safetensors file, alone or as a member of an
/// ensemble.
pub(crate) fn weight_bytes(layout: &ParamLayout) -> u64 {
    /// Prefix, type, offsets and punctuation of an entry of the header, without its name and shape.
    const ENTRY: usize = 128;
    /// A dimension in the header.
    const DIMENSION: usize = 21;
    let entries = layout.entries().iter().map(|entry| {
        let values = entry.len * if entry.kind == BufferKind::IntegerBuffer { 8 } else { 4 };
        values + ENTRY + 6 * entry.name.len() + DIMENSION * entry.shape.len()
    });
    // The length of the header, and its padding.
    entries.sum::<usize>() as u64 + 16
}

/// Reads the weights of a safetensors file that holds exactly the tensors of the layout, or those of each member of an
/// ensemble, as [`members_to_bytes`] writes them.
///
/// # Errors
/// [`TrainError::Weights`] naming the tensor that is missing, unexpected or of another shape or type.
pub fn members_from_bytes(bytes: &[u8], layout: &ParamLayout) -> Result<Vec<Weights>, TrainError> {
    let file = open(bytes)?;
    let names = file.names();
    let count = (0..)
        .take_while(|&index| names.iter().any(|name| name.starts_with(&prefix(index))))
        .count();
    let prefixes = if count == 0 { vec![String::new()] } else { (0..count).map(prefix).collect() };
    let members =
        prefixes.iter().map(|prefix| read(&file, layout, prefix)).collect::<Result<_, _>>()?;
    let known = |name: &str| {
        let of = |prefix: &String| name.strip_prefix(prefix.as_str());
        prefixes.iter().filter_map(of).any(|name| layout.entries().iter().any(|e| e.name == name))
    };
    match names.into_iter().find(|name| !known(name)) {
        Some(extra) => Err(TrainError::Weights(format!(
            "the weights hold a tensor '{extra}' that the network does not have"
        ))),
        None => Ok(members),
    }
}

/// Reads the parameters and buffers of a safetensors file that holds exactly the tensors of the layout.
///
/// # Errors
/// As [`members_from_bytes`], and [`TrainError::Weights`] for an ensemble.
pub fn weights_from_bytes(bytes: &[u8], layout: &ParamLayout) -> Result<Weights, TrainError> {
    let mut members = members_from_bytes(bytes, layout)?;
    match (members.pop(), members.len()) {
        (Some(only), 0) => Ok(only),
        (_, others) => Err(TrainError::Weights(format!(
            "the weights belong to an ensemble of {}; one network is needed",
            others + 1
        ))),
    }
}

fn prefix(member: usize) -> String {
    format!("member.{member}.")
}

fn stored<'a>(
    layout: &'a ParamLayout,
    prefix: &str,
    parameters: &'a [f32],
    buffers: &'a Buffers,
) -> Result<Vec<(String, Stored<'a>)>, TrainError> {
    let entries = layout.entries().iter().map(|entry| {
        let range = entry.offset..entry.offset + entry.len;
        let bytes = match entry.kind {
            BufferKind::Parameter => parameters.get(range).map(bytemuck::cast_slice),
            BufferKind::FloatBuffer => buffers.floats.get(range).map(bytemuck::cast_slice),
            BufferKind::IntegerBuffer => buffers.integers.get(range).map(bytemuck::cast_slice),
        };
        let bytes = bytes.ok_or_else(|| {
            TrainError::Internal(format!("the buffers do not hold '{}'", entry.name))
        })?;
        Ok((format!("{prefix}{}", entry.name), Stored { entry, bytes }))
    });
    entries.collect()
}

fn serialize(stored: Vec<(String, Stored<'_>)>) -> Result<Vec<u8>, TrainError> {
    safetensors::serialize(stored, None).map_err(|error| TrainError::Internal(error.to_string()))
}

fn open(bytes: &[u8]) -> Result<SafeTensors<'_>, TrainError> {
    SafeTensors::deserialize(bytes).map_err(|error: SafeTensorError| {
        TrainError::Weights(format!("the weights are not a safetensors file: {error}"))
    })
}

/// Reads the tensors whose names begin with `prefix`.
fn read(file: &SafeTensors<'_>, layout: &ParamLayout, prefix: &str) -> Result<Weights, TrainError> {
    let mut parameters = vec![0.0_f32; layout.parameters()];
    let mut buffers = Buffers {
        floats: vec![0.0; layout.len_of(BufferKind::FloatBuffer)],
        integers: vec![0; layout.len_of(BufferKind::IntegerBuffer)],
    };
    for entry in layout.entries() {
        let name = format!("{prefix}{}", entry.name);
        let tensor = file.tensor(&name).map_err(|_| {
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
        if entry.transposed {
            let bytes = tensor.data().chunks_exact(size_of::<f32>());
            let values: Vec<f32> = bytes.map(bytemuck::pod_read_unaligned).collect();
            entry.place(&values, &mut parameters[range]);
            continue;
        }
        let target: &mut [u8] = match entry.kind {
            BufferKind::Parameter => bytemuck::cast_slice_mut(&mut parameters[range]),
            BufferKind::FloatBuffer => bytemuck::cast_slice_mut(&mut buffers.floats[range]),
            BufferKind::IntegerBuffer => bytemuck::cast_slice_mut(&mut buffers.integers[range]),
        };
        target.copy_from_slice(tensor.data());
    }
    Ok((parameters, buffers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> ParamLayout {
        let mut layout = ParamLayout::new();
        layout.push("0.weight", &[2, 3], BufferKind::Parameter);
        layout.push("0.bias", &[2], BufferKind::Parameter);
        layout.push("1.running_mean", &[2], BufferKind::FloatBuffer);
        layout.push("1.num_batches_tracked", &[], BufferKind::IntegerBuffer);
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
    fn a_file_does_not_depend_on_the_order_of_a_matrix_in_memory() {
        let (parameters, buffers) = weights();
        let bytes = weights_to_bytes(&layout(), &parameters, &buffers).unwrap();
        let mut transposed = layout();
        transposed.transpose(0);
        let (placed, same) = weights_from_bytes(&bytes, &transposed).unwrap();
        assert_eq!(placed[..6], [0.0, 3.0, 1.0, 4.0, 2.0, 5.0].map(|value| value / 3.0));
        assert_eq!(placed[6..], parameters[6..]);
        assert_eq!(weights_to_bytes(&transposed, &placed, &same).unwrap(), bytes);
    }

    #[test]
    fn weights_of_another_network_are_refused_by_the_tensor_name() {
        let (parameters, buffers) = weights();
        let bytes = weights_to_bytes(&layout(), &parameters, &buffers).unwrap();
        let mut more = layout();
        more.push("2.weight", &[1], BufferKind::Parameter);
        let text = weights_from_bytes(&bytes, &more).unwrap_err().to_string();
        assert_eq!(text, "the weights lack the network's tensor '2.weight'");
        let mut other = ParamLayout::new();
        other.push("0.weight", &[3, 2], BufferKind::Parameter);
        let text = weights_from_bytes(&bytes, &other).unwrap_err().to_string();
        assert_eq!(
            text,
            "tensor '0.weight' of the weights is F32 [2, 3]; the network needs F32 [3, 2]"
        );
        let mut fewer = ParamLayout::new();
        fewer.push("0.weight", &[2, 3], BufferKind::Parameter);
        assert!(
            weights_from_bytes(&bytes, &fewer).unwrap_err().to_string().contains("does not have")
        );
    }

    #[test]
    fn the_members_of_an_ensemble_come_back_in_order() {
        let (mut parameters, buffers) = weights();
        let mut members = Vec::new();
        for _ in 0..12 {
            parameters[0] += 1.0;
            members.push((parameters.clone(), buffers.clone()));
        }
        let bytes = members_to_bytes(&layout(), &members).unwrap();
        assert_eq!(members_from_bytes(&bytes, &layout()).unwrap(), members);
        let text = weights_from_bytes(&bytes, &layout()).unwrap_err().to_string();
        assert_eq!(text, "the weights belong to an ensemble of 12; one network is needed");
        let one = weights_to_bytes(&layout(), &parameters, &buffers).unwrap();
        assert_eq!(members_from_bytes(&one, &layout()).unwrap(), [(parameters, buffers)]);
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
