//! Predictions for Arrow batches.

use std::sync::Arc;

use crate::support::{batch, chain, dense, list, noise, perceptron};
use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Int64Array, RecordBatch, UInt8Array};
use arrow::datatypes::Float64Type;
use firesteel_core::spec::{
    DataSpec, ElementType, InputFormat, InputSpec, NetworkDocument, PredictionColumn,
    PredictionTask, PredictorSpec,
};
use firesteel_core::{Coded, ErrorCode};
use firesteel_train::{LoadedWeights, Predictor, initialise, members_to_bytes, weights_to_bytes};
use serde_json::json;

fn spec(network: impl Into<NetworkDocument>, input: InputSpec) -> PredictorSpec {
    PredictorSpec {
        weights: "a hash".to_owned(),
        network: network.into(),
        data: DataSpec { inputs: vec![input], labels: vec![], weight: None, validation: None },
        task: PredictionTask::Classification,
        outputs: vec![
            PredictionColumn::RawPrediction,
            PredictionColumn::Probability,
            PredictionColumn::Prediction,
        ],
        thresholds: vec![],
        threads: 1,
    }
}

fn loaded(spec: &PredictorSpec) -> Arc<LoadedWeights> {
    let (layout, parameters, buffers) = initialise(&spec.network, &spec.data, 3).unwrap();
    let bytes = weights_to_bytes(&layout, &parameters, &buffers).unwrap();
    Arc::new(LoadedWeights::open(spec, &bytes).unwrap())
}

fn open(spec: &PredictorSpec) -> Predictor {
    Predictor::open(spec, loaded(spec)).unwrap()
}

fn numbers(column: &ArrayRef) -> Vec<f64> {
    let values = column.as_fixed_size_list_opt().map_or(column, |list| list.values());
    values.as_primitive::<Float64Type>().values().to_vec()
}

fn floats(values: Vec<f32>, width: usize) -> RecordBatch {
    batch(vec![list(Float32Array::from(values), width)])
}

/// Members 0 and 1 of an ensemble on their own, and the ensemble.
fn ensemble(spec: &PredictorSpec) -> [Predictor; 3] {
    let members: Vec<_> = [3, 4]
        .map(|seed| initialise(&spec.network, &spec.data, seed).unwrap())
        .into_iter()
        .collect();
    let open = |indices: &[usize]| {
        let some: Vec<_> =
            indices.iter().map(|&i| (members[i].1.clone(), members[i].2.clone())).collect();
        let bytes = members_to_bytes(&members[0].0, &some).unwrap();
        Predictor::open(spec, Arc::new(LoadedWeights::open(spec, &bytes).unwrap())).unwrap()
    };
    [open(&[0]), open(&[1]), open(&[0, 1])]
}

#[test]
fn an_ensemble_of_classifiers_gives_the_mean_of_its_members_probabilities() {
    let softmax = perceptron(8, 3);
    let binary = chain(&[("Linear", json!({"out_features": 1})), ("Sigmoid", json!({}))]);
    for network in [softmax, binary] {
        let spec = spec(network, dense("x", &[4], ElementType::F32));
        let [first, second, both] =
            ensemble(&spec).map(|mut one| one.predict(floats(noise(4 * 7, 1), 4)).unwrap());
        let column = |batch: &RecordBatch, index| numbers(batch.column(index));
        let mean =
            column(&first, 1).into_iter().zip(column(&second, 1)).map(|(a, b)| (a + b) / 2.0);
        let found = column(&both, 1);
        for (found, mean) in found.iter().zip(mean) {
            assert!((found - mean).abs() < 1e-6, "{found} {mean}");
        }
        let width = found.len() / 7;
        for (row, class) in found.chunks(width).zip(column(&both, 2)) {
            assert!(row.iter().all(|&other| other <= row[class as usize]));
        }
    }
}

#[test]
fn an_ensemble_of_regressors_gives_the_mean_of_its_members_predictions() {
    let mut spec =
        spec(chain(&[("Linear", json!({"out_features": 1}))]), dense("x", &[4], ElementType::F32));
    spec.task = PredictionTask::Regression;
    spec.outputs = vec![PredictionColumn::Prediction];
    let [first, second, both] =
        ensemble(&spec).map(|mut one| one.predict(floats(noise(4 * 7, 1), 4)).unwrap());
    for ((a, b), both) in numbers(first.column(0))
        .into_iter()
        .zip(numbers(second.column(0)))
        .zip(numbers(both.column(0)))
    {
        assert!((both - f64::midpoint(a, b)).abs() < 1e-6);
    }
}

