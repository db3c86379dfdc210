//! Adam on moments that have decayed to denormal numbers, with denormals flushed beside the processor's default.
//!
//! `cargo bench -p firesteel-core --bench denormals` prints a line for each measure:
//! `bench <name> ours <GB/s> beside <GB/s> ratio <ours/beside>`, GB of parameters a second, the medians over the
//! rounds, measured alternately; `ours` flushes.
#![allow(clippy::unwrap_used, reason = "a benchmark ends at the first failure")]

use std::hint::black_box;
use std::time::Instant;

use firesteel_core::spec::OptimizerSpec;
use firesteel_core::{FlushDenormals, optimizer};

/// A stripe of the center variable.
const PARAMETERS: usize = 32 * 1024;
const STEPS: u32 = 2000;
const ROUNDS: usize = 11;
const ADAM: OptimizerSpec = OptimizerSpec::Adam {
    learning_rate: 1e-3,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weight_decay: 0.0,
    amsgrad: false,
};

fn main() {
    for (name, zeros) in [("normal", 0.0), ("half-zero", 0.5), ("all-zero", 1.0)] {
        let (mut flushed, mut plain) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            {
                let _flush = FlushDenormals::new();
                flushed.push(steps(zeros));
            }
            plain.push(steps(zeros));
        }
        let (ours, beside) = (median(&mut flushed), median(&mut plain));
        println!("bench adam-{name} ours {ours:.2} beside {beside:.2} ratio {:.2}", ours / beside);
    }
}

/// Trains with a gradient of which this share is zero after the first step; returns the GB of parameters per second of
/// the last quarter of the steps, when its moments have decayed.
fn steps(zeros: f64) -> f64 {
    let mut adam = optimizer::build(&ADAM, PARAMETERS).unwrap();
    let mut parameters = vec![0.1_f32; PARAMETERS];
    let mut gradient = vec![0.01_f32; PARAMETERS];
    adam.step(&mut parameters, &gradient);
    gradient[..(zeros * PARAMETERS as f64) as usize].fill(0.0);
    let measured = STEPS / 4;
    for _ in 0..STEPS - measured {
        adam.step(&mut parameters, black_box(&gradient));
    }
    let start = Instant::now();
    for _ in 0..measured {
        adam.step(&mut parameters, black_box(&gradient));
    }
    let seconds = start.elapsed().as_secs_f64();
    black_box(&parameters);
    (PARAMETERS * size_of::<f32>()) as f64 * f64::from(measured) / seconds / 1e9
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
