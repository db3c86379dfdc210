//! Held-out rows, schedules, clipping, class weights and early ends over real tasks and a real server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may be blunt")]

mod support;

use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, BooleanArray, Float32Array, RecordBatch};
use firesteel_core::judge::StopReason;
use firesteel_core::spec::{
    ControlSpec, DataSpec, LabelKind, LossSpec, NetworkSpec, PredictionColumn, PredictionTask,
    PredictorSpec, ValidationSpec, WorkerSpec,
};
use firesteel_core::{Coded, ErrorCode, strategy};
use firesteel_ps::ValidationStatus;
use firesteel_train::{LoadedWeights, Predictor, layout, weights_to_bytes};
use serde_json::{Value, json};
use support::{
    Fit, Task, batch, chain, clouds, data_spec, labelled, list, noise, perceptron, sgd, worker_spec,
};

const CLASSES: LabelKind = LabelKind::Class { classes: 3 };
const ROWS: usize = 600;

/// Every fifth row of the clouds is held out.
fn is_held_out(row: usize) -> bool {
    row % 5 == 4
}

fn marked(of: Range<usize>) -> RecordBatch {
    let (features, labels) = clouds(ROWS, 4, 3);
    let mut columns =
        labelled(features[4 * of.start..4 * of.end].to_vec(), 4, labels[of.clone()].to_vec())
            .columns()
            .to_vec();
    columns.push(Arc::new(BooleanArray::from(of.map(is_held_out).collect::<Vec<_>>())));
    batch(columns)
}

fn with_marks(data: DataSpec) -> DataSpec {
    DataSpec { validation: Some(ValidationSpec::Column { column: "held out".to_owned() }), ..data }
}

fn controls(document: Value) -> ControlSpec {
    serde_json::from_value(document).unwrap()
}

/// Dropout and batch norm between the layers.
fn regularised() -> NetworkSpec {
    chain(&[
        ("Linear", json!({"out_features": 16})),
        ("BatchNorm1d", json!({})),
        ("ReLU", json!({})),
        ("Dropout", json!({"p": 0.3})),
        ("Linear", json!({"out_features": 3})),
        ("Softmax", json!({})),
    ])
}

fn spec(name: &str, document: Value) -> WorkerSpec {
    let mut spec = worker_spec(perceptron(16, 3), with_marks(data_spec(&[4], CLASSES)), name);
    let has_window = !matches!(name, "single" | "ensemble" | "averaging" | "sync");
    spec.strategy.window = has_window.then_some(4);
    spec.batch_size = 10;
    spec.epochs = 6;
    let rate = match name {
        "adag" | "agn-adaptive" => 0.4,
        "eamsgd" => 0.02,
        _ => 0.1,
    };
    spec.optimizer = sgd(rate);
    spec.controls = controls(document);
    spec
}

/// Runs all tasks of a fit at once, with as many rows each.
fn run(fit: &Fit, tasks: u32, workers: u32, sockets: bool) {
    let size = ROWS / tasks as usize;
    thread::scope(|scope| {
        let tasks: Vec<_> = (0..tasks)
            .map(|partition| {
                let first = partition as usize * size;
                let task = Task::of(partition, workers / tasks, sockets);
                scope.spawn(move || fit.run_task(task, marked(first..first + size)))
            })
            .collect();
        for task in tasks {
            task.join().unwrap().unwrap();
        }
    });
}

fn validations(fit: &Fit) -> Vec<ValidationStatus> {
    fit.server.status().epochs.iter().filter_map(|epoch| epoch.validation.clone()).collect()
}

fn metric(validation: &ValidationStatus, name: &str) -> f64 {
    validation.metrics.iter().find(|metric| metric.name == name).unwrap().value.unwrap()
}

/// A column of the trained network's predictions, row by row.
fn predicted(
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
fn held_out() -> (RecordBatch, Vec<usize>) {
    let (features, labels) = clouds(ROWS, 4, 3);
    let rows: Vec<usize> = (0..ROWS).filter(|&row| is_held_out(row)).collect();
    let values =
        rows.iter().flat_map(|&row| features[4 * row..4 * row + 4].to_vec()).collect::<Vec<_>>();
    (
        batch(vec![list(Float32Array::from(values), 4)]),
        rows.iter().map(|&row| labels[row] as usize).collect(),
    )
}

fn near(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= 1e-5 * expected.abs().max(1.0),
        "{found} is not {expected}"
    );
}

