//! Whole tasks against a real server of this process.

use crate::support::clouds_fit::CLASSES;
use crate::support::{
    Fit, chain, clouds, data_spec, dense, labelled, list, noise, perceptron, set_options, sgd,
    token_rows, worker_spec,
};
use arrow::array::{ArrayRef, Float32Array, Float64Array, RecordBatch};
use firesteel_core::spec::{
    DataSpec, DeltaOptions, ElementType, LabelKind, LossSpec, OptimizerSpec, StrategySpec,
};
use firesteel_core::{CancelFlag, Coded, ErrorCode};
use firesteel_train::TrainError;
use serde_json::json;
use std::sync::Arc;

fn adam() -> OptimizerSpec {
    OptimizerSpec::Adam {
        learning_rate: 0.01,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.0,
        amsgrad: false,
    }
}

fn cloud_rows(rows: usize) -> RecordBatch {
    let (features, labels) = clouds(rows, 4, 3);
    labelled(features, 4, labels)
}

#[test]
fn a_perceptron_learns_to_tell_clouds_apart() {
    for (strategy, learning_rate) in [("single", 0.1), ("downpour", 0.1), ("adag", 0.5)] {
        let mut spec = worker_spec(perceptron(16, 3), data_spec(&[4], CLASSES), strategy);
        spec.optimizer = sgd(learning_rate);
        spec.epochs = 20;
        let fit = Fit::open(spec);
        let report = fit.run(cloud_rows(300)).unwrap();
        assert_eq!(report.workers[0].rows_trained, 6000, "{strategy}");
        let epochs = fit.server.status().epochs;
        let (first, last) = (epochs[0].loss.unwrap(), epochs[19].loss.unwrap());
        assert!(last < 0.3 * first, "{strategy}: {first} to {last}");
        assert!(fit.weights().0.iter().all(|value| value.is_finite()));
    }
}

#[test]
fn one_worker_with_one_seed_gives_the_same_bits_twice() {
    let run = |seed| {
        let network = chain(&[
            ("Linear", json!({"out_features": 16})),
            ("BatchNorm1d", json!({})),
            ("Dropout", json!({"p": 0.4})),
            ("Linear", json!({"out_features": 3})),
        ]);
        let mut spec = worker_spec(network, data_spec(&[4], CLASSES), "adag");
        spec.seed = seed;
        spec.optimizer = adam();
        let fit = Fit::open(spec);
        fit.run(cloud_rows(101)).unwrap();
        fit.weights()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5).0, run(6).0);
}

#[test]
fn tasks_side_by_side_in_one_process_do_not_disturb_each_other() {
    let run = || {
        let network =
            chain(&[("Dropout", json!({"p": 0.5})), ("Linear", json!({"out_features": 3}))]);
        let fit = Fit::open(worker_spec(network, data_spec(&[4], CLASSES), "adag"));
        fit.run(cloud_rows(300)).unwrap();
        fit.weights()
    };
    let alone = run();
    std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        for task in tasks {
            assert_eq!(task.join().unwrap(), alone);
        }
    });
}

#[test]
fn the_last_partial_batch_and_window_are_trained_and_committed() {
    let mut spec = worker_spec(perceptron(4, 3), data_spec(&[4], CLASSES), "downpour");
    spec.strategy =
        StrategySpec::Downpour(DeltaOptions { window: Some(3), ..DeltaOptions::default() });
    spec.epochs = 2;
    let fit = Fit::open(spec);
    // Four mini-batches: a window of three, and one of a mini-batch with a single row.
    let report = fit.run(cloud_rows(97)).unwrap();
    assert_eq!((report.workers[0].batches, report.workers[0].commits), (8, 4));
    let ledger = fit.server.summary().ledger;
    assert_eq!(ledger.iter().map(|epoch| epoch.rows).collect::<Vec<_>>(), [97, 97]);
}

#[test]
fn a_mini_batch_of_one_row_leaves_batch_statistics_finite() {
    let network = chain(&[("BatchNorm1d", json!({})), ("Linear", json!({"out_features": 3}))]);
    let fit = Fit::open(worker_spec(network, data_spec(&[4], CLASSES), "adag"));
    fit.run(cloud_rows(33)).unwrap();
    let (_, buffers) = fit.weights();
    assert!(buffers.floats.iter().all(|value| value.is_finite()), "{buffers:?}");
    assert_eq!(buffers.integers, [3], "only full mini-batches are counted");
}

#[test]
fn a_task_without_rows_finishes_at_once() {
    let fit = Fit::open(worker_spec(perceptron(4, 3), data_spec(&[4], CLASSES), "adag"));
    let report = fit.run(cloud_rows(0)).unwrap();
    assert_eq!((report.workers[0].rows, report.workers[0].commits), (0, 0));
    assert!(fit.server.snapshot().is_err(), "nothing was trained");
}

