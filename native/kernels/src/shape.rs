//! The lengths of a Linear layer.

/// The lengths of a layer and of a mini-batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The rows of the mini-batch.
    pub rows: usize,
    /// The values of a row of the input.
    pub inputs: usize,
    /// The values of a row of the output.
    pub outputs: usize,
}
