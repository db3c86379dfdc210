//! Each codec beside a plain copy of the same values, measured alternately.
//!
//! `cargo bench -p firesteel-core --bench compression` prints a line for each measure, as the benchmark of the server does:
//! `bench <name> ours <GB/s> beside <GB/s> ratio <ours/beside>`, GB of f32 values, the medians over the rounds.
#![allow(clippy::unwrap_used, reason = "a benchmark ends at the first failure")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use firesteel_core::compression::{CompressionSpec, ErrorFeedback, encode_into};

const ROUNDS: usize = 11;
const ROUND: Duration = Duration::from_millis(60);

fn main() {
    for (size, elements) in [("0.5MB", 125_000), ("4MB", 1_000_000), ("100MB", 25_000_000)] {
        let values: Vec<f32> = (0..elements).map(noise).collect();
        for spec in [
            CompressionSpec::None {},
            CompressionSpec::Bf16 {},
            CompressionSpec::F16 {},
            CompressionSpec::Int8 {},
            CompressionSpec::TopK { ratio: 0.01 },
        ] {
            measure(&format!("{}-{size}", spec.name()), spec, &values);
        }
    }
}

/// Numbers around 0 of very different magnitudes, as in gradients.
fn noise(index: usize) -> f32 {
    let hash = (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    let uniform = (hash.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 40) as f32 / (1 << 23) as f32 - 1.0;
    1e-3 * uniform * uniform * uniform
}

fn measure(name: &str, spec: CompressionSpec, values: &[f32]) {
    let elements = values.len();
    let mut copy = vec![0.0; elements];
    let mut beside = || black_box(&mut copy).copy_from_slice(black_box(values));
    let mut codec = spec.codec(elements).unwrap();
    let mut bytes = Vec::new();
    compare(
        &format!("encode-{name}"),
        elements,
        || encode_into(&mut *codec, black_box(values), black_box(&mut bytes)),
        &mut beside,
    );
    let mut decoded = vec![0.0; elements];
    compare(
        &format!("decode-{name}"),
        elements,
        || codec.decode(black_box(&bytes), black_box(&mut decoded)).unwrap(),
        &mut beside,
    );
    let mut feedback = ErrorFeedback::new(codec, elements);
    compare(
        &format!("feedback-{name}"),
        elements,
        || {
            black_box(feedback.compress(black_box(values)).unwrap());
        },
        &mut beside,
    );
}

/// Measures both alternately and prints the medians in GB/s, unless the command line names other measures.
fn compare(name: &str, elements: usize, mut ours: impl FnMut(), beside: &mut impl FnMut()) {
    let mut filters =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    if filters.peek().is_some() && !filters.any(|filter| name.contains(&filter)) {
        // What follows needs what this would have made.
        ours();
        return;
    }
    let (mut mine, mut others) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        mine.push(speed(elements, &mut ours));
        others.push(speed(elements, beside));
    }
    let (ours, beside) = (median(mine), median(others));
    println!("bench {name} ours {ours:.3} beside {beside:.3} ratio {:.3}", ours / beside);
}

/// GB/s of one round.
fn speed(elements: usize, deed: &mut impl FnMut()) -> f64 {
    deed();
    let start = Instant::now();
    let mut times = 0;
    while start.elapsed() < ROUND {
        deed();
        times += 1;
    }
    (elements * size_of::<f32>()) as f64 * f64::from(times) / start.elapsed().as_secs_f64() / 1e9
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
