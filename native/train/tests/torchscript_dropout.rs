//! Dropout inside a TorchScript module. All threads of a process share the generator that it draws from, so this is the
//! only test of its process.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may be blunt")]

#[path = "suite/support/mod.rs"]
mod support;

use support::torchscript::{cloud_spec, saved};
use support::{Fit, clouds, labelled};

#[test]
fn a_task_alone_draws_the_same_dropout_again() {
    let archive = saved("dropping");
    let (features, labels) = clouds(120, 4, 3);
    let run = |seed| {
        let mut spec = cloud_spec("adag", &archive);
        (spec.seed, spec.epochs, spec.shuffle) = (seed, 2, false);
        let fit = Fit::open(spec);
        fit.run(labelled(features.clone(), 4, labels.clone())).unwrap();
        fit.weights().0
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2), "the order of rows is the same, the masks are not");
}
