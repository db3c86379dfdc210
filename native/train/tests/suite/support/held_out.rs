//! Fits with held-out rows of the clouds.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, Float32Array, RecordBatch};
use arrow::datatypes::Float64Type;
use firesteel_core::spec::{
    ControlSpec, DataSpec, NetworkSpec, PredictionColumn, PredictionTask, PredictorSpec,
    ValidationSpec, WorkerSpec,
};
use firesteel_ps::ValidationStatus;
use firesteel_train::{LoadedWeights, Predictor, layout, weights_to_bytes};
use serde_json::{Value, json};

use super::clouds_fit::{ROWS, rows, spec_of};

use super::*;

/// Every fifth row of the clouds is held out.
pub fn is_held_out(row: usize) -> bool {
    row % 5 == 4
}

pub fn marked(of: Range<usize>) -> RecordBatch {
    let mut columns = rows(of.clone()).columns().to_vec();
    columns.push(Arc::new(BooleanArray::from(of.map(is_held_out).collect::<Vec<_>>())));
    batch(columns)
}

pub fn with_marks(data: DataSpec) -> DataSpec {
    DataSpec { validation: Some(ValidationSpec::Column { column: "held out".to_owned() }), ..data }
}

pub fn controls(document: Value) -> ControlSpec {
    serde_json::from_value(document).unwrap()
}

/// Dropout and batch norm between the layers.
pub fn regularised() -> NetworkSpec {
    chain(&[
        ("Linear", json!({"out_features": 16})),
        ("BatchNorm1d", json!({})),
        ("ReLU", json!({})),
        ("Dropout", json!({"p": 0.3})),
        ("Linear", json!({"out_features": 3})),
        ("Softmax", json!({})),
    ])
}

pub fn spec(name: &str, document: Value) -> WorkerSpec {
    let mut spec = spec_of(name, 6);
    spec.data = with_marks(spec.data);
    spec.controls = controls(document);
    spec
}

/// Runs all tasks of a fit concurrently, each with an equal share of the rows.
pub fn run(fit: &Fit, tasks: u32, workers: u32, sockets: bool) {
    clouds_fit::run(fit, tasks, workers, sockets, marked);
}

pub fn validations(fit: &Fit) -> Vec<ValidationStatus> {
    fit.server.status().epochs.iter().filter_map(|epoch| epoch.validation.clone()).collect()
}

pub fn metric(validation: &ValidationStatus, name: &str) -> f64 {
    validation.metrics.iter().find(|metric| metric.name == name).unwrap().value.unwrap()
}

/// A column of the trained network's predictions, row by row.
pub fn predicted(
    fit: &Fit,
    column: PredictionColumn,
    task: PredictionTask,
    rows: RecordBatch,
) -> Vec<Vec<f64>> {
    let WorkerSpec { network, data, .. } = &fit.worker;
    let data =
        DataSpec { inputs: data.inputs.clone(), labels: vec![], weight: None, validation: None };
    let layout = layout(network, &data).unwrap();
    let (parameters, buffers) = fit.weights();
    let bytes = weights_to_bytes(&layout, &parameters, &buffers).unwrap();
    let spec = PredictorSpec {
        weights: "trained".to_owned(),
        network: network.clone(),
        data,
        task,
        outputs: vec![column],
        thresholds: vec![],
        threads: 1,
    };
    let weights = Arc::new(LoadedWeights::open(&spec, &bytes).unwrap());
    let found = Predictor::open(&spec, weights).unwrap().predict(rows).unwrap();
    let count = found.num_rows();
    let column = found.column(0);
    let values = column.as_fixed_size_list_opt().map_or(column, |list| list.values());
    let values = values.as_primitive::<Float64Type>().values();
    values.chunks(values.len() / count).map(<[f64]>::to_vec).collect()
}

/// The held-out rows' features and labels.
pub fn held_out() -> (RecordBatch, Vec<usize>) {
    let (features, labels) = clouds(ROWS, 4, 3);
    let rows: Vec<usize> = (0..ROWS).filter(|&row| is_held_out(row)).collect();
    let values =
        rows.iter().flat_map(|&row| features[4 * row..4 * row + 4].to_vec()).collect::<Vec<_>>();
    (
        batch(vec![list(Float32Array::from(values), 4)]),
        rows.iter().map(|&row| labels[row] as usize).collect(),
    )
}

pub fn near(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= 1e-5 * expected.abs().max(1.0),
        "{found} is not {expected}"
    );
}
