use arrow::array::{Array, AsArray};
use arrow::datatypes::Float64Type;
use firesteel_core::spec::{DataSpec, NetworkSpec};
use ndarray::aview2;

use super::*;

fn spec(task: PredictionTask, thresholds: &[f64]) -> PredictorSpec {
    PredictorSpec {
        weights: String::new(),
        network: NetworkSpec {
            format: String::new(),
            inputs: vec![],
            nodes: vec![],
            outputs: vec![],
        }
        .into(),
        data: DataSpec { inputs: vec![], labels: vec![], weight: None, validation: None },
        task,
        outputs: vec![PredictionColumn::Prediction],
        thresholds: thresholds.to_vec(),
        threads: 1,
    }
}

fn inspection(shape: &[usize], activation: Activation) -> Inspection {
    let output = OutputInspection {
        name: "out".to_owned(),
        shape: shape.to_vec(),
        activation,
        final_activation: None,
    };
    Inspection {
        layers: vec![],
        inputs: vec![],
        outputs: vec![output],
        parameters: 0,
        weight_bytes: 0,
        layout_hash: String::new(),
        autograd: None,
    }
}

fn only(inspection: &Inspection, spec: &PredictorSpec) -> Result<OutputDecoder, TrainError> {
    OutputDecoder::of_task(inspection, spec).map(|mut decoders| decoders.remove(0))
}

fn classifier(
    shape: &[usize],
    activation: Activation,
    thresholds: &[f64],
    values: &[f32],
) -> OutputDecoder {
    let spec = spec(PredictionTask::Classification, thresholds);
    let mut decoder = only(&inspection(shape, activation), &spec).unwrap();
    let size = shape.iter().product::<usize>();
    let rows = ArrayView2::from_shape((values.len() / size, size), values).unwrap();
    decoder.push(&[rows]).unwrap();
    decoder
}

fn flat(column: &ArrayRef) -> Vec<f64> {
    let values = column.as_fixed_size_list_opt().map_or(column, |list| list.values());
    values.as_primitive::<Float64Type>().values().to_vec()
}

fn near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let close = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-7);
    assert!(close, "{found:?} is not {expected:?}");
}

#[test]
fn logits_become_raw_predictions_probabilities_and_the_largest_class() {
    for activation in [Activation::None, Activation::Softmax] {
        let decoder = classifier(&[3], activation, &[], &[0.0, 2.0, 0.0, 1.0, 1.0, -1e4]);
        near(&flat(&decoder.raw().unwrap()), &[0.0, 2.0, 0.0, 1.0, 1.0, -1e4]);
        let e = 2.0_f64.exp();
        let expected = [1.0 / (e + 2.0), e / (e + 2.0), 1.0 / (e + 2.0), 0.5, 0.5, 0.0];
        near(&flat(&decoder.probability().unwrap()), &expected);
        assert_eq!(flat(&decoder.prediction().unwrap()), [1.0, 0.0]);
    }
}

#[test]
fn one_logit_becomes_the_two_classes_of_spark() {
    let decoder = classifier(&[1], Activation::Sigmoid, &[], &[2.0, -800.0, 0.0]);
    assert_eq!(flat(&decoder.raw().unwrap()), [-2.0, 2.0, 800.0, -800.0, 0.0, 0.0]);
    let p = 1.0 / (1.0 + (-2.0_f64).exp());
    near(&flat(&decoder.probability().unwrap()), &[1.0 - p, p, 1.0, 0.0, 0.5, 0.5]);
    assert_eq!(flat(&decoder.prediction().unwrap()), [1.0, 0.0, 0.0]);
}

#[test]
fn sigmoids_of_several_classes_are_normalised() {
    let decoder = classifier(&[2], Activation::Sigmoid, &[], &[0.0, 0.0]);
    near(&flat(&decoder.probability().unwrap()), &[0.5, 0.5]);
}

#[test]
fn thresholds_divide_probabilities_and_a_zero_rules() {
    let values = [0.0, 1.0, 3.0, 0.0];
    let predict = |thresholds: &[f64]| {
        flat(&classifier(&[2], Activation::Softmax, thresholds, &values).prediction().unwrap())
    };
    assert_eq!(predict(&[0.5, 0.5]), [1.0, 0.0]);
    assert_eq!(predict(&[0.1, 0.9]), [0.0, 0.0]);
    assert_eq!(predict(&[0.5, 0.0]), [1.0, 1.0]);
}

#[test]
fn a_regression_gives_what_comes_out_of_the_activation() {
    let spec = spec(PredictionTask::Regression, &[]);
    let mut one = only(&inspection(&[1], Activation::Sigmoid), &spec).unwrap();
    one.push(&[aview2(&[[0.0]])]).unwrap();
    assert_eq!(flat(&one.prediction().unwrap()), [0.5]);
    let mut several = only(&inspection(&[1, 2], Activation::None), &spec).unwrap();
    several.push(&[aview2(&[[1.0, 2.0], [3.0, 4.0]])]).unwrap();
    let column = several.prediction().unwrap();
    assert_eq!(column.len(), 2);
    assert_eq!(flat(&column), [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn what_does_not_fit_is_refused() {
    use PredictionTask::{Classification, Regression};
    let refuse = |shape: &[usize], activation, task, thresholds: &[f64]| {
        let result = only(&inspection(shape, activation), &spec(task, thresholds));
        result.err().unwrap().to_string()
    };
    let none = Activation::None;
    assert_eq!(refuse(&[3], none, Classification, &[0.5]), "1 thresholds for 3 classes");
    assert_eq!(
        refuse(&[1], none, Classification, &[0.5, -1.0]),
        "thresholds must be at least 0, but one is -1"
    );
    assert!(refuse(&[2], none, Classification, &[f64::NAN, 0.5]).contains("NaN"));
    assert!(refuse(&[2, 3], none, Classification, &[]).contains("has the shape [2, 3]"));
    assert!(refuse(&[1], Activation::Softmax, Classification, &[]).contains("without Softmax"));
    assert!(refuse(&[1], none, Regression, &[0.5]).contains("are for classification"));
}

#[test]
fn no_rows_give_empty_columns() {
    let decoder = classifier(&[3], Activation::None, &[], &[]);
    assert_eq!(decoder.raw().unwrap().len(), 0);
    assert_eq!(decoder.prediction().unwrap().len(), 0);
}
