//! Learning-rate schedules and gradient clipping beside PyTorch's.

use firesteel_core::clipping::clip;
use firesteel_core::epoch_monitor::EpochMonitor;
use firesteel_core::schedule::{TrainingStep, learning_rate};
use firesteel_core::spec::{ClippingSpec, ControlSpec};
use serde_json::{Value, json};

fn pytorch(cases: &[Value]) -> Vec<Vec<f64>> {
    serde_json::from_slice(&crate::support::python::answer("controls.py", &json!(cases))).unwrap()
}

const EPOCHS: u32 = 24;
const BATCHES: u32 = 3;

/// The learning rate of every mini-batch, with a plateau monitor of `values` at each epoch's end.
fn rates(case: &Value) -> Vec<f64> {
    let controls: ControlSpec = serde_json::from_value(json!({
        "schedule": case["schedule"], "warmup": case["warmup"], "metrics": ["accuracy"],
    }))
    .unwrap();
    let base = case["base"].as_f64().unwrap();
    let mut monitor = EpochMonitor::new(&controls, true);
    let mut reductions = 0;
    let mut found = Vec::new();
    for epoch in 0..EPOCHS {
        for batch in 0..BATCHES {
            let step = TrainingStep { epoch, batch, batches: BATCHES, reductions };
            found.push(learning_rate(&controls.schedule, controls.warmup.as_ref(), base, step));
        }
        reductions = monitor.update(|_| case["values"][epoch as usize].as_f64()).reductions;
    }
    found
}

#[test]
fn every_schedule_and_its_warm_up_is_pytorchs() {
    let values: Vec<f64> = (0..EPOCHS)
        .map(|epoch| [1.0, 0.8, 0.79, 0.79, 0.9, 0.5, 0.4999, 0.51][epoch as usize % 8])
        .collect();
    let mut schedules = vec![
        json!({"name": "constant"}),
        json!({"name": "step", "stepSize": 1, "gamma": 0.5}),
        json!({"name": "step", "stepSize": 5, "gamma": 0.1}),
        json!({"name": "exponential", "gamma": 0.9}),
        json!({"name": "cosine", "epochs": 24, "minimum": 0.0}),
        json!({"name": "cosine", "epochs": 7, "minimum": 0.01}),
    ];
    for mode in ["relative", "absolute"] {
        for (monitor, threshold, cooldown, patience, minimum) in [
            ("loss", 1e-4, 0, 0, 0.0),
            ("loss", 0.05, 2, 1, 0.0),
            ("accuracy", 0.02, 0, 2, 0.001),
            ("accuracy", 0.5, 1, 0, 0.0),
        ] {
            schedules.push(json!({
                "name": "plateau", "factor": 0.3, "patience": patience, "threshold": threshold,
                "thresholdMode": mode, "cooldown": cooldown, "minimum": minimum, "monitor": monitor,
            }));
        }
    }
    let warmups = [Value::Null, json!({"steps": 10, "startFactor": 0.1})];
    let cases: Vec<Value> = schedules
        .iter()
        .flat_map(|schedule| {
            let values = &values;
            warmups.iter().map(move |warmup| {
                json!({"base": 0.1, "schedule": schedule, "warmup": warmup, "values": values,
                       "epochs": EPOCHS, "batches": BATCHES})
            })
        })
        .collect();
    for (case, expected) in cases.iter().zip(pytorch(&cases)) {
        let found = rates(case);
        assert_eq!(found.len(), expected.len());
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let difference = (found - expected).abs();
            assert!(
                difference <= 1e-12,
                "mini-batch {at}: {found}, PyTorch has {expected}, of {case}"
            );
        }
    }
}

#[test]
fn clipping_is_pytorchs() {
    let number = |at: usize| ((at * 2_654_435_761) % 1000) as f32 / 250.0 - 2.0;
    let sized = |len: usize, size: f32| (0..len).map(|at| number(at) * size).collect::<Vec<_>>();
    let sets: [Vec<Vec<f32>>; 4] = [
        vec![sized(1, 1.0)],
        vec![sized(17, 1.0), sized(3000, 0.1), sized(5, 40.0)],
        vec![sized(2000, 1e-3)],
        vec![vec![0.0; 9]],
    ];
    let mut cases = Vec::new();
    for gradients in &sets {
        for (value, norm) in [
            (Some(0.5), None),
            (None, Some(1.0)),
            (None, Some(1e4)),
            (Some(0.25), Some(2.0)),
            (None, Some(1e-3)),
        ] {
            cases.push(json!({"gradients": gradients, "value": value, "norm": norm}));
        }
    }
    for (case, expected) in cases.iter().zip(pytorch(&cases)) {
        let gradients: Vec<Vec<f32>> = serde_json::from_value(case["gradients"].clone()).unwrap();
        let mut flat = gradients.concat();
        let spec = ClippingSpec { value: case["value"].as_f64(), norm: case["norm"].as_f64() };
        clip(&spec, &mut flat);
        for (at, (&found, &expected)) in flat.iter().zip(&expected).enumerate() {
            let difference = (f64::from(found) - expected).abs();
            assert!(
                difference <= 2e-6 * expected.abs(),
                "element {at} is {found}, PyTorch's {expected}, value {:?}, norm {:?}",
                spec.value,
                spec.norm
            );
        }
    }
}
