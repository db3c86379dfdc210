//! Wide sparse rows, and a network whose first layer takes them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Float32Array, Float64Array, Int32Array, ListArray, RecordBatch,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{Field, Schema};
use firesteel_core::spec::{DataSpec, NetworkDocument};
use serde_json::json;

/// The values of a row, and those of them that are not 0, as in `torch_loop.py`.
const SIZE: usize = 100_000;
const ENTRIES: usize = 100;

/// A Linear layer of 64 outputs, and one of 2.
pub fn network() -> NetworkDocument {
    serde_json::from_value(json!({
        "format": "firesteel.network/1",
        "inputs": ["x"],
        "outputs": ["2"],
        "nodes": [
            {"name": "0", "op": "Linear", "inputs": ["x"], "args": {"out_features": 64}},
            {"name": "1", "op": "ReLU", "inputs": ["0"], "args": {}},
            {"name": "2", "op": "Linear", "inputs": ["1"], "args": {"out_features": 2}},
        ],
    }))
    .unwrap()
}

pub fn data() -> DataSpec {
    serde_json::from_value(json!({
        "inputs": [{"name": "x", "column": "x", "format": "sparse", "element": "f32",
                    "shape": [SIZE], "scale": 1.0}],
        "labels": [{"column": "label", "kind": {"type": "class", "classes": 2}}],
        "weight": null,
    }))
    .unwrap()
}

/// Rows whose entries are spread evenly.
pub fn rows(count: usize) -> RecordBatch {
    const STRIDE: usize = SIZE / ENTRIES;
    let mut state = 1_u64;
    let indices = (0..count * ENTRIES).map(|entry| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (entry % ENTRIES * STRIDE + (state >> 33) as usize % STRIDE) as i32
    });
    let indices = Int32Array::from_iter_values(indices);
    let values = Float32Array::from_iter_values((0..count * ENTRIES).map(|i| (i % 7) as f32 / 7.0));
    let classes = (0..count).map(|row| f64::from(indices.value(row * ENTRIES) % 2));
    let labels: ArrayRef = Arc::new(Float64Array::from_iter_values(classes));
    let list = |values: ArrayRef| -> ArrayRef {
        let item = Arc::new(Field::new("item", values.data_type().clone(), false));
        let lengths = OffsetBuffer::from_lengths(std::iter::repeat_n(ENTRIES, count));
        Arc::new(ListArray::new(item, lengths, values, None))
    };
    let columns = vec![
        ("indices", list(Arc::new(indices))),
        ("values", list(Arc::new(values))),
        ("label", labels),
    ];
    let fields =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), false));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}
