//! The layout of named tensors in the flat buffers.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// The kind of flat buffer that holds a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BufferKind {
    /// A trained parameter, in the flat f32 parameter buffer.
    Parameter,
    /// A floating buffer (batch-norm statistics), in [`Buffers::floats`](crate::Buffers::floats).
    FloatBuffer,
    /// An integer buffer (`num_batches_tracked`), in [`Buffers::integers`](crate::Buffers::integers).
    IntegerBuffer,
}

/// One named tensor: `len` elements of its flat buffer from `offset`, in row-major order or transposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TensorEntry {
    /// The name in PyTorch's `state_dict`, such as `0.weight`.
    pub name: String,
    /// The tensor's shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Which flat buffer the tensor lies in.
    pub kind: BufferKind,
    /// The index of its first element in that buffer.
    pub offset: usize,
    /// The number of its elements.
    pub len: usize,
    /// True for a matrix that lies in its buffer column after column.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub transposed: bool,
}

impl TensorEntry {
    /// The tensor's shape in its flat buffer.
    #[must_use]
    pub fn shape_in_buffer(&self) -> Vec<usize> {
        let mut shape = self.shape.clone();
        if self.transposed {
            shape.reverse();
        }
        shape
    }

    /// Copies the tensor's elements from row-major order to their place.
    ///
    /// # Panics
    /// If a length is not that of the tensor.
    pub fn place<T: Copy>(&self, row_major: &[T], target: &mut [T]) {
        match self.matrix() {
            Some((rows, columns)) => transpose(row_major, rows, columns, target),
            None => target.copy_from_slice(row_major),
        }
    }

    /// Returns the tensor's elements in row-major order.
    ///
    /// # Panics
    /// If the length is not that of the tensor.
    #[must_use]
    pub fn row_major<'a, T: Copy + Default>(&self, placed: &'a [T]) -> Cow<'a, [T]> {
        let Some((rows, columns)) = self.matrix() else { return Cow::Borrowed(placed) };
        let mut values = vec![T::default(); placed.len()];
        transpose(placed, columns, rows, &mut values);
        Cow::Owned(values)
    }

    /// The rows and columns of a matrix that is transposed in its buffer.
    fn matrix(&self) -> Option<(usize, usize)> {
        self.transposed.then(|| (self.shape[0], self.shape[1]))
    }
}

/// Transposes a matrix of `rows` x `columns`, in blocks that fit the processor's cache.
fn transpose<T: Copy>(from: &[T], rows: usize, columns: usize, to: &mut [T]) {
    const BLOCK: usize = 32;
    assert_eq!((from.len(), to.len()), (rows * columns, rows * columns), "{rows} x {columns}");
    for first_row in (0..rows).step_by(BLOCK) {
        for first_column in (0..columns).step_by(BLOCK) {
            for row in first_row..rows.min(first_row + BLOCK) {
                for column in first_column..columns.min(first_column + BLOCK) {
                    to[column * rows + row] = from[row * columns + column];
                }
            }
        }
    }
}

/// The layout of a network's flat buffers, in `state_dict` order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ParamLayout {
    entries: Vec<TensorEntry>,
}

impl ParamLayout {
    /// An empty layout.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a tensor after the last one of its buffer and returns its entry.
    pub fn push(
        &mut self,
        name: impl Into<String>,
        shape: &[usize],
        kind: BufferKind,
    ) -> &TensorEntry {
        let offset = self.len_of(kind);
        let index = self.entries.len();
        self.entries.push(TensorEntry {
            name: name.into(),
            shape: shape.to_vec(),
            kind,
            offset,
            len: shape.iter().product(),
            transposed: false,
        });
        &self.entries[index]
    }

    /// Lays a matrix out column after column.
    ///
    /// # Panics
    /// If there is no such entry or it is no matrix.
    pub fn transpose(&mut self, entry: usize) {
        assert_eq!(self.entries[entry].shape.len(), 2, "only a matrix is transposed");
        self.entries[entry].transposed = true;
    }

    /// The tensors in `state_dict` order.
    #[must_use]
    pub fn entries(&self) -> &[TensorEntry] {
        &self.entries
    }

