//! Metrics of validation rows as sums that merge: each worker adds up its own rows, the server adds up the workers.
//!
//! All sums are f64 and weighted by the rows' weights. Merging is associative and commutative to rounding, so neither the
//! number of workers nor their order matters.

mod moments;
mod ranking;

use ndarray::{Array2, ArrayView2, CowArray, Ix2};
use serde::{Deserialize, Serialize};

use self::moments::Moments;
use self::ranking::Ranking;
use crate::channel::Tally;
use crate::options::OptionError;
use crate::spec::{ControlSpec, LabelKind, LabelSpec, Metric, MetricKind, Monitor, ReportedMetric};

/// The metrics of a fit with their labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricSet {
    measured: Vec<ReportedMetric>,
    /// The classes or the numbers of each label.
    sizes: Vec<usize>,
}

/// The sums of all metrics over some rows.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSums {
    rows: u64,
    /// The sum of the rows' weights.
    weight: f64,
    loss: Tally,
    /// The sum of each metric, with the index of its label.
    metrics: Vec<(usize, MetricSum)>,
}

/// The sums of one metric.
#[derive(Clone, Debug, PartialEq)]
enum MetricSum {
    /// The loss of an output.
    Loss(Tally),
    /// The weight of the rows whose class is among the `k` largest scores.
    Hits { k: usize, hits: f64 },
    /// Scores of two classes.
    Ranking(Ranking),
    /// Weights by class and predicted class.
    Confusion(Array2<f64>),
    /// The sum of the rows' mean squared errors.
    Squares(f64),
    /// The sum of the rows' mean absolute errors.
    Absolutes(f64),
    /// Each output's variance, and what of it is not explained.
    Explained(Vec<Moments>),
}

/// The value of a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricValue {
    /// The metric's name.
    pub name: String,
    /// Its value; null if it is undefined, such as the AUC of rows of one class.
    pub value: Option<f64>,
    /// The largest distance of the value from the exact one, for the AUC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_bound: Option<f64>,
    /// The rows' weights by class and predicted class, for the confusion matrix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matrix: Option<Vec<Vec<f64>>>,
}

impl MetricSet {
    /// The metrics of a fit: see [`ControlSpec::reported_metrics`].
    ///
    /// # Errors
    /// Those of [`ControlSpec::reported_metrics`].
    pub fn new(
        controls: &ControlSpec,
        labels: &[LabelSpec],
        outputs: &[String],
    ) -> Result<Self, OptionError> {
        let size = |label: &LabelSpec| match label.kind {
            LabelKind::Class { classes } => classes,
            LabelKind::Values { size } => size,
        };
        let measured = controls.reported_metrics(labels, outputs)?;
        Ok(Self { measured, sizes: labels.iter().map(size).collect() })
    }

    /// The sums over no rows.
    #[must_use]
    pub fn empty(&self) -> MetricSums {
        let sum = |measured: &ReportedMetric| {
            let size = self.sizes.get(measured.label).copied().unwrap_or(0);
            let sum = match measured.kind {
                MetricKind::Loss => MetricSum::Loss(Tally::default()),
                MetricKind::Metric(Metric::Accuracy) => MetricSum::Hits { k: 1, hits: 0.0 },
                MetricKind::Metric(Metric::Top(k)) => MetricSum::Hits { k: k as usize, hits: 0.0 },
                MetricKind::Metric(Metric::Auc) => MetricSum::Ranking(Ranking::new()),
                MetricKind::Metric(Metric::Confusion) => {
                    MetricSum::Confusion(Array2::zeros((size, size)))
                }
                MetricKind::Metric(Metric::Mse) => MetricSum::Squares(0.0),
                MetricKind::Metric(Metric::Mae) => MetricSum::Absolutes(0.0),
                MetricKind::Metric(Metric::R2) => {
                    MetricSum::Explained(vec![Moments::default(); size])
                }
            };
            (measured.label, sum)
        };
        MetricSums {
            rows: 0,
            weight: 0.0,
            loss: Tally::default(),
            metrics: self.measured.iter().map(sum).collect(),
        }
    }

    /// Returns true if a metric other than the loss compares the label with predictions.
    #[must_use]
    pub fn compares(&self, label: usize) -> bool {
        self.measured.iter().any(|one| one.label == label && one.kind != MetricKind::Loss)
    }

    /// Decodes sums from the numbers of [`MetricSums::encode`]; `None` if they are not those of this set.
    #[must_use]
    pub fn decode(&self, numbers: &[f64]) -> Option<MetricSums> {
        let mut sums = self.empty();
        let mut numbers = numbers.iter().copied();
        let rows = numbers.next().filter(|rows| *rows >= 0.0 && rows.fract() == 0.0)?;
        sums.rows = rows as u64;
        for slot in sums.slots() {
            *slot = numbers.next()?;
        }
        numbers.next().is_none().then_some(sums)
    }

