//! Signs that a worker has not learnt: parameters without a gradient, and the evaluation of a sample of rows at the
//! end.

use firesteel_core::{BufferKind, ParamLayout};
use ndarray::{Array2, ArrayView1, ArrayView2};

use super::Training;
use super::report::{Learning, OutputSample, Sample};
use super::worker::Worker;
use crate::error::TrainError;
use crate::loss::{Target, Term};
use crate::network::{Batch, Gradient};
use crate::raw::{matrix, values};

/// The divisor of the trained rows for the size of a sample, so that it costs little.
const SHARE: u64 = 50;
const MIN_ROWS: u64 = 32;
const MAX_ROWS: u64 = 256;

/// The largest number of mini-batches in a sample: without a graph it then takes no more memory than training does.
const MAX_BATCHES: usize = 8;

/// The largest number of output values in a sample, so that large outputs get fewer rows.
const MAX_VALUES: usize = 1 << 22;

/// The smallest number of rows for the detection of a constant prediction.
const MIN_JUDGED: usize = 16;

/// The share of rows of one class from which a constant prediction of it is not suspicious.
const COMMON: f64 = 0.8;

/// The variance of predictions, relative to that of their labels, below which they are constant.
const STILL: f64 = 1e-6;

/// The parameters whose gradient has been 0 in every mini-batch so far.
pub(super) struct ZeroGradients {
    entries: Vec<usize>,
}

impl ZeroGradients {
    pub(super) fn new(layout: &ParamLayout) -> Self {
        let entries = layout.entries().iter().enumerate();
        let parameters = entries.filter(|(_, e)| e.kind == BufferKind::Parameter && e.len > 0);
        Self { entries: parameters.map(|(index, _)| index).collect() }
    }

    /// Removes the parameters with a gradient in a mini-batch. Usually none are left soon.
    pub(super) fn update(&mut self, layout: &ParamLayout, gradient: &Gradient) {
        self.entries.retain(|&index| {
            let entry = &layout.entries()[index];
            let own = &gradient.flat()[entry.offset..entry.offset + entry.len];
            own.iter().all(|&value| value == 0.0)
        });
    }

    fn report(&self, layout: &ParamLayout, gradient: &Gradient) -> Learning {
        let (reached, unreached): (Vec<usize>, Vec<usize>) =
            self.entries.iter().partition(|&&index| gradient.is_reached(index));
        let names = |entries: Vec<usize>| {
            entries.into_iter().map(|index| layout.entries()[index].name.clone()).collect()
        };
        Learning { unreached: names(unreached), without_gradient: names(reached), sample: None }
    }
}

impl Training<'_> {
    /// Returns signs of learning; `None` if the workers trained nothing in this attempt.
    pub(super) fn learning(&mut self, workers: &[Worker]) -> Option<Learning> {
        let worker = workers.iter().find(|worker| worker.report.rows_trained > 0)?;
        let learning = self.zero_gradients.report(self.definition.layout(), &self.gradient);
        let sample = self.sample(worker);
        if let Err(error) = &sample {
            // A failure of the sample must not lose what has been trained.
            tracing::warn!(%error, "cannot evaluate a sample of the trained rows");
        }
        Some(Learning { sample: sample.ok(), ..learning })
    }

    fn sample(&mut self, worker: &Worker) -> Result<Sample, TrainError> {
        let names = self.spec.network.outputs();
        let size = self.loss.terms().iter().map(|term| term.size).max().unwrap_or(1);
        let wanted = (worker.report.rows_trained / SHARE).clamp(MIN_ROWS, MAX_ROWS);
        let most = (MAX_VALUES / size.max(1)).min(self.spec.batch_size.saturating_mul(MAX_BATCHES));
        let wanted = usize::try_from(wanted).unwrap_or(1).min(most).max(1);
        let rows = worker.rows.sample(wanted);
        let weighted = self.spec.data.weight.is_some();
        let mut batch = Batch::new(&*self.definition, &self.loss, weighted, rows.len())?;
        self.filler.fill(&mut batch, self.partition, rows)?;
        let (outputs, dead) = self.network.examine(worker.replica.views(), &batch)?;
        let mean = |batch: &Batch| {
            let labels = batch.labels.iter().map(|column| column.tensor());
            let loss = self.loss.of(&outputs, labels, batch.weights())?;
            Ok::<_, TrainError>(f64::from(values(&loss)?.first().copied().unwrap_or(0.0)))
        };
        let loss = mean(&batch)?;
        let mut rotated = rows.to_vec();
        rotated.rotate_left(1);
        self.filler.fill(&mut batch, self.partition, &rotated)?;
        let shuffled_loss = mean(&batch)?;
        let mut samples = Vec::new();
        for (label, ((term, output), name)) in
            self.loss.terms().iter().zip(&outputs).zip(names).enumerate()
        {
            let output = output.f_contiguous()?;
            let output = matrix(&output, rows.len())?;
            if let Some(constant) = self.constant(label, term, output, rows)? {
                samples.push(OutputSample { output: name.to_owned(), constant });
            }
        }
        Ok(Sample { rows: rows.len(), loss, shuffled_loss, outputs: samples, dead })
    }

    /// Returns the prediction that all rows share, if any; `None` if their labels are inconclusive.
    fn constant(
        &self,
        label: usize,
        term: &Term,
        output: ArrayView2<'_, f32>,
        rows: &[u32],
    ) -> Result<Option<Option<String>>, TrainError> {
        if rows.len() < MIN_JUDGED {
            return Ok(None);
        }
        if term.target == Target::Values {
            let mut labels = Array2::zeros((rows.len(), term.size));
            self.partition.gather_values(label, rows, labels.view_mut())?;
            return Ok(constant_numbers(output, labels.view()));
        }
        let mut labels = vec![0; rows.len()];
        self.partition.gather_classes(label, rows, &mut labels)?;
        Ok(constant_class(output, &labels))
    }
}

