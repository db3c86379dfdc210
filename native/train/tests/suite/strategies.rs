//! Every strategy over real tasks and a real server, through memory and through sockets.

use std::thread;

use crate::support::clouds_fit::{self, rows, spec_of};
use crate::support::{Fit, Task, chain, set_options, sgd};
use firesteel_core::spec::{OptimizerSpec, WorkerSpec};
use firesteel_core::{Coded, ErrorCode, strategy};
use firesteel_train::initialise;
use serde_json::json;

const ROUNDS: [&str; 5] = ["averaging", "easgd", "sync", "local-sgd", "diloco"];
const OVERLAPPING: [&str; 6] = ["downpour", "adag", "agn-adaptive", "dynsgd", "aeasgd", "eamsgd"];

fn spec(name: &str) -> WorkerSpec {
    spec_of(name, 12)
}

fn run(fit: &Fit, tasks: u32, workers: u32, sockets: bool) {
    clouds_fit::run(fit, tasks, workers, sockets, rows);
}

#[test]
fn every_strategy_learns_with_any_number_of_workers_in_one_task_and_in_two() {
    for name in strategy::names() {
        for (tasks, workers) in [(1, 1), (1, 2), (1, 4), (2, 2), (2, 4)] {
            if name == "single" && workers > 1 {
                continue;
            }
            for sockets in [false, true] {
                let mut spec = spec(name);
                let overlap = OVERLAPPING.contains(&name) && tasks == 2;
                set_options(&mut spec.strategy, &json!({"overlap": overlap}));
                let fit = Fit::open_for(spec, workers);
                run(&fit, tasks, workers, sockets);
                let case =
                    format!("{name}: {workers} workers in {tasks} tasks, sockets: {sockets}");
                let status = fit.server.status();
                let losses: Vec<f64> =
                    status.epochs.iter().map(|epoch| epoch.loss.unwrap()).collect();
                let (first, last) = (losses[0], losses[11]);
                assert!(last < 0.6 * first && last < 0.6, "{case}: {losses:?}");
                assert!(status.epochs.iter().all(|epoch| epoch.rows == 600), "{case}");
                assert_eq!((status.failure, status.warnings.len()), (None, 0), "{case}");
                assert!(fit.weights().0.iter().all(|value| value.is_finite()), "{case}");
            }
        }
    }
}

#[test]
fn an_exchange_that_overlaps_does_the_same_arithmetic_over_sockets_and_over_memory() {
    for name in OVERLAPPING {
        let trained = |sockets, overlap| {
            let network = chain(&[
                ("Linear", json!({"out_features": 16})),
                ("BatchNorm1d", json!({})),
                ("Linear", json!({"out_features": 3})),
            ]);
            let mut spec = WorkerSpec { network: network.into(), epochs: 5, ..spec(name) };
            set_options(&mut spec.strategy, &json!({"overlap": overlap}));
            let fit = Fit::open_for(spec, 1);
            run(&fit, 1, 1, sockets);
            fit.weights()
        };
        let memory = trained(false, Some(true));
        assert_eq!(memory, trained(true, Some(true)), "{name}");
        let without = trained(false, Some(false));
        assert_eq!(without, trained(true, Some(false)), "{name}");
        assert_eq!(without, trained(false, None), "{name}: exchanges overlap only if asked to");
        // Alone, an answer brings back what was sent, and only an average is not what was sent.
        let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
        let same = memory.0.iter().zip(&without.0).all(near);
        assert_eq!(same, name != "adag" && name != "agn-adaptive", "{name}");
    }
}

#[test]
fn with_several_workers_an_answer_is_merged_a_window_later() {
    for name in OVERLAPPING {
        let trained = |overlap| {
            let mut spec = spec(name);
            set_options(&mut spec.strategy, &json!({"overlap": overlap}));
            let fit = Fit::open_for(spec, 2);
            run(&fit, 1, 2, false);
            fit.weights().0
        };
        let late = trained(true);
        assert_eq!(late, trained(true), "{name}: workers of one task in memory take turns");
        assert_ne!(late, trained(false), "{name}");
    }
}

#[test]
fn workers_of_one_task_train_from_a_center_variable_that_has_the_commits_of_the_others() {
    for name in OVERLAPPING {
        let staleness = |overlap| {
            let mut spec = spec(name);
            set_options(&mut spec.strategy, &json!({"overlap": overlap}));
            let fit = Fit::open_for(spec, 4);
            run(&fit, 1, 4, false);
            let counts = fit.server.summary().staleness_histogram;
            (counts.iter().sum::<u64>(), counts.iter().skip(1).sum::<u64>())
        };
        let (commits, late) = staleness(None);
        assert!(commits > 0, "{name}");
        assert_eq!(late, 0, "{name}: {late} of {commits} commits are late");
        assert!(staleness(Some(true)).1 > commits / 2, "{name}");
    }
}

