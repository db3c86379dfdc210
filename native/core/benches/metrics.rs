//! The sums of metrics over score matrices, beside the plain sum of the same scores.
//!
//! `cargo bench -p firesteel-core --bench metrics [NAME...]` prints a line for each measure whose name holds one of the
//! arguments: `bench <name> ours <Mrows/s> beside <Mrows/s> ratio <ours / beside>`, the medians over the rounds, measured
//! alternately.
#![allow(clippy::unwrap_used, reason = "a benchmark ends at the first failure")]

use std::hint::black_box;
use std::time::Instant;

use firesteel_core::metrics::{MetricSet, MetricSums};
use firesteel_core::spec::{ControlSpec, LabelKind, LabelSpec};
use ndarray::{Array2, ArrayView2};

/// The rows that a worker scores at a time.
const ROWS: usize = 256;
const REPEATS: usize = 400;
const ROUNDS: usize = 31;

fn main() {
    for (name, metrics, width) in [
        ("accuracy-10", vec!["accuracy"], 10),
        ("classes-10", vec!["accuracy", "top3", "confusion"], 10),
        ("classes-100", vec!["accuracy", "top3", "confusion"], 100),
        ("auc-1", vec!["accuracy", "auc"], 1),
    ] {
        let set = set(&metrics, LabelKind::Class { classes: width.max(2) });
        let classes: Vec<i64> = (0..ROWS).map(|row| (row % width.max(2)) as i64).collect();
        compare(name, &set, width, |sums, scores, weights| {
            sums.add_classes(0, scores, &classes, weights);
        });
    }
    for (name, width) in [("values-1", 1), ("values-10", 10)] {
        let set = set(&["mse", "mae", "r2"], LabelKind::Values { size: width });
        let labels = scores(width, 7);
        compare(name, &set, width, |sums, predictions, weights| {
            sums.add_values(0, predictions, labels.view(), weights);
        });
    }
    let set = set(&["accuracy", "auc", "confusion"], LabelKind::Class { classes: 2 });
    compare("encode", &set, 1, |sums, _, _| {
        black_box(sums.clone().encode());
    });
}

/// Measures the addition of mini-batches of rows with `width` scores each.
fn compare(
    name: &str,
    set: &MetricSet,
    width: usize,
    add: impl Fn(&mut MetricSums, ArrayView2<'_, f32>, &[f32]),
) {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--")).peekable();
    if words.peek().is_some() && !words.any(|word| name.contains(&word)) {
        return;
    }
    let (scores, weights) = (scores(width, 3), vec![1.0; ROWS]);
    let (mut ours, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut sums = set.empty();
        ours.push(rate(|| add(&mut sums, black_box(scores.view()), black_box(&weights))));
        black_box(&sums);
        beside.push(rate(|| {
            black_box(black_box(&scores).iter().copied().map(f64::from).sum::<f64>());
        }));
    }
    let (ours, beside) = (median(&mut ours), median(&mut beside));
    println!("bench metrics-{name} ours {ours:.3} beside {beside:.3} ratio {:.4}", ours / beside);
}

/// Returns the million rows a second.
fn rate(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..REPEATS {
        work();
    }
    (ROWS * REPEATS) as f64 / start.elapsed().as_secs_f64() / 1e6
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn set(metrics: &[&str], kind: LabelKind) -> MetricSet {
    let metrics = metrics.iter().map(|name| name.parse().unwrap()).collect();
    let controls = ControlSpec { metrics, ..ControlSpec::default() };
    let labels = [LabelSpec { column: "y".to_owned(), kind }];
    MetricSet::new(&controls, &labels, &["y".to_owned()]).unwrap()
}

/// Pseudo-random scores from -4 to 4.
fn scores(width: usize, seed: usize) -> Array2<f32> {
    let value = |index: usize| (index + seed).wrapping_mul(2_654_435_761) >> 8 & 0xffff;
    Array2::from_shape_fn((ROWS, width), |(row, column)| {
        value(row * width + column) as f32 / 8192.0 - 4.0
    })
}
