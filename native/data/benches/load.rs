//! Loading and gathering beside a plain copy of the same bytes, in alternating rounds.
//!
//! One line a measure: `bench <name> ours <GB/s> beside <GB/s> ratio <ours / beside>`, medians over the rounds. Words on the
//! command line select the measures whose names contain one of them.

#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{
    ArrayRef, FixedSizeListArray, Float32Array, Float64Array, RecordBatch, RecordBatchIterator,
    UInt8Array,
};
use arrow::datatypes::{Field, Schema};
use firesteel_core::CancelFlag;
use firesteel_core::spec::{DataSpec, ElementType, InputFormat, InputSpec, LabelKind, LabelSpec};
use firesteel_data::{CacheBudget, Partition};
use ndarray::Array2;

const ROWS: usize = 60_000;
const SIZE: usize = 784;
const BATCH_ROWS: usize = 4096;
const ROUNDS: usize = 15;

fn main() {
    for (name, element, bytes) in [("f32", ElementType::F32, 4), ("u8", ElementType::U8, 1)] {
        let (spec, batches) = (spec(element), batches(element));
        load(name, &spec, &batches, ROWS * SIZE * bytes);
        let partition = partition(&spec, &batches);
        for rows in [32, 128] {
            gather(&format!("gather_{name}_{rows}"), &partition, rows);
        }
        order(name, &partition);
    }
    narrow();
}

/// A partition from an Arrow stream, beside copying the same bytes to memory from the allocator and to memory that was
/// written before.
fn load(name: &str, spec: &DataSpec, batches: &[RecordBatch], bytes: usize) {
    let source = vec![1_u8; bytes];
    let mut written = vec![2_u8; bytes];
    let ours = || drop(black_box(partition(spec, batches)));
    compare(&format!("load_{name}_784"), bytes, ours, || {
        drop(black_box(black_box(&source).clone()))
    });
    compare(&format!("load_{name}_784_written"), bytes, ours, || {
        written.copy_from_slice(black_box(&source));
        black_box(&mut written);
    });
}

/// A shuffled epoch in mini-batches, beside an epoch of copies of as many f32 from one place to another.
fn gather(name: &str, partition: &Partition, rows: usize) {
    let order = partition.worker_rows(0, 1).unwrap().order(1, 0, true);
    let mut out = Array2::<f32>::zeros((rows, SIZE));
    let mut copied = vec![0.0_f32; rows * SIZE];
    let source = vec![0.5_f32; ROWS * SIZE];
    compare(
        name,
        ROWS * SIZE * 4,
        || {
            for rows in order.chunks_exact(rows) {
                partition.gather_f32(0, rows, out.view_mut()).unwrap();
                black_box(&mut out);
            }
        },
        || {
            for source in source.chunks_exact(rows * SIZE) {
                copied.copy_from_slice(source);
                black_box(&mut copied);
            }
        },
    );
}

/// A shuffled epoch of rows with few values, in mini-batches of 32: features, labels and weights, beside copies of as many
/// values from one place to another.
fn narrow() {
    let (features, labels): (usize, usize) = (16, 4);
    let fields = [("image", features), ("label", labels)].map(|(name, size)| {
        let bytes = (0..ROWS * size).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8);
        let values: ArrayRef = match name {
            "image" => Arc::new(Float32Array::from_iter_values(bytes.map(f32::from))),
            _ => Arc::new(Float64Array::from_iter_values(bytes.map(f64::from))),
        };
        (name, lists(values, size), false)
    });
    let batch = RecordBatch::try_from_iter_with_nullable(fields).unwrap();
    let mut spec = spec(ElementType::F32);
    spec.inputs[0].shape = vec![features];
    spec.labels[0].kind = LabelKind::Values { size: labels };
    let partition = partition(&spec, &[batch]);
    let order = partition.worker_rows(0, 1).unwrap().order(1, 0, true);
    let source = vec![0.5_f32; ROWS * (features + labels + 1)];
    let mut copied = vec![0.0_f32; 32 * (features + labels + 1)];
    let (mut images, mut targets) = (Array2::zeros((32, features)), Array2::zeros((32, labels)));
    let mut weights = vec![0.0; 32];
    compare(
        "gather_narrow_32",
        source.len() * 4,
        || {
            for rows in order.chunks_exact(32) {
                partition.gather_f32(0, rows, images.view_mut()).unwrap();
                partition.gather_values(0, rows, targets.view_mut()).unwrap();
                partition.gather_weights(rows, &mut weights).unwrap();
                black_box((&mut images, &mut targets, &mut weights));
            }
        },
        || {
            for source in source.chunks_exact(copied.len()) {
                copied.copy_from_slice(source);
                black_box(&mut copied);
            }
        },
    );
}