#[test]
fn the_workers_of_a_task_train_in_turn_and_every_row_once_an_epoch() {
    let mut spec = worker_spec(perceptron(8, 3), data_spec(&[4], CLASSES), "adag");
    spec.workers_in_task = 5;
    spec.batch_size = 8;
    set_options(&mut spec.strategy, &json!({"window": 2}));
    spec.epochs = 4;
    let fit = Fit::open(spec);
    let report = fit.run(cloud_rows(203)).unwrap();
    assert_eq!(report.workers.iter().map(|worker| worker.rows).sum::<u64>(), 203);
    for epoch in 0..4 {
        let ledger = fit.server.summary().ledger;
        let rows: u64 = ledger.iter().filter(|of| of.epoch == epoch).map(|of| of.rows).sum();
        assert_eq!(rows, 203, "epoch {epoch}");
    }
    // In turn: each worker's windows begin where the others' end.
    let staleness: u64 = report.workers.iter().map(|worker| worker.staleness).sum();
    assert_eq!(staleness, 0);
    let epochs = fit.server.status().epochs;
    assert!(epochs[3].loss.unwrap() < epochs[0].loss.unwrap());
}

#[test]
fn more_workers_than_rows_work() {
    let mut spec = worker_spec(perceptron(4, 3), data_spec(&[4], CLASSES), "downpour");
    spec.workers_in_task = 6;
    let fit = Fit::open(spec);
    let report = fit.run(cloud_rows(4)).unwrap();
    assert_eq!(report.workers.iter().filter(|worker| worker.rows == 0).count(), 2);
    assert_eq!(report.workers.iter().map(|worker| worker.rows_trained).sum::<u64>(), 12);
}

#[test]
fn a_retry_goes_on_where_the_first_attempt_was_stopped_and_ends_with_the_same_bits() {
    let network = || {
        chain(&[
            ("Linear", json!({"out_features": 16})),
            ("Dropout", json!({"p": 0.3})),
            ("Linear", json!({"out_features": 3})),
        ])
    };
    let mut spec = worker_spec(network(), data_spec(&[4], CLASSES), "single");
    spec.epochs = 5;
    let whole = Fit::open(spec);
    whole.run(cloud_rows(100)).unwrap();

    let mut spec = worker_spec(network(), data_spec(&[4], CLASSES), "single");
    spec.epochs = 5;
    let mut parts = Fit::open(spec);
    let error = parts.run_for(2, cloud_rows(100)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Cancelled);
    assert_eq!(parts.server.status().workers[0].epoch, 2);
    parts.server.attempt_ended(0, 1);
    parts.worker.attempt = 2;
    let report = parts.run(cloud_rows(100)).unwrap();
    assert_eq!(report.workers[0].rows_trained, 300);
    assert_eq!(parts.weights(), whole.weights());
}

#[test]
fn a_retry_within_an_epoch_trains_every_row_of_it_once() {
    let mut spec = worker_spec(perceptron(8, 3), data_spec(&[4], CLASSES), "downpour");
    set_options(&mut spec.strategy, &json!({"window": 2}));
    spec.batch_size = 10;
    spec.epochs = 2;
    let mut fit = Fit::open(spec);
    assert!(fit.run_for(3, cloud_rows(101)).is_err());
    fit.server.attempt_ended(0, 1);
    fit.worker.attempt = 2;
    fit.run(cloud_rows(101)).unwrap();
    let ledger = fit.server.summary().ledger;
    assert_eq!(ledger.iter().map(|epoch| epoch.rows).collect::<Vec<_>>(), [101, 101]);
    assert_eq!(ledger[0].spans.len(), 2, "{:?}", ledger[0].spans);
}

#[test]
fn a_loss_that_becomes_nan_or_infinite_names_worker_epoch_and_mini_batch() {
    let mut spec = worker_spec(perceptron(8, 3), data_spec(&[4], CLASSES), "adag");
    spec.optimizer = sgd(1e30);
    let fit = Fit::open(spec);
    let error = fit.run(cloud_rows(100)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Diverged);
    let text = error.to_string();
    assert!(text.contains("worker 0.0") && text.contains("epoch 1, mini-batch"), "{text}");
    let failure = fit.server.status().failure.unwrap();
    assert_eq!((failure.code, failure.message), (ErrorCode::Diverged.number(), text));
}

#[test]
fn a_parameter_that_becomes_infinite_is_named() {
    let mut spec = worker_spec(
        chain(&[("Linear", json!({"out_features": 1}))]),
        data_spec(&[1], LabelKind::Values { size: 1 }),
        "adag",
    );
    spec.losses = vec![LossSpec::L1Loss {}.into()];
    spec.optimizer = sgd(f64::from(f32::MAX));
    spec.epochs = 1;
    let fit = Fit::open(spec);
    let rows = labelled(vec![4.0; 8], 1, vec![100.0; 8]);
    let text = fit.run(rows).unwrap_err().to_string();
    assert!(text.contains("'0.weight' became infinite in epoch 1, mini-batch 1"), "{text}");
}

#[test]
fn a_cancelled_task_ends_with_that_error() {
    let fit = Fit::open(worker_spec(perceptron(8, 3), data_spec(&[4], CLASSES), "adag"));
    let cancel = CancelFlag::new();
    cancel.cancel();
    let error = fit.run_until(cloud_rows(100), &cancel).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Cancelled);
    assert!(fit.server.status().failure.is_none(), "a retry may follow");
}

