//! Every optimizer beside PyTorch's, step by step.

use firesteel_core::optimizer::build;
use firesteel_core::spec::OptimizerSpec;
use serde_json::{Value, json};

const STEPS: usize = 50;
const TOLERANCE: f64 = 3e-7;

/// Sends cases to PyTorch and returns the numbers of its answer.
fn pytorch(cases: &Value) -> Vec<f32> {
    crate::support::python::answer("optimizers.py", cases)
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect()
}

/// Runs each variant of an optimizer, with options over `defaults`, on all kinds of gradients in PyTorch and in
/// Firesteel.
fn agrees_with_pytorch(defaults: &Value, variants: &[Value]) {
    let kinds = ["normal", "zero", "tiny", "small", "large", "mixed", "sparse", "dying"];
    let shapes = [json!([[1]]), json!([[17]]), json!([[20, 13], [20], [5, 4, 3, 2]])];
    let lengths = [1, 17, 400];
    let mut cases = Vec::new();
    for variant in variants {
        let mut optimizer = defaults.clone();
        for (option, value) in variant.as_object().unwrap() {
            assert!(optimizer.get(option).is_some(), "{option}");
            optimizer[option] = value.clone();
        }
        for (index, kind) in kinds.iter().enumerate() {
            let size = index % shapes.len();
            for (seed, size) in [(index, 2), (index + 100, size)] {
                let shapes = &shapes[size];
                cases.push((
                    lengths[size],
                    json!({"optimizer": optimizer, "gradients": kind, "shapes": shapes, "seed": seed}),
                ));
            }
        }
    }
    let requests: Vec<&Value> = cases.iter().map(|(_, case)| case).collect();
    let answer = pytorch(&json!(requests));
    let mut numbers = answer.as_slice();
    let mut take = |length| {
        let (head, tail) = numbers.split_at(length);
        numbers = tail;
        head
    };
    for (length, case) in &cases {
        let spec: OptimizerSpec = serde_json::from_value(case["optimizer"].clone()).unwrap();
        let mut optimizer = build(&spec, *length).unwrap();
        let mut parameters = take(*length).to_vec();
        for step in 1..=STEPS {
            optimizer.step(&mut parameters, take(*length));
            let after = take(*length);
            for (index, (&ours, &theirs)) in parameters.iter().zip(after).enumerate() {
                let (ours, theirs) = (f64::from(ours), f64::from(theirs));
                assert!(theirs.is_finite(), "PyTorch diverged at step {step} of {case}");
                assert!(
                    (ours - theirs).abs() <= TOLERANCE * theirs.abs().max(1.0),
                    "element {index} is {ours}, PyTorch's {theirs}, after step {step} of {case}"
                );
            }
            // From PyTorch's own parameters on: where weight decay brings one through zero, the next steps magnify
            // rounding, which differs between processors.
            parameters.copy_from_slice(after);
        }
    }
    assert!(numbers.is_empty(), "{} numbers too many", numbers.len());
}

#[test]
fn sgd_is_pytorchs() {
    agrees_with_pytorch(
        &json!({"name": "sgd", "learningRate": 0.01, "momentum": 0.0, "dampening": 0.0,
                "nesterov": false, "weightDecay": 0.0}),
        &[
            json!({}),
            json!({"weightDecay": 0.1, "learningRate": 0.1}),
            json!({"momentum": 0.9}),
            json!({"momentum": 0.9, "nesterov": true}),
            json!({"momentum": 0.5, "nesterov": true, "weightDecay": 0.01}),
            json!({"momentum": 0.9, "dampening": 0.3, "weightDecay": 0.01}),
            json!({"dampening": 0.5}),
        ],
    );
}

#[test]
fn adam_is_pytorchs() {
    agrees_with_pytorch(
        &json!({"name": "adam", "learningRate": 1e-3, "beta1": 0.9, "beta2": 0.999,
                "epsilon": 1e-8, "weightDecay": 0.0, "amsgrad": false}),
        &[
            json!({}),
            json!({"learningRate": 0.1}),
            json!({"weightDecay": 0.1}),
            json!({"amsgrad": true}),
            json!({"amsgrad": true, "weightDecay": 0.01, "epsilon": 1e-3}),
            json!({"beta1": 0.3, "beta2": 0.9}),
            json!({"beta1": 0.0}),
        ],
    );
}

#[test]
fn adamw_is_pytorchs() {
    agrees_with_pytorch(
        &json!({"name": "adamw", "learningRate": 1e-3, "beta1": 0.9, "beta2": 0.999,
                "epsilon": 1e-8, "weightDecay": 0.01, "amsgrad": false}),
        &[
            json!({}),
            json!({"weightDecay": 0.0}),
            json!({"learningRate": 0.1, "weightDecay": 0.5}),
            json!({"amsgrad": true}),
            json!({"beta1": 0.5, "beta2": 0.99, "epsilon": 1e-6}),
        ],
    );
}

#[test]
fn rmsprop_is_pytorchs() {
    agrees_with_pytorch(
        &json!({"name": "rmsprop", "learningRate": 0.01, "alpha": 0.99, "epsilon": 1e-8,
                "weightDecay": 0.0, "momentum": 0.0, "centered": false}),
        &[
            json!({}),
            json!({"weightDecay": 0.1, "alpha": 0.9}),
            json!({"momentum": 0.9, "learningRate": 1e-3}),
            json!({"centered": true}),
            json!({"centered": true, "momentum": 0.5, "weightDecay": 0.01, "epsilon": 1e-4}),
        ],
    );
}

#[test]
fn adagrad_is_pytorchs() {
    agrees_with_pytorch(
        &json!({"name": "adagrad", "learningRate": 0.01, "learningRateDecay": 0.0,
                "epsilon": 1e-10, "weightDecay": 0.0, "initialAccumulator": 0.0}),
        &[
            json!({}),
            json!({"learningRate": 0.1, "learningRateDecay": 0.1}),
            json!({"initialAccumulator": 0.1, "epsilon": 1e-6}),
            json!({"weightDecay": 0.1}),
        ],
    );
}

#[test]
fn adadelta_is_pytorchs() {
    agrees_with_pytorch(
        &json!({"name": "adadelta", "learningRate": 1.0, "rho": 0.9, "epsilon": 1e-6,
                "weightDecay": 0.0}),
        &[
            json!({}),
            json!({"rho": 0.5, "epsilon": 1e-3}),
            json!({"learningRate": 0.1, "weightDecay": 0.1}),
        ],
    );
}

#[test]
fn adamax_is_pytorchs() {
    agrees_with_pytorch(
        &json!({"name": "adamax", "learningRate": 2e-3, "beta1": 0.9, "beta2": 0.999,
                "epsilon": 1e-8, "weightDecay": 0.0}),
        &[
            json!({}),
            json!({"learningRate": 0.1, "weightDecay": 0.1}),
            json!({"beta1": 0.4, "beta2": 0.9, "epsilon": 1e-4}),
        ],
    );
}

#[test]
fn nadam_is_pytorchs() {
    agrees_with_pytorch(
        &json!({"name": "nadam", "learningRate": 2e-3, "beta1": 0.9, "beta2": 0.999,
                "epsilon": 1e-8, "weightDecay": 0.0, "momentumDecay": 4e-3}),
        &[
            json!({}),
            json!({"learningRate": 0.01, "weightDecay": 0.01}),
            json!({"beta1": 0.6, "beta2": 0.9, "momentumDecay": 0.1, "epsilon": 1e-5}),
        ],
    );
}