#[test]
fn held_out_rows_are_scored_as_the_model_predicts_them_and_never_trained() {
    let document = json!({"metrics": ["accuracy", "top2"]});
    for (name, tasks, workers) in [("single", 1, 1), ("sync", 2, 4), ("averaging", 2, 2)] {
        let fit = Fit::open_for(
            WorkerSpec { network: regularised(), ..spec(name, document.clone()) },
            workers,
        );
        run(&fit, tasks, workers, true);
        let status = fit.server.status();
        assert!(status.epochs.iter().all(|epoch| epoch.rows == 480), "{name}");
        let found = validations(&fit).pop().unwrap();
        assert_eq!((found.rows, found.version), (120, status.version), "{name}");
        let (rows, labels) = held_out();
        let probabilities =
            predicted(&fit, PredictionColumn::Probability, PredictionTask::Classification, rows);
        let share = |hit: &dyn Fn(&[f64], usize) -> bool| {
            let hits = probabilities.iter().zip(&labels).filter(|(row, label)| hit(row, **label));
            hits.count() as f64 / labels.len() as f64
        };
        let ahead = |row: &[f64], label: usize| row.iter().filter(|&&p| p > row[label]).count();
        near(metric(&found, "accuracy"), share(&|row, label| ahead(row, label) == 0));
        near(metric(&found, "top2"), share(&|row, label| ahead(row, label) < 2));
        let entropy = probabilities.iter().zip(&labels).map(|(row, &label)| -row[label].ln());
        near(found.loss.unwrap(), entropy.sum::<f64>() / labels.len() as f64);
    }
}

#[test]
fn errors_of_numbers_are_those_of_the_predictions_by_their_weights() {
    let values = noise(4 * ROWS, 3);
    let target = |row: usize| f64::from(values[4 * row]) * 2.0 - f64::from(values[4 * row + 3]);
    let weight = |row: usize| (row % 3) as f32 + 0.5;
    let network = chain(&[("Linear", json!({"out_features": 1}))]);
    let mut spec =
        worker_spec(network, with_marks(data_spec(&[4], LabelKind::Values { size: 1 })), "single");
    spec.data.weight = Some("weight".to_owned());
    spec.loss = LossSpec::L1Loss {};
    spec.controls = controls(json!({"metrics": ["mse", "mae", "r2"]}));
    let fit = Fit::open(spec);
    let labels: Vec<f64> = (0..ROWS).map(target).collect();
    let mut columns = labelled(values.clone(), 4, labels).columns().to_vec();
    columns.push(Arc::new(Float32Array::from((0..ROWS).map(weight).collect::<Vec<_>>())));
    columns.push(Arc::new(BooleanArray::from((0..ROWS).map(is_held_out).collect::<Vec<_>>())));
    fit.run(batch(columns)).unwrap();
    let rows: Vec<usize> = (0..ROWS).filter(|&row| is_held_out(row)).collect();
    let features =
        rows.iter().flat_map(|&row| values[4 * row..4 * row + 4].to_vec()).collect::<Vec<_>>();
    let features = batch(vec![list(Float32Array::from(features), 4)]);
    let found = validations(&fit).pop().unwrap();
    let predictions =
        predicted(&fit, PredictionColumn::Prediction, PredictionTask::Regression, features);
    let total: f64 = rows.iter().map(|&row| f64::from(weight(row))).sum();
    let mean = |of: &dyn Fn(f64, f64) -> f64| {
        let each = rows
            .iter()
            .zip(&predictions)
            .map(|(&row, x)| f64::from(weight(row)) * of(x[0], target(row)));
        each.sum::<f64>() / total
    };
    let center = mean(&|_, y| y);
    near(metric(&found, "mse"), mean(&|x, y| (x - y).powi(2)));
    near(metric(&found, "mae"), mean(&|x, y| (x - y).abs()));
    near(found.loss.unwrap(), mean(&|x, y| (x - y).abs()));
    let variance = mean(&|_, y| (y - center).powi(2));
    near(metric(&found, "r2"), 1.0 - mean(&|x, y| (x - y).powi(2)) / variance);
}

#[test]
fn every_strategy_scores_every_epoch_with_any_number_of_workers() {
    for name in strategy::names() {
        for (tasks, workers) in [(1, 1), (1, 3), (2, 2), (2, 4)] {
            if name == "single" && workers > 1 {
                continue;
            }
            for sockets in [false, true] {
                let fit = Fit::open_for(spec(name, json!({"metrics": ["accuracy"]})), workers);
                run(&fit, tasks, workers, sockets);
                let case =
                    format!("{name}: {workers} workers in {tasks} tasks, sockets: {sockets}");
                let status = fit.server.status();
                assert_eq!((status.failure, status.warnings.len()), (None, 0), "{case}");
                let found = validations(&fit);
                assert_eq!(found.len(), 6, "{case}");
                assert!(found.iter().all(|epoch| epoch.rows == 120), "{case}: {found:?}");
                assert!(found.windows(2).all(|pair| pair[0].version <= pair[1].version), "{case}");
                let loss = |epoch: usize| found[epoch].loss.unwrap();
                assert!(loss(5) < loss(0), "{case}: {found:?}");
                let ledger = fit.server.summary().ledger;
                assert!(ledger.iter().all(|epoch| epoch.validation.is_some()), "{case}");
            }
        }
    }
}

