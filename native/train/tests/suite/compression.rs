//! Compressed training over real tasks and a real server, through memory and through sockets.

use crate::support::clouds_fit::{CLASSES, rows, run, spec_of};
use crate::support::{Fit, Task, chain, data_spec, perceptron, set_options, worker_spec};
use firesteel_core::compression::CompressionSpec;
use firesteel_core::spec::WorkerSpec;
use serde_json::json;

const STRATEGIES: [&str; 9] = [
    "downpour",
    "adag",
    "agn-adaptive",
    "dynsgd",
    "aeasgd",
    "eamsgd",
    "sync",
    "local-sgd",
    "diloco",
];

const CODES: [CompressionSpec; 4] = [
    CompressionSpec::Bf16 {},
    CompressionSpec::F16 {},
    CompressionSpec::Int8 {},
    CompressionSpec::TopK { ratio: 0.2 },
];

/// A fit with compressed pulls, if the codec and the strategy allow it.
fn spec(name: &str, compression: CompressionSpec) -> WorkerSpec {
    let mut spec = spec_of(name, 12);
    let half = matches!(compression, CompressionSpec::Bf16 {} | CompressionSpec::F16 {});
    let pull = half && !name.starts_with("ea") && name != "aeasgd";
    let options = json!({"compression": compression, "compressPull": pull});
    set_options(&mut spec.strategy, &options);
    spec
}

#[test]
fn every_strategy_learns_with_every_code() {
    for name in STRATEGIES {
        for (compression, least) in CODES.into_iter().zip([1.9, 1.9, 3.8, 2.4]) {
            let fit = Fit::open_for(spec(name, compression), 2);
            run(&fit, 2, 2, true, rows);
            let case = format!("{name} with {}", compression.name());
            let status = fit.server.status();
            let (first, last) = (status.epochs[0].loss.unwrap(), status.epochs[11].loss.unwrap());
            assert!(last < 0.6 * first && last < 0.6, "{case}: {first} to {last}");
            for worker in status.workers {
                assert!(worker.compression_ratio > least, "{case}: {worker:?}");
                let error = worker.compression_error;
                assert!(error > 0.0 && error < 0.99, "{case}: {worker:?}");
            }
            assert!(fit.weights().0.iter().all(|value| value.is_finite()), "{case}");
        }
    }
}

#[test]
fn sockets_and_memory_train_to_the_same_bits() {
    for name in STRATEGIES {
        for compression in CODES {
            let trained = |sockets| {
                let network = chain(&[
                    ("Linear", json!({"out_features": 16})),
                    ("BatchNorm1d", json!({})),
                    ("Linear", json!({"out_features": 3})),
                ]);
                let spec =
                    WorkerSpec { network: network.into(), epochs: 3, ..spec(name, compression) };
                let fit = Fit::open_for(spec, 1);
                fit.run_task(Task::of(0, 1, sockets), rows(0..600)).unwrap();
                (fit.weights(), fit.server.status().workers[0].compression_error)
            };
            assert_eq!(trained(false), trained(true), "{name} with {}", compression.name());
        }
    }
}

#[test]
fn a_strategy_that_sends_replicas_is_refused_by_the_worker_too() {
    let fit = Fit::open(worker_spec(perceptron(4, 3), data_spec(&[4], CLASSES), "averaging"));
    let mut worker = json!(fit.worker);
    worker["strategy"]["compression"] = json!({"name": "int8"});
    let error = serde_json::from_value::<WorkerSpec>(worker).unwrap_err();
    assert!(error.to_string().contains("option 'compression' does not apply"), "{error}");
}
