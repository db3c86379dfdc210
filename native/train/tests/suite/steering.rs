//! Schedules, clipping, class weights and early stopping over real tasks and a real server.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::clouds_fit::{CLASSES, ROWS};
use crate::support::held_out::*;
use crate::support::{
    Fit, Task, batch, clouds, data_spec, labelled, perceptron, set_options, worker_spec,
};
use arrow::array::{ArrayRef, Float32Array};
use firesteel_core::epoch_monitor::StopReason;
use firesteel_core::spec::{LossSpec, PredictionColumn, PredictionTask, WorkerSpec};
use firesteel_core::{Coded, ErrorCode, strategy};
use serde_json::{Value, json};

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
            WorkerSpec { network: network.into(), ..spec(name, json!({"stopping": stopping})) },
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
fn a_learning_rate_that_falls_to_nothing_ends_the_learning() {
    // Not in the strategies that have a velocity, or draw replica and center together.
    for name in
        ["single", "ensemble", "averaging", "sync", "downpour", "adag", "agn-adaptive", "dynsgd"]
    {
        let trained = |epochs| {
            let document = json!({"schedule": {"name": "step", "stepSize": 1, "gamma": 1e-30}});
            let mut spec = spec(name, document);
            spec.epochs = epochs;
            set_options(&mut spec.strategy, &json!({"overlap": false}));
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
fn every_step_is_as_long_as_schedule_and_warm_up_say() {
    const EPOCHS: u32 = 6;
    const NORM: f64 = 1e-3;
    // Steps of one length in nearly one direction: how far they lead is the sum of the rates, times that length.
    let moved = |name: &str, workers: u32, mut document: Value| {
        document["clipping"] = json!({"norm": NORM});
        let mut spec = spec(name, document);
        spec.batch_size = ROWS;
        spec.epochs = EPOCHS;
        let fit = Fit::open_for(spec, workers);
        fit.run_task(Task::of(0, workers, false), marked(0..ROWS)).unwrap();
        let (network, data, seed) = (&fit.worker.network, &fit.worker.data, fit.worker.seed);
        let start = firesteel_train::initialise(network, data, seed).unwrap().1;
        let end = fit.weights().0;
        start.iter().zip(&end).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
    };
    let cosine = |epoch: f64| (1.0 + (std::f64::consts::PI * epoch / 6.0).cos()) / 2.0;
    let plateau = json!({"name": "plateau", "factor": 0.1, "patience": 0, "threshold": 1e9,
        "thresholdMode": "absolute", "cooldown": 0, "minimum": 0.0});
    let cases: [(Value, [f64; 6]); 6] = [
        (json!({}), [1.0; 6]),
        (
            json!({"schedule": {"name": "step", "stepSize": 2, "gamma": 0.1}}),
            [1.0, 1.0, 0.1, 0.1, 0.01, 0.01],
        ),
        (
            json!({"schedule": {"name": "exponential", "gamma": 0.5}}),
            [1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125],
        ),
        (
            json!({"schedule": {"name": "cosine", "epochs": 6, "minimum": 0.0}}),
            [0.0, 1.0, 2.0, 3.0, 4.0, 5.0].map(cosine),
        ),
        (
            json!({"schedule": {"name": "exponential", "gamma": 0.5}, "warmup": {"steps": 4, "startFactor": 0.2}}),
            [0.2, 0.2, 0.15, 0.1, 0.0625, 0.03125],
        ),
        // The first epoch cannot be worse than one before it, all others are taken for it.
        (json!({"schedule": plateau}), [1.0, 1.0, 0.1, 0.01, 0.001, 0.0001]),
    ];
    for (document, factors) in cases {
        let expected = 0.1 * NORM * factors.iter().sum::<f64>();
        for (name, workers) in [("single", 1), ("sync", 1), ("averaging", 2), ("sync", 2)] {
            // Some of several workers may learn of a decision an epoch later.
            if workers > 1 && document["schedule"]["name"] == "plateau" {
                continue;
            }
            let found = moved(name, workers, document.clone());
            assert!(
                (found / expected - 1.0).abs() < 0.01,
                "{name} with {workers} workers, {document}: {found}, not {expected}"
            );
        }
    }
}

#[test]
fn clipping_by_value_bounds_every_number_of_a_gradient() {
    let moved = |name: &str, clipping: Value| {
        let mut spec = spec(name, json!({"clipping": clipping}));
        spec.batch_size = ROWS;
        spec.epochs = 5;
        let fit = Fit::open_for(spec, 1);
        fit.run_task(Task::of(0, 1, false), marked(0..ROWS)).unwrap();
        let (network, data, seed) = (&fit.worker.network, &fit.worker.data, fit.worker.seed);
        let start = firesteel_train::initialise(network, data, seed).unwrap().1;
        let end = fit.weights().0;
        start.iter().zip(&end).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
    };
    for name in ["single", "sync"] {
        let (free, clipped) = (moved(name, json!({})), moved(name, json!({"value": 1e-3})));
        // Five steps of 0.1 times 0.001.
        assert!((clipped - 5e-4).abs() < 1e-6 && free > 5e-3, "{name}: {clipped} and {free}");
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
        worker.losses = vec![loss.into()];
        let fit = Fit { worker, ..fit };
        let error = fit.run(marked(0..60)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidSpec);
        assert_eq!(fit.server.status().failure.unwrap().code, ErrorCode::InvalidSpec.number());
        error.to_string()
    };
    assert_eq!(
        run(json!({"warmup": {"steps": 0, "startFactor": 0.5}}), LossSpec::CrossEntropy {}),
        "option 'warmup.steps' must be at least 1, not 0"
    );
    let text = run(json!({"labelSmoothing": 0.1}), LossSpec::MseLoss {});
    assert!(text.starts_with("labelSmoothing applies to the classes of"), "{text}");
}
