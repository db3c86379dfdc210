//! Fits that return a model which has not learnt, and modules that would not learn.

use crate::support::clouds_fit::CLASSES;
use crate::support::torchscript::{cloud_spec, document, saved};
use crate::support::{
    Fit, chain, clouds, data_spec, dense, labelled, perceptron, sgd, token_rows, worker_spec,
};
use firesteel_core::spec::{
    DataSpec, ElementType, LabelKind, LabelSpec, LossSpec, NetworkSpec, TensorKind, WorkerSpec,
};
use firesteel_core::{Coded, ErrorCode};
use firesteel_train::model::FinalActivation;
use firesteel_train::{DeadUnits, Learning, initialise, inspect};
use serde_json::json;

/// Returns the report of a fit on clouds of three classes.
fn learning(spec: WorkerSpec) -> Learning {
    let (features, labels) = clouds(300, 4, 3);
    Fit::open(spec).run(labelled(features, 4, labels)).unwrap().learning.unwrap()
}

fn on_clouds(network: NetworkSpec, learning_rate: f64, epochs: u32) -> WorkerSpec {
    let mut spec = worker_spec(network, data_spec(&[4], CLASSES), "single");
    (spec.optimizer, spec.epochs) = (sgd(learning_rate), epochs);
    spec
}

#[test]
fn a_fit_that_learns_shows_no_sign_of_the_contrary() {
    let found = learning(on_clouds(perceptron(16, 3), 0.1, 20));
    assert!(found.unreached.is_empty() && found.without_gradient.is_empty(), "{found:?}");
    let sample = found.sample.unwrap();
    assert_eq!(sample.rows, 120, "a fiftieth of the rows that were trained");
    assert!(sample.shuffled_loss > 2.0 * sample.loss, "{sample:?}");
    assert_eq!(sample.outputs.len(), 1);
    assert_eq!(sample.outputs[0].constant, None);
}

#[test]
fn a_model_that_does_not_learn_gives_one_class_and_does_not_tell_rows_apart() {
    let mut spec = on_clouds(perceptron(16, 3), 0.1, 3);
    // All rows are alike.
    spec.data.inputs[0].scale = 0.0;
    let found = learning(spec);
    let sample = found.sample.unwrap();
    assert!(sample.outputs[0].constant.as_ref().unwrap().starts_with("class "), "{sample:?}");
    assert!(sample.shuffled_loss <= 1.05 * sample.loss, "{sample:?}");
}

#[test]
fn units_behind_a_relu_that_are_0_for_every_row_are_counted() {
    let network = chain(&[
        ("Linear", json!({"out_features": 16})),
        // Never above 0.
        ("LogSigmoid", json!({})),
        ("ReLU", json!({})),
        ("Linear", json!({"out_features": 3})),
    ]);
    let found = learning(on_clouds(network, 0.1, 1)).sample.unwrap();
    assert_eq!(found.dead, [DeadUnits { layer: "2".to_owned(), dead: 16, units: 16 }]);
}

#[test]
fn a_parameter_that_the_loss_does_not_depend_on_is_named() {
    let label = LabelSpec { column: "label".to_owned(), kind: LabelKind::Class { classes: 7 } };
    let data = DataSpec {
        inputs: vec![dense("in0", &[3], ElementType::I64)],
        labels: vec![label],
        weight: None,
        validation: None,
    };
    let network = document(&saved("tied"), &[TensorKind::Int64], &["logits"]);
    let fit = Fit::open(worker_spec(network, data, "single"));
    let ids: Vec<i64> = (0..90).map(|index| index % 7).collect();
    let labels: Vec<f64> = (0..30).map(|row| f64::from(row % 7)).collect();
    let found = fit.run(token_rows(ids, 3, labels)).unwrap().learning.unwrap();
    assert_eq!(found.unreached, ["unused.weight", "unused.bias"]);
    assert_eq!(found.without_gradient, Vec::<String>::new());
}