/// Returns the class that is predicted for every row, if it is not that of nearly all of them.
fn constant_class(output: ArrayView2<'_, f32>, labels: &[i64]) -> Option<Option<String>> {
    let class_of = |row: ArrayView1<'_, f32>| match row.len() {
        1 => i64::from(row[0] > 0.0),
        classes => {
            let best = |best: usize, next: usize| if row[next] > row[best] { next } else { best };
            (1..classes).fold(0, best) as i64
        }
    };
    let mut classes = output.outer_iter().map(class_of);
    let first = classes.next()?;
    let share = labels.iter().filter(|&&label| label == first).count() as f64;
    if classes.any(|class| class != first) {
        return Some(None);
    }
    (share < COMMON * labels.len() as f64).then(|| Some(format!("class {first}")))
}

/// Returns the numbers that are predicted for every row, if their labels differ.
fn constant_numbers(
    output: ArrayView2<'_, f32>,
    labels: ArrayView2<'_, f32>,
) -> Option<Option<String>> {
    let size = labels.ncols();
    let mut conclusive = false;
    for (output, labels) in output.columns().into_iter().zip(labels.columns()) {
        let wanted = variance(labels);
        if wanted > 0.0 {
            conclusive = true;
            if variance(output) > STILL * wanted {
                return Some(None);
            }
        }
    }
    conclusive.then(|| {
        let shown: Vec<String> =
            output.iter().take(size.min(3)).map(|value| format!("{value:.4}")).collect();
        Some(format!("about {}{}", shown.join(", "), if size > 3 { ", ..." } else { "" }))
    })
}

fn variance(values: ArrayView1<'_, f32>) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().copied().map(f64::from).sum::<f64>() / count;
    values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use ndarray::aview2;

    use super::*;

    #[test]
    fn one_class_for_rows_of_several_is_a_constant_prediction() {
        let class = |name: &str| Some(Some(name.to_owned()));
        let same = aview2(&[[2.0, 1.0], [3.0, 1.0], [5.0, 0.0]]);
        assert_eq!(constant_class(same, &[0, 1, 1]), class("class 0"));
        assert_eq!(constant_class(aview2(&[[2.0, 1.0], [0.0, 1.0]]), &[0, 1]), Some(None));
        let same = aview2(&[[0.9], [0.1], [0.2]]);
        assert_eq!(constant_class(same, &[0, 1, 0]), class("class 1"));
        assert_eq!(constant_class(aview2(&[[0.9], [-0.1], [0.2]]), &[0, 1, 0]), Some(None));
    }

    #[test]
    fn one_class_for_rows_that_nearly_all_have_it_is_not_judged() {
        assert_eq!(constant_class(aview2(&[[1.0, 0.0], [1.0, 0.0]]), &[0, 0]), None);
    }

    #[test]
    fn numbers_are_constant_where_none_varies_though_its_label_does() {
        let labels = aview2(&[[1.0, 7.0], [2.0, 7.0], [4.0, 7.0]]);
        let about = Some("about 1.5000, 7.0000".to_owned());
        let still = aview2(&[[1.5, 7.0], [1.5, 7.0], [1.5, 7.1]]);
        assert_eq!(constant_numbers(still, labels), Some(about));
        let varied = aview2(&[[1.5, 7.0], [1.6, 7.0], [1.5, 7.0]]);
        assert_eq!(constant_numbers(varied, labels), Some(None));
        assert_eq!(constant_numbers(aview2(&[[1.0], [2.0]]), aview2(&[[3.0], [3.0]])), None);
    }
}