#[test]
fn every_strategy_ends_in_the_middle_when_it_is_told_to() {
    for name in strategy::names() {
        for (tasks, workers) in [(1, 1), (2, 4)] {
            if name == "single" && workers > 1 {
                continue;
            }
            for sockets in [false, true] {
                let document = json!({"stopping": {"targetLoss": 1e9}});
                let fit =
                    Fit::open_for(WorkerSpec { epochs: 1000, ..spec(name, document) }, workers);
                run(&fit, tasks, workers, sockets);
                let status = fit.server.status();
                let case =
                    format!("{name}: {workers} workers in {tasks} tasks, sockets: {sockets}");
                assert_eq!(status.stopped, Some(StopReason::TargetLoss), "{case}");
                assert!(status.epochs.len() < 1000, "{case}: {} epochs", status.epochs.len());
                assert!(fit.weights().0.iter().all(|value| value.is_finite()), "{case}");
            }
        }
    }
}

#[test]
fn time_ends_every_strategy_and_the_model_so_far_is_kept() {
    for name in strategy::names() {
        let workers = if name == "single" { 1 } else { 4 };
        let document = json!({"stopping": {"maxSeconds": 0.3}});
        let fit = Fit::open_for(WorkerSpec { epochs: 1_000_000, ..spec(name, document) }, workers);
        let start = Instant::now();
        run(&fit, workers.min(2), workers, true);
        assert!(start.elapsed() < Duration::from_secs(20), "{name}: {:?}", start.elapsed());
        assert_eq!(fit.server.status().stopped, Some(StopReason::MaxSeconds), "{name}");
        fit.weights();
    }
}

#[test]
fn the_best_epochs_model_is_restored() {
    // Where larger losses are better, the first epoch is the best one.
    let stopping = json!({"restoreBest": true, "mode": "max"});
    for (name, workers) in [("single", 1), ("downpour", 2), ("sync", 2)] {
        let network = regularised();
        let fit = Fit::open_for(
            WorkerSpec { network, ..spec(name, json!({"stopping": stopping})) },
            workers,
        );
        run(&fit, 1, workers, false);
        let best = fit.server.status().best_epoch.unwrap() as usize;
        let found = validations(&fit);
        let most = found.iter().map(|epoch| epoch.loss.unwrap()).fold(0.0, f64::max);
        assert_eq!(found[best].loss, Some(most), "{name}");
        assert!(best < 5, "{name}: {found:?}");
        let (rows, labels) = held_out();
        let probabilities =
            predicted(&fit, PredictionColumn::Probability, PredictionTask::Classification, rows);
        let entropy = probabilities.iter().zip(&labels).map(|(row, &label)| -row[label].ln());
        near(entropy.sum::<f64>() / labels.len() as f64, most);
    }
}

#[test]
fn one_worker_hears_of_a_verdict_before_its_next_epoch() {
    let document = json!({"schedule": {"name": "plateau", "factor": 0.1, "patience": 0, "threshold": 1e9,
        "thresholdMode": "absolute", "cooldown": 0, "minimum": 0.0}});
    for sockets in [false, true] {
        let fit = Fit::open_for(WorkerSpec { epochs: 8, ..spec("downpour", document.clone()) }, 1);
        run(&fit, 1, 1, sockets);
        let epochs = fit.server.status().epochs;
        assert_eq!(epochs.len(), 8);
        for (index, epoch) in epochs.iter().enumerate() {
            let reductions = index.saturating_sub(1) as i32;
            near(epoch.learning_rate.unwrap() / 0.1_f64.powi(reductions), 0.1);
        }
    }
}