    /// The tensors of one flat buffer.
    pub fn of(&self, kind: BufferKind) -> impl Iterator<Item = &TensorEntry> {
        self.entries.iter().filter(move |entry| entry.kind == kind)
    }

    /// The number of elements of one flat buffer.
    #[must_use]
    pub fn len_of(&self, kind: BufferKind) -> usize {
        self.of(kind).map(|entry| entry.len).sum()
    }

    /// The number of trained parameters.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.len_of(BufferKind::Parameter)
    }

    /// The name of the parameter tensor that holds element `index` of the flat parameter buffer.
    #[must_use]
    pub fn parameter_name(&self, index: usize) -> Option<&str> {
        self.of(BufferKind::Parameter)
            .find(|entry| (entry.offset..entry.offset + entry.len).contains(&index))
            .map(|entry| entry.name.as_str())
    }

    /// A hash of names, shapes, buffers and orders, the same on every machine: two peers exchange flat buffers only if it
    /// agrees.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut hasher = Xxh3::new();
        for entry in &self.entries {
            hasher.update(&(entry.name.len() as u64).to_le_bytes());
            hasher.update(entry.name.as_bytes());
            hasher.update(&[entry.kind as u8, u8::from(entry.transposed)]);
            hasher.update(&(entry.shape.len() as u64).to_le_bytes());
            for &size in &entry.shape {
                hasher.update(&(size as u64).to_le_bytes());
            }
        }
        hasher.digest()
    }
}

#[cfg(test)]
mod tests {
    use super::{BufferKind, ParamLayout};

    fn layout() -> ParamLayout {
        let mut layout = ParamLayout::new();
        layout.push("0.weight", &[3, 2], BufferKind::Parameter);
        layout.push("1.running_mean", &[3], BufferKind::FloatBuffer);
        layout.push("0.bias", &[3], BufferKind::Parameter);
        layout
    }

    #[test]
    fn each_buffer_is_laid_out_without_gaps() {
        let layout = layout();
        assert_eq!(layout.parameters(), 9);
        assert_eq!(layout.len_of(BufferKind::FloatBuffer), 3);
        assert_eq!(layout.len_of(BufferKind::IntegerBuffer), 0);
        assert_eq!(layout.entries()[2].offset, 6);
        assert_eq!(layout.entries()[1].offset, 0);
    }

    #[test]
    fn an_element_is_named_by_its_tensor() {
        let layout = layout();
        assert_eq!(layout.parameter_name(5), Some("0.weight"));
        assert_eq!(layout.parameter_name(6), Some("0.bias"));
        assert_eq!(layout.parameter_name(9), None);
    }

    #[test]
    fn the_hash_tells_layouts_apart_that_have_the_same_size() {
        let mut other = ParamLayout::new();
        other.push("0.weight", &[2, 3], BufferKind::Parameter);
        other.push("1.running_mean", &[3], BufferKind::FloatBuffer);
        other.push("0.bias", &[3], BufferKind::Parameter);
        assert_eq!(layout().hash(), layout().hash());
        assert_ne!(layout().hash(), other.hash());
        let mut transposed = layout();
        transposed.transpose(0);
        assert_ne!(layout().hash(), transposed.hash());
    }

    #[test]
    fn a_transposed_matrix_comes_back_in_row_major_order() {
        for (rows, columns) in [(3, 2), (1, 70), (65, 33), (0, 4)] {
            let mut layout = ParamLayout::new();
            layout.push("w", &[rows, columns], BufferKind::Parameter);
            let values: Vec<usize> = (0..rows * columns).collect();
            let mut placed = vec![0; values.len()];
            layout.entries()[0].place(&values, &mut placed);
            assert_eq!(placed, values);
            layout.transpose(0);
            let entry = &layout.entries()[0];
            entry.place(&values, &mut placed);
            for (index, value) in placed.iter().enumerate() {
                assert_eq!(*value, index % rows * columns + index / rows);
            }
            assert_eq!(entry.row_major(&placed).as_ref(), values);
            assert_eq!(entry.shape_in_buffer(), [columns, rows]);
        }
    }
}
