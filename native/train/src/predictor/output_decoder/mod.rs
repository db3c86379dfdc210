//! The decoding of a network's output: raw predictions, probabilities, predictions.

use std::sync::Arc;

use arrow_array::{ArrayRef, FixedSizeListArray, Float64Array};
use arrow_schema::{DataType, Field};
use firesteel_core::spec::{PredictionColumn, PredictionTask, PredictorSpec};

use crate::error::TrainError;
use crate::model::{Activation, Inspection, OutputInspection, show};

/// One output of the network for the rows of a batch, with its decoding.
pub(super) struct OutputDecoder {
    kind: OutputKind,
    /// The number of values of a row.
    size: usize,
    thresholds: Vec<f64>,
    /// The output, row after row.
    values: Vec<f32>,
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
        Self { kind, size, thresholds: thresholds.to_vec(), values: Vec::new() }
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
                "a threshold must be at least 0, one is {wrong}"
            ))),
            None => Ok(()),
        }
    }

    /// The numbers of a row in the list columns.
    fn width(&self) -> usize {
        if self.kind == OutputKind::Binary { 2 } else { self.size }
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
    }

    /// Appends the output for some rows, averaged over the members of an ensemble.
    pub(super) fn push(&mut self, members: &[&[f32]]) {
        match members {
            [only] => self.values.extend_from_slice(only),
            _ => self.values.extend(mean(self.activation(), members, self.size)),
        }
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
        let values = match self.kind {
            OutputKind::Binary => {
                self.values.iter().flat_map(|&z| [-f64::from(z), f64::from(z)]).collect()
            }
            _ => self.values.iter().copied().map(f64::from).collect(),
        };
        list(values, self.width())
    }

    pub(super) fn probability(&self) -> Result<ArrayRef, TrainError> {
        list(self.probabilities(), self.width())
    }

    pub(super) fn prediction(&self) -> Result<ArrayRef, TrainError> {
        let values: Vec<f64> = match self.kind {
            OutputKind::Numbers { activation } => {
                let values = activate(activation, &self.values, self.size);
                if self.size > 1 {
                    return list(values, self.size);
                }
                values
            }
            _ if !self.thresholds.is_empty() => {
                let scaled = |row: &[f64]| largest(row.iter().zip(&self.thresholds).map(scale));
                self.probabilities().chunks_exact(self.width()).map(scaled).collect()
            }
            OutputKind::Binary => {
                self.values.iter().map(|&z| if z > 0.0 { 1.0 } else { 0.0 }).collect()
            }
            OutputKind::Classes { .. } => self
                .values
                .chunks_exact(self.size)
                .map(|row| largest(row.iter().copied().map(f64::from)))
                .collect(),
        };
        Ok(Arc::new(Float64Array::from(values)))
    }

    /// The classes' probabilities, row after row.
    fn probabilities(&self) -> Vec<f64> {
        match self.kind {
            OutputKind::Binary => self
                .values
                .iter()
                .flat_map(|&z| [sigmoid(-f64::from(z)), sigmoid(f64::from(z))])
                .collect(),
            OutputKind::Classes { activation: Activation::Sigmoid } => {
                let mut values = activate(Activation::Sigmoid, &self.values, self.size);
                for row in values.chunks_exact_mut(self.size) {
                    let sum: f64 = row.iter().sum();
                    row.iter_mut().for_each(|value| *value /= sum);
                }
                values
            }
            OutputKind::Classes { .. } | OutputKind::Numbers { .. } => {
                activate(Activation::Softmax, &self.values, self.size)
            }
        }
    }
}

/// Returns the outputs whose activation is the mean of the members' activations.
fn mean(activation: Activation, members: &[&[f32]], size: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; members.first().map_or(0, |values| values.len())];
    for member in members {
        for (sum, value) in sums.iter_mut().zip(activate(activation, member, size)) {
            *sum += value;
        }
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
    sums.into_iter().map(|sum| inverse(sum * share) as f32).collect()
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
    let mut found = (0_u32, f64::NEG_INFINITY);
    for (index, value) in (0..).zip(values) {
        if value > found.1 {
            found = (index, value);
        }
    }
    f64::from(found.0)
}

fn activate(activation: Activation, values: &[f32], size: usize) -> Vec<f64> {
    let mut values: Vec<f64> = values.iter().copied().map(f64::from).collect();
    match activation {
        Activation::None => {}
        Activation::Sigmoid => values.iter_mut().for_each(|value| *value = sigmoid(*value)),
        Activation::Softmax => values.chunks_exact_mut(size).for_each(softmax),
    }
    values
}

fn softmax(row: &mut [f64]) {
    let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for value in row.iter_mut() {
        *value = (*value - most).exp();
        sum += *value;
    }
    row.iter_mut().for_each(|value| *value /= sum);
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn list(values: Vec<f64>, width: usize) -> Result<ArrayRef, TrainError> {
    let internal = |text: String| TrainError::Internal(text);
    let size = i32::try_from(width).map_err(|error| internal(error.to_string()))?;
    let field = Arc::new(Field::new_list_field(DataType::Float64, false));
    FixedSizeListArray::try_new(field, size, Arc::new(Float64Array::from(values)), None)
        .map(|array| Arc::new(array) as ArrayRef)
        .map_err(|error| internal(error.to_string()))
}

#[cfg(test)]
mod tests;