    /// Returns the number of numbers in the encoded sums of this set.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        1 + self.empty().slots().count()
    }

    /// Returns the value of each metric from its sums.
    #[must_use]
    pub fn values(&self, sums: &MetricSums) -> Vec<MetricValue> {
        let value = |(measured, (_, sum)): (&ReportedMetric, &(usize, MetricSum))| {
            let mut found = MetricValue {
                name: measured.name.clone(),
                value: sum.value(sums.weight),
                error_bound: None,
                matrix: None,
            };
            match sum {
                MetricSum::Ranking(ranking) => found.error_bound = ranking.error_bound(),
                MetricSum::Confusion(counts) => {
                    found.matrix = Some(counts.outer_iter().map(|row| row.to_vec()).collect());
                }
                _ => {}
            }
            found
        };
        self.measured.iter().zip(&sums.metrics).map(value).collect()
    }

    /// Returns the value of a monitor; `None` if it is undefined, not of validation rows or not computed.
    #[must_use]
    pub fn monitored(&self, sums: &MetricSums, monitor: &Monitor) -> Option<f64> {
        match monitor {
            Monitor::TrainingLoss => None,
            Monitor::Loss => sums.loss(),
            Monitor::OutputLoss(_) | Monitor::Metric(_) => {
                let name = monitor.to_string();
                let at = self.measured.iter().position(|measured| measured.name == name)?;
                sums.metrics.get(at)?.1.value(sums.weight)
            }
        }
    }
}

impl MetricSums {
    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns the mean loss; `None` if all weights are 0.
    #[must_use]
    pub fn loss(&self) -> Option<f64> {
        (self.loss.weight > 0.0).then(|| self.loss.loss / self.loss.weight)
    }

    /// Adds the losses of rows.
    pub fn add_loss(&mut self, tally: Tally) {
        self.loss.add(tally);
    }

    /// Adds the losses of rows of one of several outputs.
    pub fn add_loss_of(&mut self, label: usize, tally: Tally) {
        for sum in self.metrics_of(label) {
            if let MetricSum::Loss(sum) = sum {
                sum.add(tally);
            }
        }
    }

    /// Adds rows by their weights, once for all labels.
    pub fn add_rows(&mut self, weights: &[f32]) {
        self.rows += weights.len() as u64;
        self.weight += weights.iter().copied().map(f64::from).sum::<f64>();
    }

    fn metrics_of(&mut self, label: usize) -> impl Iterator<Item = &mut MetricSum> {
        self.metrics.iter_mut().filter(move |(of, _)| *of == label).map(|(_, sum)| sum)
    }

    /// Compares rows whose label is a class: the scores of each row, one number for each class or a single one that is above
    /// 0 for class 1 of two; the class of each; the weight of each.
    pub fn add_classes(
        &mut self,
        label: usize,
        scores: ArrayView2<'_, f32>,
        classes: &[i64],
        weights: &[f32],
    ) {
        let scores = scores.as_standard_layout();
        let classes = classes.iter().map(|&class| usize::try_from(class).unwrap_or(usize::MAX));
        let rows = slices(&scores).zip(classes).zip(weights.iter().copied().map(f64::from));
        for sum in self.metrics_of(label) {
            let rows = rows.clone();
            match sum {
                MetricSum::Hits { k, hits } => rows.for_each(|((row, class), weight)| {
                    *hits += if rank(row, class) < *k { weight } else { 0.0 };
                }),
                MetricSum::Ranking(ranking) => rows.for_each(|((row, class), weight)| {
                    let score = match *row {
                        [score] => score,
                        [zero, one, ..] => one - zero,
                        [] => f32::NAN,
                    };
                    ranking.add(score, class == 1, weight);
                }),
                MetricSum::Confusion(counts) => rows.for_each(|((row, class), weight)| {
                    if let Some(count) = counts.get_mut((class, predicted(row))) {
                        *count += weight;
                    }
                }),
                _ => {}
            }
        }
    }

