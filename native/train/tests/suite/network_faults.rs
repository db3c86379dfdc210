//! Whole fits over a network that cuts connections and delays messages.

use std::thread;
use std::time::Duration;

use crate::proxy::Proxy;
use crate::support::clouds_fit::ROWS;
use crate::support::held_out::*;
use crate::support::{Fit, Task, set_options, sgd};
use firesteel_core::spec::WorkerSpec;
use serde_json::json;

const EPOCHS: u32 = 10;

/// The fault that the network causes in a fit.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// Connections break again and again, in the middle of requests and of replies.
    Cuts,
    /// Every message is delayed.
    Delay,
}

fn fit(strategy: &str) -> WorkerSpec {
    let mut spec = spec(strategy, json!({"metrics": ["accuracy"]}));
    spec.epochs = EPOCHS;
    let overlap = matches!(strategy, "downpour" | "aeasgd");
    set_options(&mut spec.strategy, &json!({"overlap": overlap}));
    spec.server.timeout_millis = 60_000;
    if matches!(strategy, "adag" | "dynsgd") {
        spec.optimizer = sgd(0.4);
    }
    spec
}

/// Trains in two tasks over the faulty network; returns the accuracy and the number of connections.
fn accuracy(strategy: &str, fault: Fault) -> (f64, usize) {
    let fit = Fit::open_for(fit(strategy), 2);
    let proxy = Proxy::new(fit.server.port());
    match fault {
        Fault::None => {}
        Fault::Cuts => proxy.cut_every(9_001, 14_001),
        Fault::Delay => proxy.delay(Duration::from_millis(3)),
    }
    thread::scope(|scope| {
        let tasks: Vec<_> = (0..2)
            .map(|partition| {
                let first = partition as usize * ROWS / 2;
                let task = Task { port: Some(proxy.port), ..Task::of(partition, 1, true) };
                let fit = &fit;
                scope.spawn(move || fit.run_task(task, marked(first..first + ROWS / 2)))
            })
            .collect();
        for task in tasks {
            task.join().unwrap().unwrap();
        }
    });
    let case = format!("{strategy}, {fault:?}");
    let status = fit.server.status();
    assert!(status.epochs.iter().all(|epoch| epoch.rows == 480), "{case}: {:?}", status.epochs);
    for entry in fit.server.summary().ledger {
        let mut next = 0;
        for span in &entry.spans {
            assert_eq!(span.start, next, "{case}");
            next += span.batches;
        }
        assert_eq!((entry.rows, entry.superseded_rows), (240, 0), "{case}");
    }
    let last = validations(&fit).pop().unwrap();
    (metric(&last, "accuracy"), proxy.connections())
}

#[test]
fn connections_that_break_again_and_again_or_are_slow_cost_no_row_and_no_accuracy() {
    const STRATEGIES: [&str; 7] =
        ["downpour", "adag", "dynsgd", "aeasgd", "easgd", "sync", "averaging"];
    // 120 rows are held out of each fit: half a point is less than one of them, but four of all.
    let mean = |fault| {
        let sum: f64 = STRATEGIES
            .iter()
            .map(|strategy| {
                let (accuracy, connections) = accuracy(strategy, fault);
                assert!(accuracy > 0.9, "{strategy}, {fault:?}: {accuracy}");
                let broken = matches!(fault, Fault::Cuts);
                assert_eq!(connections > 2, broken, "{strategy}, {fault:?}: {connections}");
                accuracy
            })
            .sum();
        sum / STRATEGIES.len() as f64
    };
    let undisturbed = mean(Fault::None);
    for fault in [Fault::Cuts, Fault::Delay] {
        let disturbed = mean(fault);
        assert!(disturbed >= undisturbed - 0.005, "{fault:?}: {disturbed}, not {undisturbed}");
    }
}
