//! Rows of categories, and a network with an embedding for each of them.

use std::iter;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, FixedSizeListArray, Float64Array, Int32Array, RecordBatch};
use arrow::datatypes::{Field, Schema};
use firesteel_core::spec::{DataSpec, NetworkDocument};
use serde_json::{Value, json};

/// The number of categories of each column, as in `torch_loop.py`.
const CATEGORIES: [usize; 10] =
    [1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000];
/// The values of an embedding.
const SIZE: usize = 16;

/// Embeddings of all columns, side by side, and Linear layers of 64, 32 and 2 outputs.
pub fn network() -> NetworkDocument {
    let columns = || CATEGORIES.iter().enumerate();
    let mut nodes: Vec<Value> = columns()
        .flat_map(|(index, categories)| {
            let (table, flat) = (format!("table{index}"), format!("flat{index}"));
            let args = json!({"num_embeddings": categories, "embedding_dim": SIZE});
            [
                json!({"name": table, "op": "Embedding", "inputs": [name(index)], "args": args}),
                json!({"name": flat, "op": "Flatten", "inputs": [table], "args": {}}),
            ]
        })
        .collect();
    let flat: Vec<String> = columns().map(|(index, _)| format!("flat{index}")).collect();
    nodes.push(json!({"name": "all", "op": "Concatenate", "inputs": flat, "args": {}}));
    let mut last = "all".to_owned();
    for (index, outputs) in [64, 32, 2].into_iter().enumerate() {
        let (linear, relu) = (format!("linear{index}"), format!("relu{index}"));
        let args = json!({"out_features": outputs});
        nodes.push(json!({"name": linear, "op": "Linear", "inputs": [last], "args": args}));
        last.clone_from(&linear);
        if outputs > 2 {
            nodes.push(json!({"name": relu, "op": "ReLU", "inputs": [linear], "args": {}}));
            last = relu;
        }
    }
    let inputs: Vec<String> = columns().map(|(index, _)| name(index)).collect();
    serde_json::from_value(json!({
        "format": "firesteel.network/1",
        "inputs": inputs,
        "outputs": [last],
        "nodes": nodes,
    }))
    .unwrap()
}

fn name(column: usize) -> String {
    format!("c{column}")
}

pub fn data() -> DataSpec {
    let inputs = (0..CATEGORIES.len()).map(|column| {
        json!({"name": name(column), "column": name(column), "format": "dense", "element": "i32",
               "shape": [1], "scale": 1.0})
    });
    serde_json::from_value(json!({
        "inputs": inputs.collect::<Vec<_>>(),
        "labels": [{"column": "label", "kind": {"type": "class", "classes": 2}}],
        "weight": null,
    }))
    .unwrap()
}

/// Rows of evenly distributed categories; the class is that of the first column's parity.
pub fn rows(count: usize) -> RecordBatch {
    let mut state = 1_u64;
    let mut random = move |below: usize| {
        // Knuth's linear congruential generator, whose high bits are random enough.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((state >> 33) % below as u64) as i32
    };
    let categories: Vec<Int32Array> = CATEGORIES
        .iter()
        .map(|&below| Int32Array::from_iter_values((0..count).map(|_| random(below))))
        .collect();
    let classes = categories[0].values().iter().map(|category| f64::from(category % 2));
    let labels: ArrayRef = Arc::new(Float64Array::from_iter_values(classes));
    let item = Arc::new(Field::new("item", categories[0].data_type().clone(), false));
    let lists = categories.into_iter().map(|values| -> ArrayRef {
        Arc::new(FixedSizeListArray::new(item.clone(), 1, Arc::new(values), None))
    });
    let columns: Vec<ArrayRef> = lists.chain(iter::once(labels)).collect();
    let names = (0..CATEGORIES.len()).map(name).chain(iter::once("label".to_owned()));
    let fields = names
        .zip(&columns)
        .map(|(name, column)| Field::new(name, column.data_type().clone(), false));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}
