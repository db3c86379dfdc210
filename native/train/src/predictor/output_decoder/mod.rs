//! The decoding of a network's output: raw predictions, probabilities, predictions.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float64Array};
use arrow::datatypes::{DataType, Field};
use firesteel_core::spec::{PredictionColumn, PredictionTask, PredictorSpec};
use ndarray::{Array, Array2, ArrayView1, ArrayView2, ArrayViewMut1, Axis, Dimension};

use crate::error::TrainError;
use crate::model::{Activation, Inspection, OutputInspection, show};

/// One output of the network for the rows of a batch, with its decoding.
pub(super) struct OutputDecoder {
    kind: OutputKind,
    thresholds: Vec<f64>,
    /// The output of each row, in row-major order.
    values: Array2<f32>,
}

/// The meaning of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OutputKind {
    /// One logit for each class.
    Classes { activation: Activation },
    /// The logit of class 1 of two.
    Binary,
    /// Numbers after this activation.
    Numbers { activation: Activation },
}

impl OutputDecoder {
    /// Creates the decoders of a task: one, or one for each output of the network.
    pub(super) fn of_task(
        inspection: &Inspection,
        spec: &PredictorSpec,
    ) -> Result<Vec<Self>, TrainError> {
        check_columns(inspection.outputs.len(), spec)?;
        if spec.task == PredictionTask::Outputs {
            let outputs = inspection.outputs.iter();
            return Ok(outputs.map(|output| Self::new(numbers(output), output, &[])).collect());
        }
        let [output] = inspection.outputs.as_slice() else {
            return Err(TrainError::InvalidSpec(format!(
                "the network has {} outputs; a prediction needs one",
                inspection.outputs.len()
            )));
        };
        let kind = match spec.task {
            PredictionTask::Classification => classes(output)?,
            PredictionTask::Regression | PredictionTask::Outputs => numbers(output),
        };
        let decoder = Self::new(kind, output, &spec.thresholds);
        decoder.check_thresholds()?;
        Ok(vec![decoder])
    }

    fn new(kind: OutputKind, output: &OutputInspection, thresholds: &[f64]) -> Self {
        let size = output.shape.iter().product();
        Self { kind, thresholds: thresholds.to_vec(), values: Array2::zeros((0, size)) }
    }

    fn check_thresholds(&self) -> Result<(), TrainError> {
        let thresholds = &self.thresholds;
        if !thresholds.is_empty() && thresholds.len() != self.width() {
            return Err(TrainError::InvalidSpec(format!(
                "{} thresholds for {} classes",
                thresholds.len(),
                self.width()
            )));
        }
        match thresholds.iter().find(|threshold| !(threshold.is_finite() && **threshold >= 0.0)) {
            Some(wrong) => Err(TrainError::InvalidSpec(format!(
                "thresholds must be at least 0, but one is {wrong}"
            ))),
            None => Ok(()),
        }
    }

    /// The numbers of a row in the list columns.
    fn width(&self) -> usize {
        if self.kind == OutputKind::Binary { 2 } else { self.values.ncols() }
    }

    /// Removes all rows; their memory is kept for the next batch.
    pub(super) fn clear(&mut self) -> Result<(), TrainError> {
        let size = self.values.ncols();
        let (mut memory, _) = std::mem::take(&mut self.values).into_raw_vec_and_offset();
        memory.clear();
        self.values = Array2::from_shape_vec((0, size), memory)?;
        Ok(())
    }

