//! Rows of a sparse input for a mini-batch.

/// Sparse rows, one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SparseRows {
    /// The end of each row's entries.
    ends: Vec<usize>,
    indices: Vec<usize>,
    values: Vec<f32>,
}

impl SparseRows {
    /// The end of each row's entries among all.
    #[must_use]
    pub fn ends(&self) -> &[usize] {
        &self.ends
    }

    /// The indices of all entries, ascending within a row.
    #[must_use]
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// The values of all entries, scaled.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Removes all rows.
    pub fn clear(&mut self) {
        self.ends.clear();
        self.indices.clear();
        self.values.clear();
    }

    /// Appends a row of entries: their ascending indices, which are not negative, and their values before scaling.
    pub fn push(&mut self, indices: &[i32], values: &[f32], scale: f32) {
        self.indices.extend(indices.iter().map(|&index| index as usize));
        self.values.extend(values.iter().map(|value| value * scale));
        self.ends.push(self.values.len());
    }
}