/// The order of an epoch, in milliseconds.
fn order(name: &str, partition: &Partition) {
    let name = format!("order_{name}_{ROWS}");
    if !selected(&name) {
        return;
    }
    let rows = partition.worker_rows(0, 1).unwrap();
    let mut times: Vec<_> = (0..ROUNDS as u32)
        .map(|epoch| time(|| drop(black_box(rows.order(1, epoch, true)))))
        .collect();
    println!("bench {name} milliseconds {:.2}", median(&mut times).as_secs_f64() * 1e3);
}

/// Returns true if the command line selects this measure.
fn selected(name: &str) -> bool {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--")).peekable();
    words.peek().is_none() || words.any(|word| name.contains(&word))
}

fn compare(name: &str, bytes: usize, mut ours: impl FnMut(), mut beside: impl FnMut()) {
    if !selected(name) {
        return;
    }
    let (mut our_times, mut beside_times) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        our_times.push(time(&mut ours));
        beside_times.push(time(&mut beside));
    }
    let rate = |times: &mut Vec<Duration>| bytes as f64 / median(times).as_secs_f64() / 1e9;
    let (ours, beside) = (rate(&mut our_times), rate(&mut beside_times));
    println!("bench {name} ours {ours:.2} beside {beside:.2} ratio {:.2}", ours / beside);
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn partition(spec: &DataSpec, batches: &[RecordBatch]) -> Partition {
    let reader = RecordBatchIterator::new(batches.iter().cloned().map(Ok), batches[0].schema());
    Partition::load(Box::new(reader), spec, CacheBudget::shared(u64::MAX), &[], &CancelFlag::new())
        .unwrap()
}

fn spec(element: ElementType) -> DataSpec {
    let input = InputSpec {
        name: "image".to_owned(),
        column: "image".to_owned(),
        format: InputFormat::Dense,
        element,
        shape: vec![SIZE],
        scale: if element == ElementType::U8 { 1.0 / 255.0 } else { 1.0 },
    };
    let label = LabelSpec { column: "label".to_owned(), kind: LabelKind::Class { classes: 10 } };
    DataSpec { inputs: vec![input], labels: vec![label], weight: None, validation: None }
}

fn batches(element: ElementType) -> Vec<RecordBatch> {
    (0..ROWS)
        .step_by(BATCH_ROWS)
        .map(|first| batch(element, first, BATCH_ROWS.min(ROWS - first)))
        .collect()
}

fn batch(element: ElementType, first: usize, rows: usize) -> RecordBatch {
    let bytes =
        (first * SIZE..(first + rows) * SIZE).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8);
    let values: ArrayRef = match element {
        ElementType::U8 => Arc::new(UInt8Array::from_iter_values(bytes)),
        _ => Arc::new(Float32Array::from_iter_values(bytes.map(f32::from))),
    };
    let images = lists(values, SIZE);
    let labels: ArrayRef = Arc::new(Float64Array::from_iter_values(
        (first..first + rows).map(|row| (row % 10) as f64),
    ));
    let fields = vec![
        Field::new("image", images.data_type().clone(), false),
        Field::new("label", labels.data_type().clone(), false),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![images, labels]).unwrap()
}

fn lists(values: ArrayRef, size: usize) -> ArrayRef {
    let item = Arc::new(Field::new("item", values.data_type().clone(), false));
    Arc::new(FixedSizeListArray::new(item, size as i32, values, None))
}