    /// Compares rows whose label is numbers: the predictions and the labels of each row; the weight of each.
    pub fn add_values(
        &mut self,
        label: usize,
        predictions: ArrayView2<'_, f32>,
        labels: ArrayView2<'_, f32>,
        weights: &[f32],
    ) {
        let count = labels.ncols().max(1) as f64;
        let (predictions, labels) = (predictions.as_standard_layout(), labels.as_standard_layout());
        let rows = slices(&predictions).zip(slices(&labels));
        for ((predicted, labels), &weight) in rows.zip(weights) {
            let weight = f64::from(weight);
            let errors = predicted.iter().zip(labels).map(|(&x, &y)| f64::from(x) - f64::from(y));
            for sum in self.metrics_of(label) {
                match sum {
                    MetricSum::Squares(sum) => {
                        *sum +=
                            weight * errors.clone().map(|error| error * error).sum::<f64>() / count;
                    }
                    MetricSum::Absolutes(sum) => {
                        *sum += weight * errors.clone().map(f64::abs).sum::<f64>() / count;
                    }
                    MetricSum::Explained(outputs) => {
                        for ((output, &label), error) in
                            outputs.iter_mut().zip(labels).zip(errors.clone())
                        {
                            output.add(f64::from(label), error, weight);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Adds the sums of other rows, which must be of the same set.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.weight += other.weight;
        self.loss.add(other.loss);
        for ((_, sum), (_, other)) in self.metrics.iter_mut().zip(&other.metrics) {
            sum.merge(other);
        }
    }

    /// Encodes the sums as numbers.
    #[must_use]
    pub fn encode(mut self) -> Vec<f64> {
        let mut numbers = vec![self.rows as f64];
        numbers.extend(self.slots().map(|slot| *slot));
        numbers
    }

    /// Every number but the rows, in a fixed order.
    fn slots(&mut self) -> impl Iterator<Item = &mut f64> {
        let Self { weight, loss, metrics, .. } = self;
        [weight, &mut loss.loss, &mut loss.weight]
            .into_iter()
            .chain(metrics.iter_mut().flat_map(|(_, sum)| sum.slots()))
    }
}

impl MetricSum {
    fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Loss(sum), Self::Loss(theirs)) => sum.add(*theirs),
            (Self::Hits { hits, .. }, Self::Hits { hits: theirs, .. }) => *hits += theirs,
            (Self::Ranking(ranking), Self::Ranking(theirs)) => ranking.merge(theirs),
            (Self::Confusion(counts), Self::Confusion(theirs)) => *counts += theirs,
            (Self::Squares(sum), Self::Squares(theirs))
            | (Self::Absolutes(sum), Self::Absolutes(theirs)) => *sum += theirs,
            (Self::Explained(outputs), Self::Explained(theirs)) => {
                outputs.iter_mut().zip(theirs).for_each(|(output, theirs)| output.merge(theirs));
            }
            // Sums of different sets: `decode` and `empty` of one set never give them.
            _ => {}
        }
    }

    /// Returns the single number, if there is one and it is defined.
    fn value(&self, weight: f64) -> Option<f64> {
        let mean = |sum: f64| (weight > 0.0).then(|| sum / weight);
        match self {
            Self::Loss(sum) => (sum.weight > 0.0).then(|| sum.loss / sum.weight),
            Self::Hits { hits, .. } => mean(*hits),
            Self::Ranking(ranking) => ranking.area(),
            Self::Confusion(_) => None,
            Self::Squares(sum) | Self::Absolutes(sum) => mean(*sum),
            Self::Explained(outputs) => {
                let shares: Option<Vec<f64>> = outputs.iter().map(Moments::explained).collect();
                let shares = shares.filter(|shares| !shares.is_empty())?;
                Some(shares.iter().sum::<f64>() / shares.len() as f64)
            }
        }
    }

    fn slots(&mut self) -> Box<dyn Iterator<Item = &mut f64> + '_> {
        match self {
            Self::Loss(sum) => Box::new([&mut sum.loss, &mut sum.weight].into_iter()),
            Self::Hits { hits: sum, .. } | Self::Squares(sum) | Self::Absolutes(sum) => {
                Box::new(std::iter::once(sum))
            }
            Self::Ranking(ranking) => Box::new(ranking.slots()),
            Self::Confusion(counts) => Box::new(counts.iter_mut()),
            Self::Explained(outputs) => Box::new(outputs.iter_mut().flat_map(Moments::slots)),
        }
    }
}

/// The rows of a row-major matrix as slices, over which loops are faster than over views.
fn slices<'a>(matrix: &'a CowArray<'_, f32, Ix2>) -> impl Iterator<Item = &'a [f32]> + Clone {
    matrix.as_slice().unwrap_or_default().chunks_exact(matrix.ncols().max(1))
}

/// Returns the number of classes with a larger score than a class, or with the same score and a smaller index; NaN
/// counts as the largest score.
fn rank(scores: &[f32], class: usize) -> usize {
    if let &[score] = scores {
        return usize::from((class == 1) != (score > 0.0));
    }
    let Some(&own) = scores.get(class) else { return usize::MAX };
    let ahead = |(other, &score): (usize, &f32)| {
        other != class && !(score < own || (score == own && other > class))
    };
    scores.iter().enumerate().filter(|&entry| ahead(entry)).count()
}

/// The class of the largest score, the first of equals.
fn predicted(scores: &[f32]) -> usize {
    if let &[score] = scores {
        return usize::from(score > 0.0);
    }
    let mut found = (0, f32::NEG_INFINITY);
    for (class, &score) in scores.iter().enumerate() {
        if score > found.1 {
            found = (class, score);
        }
    }
    found.0
}

#[cfg(test)]
mod tests;