#[test]
fn a_task_that_dies_while_it_scores_is_replaced_and_nothing_is_lost() {
    for name in ["adag", "sync", "ensemble", "averaging"] {
        for sockets in [false, true] {
            let fit = Fit::open_for(spec(name, json!({"stopping": {"restoreBest": true}})), 4);
            thread::scope(|scope| {
                let fit = &fit;
                let stays =
                    scope.spawn(move || fit.run_task(Task::of(0, 2, sockets), marked(0..300)));
                for (attempt, scores) in (1..).zip([Some(1), Some(3), Some(2), None]) {
                    let task = Task { scores, attempt, ..Task::of(1, 2, sockets) };
                    match fit.run_task(task, marked(300..600)) {
                        Ok(_) => assert_eq!(scores, None, "{name}"),
                        Err(error) => assert_eq!(error.code(), ErrorCode::Cancelled, "{name}"),
                    }
                    fit.server.attempt_ended(1, attempt);
                }
                stays.join().unwrap().unwrap();
            });
            let found = validations(&fit);
            assert_eq!(found.len(), 6, "{name}");
            assert!(found.iter().all(|epoch| epoch.rows == 120), "{name}: {found:?}");
            assert_eq!(fit.server.status().warnings, Vec::<String>::new(), "{name}");
            fit.weights();
        }
    }
}

