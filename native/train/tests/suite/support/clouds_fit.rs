//! Fits of three clouds of points by any strategy.

use std::ops::Range;
use std::thread;

use arrow::array::RecordBatch;
use firesteel_core::spec::{LabelKind, WorkerSpec};
use serde_json::json;

use super::*;

pub const CLASSES: LabelKind = LabelKind::Class { classes: 3 };
pub const ROWS: usize = 600;

/// Those of the rows that `of` contains.
pub fn rows(of: Range<usize>) -> RecordBatch {
    let (features, labels) = clouds(ROWS, 4, 3);
    labelled(features[4 * of.start..4 * of.end].to_vec(), 4, labels[of].to_vec())
}

/// A fit of the rows by a perceptron.
pub fn spec_of(strategy: &str, epochs: u32) -> WorkerSpec {
    tuned(worker_spec(perceptron(16, 3), data_spec(&[4], CLASSES), strategy), epochs)
}

/// Takes a batch size, a window and a learning rate that suit the strategy.
pub fn tuned(mut spec: WorkerSpec, epochs: u32) -> WorkerSpec {
    let strategy = spec.strategy.name();
    if !matches!(strategy, "single" | "ensemble" | "averaging" | "sync") {
        set_options(&mut spec.strategy, &json!({"window": 4}));
    }
    spec.batch_size = 10;
    spec.epochs = epochs;
    spec.optimizer = sgd(match strategy {
        "adag" | "agn-adaptive" => 0.4,
        "eamsgd" => 0.02,
        _ => 0.1,
    });
    spec
}

/// Runs all tasks of a fit concurrently, each with an equal share of the rows.
pub fn run(
    fit: &Fit,
    tasks: u32,
    workers: u32,
    sockets: bool,
    rows: impl Fn(Range<usize>) -> RecordBatch,
) {
    let size = ROWS / tasks as usize;
    thread::scope(|scope| {
        let tasks: Vec<_> = (0..tasks)
            .map(|partition| {
                let first = partition as usize * size;
                let task = Task::of(partition, workers / tasks, sockets);
                let rows = rows(first..first + size);
                scope.spawn(move || fit.run_task(task, rows))
            })
            .collect();
        for task in tasks {
            task.join().unwrap().unwrap();
        }
    });
}