#[test]
fn a_batch_gets_the_columns_that_are_wanted_in_their_order() {
    let mut spec = spec(perceptron(8, 3), dense("x", &[4], ElementType::F32));
    let rows = floats(noise(4 * 7, 1), 4);
    let all = open(&spec).predict(rows.clone()).unwrap();
    let names: Vec<&str> =
        all.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["rawPrediction", "probability", "prediction"]);
    assert_eq!(all.num_rows(), 7);
    let raw = numbers(all.column(0));
    for (probability, raw) in numbers(all.column(1)).chunks(3).zip(raw.chunks(3)) {
        assert!((probability.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let ratio = (raw[1] - raw[0]).exp();
        assert!((probability[1] / probability[0] - ratio).abs() < 1e-9);
    }
    spec.outputs = vec![PredictionColumn::Prediction];
    let one = open(&spec).predict(rows).unwrap();
    assert_eq!(one.num_columns(), 1);
    assert_eq!(numbers(one.column(0)), numbers(all.column(2)));
}

#[test]
fn rows_get_the_same_prediction_in_batches_of_any_size() {
    let spec = spec(perceptron(8, 3), dense("x", &[4], ElementType::F32));
    let values = noise(4 * 1300, 2);
    let mut predictor = open(&spec);
    let whole = numbers(predictor.predict(floats(values.clone(), 4)).unwrap().column(0));
    let mut parts = Vec::new();
    for part in [0..3, 3..3, 3..515, 515..1300] {
        let rows = floats(values[part.start * 4..part.end * 4].to_vec(), 4);
        parts.extend(numbers(predictor.predict(rows).unwrap().column(0)));
    }
    assert_eq!(whole.len(), parts.len());
    assert!(whole.iter().zip(&parts).all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn bytes_are_scaled_on_their_way_in() {
    let mut scaled = dense("x", &[4], ElementType::U8);
    scaled.scale = 1.0 / 255.0;
    let bytes: Vec<u8> = (0..40).map(|value| value * 6).collect();
    let floats_of = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
    let of_bytes = open(&spec(perceptron(8, 3), scaled))
        .predict(batch(vec![list(UInt8Array::from(bytes), 4)]))
        .unwrap();
    let of_floats = open(&spec(perceptron(8, 3), dense("x", &[4], ElementType::F32)))
        .predict(floats(floats_of, 4))
        .unwrap();
    let pairs = numbers(of_bytes.column(0)).into_iter().zip(numbers(of_floats.column(0)));
    assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn sparse_rows_are_predicted_as_dense_ones() {
    use arrow::array::{Int32Array, ListArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{DataType, Field};
    let mut sparse = dense("x", &[4], ElementType::F32);
    sparse.format = InputFormat::Sparse;
    let offsets = || OffsetBuffer::new(vec![0, 2, 2, 3].into());
    let lists = |values: ArrayRef, kind: DataType| -> ArrayRef {
        let field = Arc::new(Field::new_list_field(kind, false));
        Arc::new(ListArray::new(field, offsets(), values, None))
    };
    let columns = vec![
        lists(Arc::new(Int32Array::from(vec![0, 3, 2])), DataType::Int32),
        lists(Arc::new(Float32Array::from(vec![1.0, -2.0, 0.5])), DataType::Float32),
    ];
    let of_sparse = open(&spec(perceptron(8, 3), sparse)).predict(batch(columns)).unwrap();
    let rows = vec![1.0, 0.0, 0.0, -2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0];
    let of_dense = open(&spec(perceptron(8, 3), dense("x", &[4], ElementType::F32)))
        .predict(floats(rows, 4))
        .unwrap();
    assert_eq!(numbers(of_sparse.column(0)), numbers(of_dense.column(0)));
}

#[test]
fn dropout_and_batch_statistics_are_those_of_evaluation() {
    let network = chain(&[
        ("BatchNorm1d", json!({})),
        ("Dropout", json!({"p": 0.9})),
        ("Linear", json!({"out_features": 2})),
    ]);
    let mut predictor = open(&spec(network, dense("x", &[4], ElementType::F32)));
    let rows = floats(noise(40, 4), 4);
    let first = predictor.predict(rows.clone()).unwrap();
    assert_eq!(first, predictor.predict(rows.clone()).unwrap());
    let alone = numbers(predictor.predict(rows.slice(0, 1)).unwrap().column(0));
    let together = numbers(first.column(0));
    assert!(alone.iter().zip(&together).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn predictors_of_several_threads_share_the_weights() {
    let spec = spec(perceptron(64, 3), dense("x", &[16], ElementType::F32));
    let weights = loaded(&spec);
    let expected = Predictor::open(&spec, Arc::clone(&weights))
        .unwrap()
        .predict(floats(noise(1600, 5), 16))
        .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut predictor = Predictor::open(&spec, Arc::clone(&weights)).unwrap();
                for _ in 0..5 {
                    assert_eq!(predictor.predict(floats(noise(1600, 5), 16)).unwrap(), expected);
                }
            });
        }
    });
    assert_eq!(Arc::strong_count(&weights), 1);
}

#[test]
fn values_that_the_network_cannot_take_are_refused_with_their_place() {
    let mut predictor = open(&spec(perceptron(8, 3), dense("x", &[2], ElementType::F32)));
    let error = predictor.predict(floats(vec![0.0, 1.0, f32::NAN, 2.0], 2)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidData);
    assert!(error.to_string().contains("'column x', row 1 of the batch"), "{error}");

    let network = chain(&[
        ("Embedding", json!({"num_embeddings": 5, "embedding_dim": 3})),
        ("LSTM", json!({"hidden_size": 4, "output": "last"})),
        ("Linear", json!({"out_features": 2})),
    ]);
    let mut predictor = open(&spec(network, dense("x", &[3], ElementType::I64)));
    let tokens = |ids: Vec<i64>| batch(vec![list(Int64Array::from(ids), 3)]);
    assert_eq!(predictor.predict(tokens(vec![0, 4, 2])).unwrap().num_rows(), 1);
    let error = predictor.predict(tokens(vec![0, 4, 2, 1, -1, 0])).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidData);
    assert!(error.to_string().contains("row 1 of the batch, position 1: found -1"), "{error}");
}

#[test]
fn weights_of_another_network_are_refused() {
    let input = || dense("x", &[4], ElementType::F32);
    let weights = loaded(&spec(perceptron(8, 3), input()));
    let error = Predictor::open(&spec(perceptron(9, 3), input()), weights).err().unwrap();
    assert_eq!(error.code(), ErrorCode::InvalidData);
    let error = LoadedWeights::open(&spec(perceptron(8, 3), input()), b"nothing").unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidData);
}