#[test]
fn a_driver_that_stops_the_fit_ends_its_workers_without_an_error() {
    let mut spec = worker_spec(perceptron(8, 3), data_spec(&[4], CLASSES), "adag");
    spec.epochs = 1000;
    let fit = Fit::open(spec);
    fit.server.stop();
    let report = fit.run(cloud_rows(100)).unwrap();
    assert!(report.workers[0].stopped);
    assert!(report.workers[0].rows_trained < 1000);
}

#[test]
fn token_ids_outside_the_embedding_are_refused_and_the_driver_is_told() {
    let network = chain(&[
        ("Embedding", json!({"num_embeddings": 10, "embedding_dim": 4})),
        ("Flatten", json!({})),
        ("Linear", json!({"out_features": 3})),
    ]);
    let label = data_spec(&[1], CLASSES).labels;
    let data = DataSpec {
        inputs: vec![dense("x", &[2], ElementType::I64)],
        labels: label,
        weight: None,
        validation: None,
    };
    let mut spec = worker_spec(network, data, "adag");
    spec.epochs = 40;
    spec.optimizer = sgd(0.5);
    let labels: Vec<f64> = (0..60).map(|row| f64::from(row % 3)).collect();
    let ids: Vec<i64> = (0..60).flat_map(|row| [row % 3, 9 - row % 3]).collect();

    let fit = Fit::open(spec.clone());
    fit.run(token_rows(ids.clone(), 2, labels.clone())).unwrap();
    let epochs = fit.server.status().epochs;
    assert!(epochs[39].loss.unwrap() < 0.5 * epochs[0].loss.unwrap());

    let mut wrong = ids;
    wrong[7] = 10;
    spec.server.fit.push_str("-wrong");
    let fit = Fit::open(spec);
    let error = fit.run(token_rows(wrong, 2, labels)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidData);
    assert_eq!(
        error.to_string(),
        "column 'column x', row 3 of the partition, position 1: found 10, expected token ids from 0 to 9 \
         (num_embeddings is 10)"
    );
    assert_eq!(fit.server.status().failure.unwrap().message, error.to_string());
}

#[test]
fn rows_of_weight_zero_do_not_teach() {
    let run = |weights: Vec<f32>, labels: Vec<f64>| {
        let mut data = data_spec(&[4], CLASSES);
        data.weight = Some("weight".to_owned());
        let mut spec = worker_spec(perceptron(8, 3), data, "single");
        spec.batch_size = 200;
        spec.epochs = 1;
        spec.shuffle = false;
        let fit = Fit::open(spec);
        let columns: Vec<ArrayRef> = vec![
            list(Float32Array::from(noise(400, 3)), 4),
            Arc::new(Float64Array::from(labels)),
            Arc::new(Float32Array::from(weights)),
        ];
        fit.run(crate::support::batch(columns)).unwrap();
        fit.weights().0
    };
    let weights: Vec<f32> = (0..100).map(|row| (row % 2) as f32).collect();
    let labels = |other: u32| -> Vec<f64> {
        (0..100).map(|row| f64::from(if row % 2 == 0 { other } else { row % 3 })).collect()
    };
    let (first, second) = (run(weights.clone(), labels(0)), run(weights, labels(2)));
    // The order of rows follows their content, so sums may be rounded otherwise.
    assert!(first.iter().zip(&second).all(|(a, b)| (a - b).abs() < 1e-6));
    assert_ne!(run(vec![1.0; 100], labels(0)), run(vec![1.0; 100], labels(2)));
}

#[test]
fn what_does_not_fit_is_told_before_anything_is_trained() {
    let fit = Fit::open(worker_spec(perceptron(8, 3), data_spec(&[4], CLASSES), "adag"));
    let with = |change: &dyn Fn(&mut firesteel_core::spec::WorkerSpec)| {
        let mut other = Fit::open({
            let mut spec = fit.worker.clone();
            spec.server.fit =
                worker_spec(perceptron(1, 2), data_spec(&[4], CLASSES), "adag").server.fit;
            spec
        });
        change(&mut other.worker);
        let error = other.run(cloud_rows(100)).unwrap_err();
        assert_eq!(other.server.status().failure.unwrap().code, error.code().number());
        error
    };
    let error = with(&|spec| spec.batch_size = 0);
    assert_eq!(error.to_string(), "batchSize must be at least 1");
    let error = with(&|spec| spec.data.labels[0].kind = LabelKind::Class { classes: 4 });
    assert!(
        matches!(&error, TrainError::InvalidSpec(text) if text.contains("holds 4 classes")),
        "{error}"
    );
    let error = with(&|spec| set_options(&mut spec.strategy, &json!({"window": 0})));
    assert_eq!(error.code(), ErrorCode::InvalidSpec);
    let error = with(&|spec| spec.optimizer = sgd(-1.0));
    assert_eq!(error.code(), ErrorCode::InvalidSpec);
}
