//! The columns of an Arrow stream and what they become.
//!
//! The stream's columns come in this order: each input (one column if dense, two if sparse), each label, the weight if there
//! is one, the validation indicator if there is one. No column holds nulls.

use serde::{Deserialize, Serialize};

/// The columns of a stream, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DataSpec {
    /// The network's inputs.
    pub inputs: Vec<InputSpec>,
    /// The labels; none in prediction.
    pub labels: Vec<LabelSpec>,
    /// The user's name of the row-weight column, a Float32 column of the stream, if there is one.
    pub weight: Option<String>,
    /// Which rows are held out for validation, if any.
    #[serde(default)]
    pub validation: Option<ValidationSpec>,
}

/// Which rows are held out: they are not trained, but scored after each epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "type",
    deny_unknown_fields
)]
pub enum ValidationSpec {
    /// Those that a column of the stream marks: Boolean, or UInt8 of 0 and 1.
    Column {
        /// The user's name of the column.
        column: String,
    },
    /// About this share of all rows. Whether a row belongs to it follows from its content and the seed, so it does not
    /// depend on the order, the partitions and the other rows, and copies of a row stay together.
    Fraction {
        /// The share, above 0 and below 1.
        fraction: f64,
        /// Which rows they are.
        seed: u64,
    },
}

/// One input of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InputSpec {
    /// The name of the network's input.
    pub name: String,
    /// The user's column or columns, for errors.
    pub column: String,
    /// How the rows lie in the stream.
    pub format: InputFormat,
    /// The type of the stored values. A sparse input is always `f32`.
    pub element: ElementType,
    /// The shape of one row, such as `[784]` or `[1, 28, 28]`; its product is the row's number of values.
    pub shape: Vec<usize>,
    /// What each value is multiplied with on its way into an f32 tensor.
    pub scale: f32,
}

impl InputSpec {
    /// The number of values of a row.
    #[must_use]
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }
}

/// How the rows of an input lie in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InputFormat {
    /// One column: a fixed-size list of `size` values.
    Dense,
    /// Two columns: `List<Int32>` of ascending indices below `size` and `List<Float32>` of as many values (CSR).
    Sparse,
}

/// The type of an input's stored values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ElementType {
    /// Unsigned bytes, such as the pixels of an image.
    U8,
    /// Signed bytes.
    I8,
    /// 16-bit integers.
    I16,
    /// 32-bit integers, such as token ids.
    I32,
    /// 64-bit integers.
    I64,
    /// 32-bit floats.
    F32,
}

/// One label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelSpec {
    /// The user's column, for errors.
    pub column: String,
    /// What its values mean.
    pub kind: LabelKind,
}

/// What a label's values mean. In the stream a label is a Float64 column, or a fixed-size list of Float64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "type")]
pub enum LabelKind {
    /// A class index `0..classes`, as an integral Float64.
    Class {
        /// The number of classes.
        classes: usize,
    },
    /// `size` numbers; a plain Float64 column where `size` is 1, a fixed-size list of Float64 otherwise.
    Values {
        /// The numbers of a row.
        size: usize,
    },
}