#[test]
fn workers_without_rows_with_one_and_with_nearly_all_of_them_train_each_row_once_an_epoch() {
    for name in strategy::names().filter(|name| *name != "single") {
        let fit = Fit::open_for(spec(name), 4);
        thread::scope(|scope| {
            let parts = [0..0, 0..1, 1..561, 561..600].into_iter().enumerate();
            let tasks: Vec<_> = parts
                .map(|(partition, part)| {
                    let task = Task::of(partition as u32, 1, true);
                    let fit = &fit;
                    scope.spawn(move || fit.run_task(task, rows(part)))
                })
                .collect();
            for task in tasks {
                task.join().unwrap().unwrap();
            }
        });
        let status = fit.server.status();
        assert!(status.epochs.iter().all(|epoch| epoch.rows == 600), "{name}: {:?}", status.epochs);
        assert_eq!((status.failure, status.warnings.len()), (None, 0), "{name}");
        for entry in fit.server.summary().ledger {
            assert_eq!(entry.rows, [0, 1, 560, 39][entry.partition as usize], "{name}");
        }
        // In an ensemble the worker with one row trains a model on that row alone.
        if name != "ensemble" {
            let losses: Vec<f64> = status.epochs.iter().map(|epoch| epoch.loss.unwrap()).collect();
            assert!(losses[11] < 0.6, "{name}: {losses:?}");
        }
    }
}

#[test]
fn sync_with_many_workers_is_one_worker_with_as_many_times_the_batch() {
    let trained = |workers: u32, batch_size| {
        let mut spec = spec("sync");
        spec.optimizer = OptimizerSpec::Sgd {
            learning_rate: 0.1,
            momentum: 0.9,
            dampening: 0.0,
            nesterov: false,
            weight_decay: 0.01,
        };
        spec.batch_size = batch_size;
        let fit = Fit::open_for(spec, workers);
        run(&fit, 1, workers, false);
        fit.weights().0
    };
    let alone = trained(1, 600);
    for workers in [2, 3, 4] {
        // Each worker's batch is all of its rows, and the workers' rows are all rows.
        let together = trained(workers, 600);
        let far = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-4 * b.abs().max(1.0);
        assert!(!together.iter().zip(&alone).any(far), "{workers} workers");
    }
    assert!(trained(1, 10).iter().zip(&alone).any(|(a, b)| (a - b).abs() > 1e-2));
}

#[test]
fn a_worker_that_dies_in_a_round_leaves_and_its_retry_joins_the_others() {
    for name in ROUNDS {
        for sockets in [false, true] {
            let fit = Fit::open_for(spec(name), 2);
            thread::scope(|scope| {
                let fit = &fit;
                let stays =
                    scope.spawn(move || fit.run_task(Task::of(0, 1, sockets), rows(0..300)));
                let dies = Task { commits: Some(2), ..Task::of(1, 1, sockets) };
                let error = fit.run_task(dies, rows(300..600)).unwrap_err();
                assert_eq!(error.code(), ErrorCode::Cancelled, "{name}");
                fit.server.attempt_ended(1, 1);
                let retry = Task { attempt: 2, ..Task::of(1, 1, sockets) };
                let report = fit.run_task(retry, rows(300..600)).unwrap();
                assert!(report.workers[0].rows_trained < 12 * 300, "{name}: it went on");
                assert_eq!(stays.join().unwrap().unwrap().workers[0].rows_trained, 12 * 300);
            });
            let epochs = fit.server.status().epochs;
            assert!(epochs.iter().all(|epoch| epoch.rows == 600), "{name}: each row once an epoch");
            fit.weights();
        }
    }
}

#[test]
fn workers_with_fewer_mini_batches_leave_the_rounds_and_the_others_finish() {
    for name in ROUNDS {
        let fit = Fit::open_for(spec(name), 3);
        thread::scope(|scope| {
            for (partition, of) in [(0, 0..500), (1, 500..523), (2, 600..600)] {
                let fit = &fit;
                let task = Task::of(partition, 1, partition == 0);
                scope.spawn(move || fit.run_task(task, rows(of)).unwrap());
            }
        });
        assert_eq!(fit.server.status().rows_trained, 12 * 523, "{name}");
        fit.weights();
    }
}

#[test]
fn every_member_of_an_ensemble_starts_from_weights_of_its_own() {
    let mut spec = spec("ensemble");
    spec.optimizer = sgd(0.0);
    let fit = Fit::open_for(spec.clone(), 3);
    thread::scope(|scope| {
        for (partition, workers) in [(0, 1), (1, 2)] {
            let fit = &fit;
            let task = Task::of(partition, workers, partition == 0);
            scope.spawn(move || fit.run_task(task, rows(0..100)).unwrap());
        }
    });
    let members = fit.server.members().unwrap();
    assert_eq!(members.len(), 3);
    let weights = |seed| initialise(&spec.network, &spec.data, seed).unwrap().1;
    assert_eq!(members[0].1, weights(spec.seed), "without a step they are the first ones");
    assert_eq!(members[1].1, weights(spec.seed + 1));
    assert!(members[2].1 != members[1].1 && members[2].1 != members[0].1);
    assert_eq!(fit.weights().0, members[0].1);
}

#[test]
fn a_task_that_overlaps_leaves_no_thread_however_it_ends() {
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        tasks
            .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
            .filter(|name| name.trim().starts_with("firesteel-excha"))
            .count()
    };
    let mut overlapping = spec("downpour");
    set_options(&mut overlapping.strategy, &json!({"overlap": true}));
    let fit = Fit::open_for(overlapping, 1);
    let cut = Task { commits: Some(3), ..Task::of(0, 1, true) };
    assert_eq!(fit.run_task(cut, rows(0..600)).unwrap_err().code(), ErrorCode::Cancelled);
    fit.server.attempt_ended(0, 1);
    fit.run_task(Task { attempt: 2, ..Task::of(0, 1, true) }, rows(0..600)).unwrap();
    // Other tests of this process may exchange at the same time, but not for ever.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while threads() > 0 && std::time::Instant::now() < end {
        thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(threads(), 0);
}
