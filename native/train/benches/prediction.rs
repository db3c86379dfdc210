//! Predictions of a small classifier and of an ensemble, beside the plain softmax of as many scores.
//!
//! `cargo bench -p firesteel-train --bench prediction [NAME...]` prints a line for each measure whose name holds one of the
//! arguments: `bench <name> ours <Mrows/s> beside <Mrows/s> ratio <ours / beside>`, the medians over the rounds, measured
//! alternately.
#![allow(clippy::unwrap_used, reason = "a benchmark ends at the first failure")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, RecordBatch};
use arrow::datatypes::{DataType, Field};
use firesteel_core::spec::{
    DataSpec, ElementType, InputFormat, InputSpec, NETWORK_FORMAT, NetworkSpec, NodeSpec,
    PredictionColumn, PredictionTask, PredictorSpec,
};
use firesteel_train::{LoadedWeights, Predictor, initialise, members_to_bytes};
use serde_json::json;

const ROWS: usize = 10_000;
const FEATURES: usize = 8;
const ROUNDS: usize = 31;

fn main() {
    for (outputs, members) in [(10, 1), (10, 5), (1, 1), (1, 5)] {
        for column in ["all", "prediction"] {
            compare(&format!("predict-{column}-{outputs}-{members}"), column, outputs, members);
        }
    }
}

/// Measures a batch of predictions from this number of outputs by this number of members.
fn compare(name: &str, column: &str, outputs: usize, members: u64) {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--")).peekable();
    if words.peek().is_some() && !words.any(|word| name.contains(&word)) {
        return;
    }
    let mut predictor = predictor(column, outputs, members);
    let batch = batch();
    let scores: Vec<f32> = (0..ROWS * outputs).map(|index| (index % 17) as f32 * 0.1).collect();
    let (mut ours, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(rate(|| drop(black_box(predictor.predict(batch.clone()).unwrap()))));
        beside.push(rate(|| drop(black_box(softmax(black_box(&scores), outputs)))));
    }
    let (ours, beside) = (median(&mut ours), median(&mut beside));
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
fn rate(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    ROWS as f64 / start.elapsed().as_secs_f64() / 1e6
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn predictor(column: &str, outputs: usize, members: u64) -> Predictor {
    let node = NodeSpec {
        name: "0".to_owned(),
        op: "Linear".to_owned(),
        inputs: vec!["x".to_owned()],
        args: json!({"out_features": outputs}).as_object().cloned().unwrap(),
    };
    let network = NetworkSpec {
        format: NETWORK_FORMAT.to_owned(),
        inputs: node.inputs.clone(),
        outputs: vec![node.name.clone()],
        nodes: vec![node],
    };
    let input = InputSpec {
        name: "x".to_owned(),
        column: "x".to_owned(),
        format: InputFormat::Dense,
        element: ElementType::F32,
        shape: vec![FEATURES],
        scale: 1.0,
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

fn batch() -> RecordBatch {
    let values =
        Float32Array::from_iter_values((0..ROWS * FEATURES).map(|i| (i % 31) as f32 / 31.0));
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    let lists: ArrayRef =
        Arc::new(FixedSizeListArray::new(item, FEATURES as i32, Arc::new(values), None));
    RecordBatch::try_from_iter_with_nullable([("x", lists, false)]).unwrap()
}
