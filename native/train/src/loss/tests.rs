use firesteel_core::spec::{ControlSpec, LabelKind, LabelSpec, LossSpec, TermSpec};

use super::*;
use crate::model::{FinalActivation, Inspection, OutputInspection};

fn inspection(outputs: &[(&str, &[usize], Activation)]) -> Inspection {
    Inspection {
        layers: vec![],
        inputs: vec![],
        outputs: outputs
            .iter()
            .map(|(name, shape, activation)| OutputInspection {
                name: (*name).to_owned(),
                shape: shape.to_vec(),
                activation: *activation,
                final_activation: None,
            })
            .collect(),
        parameters: 1,
        weight_bytes: 0,
        layout_hash: String::new(),
        autograd: None,
    }
}

fn resolve(
    loss: &LossSpec,
    shape: &[usize],
    activation: Activation,
    kind: LabelKind,
) -> Result<Loss, TrainError> {
    let labels = [LabelSpec { column: "label".to_owned(), kind }];
    Loss::resolve(&[(*loss).into()], &inspection(&[("out", shape, activation)]), &labels)
}

fn class(classes: usize) -> LabelKind {
    LabelKind::Class { classes }
}

fn numbers(size: usize) -> LabelKind {
    LabelKind::Values { size }
}

/// The loss of one mini-batch of these rows.
fn value(
    loss: &LossSpec,
    activation: Activation,
    kind: LabelKind,
    rows: &[&[f32]],
    label: &Tensor,
    weights: Option<&[f32]>,
) -> f32 {
    let width = rows[0].len();
    let loss = resolve(loss, &[width], activation, kind).unwrap();
    let flat = Tensor::f_from_slice(&rows.concat()).unwrap();
    let output = flat.f_reshape([rows.len() as i64, width as i64]).unwrap();
    let tensor = weights.map(|weights| Tensor::f_from_slice(weights).unwrap());
    let weights = tensor.as_ref().map(|tensor| RowWeights {
        tensor,
        sum: values(tensor).unwrap().iter().copied().map(f64::from).sum(),
    });
    let result = loss.of(&[output], std::iter::once(label), weights).unwrap();
    values(&result).unwrap()[0]
}

fn near(found: f32, expected: f64) {
    assert!((f64::from(found) - expected).abs() < 1e-6, "{found} is not {expected}");
}

#[test]
fn small_values_agree_with_the_formulas() {
    let (none, sigmoid) = (Activation::None, Activation::Sigmoid);
    let real = |values: &[f32], width: i64| {
        Tensor::f_from_slice(values).unwrap().f_reshape([-1, width]).unwrap()
    };
    let index = |values: &[i64]| Tensor::f_from_slice(values).unwrap();
    let of = |loss: LossSpec, kind, row: &[f32], label: &Tensor| {
        value(&loss, none, kind, &[row], label, None)
    };
    let (zeros, ln2) = ([0.0_f32, 0.0], 2.0_f64.ln());
    near(of(LossSpec::CrossEntropy {}, class(2), &zeros, &index(&[1])), ln2);
    near(of(LossSpec::NllLoss {}, class(2), &[-0.25, -1.5], &index(&[1])), 1.5);
    near(
        of(LossSpec::BinaryCrossEntropyWithLogits {}, numbers(2), &zeros, &real(&[1.0, 0.0], 2)),
        ln2,
    );
    near(of(LossSpec::MseLoss {}, numbers(2), &[1.0, 4.0], &real(&[0.0, 1.0], 2)), 5.0);
    near(of(LossSpec::L1Loss {}, numbers(2), &[1.0, 4.0], &real(&[0.0, 1.0], 2)), 2.0);
    let huber = LossSpec::HuberLoss { delta: 1.0 };
    near(of(huber, numbers(2), &[0.5, 4.0], &real(&[0.0, 1.0], 2)), (0.125 + 2.5) / 2.0);
    near(of(LossSpec::PoissonNllLoss {}, numbers(1), &[0.0], &real(&[3.0], 1)), 1.0);
    near(of(LossSpec::KlDiv {}, numbers(2), &zeros, &real(&[1.0, 0.0], 2)), ln2);
    near(of(LossSpec::Hinge {}, class(2), &[0.25], &real(&[-1.0], 1)), 1.25);
    near(of(LossSpec::Hinge {}, class(3), &[0.5, 1.0, -2.0], &index(&[0])), 1.5 / 3.0);
    let square = LossSpec::MseLoss {};
    near(value(&square, sigmoid, numbers(1), &[&[0.0]], &real(&[0.0], 1), None), 0.25);
}

#[test]
fn a_row_counts_by_its_weight() {
    let label = Tensor::f_from_slice(&[0.0_f32, 0.0]).unwrap().f_reshape([2, 1]).unwrap();
    let of = |weights: &[f32]| {
        let rows: [&[f32]; 2] = [&[1.0], &[3.0]];
        value(&LossSpec::MseLoss {}, Activation::None, numbers(1), &rows, &label, Some(weights))
    };
    near(of(&[1.0, 1.0]), 5.0);
    near(of(&[3.0, 1.0]), 3.0);
    near(of(&[0.0, 2.0]), 9.0);
    near(of(&[0.0, 0.0]), 0.0);
}

