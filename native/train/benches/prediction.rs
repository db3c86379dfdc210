//! Predictions of a small classifier and of an ensemble, beside the plain softmax of as many scores, and of an MLP
//! beside the products of its layers.
//!
//! `cargo bench -p firesteel-train --bench prediction [NAME...]` prints a line for each measure whose name holds one of the
//! arguments: `bench <name> ours <Mrows/s> beside <Mrows/s> ratio <ours / beside>`, the medians over the rounds, measured
//! alternately.
#![allow(clippy::unwrap_used, reason = "a benchmark ends at the first failure")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, RecordBatch, UInt8Array};
use arrow::datatypes::Field;
use firesteel_core::spec::{
    DataSpec, ElementType, InputFormat, InputSpec, NETWORK_FORMAT, NetworkSpec, NodeSpec,
    PredictionColumn, PredictionTask, PredictorSpec,
};
use firesteel_kernels::Gemm;
use firesteel_kernels::linear::{self, Shape};
use firesteel_train::{LoadedWeights, Predictor, initialise, members_to_bytes};
use serde_json::json;

const ROWS: usize = 10_000;
/// The widths of the layers of the MLP.
const WIDTHS: [usize; 4] = [784, 500, 300, 10];
/// The number of rows whose layers are computed together beside the predictor's.
const CHUNK: usize = 512;
const FEATURES: usize = 8;
const ROUNDS: usize = 31;

fn main() {
    for (outputs, members) in [(10, 1), (10, 5), (1, 1), (1, 5)] {
        for column in ["all", "prediction"] {
            compare(&format!("predict-{column}-{outputs}-{members}"), column, outputs, members);
        }
    }
    // The batches of at most 2 MB that come from the JVM.
    for (name, element, rows) in [("f32", ElementType::F32, 668), ("u8", ElementType::U8, 2675)] {
        for column in ["all", "prediction"] {
            compare_mlp(&format!("predict-mlp-{column}-{name}"), column, element, rows);
        }
    }
}

/// Returns true if the command line selects this measure.
fn selected(name: &str) -> bool {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--")).peekable();
    words.peek().is_none() || words.any(|word| name.contains(&word))
}

/// Measures a batch of predictions from this number of outputs by this number of members.
fn compare(name: &str, column: &str, outputs: usize, members: u64) {
    if !selected(name) {
        return;
    }
    let mut predictor = predictor(column, &[FEATURES, outputs], ElementType::F32, members);
    let batch = batch(ROWS, FEATURES, ElementType::F32);
    let scores: Vec<f32> = (0..ROWS * outputs).map(|index| (index % 17) as f32 * 0.1).collect();
    alternate(
        name,
        ROWS,
        || drop(black_box(predictor.predict(batch.clone()).unwrap())),
        || drop(black_box(softmax(black_box(&scores), outputs))),
    );
}

/// Measures batches of predictions of the MLP beside the products of its layers and their rectifiers.
fn compare_mlp(name: &str, column: &str, element: ElementType, rows: usize) {
    if !selected(name) {
        return;
    }
    let mut predictor = predictor(column, &WIDTHS, element, 1);
    let batch = batch(rows, WIDTHS[0], element);
    let gemm = Gemm::find();
    let weights: Vec<Vec<f32>> =
        WIDTHS.windows(2).map(|pair| vec![0.01; pair[0] * pair[1]]).collect();
    let images = vec![0.5; rows * WIDTHS[0]];
    let mut values: Vec<Vec<f32>> = WIDTHS.iter().map(|width| vec![0.0; CHUNK * width]).collect();
    let mut memory = Vec::new();
    let repeats = ROWS.div_ceil(rows);
    alternate(
        name,
        rows * repeats,
        || (0..repeats).for_each(|_| drop(black_box(predictor.predict(batch.clone()).unwrap()))),
        || {
            let chunks = images.chunks(CHUNK * WIDTHS[0]);
            (0..repeats).flat_map(|_| chunks.clone()).for_each(|x| {
                forward(&gemm, black_box(x), &weights, &mut memory, &mut values);
                black_box(&mut values);
            });
        },
    );
}