    /// Appends the output for some rows, averaged over the members of an ensemble.
    pub(super) fn push(&mut self, members: &[ArrayView2<'_, f32>]) -> Result<(), TrainError> {
        match members {
            [only] => self.values.append(Axis(0), *only)?,
            _ => self.values.append(Axis(0), mean(self.activation(), members).view())?,
        }
        Ok(())
    }

    /// Returns the activation before averaging over an ensemble: the average is of probabilities, or of predicted
    /// numbers.
    fn activation(&self) -> Activation {
        match self.kind {
            OutputKind::Binary => Activation::Sigmoid,
            OutputKind::Classes { activation: Activation::Sigmoid } => Activation::Sigmoid,
            OutputKind::Classes { .. } => Activation::Softmax,
            OutputKind::Numbers { activation } => activation,
        }
    }

    pub(super) fn raw(&self) -> Result<ArrayRef, TrainError> {
        list(match self.kind {
            OutputKind::Binary => self.of_both_classes(|logit| logit)?,
            _ => self.values.mapv(f64::from),
        })
    }

    pub(super) fn probability(&self) -> Result<ArrayRef, TrainError> {
        list(self.probabilities()?)
    }

    pub(super) fn prediction(&self) -> Result<ArrayRef, TrainError> {
        let values: Vec<f64> = match self.kind {
            OutputKind::Numbers { activation } => {
                let values = activate(activation, self.values.view());
                if values.ncols() > 1 {
                    return list(values);
                }
                flat(values)
            }
            _ if !self.thresholds.is_empty() => {
                let scaled =
                    |row: ArrayView1<'_, f64>| largest(row.iter().zip(&self.thresholds).map(scale));
                flat(self.probabilities()?.map_axis(Axis(1), scaled))
            }
            OutputKind::Binary => flat(self.values.mapv(|z| if z > 0.0 { 1.0 } else { 0.0 })),
            OutputKind::Classes { .. } => {
                let row = |row: ArrayView1<'_, f32>| largest(row.iter().copied().map(f64::from));
                flat(self.values.map_axis(Axis(1), row))
            }
        };
        Ok(Arc::new(Float64Array::from(values)))
    }

    /// The classes' probabilities.
    fn probabilities(&self) -> Result<Array2<f64>, TrainError> {
        Ok(match self.kind {
            OutputKind::Binary => self.of_both_classes(sigmoid)?,
            OutputKind::Classes { activation: Activation::Sigmoid } => {
                let mut values = activate(Activation::Sigmoid, self.values.view());
                for mut row in values.outer_iter_mut() {
                    let sum: f64 = row.iter().sum();
                    row /= sum;
                }
                values
            }
            OutputKind::Classes { .. } | OutputKind::Numbers { .. } => {
                activate(Activation::Softmax, self.values.view())
            }
        })
    }

    /// Computes a number from the logit of each of two classes.
    fn of_both_classes(&self, number: impl Fn(f64) -> f64) -> Result<Array2<f64>, TrainError> {
        let numbers = |logit: f64| [number(-logit), number(logit)];
        let both = flat(self.values.mapv(|logit| numbers(f64::from(logit))));
        Ok(Array2::from_shape_vec((both.len(), 2), both.into_flattened())?)
    }
}

/// Returns the outputs whose activation is the mean of the members' activations, so that raw predictions and
/// probabilities follow from the same numbers as those of a single network.
fn mean(activation: Activation, members: &[ArrayView2<'_, f32>]) -> Array2<f32> {
    let mut sums = Array2::<f64>::zeros(members.first().map_or((0, 0), |member| member.dim()));
    for member in members {
        sums += &activate(activation, *member);
    }
    let share = 1.0 / members.len().max(1) as f64;
    let inverse = |mean: f64| match activation {
        Activation::None => mean,
        Activation::Softmax => mean.max(f64::MIN_POSITIVE).ln(),
        Activation::Sigmoid => {
            let inside = mean.clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON);
            (inside / (1.0 - inside)).ln()
        }
    };
    sums.mapv(|sum| inverse(sum * share) as f32)
}

/// Checks that a task has the requested columns and thresholds.
fn check_columns(outputs: usize, spec: &PredictorSpec) -> Result<(), TrainError> {
    let invalid = |text: String| Err(TrainError::InvalidSpec(text));
    let classes = spec.task == PredictionTask::Classification;
    if !classes
        && (spec.outputs.contains(&PredictionColumn::Probability) || !spec.thresholds.is_empty())
    {
        return invalid("probabilities and thresholds are for classification".to_owned());
    }
    for wanted in &spec.outputs {
        match (wanted, spec.task) {
            (PredictionColumn::Output(index), PredictionTask::Outputs) if *index < outputs => {}
            (PredictionColumn::Output(index), PredictionTask::Outputs) => {
                return invalid(format!(
                    "output {index} was requested, but the network has {outputs} output(s)"
                ));
            }
            (PredictionColumn::Output(_), _) | (_, PredictionTask::Outputs) => {
                return invalid(format!("the task {:?} has no column {wanted:?}", spec.task));
            }
            _ => {}
        }
    }
    Ok(())
}

fn numbers(output: &OutputInspection) -> OutputKind {
    OutputKind::Numbers { activation: output.activation }
}

/// Returns the kind of a classifier's output.
fn classes(output: &OutputInspection) -> Result<OutputKind, TrainError> {
    match (output.shape.as_slice(), output.activation) {
        ([1], Activation::None | Activation::Sigmoid) => Ok(OutputKind::Binary),
        (&[size], activation) if size > 1 => Ok(OutputKind::Classes { activation }),
        (shape, _) => Err(TrainError::InvalidSpec(format!(
            "the network's output '{}' has the shape {}; a classifier needs one number for each class, or a single one \
             without Softmax for two classes",
            output.name,
            show(shape)
        ))),
    }
}

/// Scales a probability by its class's threshold; a threshold of 0 always wins, as in Spark.
fn scale((&probability, &threshold): (&f64, &f64)) -> f64 {
    if threshold == 0.0 { f64::INFINITY } else { probability / threshold }
}

/// The index of the largest value, the first one of equals.
fn largest(values: impl Iterator<Item = f64>) -> f64 {
    let larger = |found: (usize, f64), (index, value): (usize, f64)| {
        if value > found.1 { (index, value) } else { found }
    };
    values.enumerate().fold((0, f64::NEG_INFINITY), larger).0 as f64
}

fn activate(activation: Activation, values: ArrayView2<'_, f32>) -> Array2<f64> {
    let mut values = values.mapv(f64::from);
    match activation {
        Activation::None => {}
        Activation::Sigmoid => values.mapv_inplace(sigmoid),
        Activation::Softmax => values.outer_iter_mut().for_each(softmax),
    }
    values
}

fn softmax(mut row: ArrayViewMut1<'_, f64>) {
    let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    row.mapv_inplace(|value| {
        let value = (value - most).exp();
        sum += value;
        value
    });
    row /= sum;
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// A column with a list of values for each row.
fn list(values: Array2<f64>) -> Result<ArrayRef, TrainError> {
    let internal = |text: String| TrainError::Internal(text);
    let size = i32::try_from(values.ncols()).map_err(|error| internal(error.to_string()))?;
    let field = Arc::new(Field::new_list_field(DataType::Float64, false));
    FixedSizeListArray::try_new(field, size, Arc::new(Float64Array::from(flat(values))), None)
        .map(|array| Arc::new(array) as ArrayRef)
        .map_err(|error| internal(error.to_string()))
}

/// Returns the values row after row.
fn flat<T, D: Dimension>(values: Array<T, D>) -> Vec<T> {
    debug_assert!(values.is_standard_layout());
    values.into_raw_vec_and_offset().0
}

#[cfg(test)]
mod tests;