#[test]
fn a_share_of_the_rows_is_held_out_whatever_the_partitions() {
    let rows = |of: Range<usize>| marked(of).project(&[0, 1]).unwrap();
    let mut seen = Vec::new();
    for tasks in [1_u32, 2] {
        let mut spec = spec("averaging", json!({"metrics": ["accuracy"]}));
        spec.data.validation = Some(ValidationSpec::Fraction { fraction: 0.25, seed: 5 });
        let fit = Fit::open_for(spec, tasks);
        let size = ROWS / tasks as usize;
        thread::scope(|scope| {
            for partition in 0..tasks {
                let (fit, first) = (&fit, partition as usize * size);
                let task = Task::of(partition, 1, false);
                scope.spawn(move || fit.run_task(task, rows(first..first + size)).unwrap());
            }
        });
        let status = fit.server.status();
        let held_out = validations(&fit)[0].rows;
        assert_eq!(status.epochs[0].rows + held_out, ROWS as u64);
        assert!((100..200).contains(&held_out));
        seen.push(held_out);
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn a_network_with_batch_norm_evaluates_as_well_however_many_workers_trained_it() {
    let accuracy = |name: &str, tasks, workers| {
        let mut spec = spec(name, json!({"metrics": ["accuracy"]}));
        spec.network = regularised();
        spec.epochs = 30;
        if name == "adag" {
            spec.optimizer = sgd(1.0);
        }
        let fit = Fit::open_for(spec, workers);
        run(&fit, tasks, workers, true);
        let last = validations(&fit).pop().unwrap();
        (metric(&last, "accuracy"), last.loss.unwrap())
    };
    let (alone, loss) = accuracy("single", 1, 1);
    assert!(alone > 0.9, "{alone}");
    for name in ["adag", "sync", "averaging"] {
        for tasks in [1, 2] {
            let (together, other) = accuracy(name, tasks, 4);
            assert!(together > alone - 0.03, "{name}: {together}, alone {alone}");
            assert!(other < loss + 0.15, "{name}: loss {other}, alone {loss}");
        }
    }
}

#[test]
fn workers_drop_different_values() {
    let trained = |dropout: f64, tasks: u32| {
        let mut spec = worker_spec(
            chain(&[("Dropout", json!({"p": dropout})), ("Linear", json!({"out_features": 3}))]),
            data_spec(&[4], CLASSES),
            "sync",
        );
        spec.epochs = 1;
        let fit = Fit::open_for(spec, tasks);
        thread::scope(|scope| {
            for partition in 0..tasks {
                let fit = &fit;
                let rows = || marked(0..100).project(&[0, 1]).unwrap();
                scope.spawn(move || fit.run_task(Task::of(partition, 1, false), rows()).unwrap());
            }
        });
        fit.weights().0
    };
    let alike = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
    // Two workers with the same rows are one worker, unless each drops its own values.
    assert!(alike(&trained(0.0, 1), &trained(0.0, 2)));
    assert!(!alike(&trained(0.5, 1), &trained(0.5, 2)));
}

#[test]
fn a_learning_rate_that_falls_to_nothing_ends_the_learning() {
    // Not in the strategies that have a velocity, or draw replica and center together.
    for name in
        ["single", "ensemble", "averaging", "sync", "downpour", "adag", "agn-adaptive", "dynsgd"]
    {
        let trained = |epochs| {
            let document = json!({"schedule": {"name": "step", "stepSize": 1, "gamma": 1e-30}});
            let mut spec = spec(name, document);
            spec.epochs = epochs;
            spec.strategy.overlap = spec.strategy.window.map(|_| false);
            let fit = Fit::open_for(spec, 1);
            run(&fit, 1, 1, false);
            fit.weights().0
        };
        let (one, three) = (trained(1), trained(3));
        let moved = one.iter().zip(&three).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(moved <= 1e-6, "{name}: {moved}");
    }
}

#[test]
fn clipping_bounds_every_step_and_sync_clips_the_mean_as_one_worker_would() {
    let trained = |name: &str, workers: u32, clipping: Value| {
        let mut spec = spec(name, json!({"clipping": clipping}));
        spec.data.validation = None;
        spec.batch_size = ROWS;
        spec.epochs = 5;
        let fit = Fit::open_for(spec, workers);
        fit.run_task(Task::of(0, workers, false), marked(0..ROWS).project(&[0, 1]).unwrap())
            .unwrap();
        let (layout_spec, data, seed) = (&fit.worker.network, &fit.worker.data, fit.worker.seed);
        let start = firesteel_train::initialise(layout_spec, data, seed).unwrap().1;
        let end = fit.weights().0;
        let moved =
            start.iter().zip(&end).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
        (end, moved)
    };
    let (_, free) = trained("single", 1, json!({}));
    let (alone, moved) = trained("single", 1, json!({"norm": 0.02}));
    // Five steps of at most 0.1 times 0.02.
    assert!(moved <= 0.01 + 1e-6 && free > 0.05, "{moved} and {free}");
    for workers in [1, 3] {
        let (together, _) = trained("sync", workers, json!({"norm": 0.02}));
        assert!(together.iter().zip(&alone).all(|(a, b)| (a - b).abs() < 1e-5), "{workers}");
    }
}

#[test]
fn class_weights_are_row_weights_by_class() {
    let (features, labels) = clouds(90, 4, 3);
    let weights = [0.5, 2.0, 1.25];
    let trained = |by_row: bool| {
        let mut spec = worker_spec(perceptron(8, 3), data_spec(&[4], CLASSES), "single");
        spec.batch_size = 90;
        let mut columns = labelled(features.clone(), 4, labels.clone()).columns().to_vec();
        if by_row {
            spec.data.weight = Some("weight".to_owned());
            let of = labels.iter().map(|&label| weights[label as usize] as f32);
            columns.push(Arc::new(of.collect::<Float32Array>()) as ArrayRef);
        } else {
            spec.controls.class_weights = weights.to_vec();
        }
        let fit = Fit::open(spec);
        fit.run(batch(columns)).unwrap();
        (fit.weights().0, fit.server.status().epochs[2].loss.unwrap())
    };
    let ((by_row, loss), (by_class, other)) = (trained(true), trained(false));
    assert!(by_row.iter().zip(&by_class).all(|(a, b)| (a - b).abs() < 1e-6));
    near(loss, other);
}

#[test]
fn controls_that_do_not_fit_are_refused_before_anything_is_trained() {
    let run = |document: Value, loss: LossSpec| {
        let mut worker = spec("single", json!({}));
        let fit = Fit::open(worker.clone());
        worker.controls = controls(document);
        worker.loss = loss;
        let fit = Fit { worker, ..fit };
        let error = fit.run(marked(0..60)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidSpec);
        assert_eq!(fit.server.status().failure.unwrap().code, ErrorCode::InvalidSpec.number());
        error.to_string()
    };
    assert_eq!(
        run(json!({"warmup": {"steps": 0, "startFactor": 0.5}}), LossSpec::CrossEntropy {}),
        "option 'warmup.steps' must be at least 1, is 0"
    );
    let text = run(json!({"labelSmoothing": 0.1}), LossSpec::MseLoss {});
    assert!(text.starts_with("labelSmoothing is for the classes of"), "{text}");
}

#[test]
fn weights_of_zero_and_rows_of_one_kind_are_scored_without_a_hitch() {
    let mut spec = spec("downpour", json!({"metrics": ["accuracy"]}));
    spec.data.weight = Some("weight".to_owned());
    let (features, labels) = clouds(60, 4, 3);
    let mut columns = labelled(features, 4, labels).columns().to_vec();
    let marks: Vec<bool> = (0..60).map(is_held_out).collect();
    let weigh = marks.iter().map(|&held_out| if held_out { 0.0 } else { 1.0 });
    columns.push(Arc::new(weigh.collect::<Float32Array>()));
    columns.push(Arc::new(BooleanArray::from(marks)));
    let fit = Fit::open_for(spec, 1);
    fit.run(batch(columns)).unwrap();
    let found = validations(&fit).pop().unwrap();
    assert_eq!((found.rows, found.loss, found.metrics[0].value), (12, None, None));
}
