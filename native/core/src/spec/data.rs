//! The columns of an Arrow stream and their meaning.
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
    /// The rows held out for validation, if any.
    #[serde(default)]
    pub validation: Option<ValidationSpec>,
}

/// The choice of held-out rows, which are not trained but scored after each epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "type",
    deny_unknown_fields
)]
pub enum ValidationSpec {
    /// The rows that a column of the stream marks: Boolean, or UInt8 of 0 and 1.
    Column {
        /// The user's name of the column.
        column: String,
    },
    /// About this share of all rows. The choice depends on a row's content and the seed only, not on the order, the
    /// partitions or the other rows, and copies of a row stay together.
    Fraction {
        /// The share, above 0 and below 1.
        fraction: f64,
        /// The seed of the choice.
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
    /// The format of the rows in the stream.
    pub format: InputFormat,
    /// The type of the stored values. A sparse input is always `f32`.
    pub element: ElementType,
    /// The shape of one row, such as `[784]` or `[1, 28, 28]`; its product is the row's number of values.
    pub shape: Vec<usize>,
    /// The factor applied to each value on its way into an f32 tensor.
    pub scale: f32,
}

impl InputSpec {
    /// The number of values of a row.
    #[must_use]
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The format of an input's rows in the stream.
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
    /// The meaning of its values.
    pub kind: LabelKind,
}

/// The meaning of a label's values. In the stream a label is a Float64 column, or a fixed-size list of Float64.
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
