use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, FixedSizeListArray, Int32Array, RecordBatch, UInt8Array};
use arrow::datatypes::{Field, Float64Type};
use firesteel_core::spec::{
    DataSpec, ElementType, InputFormat, InputSpec, NETWORK_FORMAT, NetworkSpec, NodeSpec,
    PredictionColumn, PredictionTask, PredictorSpec,
};
use serde_json::{Value, json};

use super::{LoadedWeights, Predictor, ROWS};
use crate::error::TrainError;
use crate::initialise;
use crate::weights::members_to_bytes;

/// A predictor of the raw output of layers, one after the other, for one input.
fn predictor(layers: &[(&str, Value)], input: InputSpec) -> Predictor {
    let mut last = input.name.clone();
    let nodes = layers.iter().enumerate().map(|(number, (op, args))| {
        let inputs = vec![std::mem::replace(&mut last, number.to_string())];
        let args = args.as_object().cloned().unwrap();
        NodeSpec { name: number.to_string(), op: (*op).to_owned(), inputs, args }
    });
    let nodes: Vec<NodeSpec> = nodes.collect();
    let network = NetworkSpec {
        format: NETWORK_FORMAT.to_owned(),
        inputs: vec![input.name.clone()],
        outputs: vec![last],
        nodes,
    };
    let spec = PredictorSpec {
        weights: "a hash".to_owned(),
        network: network.into(),
        data: DataSpec { inputs: vec![input], labels: vec![], weight: None, validation: None },
        task: PredictionTask::Regression,
        outputs: vec![PredictionColumn::Prediction],
        thresholds: vec![],
        threads: 1,
    };
    let (layout, parameters, buffers) = initialise(&spec.network, &spec.data, 1).unwrap();
    let bytes = members_to_bytes(&layout, &[(parameters, buffers)]).unwrap();
    let weights = LoadedWeights::open(&spec, &bytes).unwrap();
    Predictor::open(&spec, Arc::new(weights)).unwrap()
}

fn input(element: ElementType, size: usize, scale: f32) -> InputSpec {
    InputSpec {
        name: "x".to_owned(),
        column: "x".to_owned(),
        format: InputFormat::Dense,
        element,
        shape: vec![size],
        scale,
    }
}

fn batch(values: ArrayRef, size: usize) -> RecordBatch {
    let item = Arc::new(Field::new("item", values.data_type().clone(), false));
    let lists: ArrayRef = Arc::new(FixedSizeListArray::new(item, size as i32, values, None));
    RecordBatch::try_from_iter_with_nullable([("x", lists, false)]).unwrap()
}

fn predictions(predictor: &mut Predictor, batch: RecordBatch) -> Vec<f64> {
    let found = predictor.predict(batch).unwrap();
    found.column(0).as_primitive::<Float64Type>().values().to_vec()
}

#[test]
fn the_rows_of_several_passes_are_those_of_separate_batches() {
    let rows = 2 * ROWS + 77;
    let bytes = |row: usize| (0..3).map(move |index| (row * 7 + index * 31) as u8);
    let mut predictor = predictor(
        &[("Linear", json!({"out_features": 4})), ("Linear", json!({"out_features": 1}))],
        input(ElementType::U8, 3, 1.0 / 255.0),
    );
    let some = |rows: std::ops::Range<usize>| {
        batch(Arc::new(UInt8Array::from_iter_values(rows.flat_map(bytes))), 3)
    };
    let whole = predictions(&mut predictor, some(0..rows));
    let mut parts = Vec::new();
    for start in (0..rows).step_by(ROWS) {
        parts.extend(predictions(&mut predictor, some(start..rows.min(start + ROWS))));
    }
    assert_eq!(whole, parts);
    assert_eq!(whole.len(), rows);
    assert!(predictions(&mut predictor, some(0..0)).is_empty());
}

#[test]
fn a_token_in_a_later_pass_is_named_by_its_row_in_the_batch() {
    let layers = [
        ("Embedding", json!({"num_embeddings": 5, "embedding_dim": 2})),
        ("Flatten", json!({})),
        ("Linear", json!({"out_features": 1})),
    ];
    let mut predictor = predictor(&layers, input(ElementType::I32, 2, 1.0));
    let wrong = ROWS + 9;
    let ids = (0..2 * (ROWS + 20)).map(|index| if index == 2 * wrong + 1 { 5 } else { 4 });
    let ids = batch(Arc::new(Int32Array::from_iter_values(ids)), 2);
    let error = predictor.predict(ids).unwrap_err();
    assert!(matches!(error, TrainError::Data(_)), "{error}");
    let place = format!("row {wrong} of the batch, position 1: found 5");
    assert!(error.to_string().contains(&place), "{error}");
}