#[test]
fn the_loss_of_several_outputs_is_the_sum_of_theirs_by_their_weights() {
    let outputs: [(&str, &[usize], Activation); 2] =
        [("a", &[1], Activation::None), ("b", &[1], Activation::None)];
    let label = || LabelSpec { column: "label".to_owned(), kind: numbers(1) };
    let inspection = inspection(&outputs);
    let term = |loss, weight| TermSpec { loss, weight };
    let (absolute, square) = (LossSpec::L1Loss {}, LossSpec::MseLoss {});
    let losses = [term(absolute, 1.0), term(square, 2.0)];
    let loss = Loss::resolve(&losses, &inspection, &[label(), label()]).unwrap();
    let row = |value: f32| Tensor::f_from_slice(&[value]).unwrap().f_reshape([1, 1]).unwrap();
    let labels = [row(0.0), row(0.0)];
    let sum = loss.of(&[row(1.0), row(2.5)], labels.iter(), None).unwrap();
    near(values(&sum).unwrap()[0], 1.0 + 2.0 * 6.25);
    let half = Tensor::f_from_slice(&[0.5_f32]).unwrap();
    let weights = RowWeights { tensor: &half, sum: 0.5 };
    let weighted = loss.of(&[row(1.0), row(2.5)], labels.iter(), Some(weights)).unwrap();
    near(values(&weighted).unwrap()[0], 1.0 + 2.0 * 6.25);
    let refused = |losses: &[TermSpec], labels: &[LabelSpec]| {
        let controls = ControlSpec::default();
        check_losses(&inspection, losses, labels, &controls).unwrap_err().to_string()
    };
    assert_eq!(
        refused(&losses, &[label()]),
        "the network has 2 output(s), but there are 1 label(s); each output needs one"
    );
    assert_eq!(
        refused(&losses[..1], &[label(), label()]),
        "the network has 2 output(s), but there are 1 loss(es); each output needs one"
    );
    assert_eq!(
        refused(&[term(absolute, 1.0), term(square, 0.0)], &[label(), label()]),
        "the weight of the loss of output 'b' must be above 0 and finite, not 0"
    );
}

#[test]
fn a_loss_that_does_not_fit_names_output_shape_and_label() {
    let error = resolve(&LossSpec::CrossEntropy {}, &[10], Activation::Softmax, class(3))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "loss 'cross_entropy' does not fit: the network's output 'out' has the shape [10] and ends in Softmax, \
         label column 'label' holds 3 classes; the output must have the shape [3], one number for each class"
    );
    let (none, softmax, sigmoid) = (Activation::None, Activation::Softmax, Activation::Sigmoid);
    let unfit: [(LossSpec, &[usize], Activation, LabelKind); 12] = [
        (LossSpec::CrossEntropy {}, &[3], sigmoid, class(3)),
        (LossSpec::CrossEntropy {}, &[1], none, class(2)),
        (LossSpec::CrossEntropy {}, &[3, 4], none, class(3)),
        (LossSpec::CrossEntropy {}, &[1], none, numbers(1)),
        (LossSpec::NllLoss {}, &[3], none, numbers(3)),
        (LossSpec::KlDiv {}, &[3], sigmoid, numbers(3)),
        (LossSpec::BinaryCrossEntropyWithLogits {}, &[2], softmax, class(2)),
        (LossSpec::BinaryCrossEntropyWithLogits {}, &[1], sigmoid, class(3)),
        (LossSpec::MseLoss {}, &[2], none, numbers(1)),
        (LossSpec::MseLoss {}, &[1], none, class(10)),
        (LossSpec::Hinge {}, &[2], none, class(3)),
        (LossSpec::HuberLoss { delta: 0.0 }, &[1], none, numbers(1)),
    ];
    for (loss, shape, activation, kind) in unfit {
        let result = resolve(&loss, shape, activation, kind);
        assert!(
            matches!(result, Err(TrainError::InvalidSpec(_))),
            "{loss:?} {shape:?} {activation:?} {kind:?}"
        );
    }
}