#[test]
fn a_parameter_whose_gradient_is_0_in_every_step_is_named() {
    // Hardtanh is flat where a large scale drives the values of every row.
    let mut spec = on_clouds(
        chain(&[
            ("Linear", json!({"out_features": 2})),
            ("Hardtanh", json!({})),
            ("Linear", json!({"out_features": 3})),
        ]),
        0.1,
        2,
    );
    spec.data.inputs[0].scale = 1e9;
    let found = learning(spec);
    assert_eq!(found.without_gradient.len(), 2, "{found:?}");
    assert!(found.unreached.is_empty(), "{found:?}");
}

#[test]
fn a_task_without_rows_tells_nothing_of_learning() {
    let fit = Fit::open(on_clouds(perceptron(4, 3), 0.1, 1));
    assert_eq!(fit.run(labelled(vec![], 4, vec![])).unwrap().learning, None);
}

#[test]
fn without_shuffling_the_last_row_of_the_partition_decides_last() {
    for rows in [[1.0, 5.0, 3.0], [3.0, 5.0, 1.0]] {
        let network = chain(&[("Linear", json!({"out_features": 1, "bias": false}))]);
        let mut spec =
            worker_spec(network, data_spec(&[1], LabelKind::Values { size: 1 }), "single");
        (spec.losses, spec.optimizer) = (vec![LossSpec::MseLoss {}.into()], sgd(0.5));
        (spec.batch_size, spec.epochs, spec.shuffle) = (1, 3, false);
        let fit = Fit::open(spec);
        fit.run(labelled(vec![1.0; 3], 1, rows.to_vec())).unwrap();
        // A step of this size makes the weight the label of the row.
        assert_eq!(fit.weights().0, [rows[2] as f32]);
    }
}

#[test]
fn a_recurrent_layer_that_would_not_learn_is_refused_by_name_and_kind() {
    for kind in ["LSTM", "GRU", "RNN"] {
        let document = document(&saved(kind), &[TensorKind::Float32], &["logits"]);
        let error = inspect(&document, &[("in0", vec![4])]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidSpec);
        assert_eq!(
            error.to_string(),
            format!(
                "layer 'body.memory' of the TorchScript module has the type {kind} and would not learn: TorchScript \
                 runs it on a list of its parameters, which training does not reach; use a loop over {kind}Cell, or \
                 the layers LSTM and GRU of a firesteel.Network"
            )
        );
    }
}

#[test]
fn a_recurrence_of_cells_learns_in_every_parameter() {
    let mut spec = cloud_spec("single", &saved("cells"));
    spec.epochs = 1;
    let (layout, before, _) = initialise(&spec.network, &spec.data, 0).unwrap();
    let fit = Fit::open(spec);
    let (features, labels) = clouds(90, 4, 3);
    let report = fit.run(labelled(features, 4, labels)).unwrap();
    let after = fit.weights().0;
    for entry in layout.entries() {
        let range = entry.offset..entry.offset + entry.len;
        assert_ne!(before[range.clone()], after[range], "{}", entry.name);
    }
    assert!(report.learning.unwrap().unreached.is_empty());
}

#[test]
fn the_activation_that_an_output_ends_in_is_found_in_the_modules_code() {
    let activations = |module: &str, outputs: &[&str]| {
        let document = document(&saved(module), &[TensorKind::Float32], outputs);
        let found = inspect(&document, &[("in0", vec![4])]).unwrap().outputs;
        found.into_iter().map(|output| output.final_activation).collect::<Vec<_>>()
    };
    assert_eq!(activations("softmax", &["y"]), [Some(FinalActivation::Softmax)]);
    assert_eq!(activations("log softmax", &["y"]), [Some(FinalActivation::LogSoftmax)]);
    assert_eq!(activations("mlp", &["y"]), [None]);
    assert_eq!(
        activations("functional", &["a", "b", "c"]),
        [Some(FinalActivation::Softmax), None, Some(FinalActivation::Sigmoid)]
    );
}
