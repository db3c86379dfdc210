//! Fits over wide sparse rows beside the same rows with all of their values.

use std::sync::Arc;

use crate::support::clouds_fit::CLASSES;
use crate::support::held_out::{controls, is_held_out, near, predicted, validations, with_marks};
use crate::support::{Fit, batch, data_spec, list, perceptron, worker_spec};
use arrow::array::{ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use firesteel_core::spec::{InputFormat, OptimizerSpec, PredictionColumn, PredictionTask};
use firesteel_train::{layout, weights_to_bytes};
use serde_json::json;

const WIDTH: usize = 5000;
const ROWS: usize = 300;

/// The entries of a row, some of which tell its class; every seventh row has none.
fn entries(row: usize) -> Vec<(usize, f32)> {
    let class = row % 3;
    let told = (0..3).map(|entry| (class * 1000 + row % 5 + entry * 131, 1.0));
    let rest = (0..4).map(|entry| (3000 + (row * 31 + entry * 477) % 1999, 0.3));
    let mut entries: Vec<(usize, f32)> =
        if row % 7 == 6 { Vec::new() } else { told.chain(rest).collect() };
    entries.sort_by_key(|&(index, _)| index);
    entries.dedup_by_key(|&mut (index, _)| index);
    entries
}

fn sparse() -> Vec<ArrayRef> {
    let rows: Vec<_> = (0..ROWS).map(entries).collect();
    let lists = |values: ArrayRef, kind: DataType| -> ArrayRef {
        let field = Arc::new(Field::new_list_field(kind, false));
        let lengths = OffsetBuffer::from_lengths(rows.iter().map(Vec::len));
        Arc::new(ListArray::new(field, lengths, values, None))
    };
    let indices = rows.iter().flatten().map(|&(index, _)| index as i32);
    let values = rows.iter().flatten().map(|&(_, value)| value);
    vec![
        lists(Arc::new(Int32Array::from_iter_values(indices)), DataType::Int32),
        lists(Arc::new(Float32Array::from_iter_values(values)), DataType::Float32),
    ]
}

fn dense() -> Vec<ArrayRef> {
    let mut values = vec![0.0; ROWS * WIDTH];
    for (row, target) in values.chunks_exact_mut(WIDTH).enumerate() {
        entries(row).into_iter().for_each(|(index, value)| target[index] = value);
    }
    vec![list(Float32Array::from(values), WIDTH)]
}

/// The trained weights as a file, the loss of the held-out rows and the predictions of all rows.
fn trained(
    format: InputFormat,
    strategy: &str,
    optimizer: OptimizerSpec,
) -> (Vec<u8>, f64, Vec<f64>) {
    let mut spec =
        worker_spec(perceptron(8, 3), with_marks(data_spec(&[WIDTH], CLASSES)), strategy);
    spec.data.inputs[0].format = format;
    spec.controls = controls(json!({"metrics": ["accuracy"]}));
    spec.optimizer = optimizer;
    // Rows are shuffled by their bytes, which differ between the formats.
    spec.shuffle = false;
    spec.epochs = 10;
    let fit = Fit::open(spec);
    let features = if format == InputFormat::Sparse { sparse() } else { dense() };
    let mut columns = features.clone();
    columns.push(Arc::new(Float64Array::from_iter_values((0..ROWS).map(|row| (row % 3) as f64))));
    columns.push(Arc::new(BooleanArray::from((0..ROWS).map(is_held_out).collect::<Vec<_>>())));
    fit.run(batch(columns)).unwrap();
    let (parameters, buffers) = fit.weights();
    let layout = layout(&fit.worker.network, &fit.worker.data).unwrap();
    let is_transposed = layout.entries().iter().any(|entry| entry.transposed);
    assert_eq!(is_transposed, format == InputFormat::Sparse);
    let loss = validations(&fit).pop().unwrap().loss.unwrap();
    let (column, task) = (PredictionColumn::Probability, PredictionTask::Classification);
    let predictions = predicted(&fit, column, task, batch(features)).concat();
    (weights_to_bytes(&layout, &parameters, &buffers).unwrap(), loss, predictions)
}

#[test]
fn wide_sparse_rows_train_validate_and_predict_as_dense_ones() {
    let sgd = crate::support::sgd(0.5);
    let adagrad = OptimizerSpec::Adagrad {
        learning_rate: 0.02,
        learning_rate_decay: 0.0,
        epsilon: 1e-10,
        weight_decay: 0.0,
        initial_accumulator: 0.1,
    };
    for (strategy, optimizer) in
        [("single", sgd), ("single", adagrad), ("sync", sgd), ("downpour", sgd), ("ensemble", sgd)]
    {
        let (weights, loss, predictions) = trained(InputFormat::Sparse, strategy, optimizer);
        let (expected, loss_of_dense, of_dense) = trained(InputFormat::Dense, strategy, optimizer);
        assert_eq!(weights.len(), expected.len());
        near(loss, loss_of_dense);
        let furthest = predictions
            .iter()
            .zip(&of_dense)
            .fold(0.0_f64, |furthest, (a, b)| furthest.max((a - b).abs()));
        assert!(furthest < 1e-5, "{strategy}: {furthest}");
        let hits = predictions
            .chunks(3)
            .enumerate()
            .filter(|(row, scores)| scores.iter().all(|&score| score <= scores[row % 3]));
        let hits = hits.count();
        assert!(hits > ROWS / 2, "{strategy}: {hits} rows of {ROWS}");
    }
}
