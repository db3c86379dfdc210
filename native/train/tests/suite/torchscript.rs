//! TorchScript modules beside PyTorch, which scripts them and trains them at test time.

use std::sync::Arc;
use std::thread;

use crate::support::torchscript::{State, cloud_spec, document, pytorch, saved};
use crate::support::{Fit, Task, batch, clouds, dense, labelled, list, noise, worker_spec};
use arrow::array::{ArrayRef, AsArray, Float32Array, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::Float64Type;
use firesteel_core::spec::{
    DataSpec, ElementType, LabelKind, LabelSpec, LossSpec, NetworkDocument, PredictionColumn,
    PredictionTask, PredictorSpec, TensorKind,
};
use firesteel_core::{BufferKind, Buffers, Coded, ErrorCode, ParamLayout, strategy};
use firesteel_train::{
    LoadedWeights, Predictor, initialise, inspect, layout, weights_from_bytes, weights_to_bytes,
};
use serde_json::{Value, json};

/// A module, and rows to train it on.
struct Case {
    module: &'static str,
    inputs: Vec<Column>,
    labels: Vec<Column>,
    kinds: Vec<LabelKind>,
    loss: LossSpec,
}

struct Column {
    shape: Vec<usize>,
    values: Vec<f64>,
    integer: bool,
}

const ROWS: usize = 24;

fn floats(shape: &[usize], seed: u64) -> Column {
    let count = ROWS * shape.iter().product::<usize>();
    let values = noise(count, seed).into_iter().map(f64::from).collect();
    Column { shape: shape.to_vec(), values, integer: false }
}

fn ids(shape: &[usize], below: usize) -> Column {
    let count = ROWS * shape.iter().product::<usize>();
    let values = (0..count).map(|index| ((index * 7 + index / 5) % below) as f64).collect();
    Column { shape: shape.to_vec(), values, integer: true }
}

/// A classifier over one input.
fn classifier(module: &'static str, input: Column, classes: usize) -> Case {
    Case {
        module,
        inputs: vec![input],
        labels: vec![ids(&[], classes)],
        kinds: vec![LabelKind::Class { classes }],
        loss: LossSpec::CrossEntropy {},
    }
}

impl Column {
    fn json(&self) -> Value {
        let mut shape = vec![ROWS];
        shape.extend(&self.shape);
        json!({"shape": shape, "values": self.values, "integer": self.integer})
    }

    fn array(&self) -> ArrayRef {
        let width = self.shape.iter().product();
        match self.integer {
            true => list(self.values.iter().map(|&x| x as i64).collect::<Int64Array>(), width),
            false => list(self.values.iter().map(|&x| x as f32).collect::<Float32Array>(), width),
        }
    }

    fn label(&self) -> ArrayRef {
        let width = self.shape.iter().product::<usize>();
        let values = Float64Array::from(self.values.clone());
        if width == 1 { Arc::new(values) } else { list(values, width) }
    }
}

impl Case {
    fn data(&self) -> DataSpec {
        let inputs = self.inputs.iter().enumerate().map(|(index, input)| {
            let element = if input.integer { ElementType::I64 } else { ElementType::F32 };
            dense(&format!("in{index}"), &input.shape, element)
        });
        let labels = self
            .kinds
            .iter()
            .enumerate()
            .map(|(index, &kind)| LabelSpec { column: format!("label {index}"), kind });
        DataSpec {
            inputs: inputs.collect(),
            labels: labels.collect(),
            weight: None,
            validation: None,
        }
    }

    fn rows(&self) -> RecordBatch {
        let inputs = self.inputs.iter().map(Column::array);
        batch(inputs.chain(self.labels.iter().map(Column::label)).collect())
    }

    fn features(&self) -> RecordBatch {
        batch(self.inputs.iter().map(Column::array).collect())
    }

    fn request(&self, steps: u32, traced: bool) -> Value {
        json!({
            "module": self.module, "steps": steps, "rate": 0.1, "traced": traced,
            "inputs": self.inputs.iter().map(Column::json).collect::<Vec<_>>(),
            "labels": self.labels.iter().map(Column::json).collect::<Vec<_>>(),
        })
    }
}

fn document_of(case: &Case, archive: &Arc<Vec<u8>>) -> NetworkDocument {
    let kind = |input: &Column| match input.integer {
        true => TensorKind::Int64,
        false => TensorKind::Float32,
    };
    let kinds: Vec<_> = case.inputs.iter().map(kind).collect();
    document(archive, &kinds, &["first", "second"][..case.labels.len()])
}

/// The tensors of a layout beside those of PyTorch.
fn check_state(about: &str, layout: &ParamLayout, weights: &(Vec<f32>, Buffers), of: &[State]) {
    let names = |state: &State| (state.name.clone(), state.shape.clone());
    let entries: Vec<_> =
        layout.entries().iter().map(|e| (e.name.clone(), e.shape.clone())).collect();
    assert_eq!(entries, of.iter().map(names).collect::<Vec<_>>(), "{about}");
    for (entry, state) in layout.entries().iter().zip(of) {
        let range = entry.offset..entry.offset + entry.len;
        let found: Vec<f64> = match entry.kind {
            BufferKind::Parameter => weights.0[range].iter().copied().map(f64::from).collect(),
            BufferKind::FloatBuffer => {
                weights.1.floats[range].iter().copied().map(f64::from).collect()
            }
            BufferKind::IntegerBuffer => {
                weights.1.integers[range].iter().map(|&value| value as f64).collect()
            }
        };
        close(&format!("{about}, {}", entry.name), &found, &state.values);
    }
}

fn close(about: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{about}");
    for (found, expected) in found.iter().zip(expected) {
        let near = (found - expected).abs() <= 1e-5 * expected.abs().max(1.0);
        assert!(near, "{about}: {found}, PyTorch has {expected}");
    }
}

fn predictor(document: &NetworkDocument, case: &Case, weights: &[u8]) -> Predictor {
    let spec = PredictorSpec {
        weights: "a hash".to_owned(),
        network: document.clone(),
        data: DataSpec { labels: vec![], ..case.data() },
        task: PredictionTask::Regression,
        outputs: vec![PredictionColumn::Prediction],
        thresholds: vec![],
        threads: 1,
    };
    let weights = Arc::new(LoadedWeights::open(&spec, weights).unwrap());
    Predictor::open(&spec, weights).unwrap()
}

fn trained(case: &Case, document: NetworkDocument, steps: u32) -> (Vec<f32>, Buffers) {
    let mut spec = worker_spec(document, case.data(), "single");
    (spec.batch_size, spec.epochs) = (ROWS, steps);
    spec.losses = vec![case.loss.into(); case.labels.len()];
    let fit = Fit::open(spec);
    fit.run(case.rows()).unwrap();
    fit.weights()
}

#[test]
fn steps_of_sgd_and_predictions_are_those_of_pytorch() {
    let wide_and_deep = Case {
        module: "wide and deep",
        inputs: vec![ids(&[2], 6), floats(&[4], 5)],
        labels: vec![floats(&[1], 8), floats(&[2], 9)],
        kinds: vec![LabelKind::Values { size: 1 }, LabelKind::Values { size: 2 }],
        loss: LossSpec::MseLoss {},
    };
    let cases = [
        classifier("mlp", floats(&[4], 1), 3),
        classifier("convolutional", floats(&[1, 7, 7], 2), 3),
        classifier("encoder", ids(&[5], 11), 3),
        classifier("tied", ids(&[3], 7), 7),
        classifier("frozen", floats(&[4], 4), 3),
        wide_and_deep,
    ];
    let requests: Vec<Value> =
        cases.iter().flat_map(|case| [1, 5].map(|steps| case.request(steps, false))).collect();
    let answers = pytorch(requests);
    for (index, (archive, answer)) in answers.iter().enumerate() {
        let (case, steps) = (&cases[index / 2], [1, 5][index % 2]);
        let about = format!("{}, {steps} steps", case.module);
        let document = document_of(case, archive);
        let (layout, parameters, buffers) = initialise(&document, &case.data(), 9).unwrap();
        check_state(&about, &layout, &(parameters, buffers), &answer.before);

        let weights = trained(case, document.clone(), steps);
        check_state(&about, &layout, &weights, &answer.after);
        let bytes = weights_to_bytes(&layout, &weights.0, &weights.1).unwrap();
        assert_eq!(weights_from_bytes(&bytes, &layout).unwrap(), weights, "{about}");
        if case.labels.len() == 1 {
            let found = predictor(&document, case, &bytes).predict(case.features()).unwrap();
            let values = found.column(0).as_fixed_size_list().values();
            close(&about, values.as_primitive::<Float64Type>().values(), &answer.outputs[0]);
        }
    }
}

#[test]
fn a_traced_module_predicts_as_pytorch_does() {
    let case = classifier("perceptron", floats(&[4], 1), 3);
    let (archive, answer) = pytorch(vec![case.request(0, true)]).pop().unwrap();
    let document = document_of(&case, &archive);
    let (layout, parameters, buffers) = initialise(&document, &case.data(), 0).unwrap();
    let bytes = weights_to_bytes(&layout, &parameters, &buffers).unwrap();
    let found = predictor(&document, &case, &bytes).predict(case.features()).unwrap();
    let values = found.column(0).as_fixed_size_list().values();
    close("traced", values.as_primitive::<Float64Type>().values(), &answer.outputs[0]);
}

#[test]
fn every_strategy_trains_a_module_with_workers_in_turn_and_at_once() {
    let archive = saved("perceptron");
    let (features, labels) = clouds(300, 4, 3);
    for name in strategy::names() {
        for (tasks, workers) in [(1, 1), (2, 4)] {
            if name == "single" && workers > 1 {
                continue;
            }
            let fit = Fit::open_for(cloud_spec(name, &archive), workers);
            let size = 300 / tasks as usize;
            thread::scope(|scope| {
                for partition in 0..tasks {
                    let first = partition as usize * size;
                    let rows = labelled(
                        features[4 * first..4 * (first + size)].to_vec(),
                        4,
                        labels[first..first + size].to_vec(),
                    );
                    let (fit, task) = (&fit, Task::of(partition, workers / tasks, false));
                    scope.spawn(move || fit.run_task(task, rows).unwrap());
                }
            });
            let status = fit.server.status();
            let losses: Vec<f64> = status.epochs.iter().map(|epoch| epoch.loss.unwrap()).collect();
            let case = format!("{name}: {workers} workers in {tasks} tasks: {losses:?}");
            // Workers at once meet in any order, so one epoch may be worse than the one before.
            let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
            assert!(best < 0.8 * losses[0], "{case}");
            let (_, buffers) = fit.weights();
            if name != "ensemble" {
                assert!(buffers.integers[0] > 0, "{case}: batches tracked");
                assert!(buffers.floats.iter().any(|&value| value != 0.0 && value != 1.0), "{case}");
            }
        }
    }
}

#[test]
fn what_is_frozen_stays_as_it_is_to_the_last_bit_with_every_strategy() {
    let archive = saved("frozen");
    let (features, labels) = clouds(120, 4, 3);
    for name in strategy::names() {
        let mut spec = cloud_spec(name, &archive);
        spec.epochs = 2;
        let workers = if name == "single" { 1 } else { 3 };
        let (layout, _, before) = initialise(&spec.network, &spec.data, 0).unwrap();
        let fit = Fit::open_for(spec, workers);
        let rows = labelled(features.clone(), 4, labels.clone());
        fit.run_task(Task::of(0, workers, false), rows).unwrap();
        let after = fit.weights().1;
        for entry in layout.of(BufferKind::FloatBuffer).filter(|e| e.name.starts_with("first")) {
            let range = entry.offset..entry.offset + entry.len;
            assert_eq!(after.floats[range.clone()], before.floats[range], "{name}: {}", entry.name);
        }
    }
}

#[test]
fn a_last_mini_batch_of_one_row_does_not_stop_batch_norm() {
    let archive = saved("perceptron");
    let (features, labels) = clouds(31, 4, 3);
    let mut spec = cloud_spec("adag", &archive);
    spec.epochs = 8;
    let fit = Fit::open(spec);
    let report = fit.run(labelled(features, 4, labels)).unwrap();
    assert_eq!(report.workers[0].rows_trained, 8 * 31);
}

#[test]
fn what_does_not_fit_is_named() {
    let (mlp, double, wide) = (saved("mlp"), saved("double"), saved("wide and deep"));
    let float = [TensorKind::Float32];
    let error = |document: &NetworkDocument, shapes: &[(&str, Vec<usize>)]| {
        let error = inspect(document, shapes).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidSpec);
        error.to_string()
    };
    let of = |archive: &Arc<Vec<u8>>| document(archive, &float, &["logits"]);
    let row = [("in0", vec![4])];
    assert_eq!(
        error(&of(&mlp), &[("in0", vec![5])]),
        "the TorchScript module does not take 2 rows of zeros, 'in0' [2, 5]: mat1 and mat2 shapes cannot be multiplied \
         (2x5 and 4x16)"
    );
    assert_eq!(
        error(&of(&double), &row),
        "'weight' of the TorchScript module has the type Double; the engine trains float32: call `float()` on the \
         module before it is scripted"
    );
    let both = [TensorKind::Int64, TensorKind::Float32];
    assert_eq!(
        error(&document(&wide, &both, &["one"]), &[("in0", vec![2]), ("in1", vec![4])]),
        "the TorchScript module returns 2 tensor(s), but the network has 1 output(s): one"
    );
    let text = error(&of(&Arc::new(vec![1, 2, 3])), &row);
    assert!(text.starts_with("the TorchScript module cannot be read: "), "{text}");
    let text = error(&of(&mlp), &[("in1", vec![4])]);
    assert_eq!(text, "the network has no input 'in1'; it has in0");
    let text = error(&document(&mlp, &float, &["a", "a"]), &row);
    assert_eq!(text, "the name 'a' in the TorchScript network is empty or used twice");

    let inspection = inspect(&of(&mlp), &row).unwrap();
    assert_eq!((inspection.parameters, inspection.outputs[0].shape.clone()), (131, vec![3]));
}

#[test]
fn an_id_that_an_embedding_does_not_have_fails_the_fit() {
    let mut case = classifier("tied", ids(&[3], 7), 7);
    case.inputs[0].values[5] = 7.0;
    let archive = saved("tied");
    let fit = Fit::open(worker_spec(document_of(&case, &archive), case.data(), "adag"));
    let error = fit.run(case.rows()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidData);
    assert_eq!(
        error.to_string(),
        "the TorchScript module failed on the data: index out of range in self"
    );
    assert_eq!(fit.server.status().failure.unwrap().message, error.to_string());
    assert_eq!(layout(&fit.worker.network, &fit.worker.data).unwrap().entries().len(), 4);
}
