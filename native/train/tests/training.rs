//! Whole tasks against a real server of this process.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may be blunt")]

mod support;

use firesteel_core::spec::{LabelKind, LossSpec, OptimizerSpec};
use firesteel_core::{CancelFlag, Coded, ErrorCode};
use firesteel_train::TrainError;
use serde_json::json;
use support::{Fit, chain, clouds, data_spec, labelled, perceptron, sgd, worker_spec};

const CLASSES: LabelKind = LabelKind::Class { classes: 3 };

#[test]
fn a_perceptron_learns_to_tell_clouds_apart() {
    for (strategy, learning_rate) in [("single", 0.1), ("downpour", 0.1), ("adag", 0.5)] {
        let mut spec = worker_spec(perceptron(16, 3), data_spec(&[4], CLASSES), strategy);
        spec.optimizer = sgd(learning_rate);
        spec.epochs = 20;
        let fit = Fit::open(spec);
        let (features, labels) = clouds(300, 4, 3);
        let report = fit.run(labelled(features, 4, labels)).unwrap();
        assert_eq!(report.workers[0].rows_trained, 6000, "{strategy}");
        let epochs = fit.server.status().epochs;
        let (first, last) = (epochs.first().unwrap().loss.unwrap(), epochs.last().unwrap().loss.unwrap());
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
        spec.optimizer = OptimizerSpec::Adam {
            learning_rate: 0.01,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            amsgrad: false,
        };
        let fit = Fit::open(spec);
        let (features, labels) = clouds(101, 4, 3);
        fit.run(labelled(features, 4, labels)).unwrap();
        fit.weights()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5).0, run(6).0);
}