#[test]
fn a_regression_predicts_a_number() {
    let network = chain(&[("Linear", json!({"out_features": 1})), ("Sigmoid", json!({}))]);
    let mut spec = spec(network, dense("x", &[4], ElementType::F32));
    spec.task = PredictionTask::Regression;
    spec.outputs = vec![PredictionColumn::Prediction];
    let answer = open(&spec).predict(floats(noise(20, 6), 4)).unwrap();
    assert!(numbers(answer.column(0)).iter().all(|value| (0.0..1.0).contains(value)));
    assert_eq!(answer.column(0).data_type(), &arrow::datatypes::DataType::Float64);
}

#[test]
fn a_network_of_several_outputs_gives_those_that_are_wanted_behind_their_activations() {
    let network: NetworkDocument = serde_json::from_value(json!({
        "format": "firesteel.network/1",
        "inputs": ["x"],
        "nodes": [
            {"name": "number", "op": "Linear", "inputs": ["x"], "args": {"out_features": 1}},
            {"name": "class", "op": "Linear", "inputs": ["x"], "args": {"out_features": 3}},
            {"name": "shares", "op": "Softmax", "inputs": ["class"]},
        ],
        "outputs": ["number", "shares"],
    }))
    .unwrap();
    let mut spec = spec(network, dense("x", &[4], ElementType::F32));
    spec.task = PredictionTask::Outputs;
    spec.outputs = vec![PredictionColumn::Output(1), PredictionColumn::Output(0)];
    let rows = floats(noise(4 * 600, 7), 4);
    let [first, second, both] = ensemble(&spec).map(|mut one| one.predict(rows.clone()).unwrap());
    assert_eq!(both.schema_ref().field(1).name(), "output0");
    assert_eq!(both.column(1).data_type(), &arrow::datatypes::DataType::Float64);
    for shares in numbers(both.column(0)).chunks(3) {
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-6);
    }
    for column in [0, 1] {
        let [first, second, both] =
            [&first, &second, &both].map(|batch| numbers(batch.column(column)));
        let mean = first.iter().zip(&second).map(|(a, b)| f64::midpoint(*a, *b));
        assert!(both.iter().zip(mean).all(|(found, mean)| (found - mean).abs() < 1e-6));
    }
    spec.outputs = vec![PredictionColumn::Output(0)];
    let alone = open(&spec).predict(rows).unwrap();
    assert_eq!(numbers(alone.column(0)), numbers(first.column(1)));

    let refused = |task, wanted| {
        let mut other = spec.clone();
        other.task = task;
        other.outputs = vec![wanted];
        Predictor::open(&other, loaded(&other)).err().unwrap().to_string()
    };
    assert_eq!(
        refused(PredictionTask::Outputs, PredictionColumn::Output(2)),
        "output 2 was requested, but the network has 2 output(s)"
    );
    assert_eq!(
        refused(PredictionTask::Outputs, PredictionColumn::Prediction),
        "the task Outputs has no column Prediction"
    );
    assert!(
        refused(PredictionTask::Regression, PredictionColumn::Prediction).contains("2 outputs")
    );
}