#[test]
fn an_activation_that_the_network_computes_is_refused_by_a_loss_that_takes_logits() {
    use FinalActivation::{LogSoftmax, Sigmoid, Softmax};
    let resolve = |loss: LossSpec, shape: &[usize], final_activation, kind| {
        let mut inspection = inspection(&[("out", shape, Activation::None)]);
        inspection.outputs[0].final_activation = Some(final_activation);
        let labels = [LabelSpec { column: "label".to_owned(), kind }];
        Loss::resolve(&[loss.into()], &inspection, &labels).map_err(|error| error.to_string())
    };
    let (cross, binary) = (LossSpec::CrossEntropy {}, LossSpec::BinaryCrossEntropyWithLogits {});
    let (likelihood, square) = (LossSpec::NllLoss {}, LossSpec::MseLoss {});
    assert_eq!(
        resolve(cross, &[2], Softmax, class(2)).unwrap_err(),
        "loss 'cross_entropy' does not fit: the network's output 'out' has the shape [2] and ends in Softmax, label \
         column 'label' holds 2 classes; this loss takes logits, but the network itself computes the Softmax, so it \
         would hardly learn: leave it out"
    );
    for (loss, shape, final_activation, kind) in [
        (cross, [2], Sigmoid, class(2)),
        (LossSpec::KlDiv {}, [2], Softmax, numbers(2)),
        (binary, [1], Sigmoid, class(2)),
        (binary, [2], LogSoftmax, class(2)),
        (likelihood, [2], Softmax, class(2)),
        (square, [1], Sigmoid, class(2)),
        (LossSpec::Hinge {}, [1], Sigmoid, class(2)),
    ] {
        let error = resolve(loss, &shape, final_activation, kind).unwrap_err();
        assert!(
            error.contains(&format!("ends in {final_activation:?}")),
            "{loss:?} {final_activation:?}: {error}"
        );
        assert!(error.contains("leave") || error.contains("LogSoftmax in its place"), "{error}");
    }
    for (loss, shape, final_activation, kind) in [
        (cross, [2], LogSoftmax, class(2)),
        (likelihood, [2], LogSoftmax, class(2)),
        (LossSpec::KlDiv {}, [2], LogSoftmax, numbers(2)),
        (square, [1], Sigmoid, numbers(1)),
        (square, [2], Softmax, class(2)),
    ] {
        assert!(
            resolve(loss, &shape, final_activation, kind).is_ok(),
            "{loss:?} {final_activation:?}"
        );
    }
}

#[test]
fn a_single_output_without_a_sigmoid_is_no_classifier_by_a_loss_of_numbers() {
    let error = resolve(&LossSpec::MseLoss {}, &[1], Activation::None, class(2)).unwrap_err();
    assert!(error.to_string().contains("end the network in Sigmoid"), "{error}");
    assert!(resolve(&LossSpec::MseLoss {}, &[1], Activation::Sigmoid, class(2)).is_ok());
}

#[test]
fn a_network_without_parameters_is_not_trained() {
    let mut inspection = inspection(&[("out", &[1], Activation::None)]);
    inspection.parameters = 0;
    let label = LabelSpec { column: "label".to_owned(), kind: numbers(1) };
    let losses = [LossSpec::MseLoss {}.into()];
    let error = check_losses(&inspection, &losses, &[label], &ControlSpec::default()).unwrap_err();
    assert_eq!(error.to_string(), "the network has no parameters to train");
}

#[test]
fn the_target_is_what_the_formula_wants() {
    let target = |loss: LossSpec, shape: &[usize], activation, kind| {
        resolve(&loss, shape, activation, kind).unwrap().terms()[0].target
    };
    let (none, softmax, sigmoid) = (Activation::None, Activation::Softmax, Activation::Sigmoid);
    let one_hot = Target::Indicator { off: 0.0, on: 1.0 };
    assert_eq!(target(LossSpec::CrossEntropy {}, &[3], softmax, class(3)), Target::Class);
    assert_eq!(target(LossSpec::CrossEntropy {}, &[3], softmax, numbers(3)), Target::Values);
    assert_eq!(target(LossSpec::KlDiv {}, &[3], softmax, class(3)), one_hot);
    assert_eq!(target(LossSpec::BinaryCrossEntropyWithLogits {}, &[1], sigmoid, class(2)), one_hot);
    assert_eq!(target(LossSpec::MseLoss {}, &[4], softmax, class(4)), one_hot);
    let signs = Target::Indicator { off: -1.0, on: 1.0 };
    assert_eq!(target(LossSpec::Hinge {}, &[1], none, class(2)), signs);
    assert_eq!(target(LossSpec::Hinge {}, &[2], none, class(2)), Target::Class);
}

#[test]
fn class_weights_and_smoothing_are_refused_where_they_mean_nothing() {
    let controlled = |loss: LossSpec, shape: &[usize], kind, weights: &[f64], smoothing| {
        let resolved = resolve(&loss, shape, Activation::None, kind).unwrap();
        resolved
            .with_classes(&[loss.into()], weights, smoothing)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    let square = LossSpec::MseLoss {};
    assert_eq!(
        controlled(square, &[1], numbers(1), &[], 0.1).unwrap_err(),
        "labelSmoothing applies to the classes of cross_entropy, nll_loss and binary_cross_entropy_with_logits, not for \
         'mse_loss' of this label"
    );
    assert_eq!(
        controlled(square, &[1], numbers(1), &[1.0], 0.0).unwrap_err(),
        "classWeights need a label that is a class"
    );
    assert!(controlled(LossSpec::KlDiv {}, &[3], class(3), &[], 0.1).is_err());
    assert!(controlled(LossSpec::MseLoss {}, &[3], class(3), &[1.0, 2.0, 3.0], 0.0).is_ok());
    assert!(controlled(LossSpec::Hinge {}, &[1], class(2), &[1.0, 2.0], 0.0).is_ok());
}