/// Computes the layers of the MLP for some rows.
fn forward(
    gemm: &Gemm,
    x: &[f32],
    weights: &[Vec<f32>],
    memory: &mut Vec<f32>,
    values: &mut [Vec<f32>],
) {
    let rows = x.len() / WIDTHS[0];
    for (layer, weight) in weights.iter().enumerate() {
        let (inputs, outputs) = (WIDTHS[layer], WIDTHS[layer + 1]);
        let (before, after) = values.split_at_mut(layer + 1);
        let x = if layer == 0 { x } else { &before[layer][..rows * inputs] };
        let y = &mut after[0][..rows * outputs];
        let shape = Shape { rows, inputs, outputs };
        memory.resize(linear::workspace(gemm, shape), 0.0);
        linear::forward(gemm, shape, x, weight, Some(&weight[..outputs]), memory, y);
        y.iter_mut().for_each(|value| *value = if *value > 0.0 { *value } else { 0.0 });
    }
}

/// Prints the median rates of two works that are done in turn.
fn alternate(name: &str, rows: usize, mut ours: impl FnMut(), mut beside: impl FnMut()) {
    let (mut our_rates, mut beside_rates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        our_rates.push(rate(rows, &mut ours));
        beside_rates.push(rate(rows, &mut beside));
    }
    let (ours, beside) = (median(&mut our_rates), median(&mut beside_rates));
    println!("bench {name} ours {ours:.3} beside {beside:.3} ratio {:.4}", ours / beside);
}

fn softmax(scores: &[f32], width: usize) -> Vec<f64> {
    let mut values: Vec<f64> = scores.iter().copied().map(|score| f64::from(score).exp()).collect();
    for row in values.chunks_exact_mut(width) {
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|value| *value /= sum);
    }
    values
}

/// Returns the million rows a second.
fn rate(rows: usize, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    rows as f64 / start.elapsed().as_secs_f64() / 1e6
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Returns a predictor of Linear layers with a rectifier between each two.
fn predictor(column: &str, widths: &[usize], element: ElementType, members: u64) -> Predictor {
    let node = |name: String, op: &str, input: String, args| NodeSpec {
        name,
        op: op.to_owned(),
        inputs: vec![input],
        args,
    };
    let mut nodes = Vec::new();
    let mut last = "x".to_owned();
    for (layer, outputs) in widths[1..].iter().enumerate() {
        if layer > 0 {
            nodes.push(node(format!("relu{layer}"), "ReLU", last, Default::default()));
            last = format!("relu{layer}");
        }
        let args = json!({"out_features": outputs}).as_object().cloned().unwrap();
        nodes.push(node(layer.to_string(), "Linear", last, args));
        last = layer.to_string();
    }
    let network = NetworkSpec {
        format: NETWORK_FORMAT.to_owned(),
        inputs: vec!["x".to_owned()],
        outputs: vec![last],
        nodes,
    };
    let input = InputSpec {
        name: "x".to_owned(),
        column: "x".to_owned(),
        format: InputFormat::Dense,
        element,
        shape: vec![widths[0]],
        scale: if element == ElementType::U8 { 1.0 / 255.0 } else { 1.0 },
    };
    let columns = match column {
        "all" => vec![
            PredictionColumn::RawPrediction,
            PredictionColumn::Probability,
            PredictionColumn::Prediction,
        ],
        _ => vec![PredictionColumn::Prediction],
    };
    let spec = PredictorSpec {
        weights: "a hash".to_owned(),
        network: network.into(),
        data: DataSpec { inputs: vec![input], labels: vec![], weight: None, validation: None },
        task: PredictionTask::Classification,
        outputs: columns,
        thresholds: vec![],
        threads: 1,
    };
    let some: Vec<_> = (0..members)
        .map(|seed| initialise(&spec.network, &spec.data, seed).unwrap())
        .map(|(_, parameters, buffers)| (parameters, buffers))
        .collect();
    let (layout, ..) = initialise(&spec.network, &spec.data, 0).unwrap();
    let bytes = members_to_bytes(&layout, &some).unwrap();
    let weights = LoadedWeights::open(&spec, &bytes).unwrap();
    Predictor::open(&spec, Arc::new(weights)).unwrap()
}

fn batch(rows: usize, features: usize, element: ElementType) -> RecordBatch {
    let numbers = (0..rows * features).map(|index| (index % 31) as u8);
    let values: ArrayRef = match element {
        ElementType::U8 => Arc::new(UInt8Array::from_iter_values(numbers)),
        _ => Arc::new(Float32Array::from_iter_values(numbers.map(|n| f32::from(n) / 31.0))),
    };
    let item = Arc::new(Field::new("item", values.data_type().clone(), false));
    let lists: ArrayRef = Arc::new(FixedSizeListArray::new(item, features as i32, values, None));
    RecordBatch::try_from_iter_with_nullable([("x", lists, false)]).unwrap()
}
