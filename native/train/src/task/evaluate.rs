//! Evaluation of held-out rows on a frozen center variable, in evaluation mode: without dropout, batch norm by its
//! running statistics.

use std::thread;
use std::time::Duration;

use firesteel_core::metrics::{MetricSet, MetricSums};
use firesteel_core::spec::WorkerSpec;
use firesteel_core::{Answer, Assignment, BufferKind, Buffers, Tally};
use firesteel_data::Partition;
use ndarray::Array2;
use tch::no_grad_guard;

use super::batch_filler::BatchFiller;
use super::report::Clock;
use super::worker::{Worker, WorkerPhase};
use super::{Training, renew_leases};
use crate::error::TrainError;
use crate::loss::{self, Loss, Target};
use crate::model::{Activation, Definition};
use crate::network::{Batch, Network, Replica};
use crate::raw::matrix;

/// The number of rows scored at a time, unless mini-batches are larger.
const ROWS: usize = 256;

/// The interval at which a worker that has trained everything requests its evaluation assignment.
const PAUSE: Duration = Duration::from_millis(10);

/// The evaluation of rows.
pub(super) struct Evaluator {
    set: MetricSet,
    /// The comparisons of the outputs with requested metrics, in the outputs' order.
    comparisons: Vec<Option<Comparison>>,
    replica: Replica,
    buffers: Buffers,
    batch: Batch,
    capacity: usize,
    weights: Vec<f32>,
}

/// The labels and predictions that metrics compare.
enum Comparison {
    /// Scores with class indices.
    Classes(Vec<i64>),
    /// Numbers after the output's activation.
    Values { activation: Activation, labels: Array2<f32> },
}

impl Evaluator {
    /// Creates an evaluator; `None` if nothing depends on the end of an epoch.
    pub(super) fn new(
        spec: &WorkerSpec,
        definition: &dyn Definition,
        loss: &Loss,
        rows: usize,
    ) -> Result<Option<Self>, TrainError> {
        if spec.data.validation.is_none() && !spec.controls.monitors_epochs() {
            return Ok(None);
        }
        let set = MetricSet::new(&spec.controls, &spec.data.labels, spec.network.outputs())?;
        let inspection = definition.inspect();
        let layout = definition.layout();
        let terms = loss.terms().iter().zip(&inspection.outputs).enumerate();
        let comparisons = terms.map(|(label, (term, output))| {
            set.compares(label).then(|| match term.target {
                Target::Values => Comparison::Values {
                    activation: output.activation,
                    labels: Array2::zeros((0, term.size)),
                },
                Target::Class | Target::Indicator { .. } => Comparison::Classes(Vec::new()),
            })
        });
        let comparisons = comparisons.collect();
        let capacity = spec.batch_size.max(ROWS).min(rows).max(1);
        Ok(Some(Self {
            set,
            comparisons,
            replica: Replica::new(definition)?,
            buffers: Buffers {
                floats: vec![0.0; layout.len_of(BufferKind::FloatBuffer)],
                integers: vec![0; layout.len_of(BufferKind::IntegerBuffer)],
            },
            batch: Batch::new(definition, loss, spec.data.weight.is_some(), capacity)?,
            capacity,
            weights: Vec::new(),
        }))
    }

    /// Adds some rows of the partition to the sums.
    fn score(
        &mut self,
        network: &dyn Network,
        loss: &Loss,
        filler: &mut BatchFiller,
        partition: &Partition,
        rows: &[u32],
        sums: &mut MetricSums,
    ) -> Result<(), TrainError> {
        let _guard = no_grad_guard();
        filler.fill(&mut self.batch, partition, rows)?;
        let outputs = network.evaluate(self.replica.views(), &self.batch)?;
        let weights = self.batch.weights();
        let mut whole = Tally::default();
        let labels = self.batch.labels.iter().map(|column| column.tensor());
        let weight = weights.map_or(rows.len() as f64, |weights| weights.sum);
        // Rows with weight 0 have no loss, whatever their mean is.
        if weight > 0.0 {
            let means = loss.each(&outputs, labels, weights)?;
            for (label, (term, mean)) in loss.terms().iter().zip(&means).enumerate() {
                let own = loss::tally(mean, weight)?;
                sums.add_loss_of(label, own);
                whole.loss += own.loss * term.weight;
            }
            whole.weight = weight;
        }
        sums.add_loss(whole);
        self.weights.resize(rows.len(), 0.0);
        partition.gather_weights(rows, &mut self.weights)?;
        sums.add_rows(&self.weights);
        for (label, (comparisons, output)) in self.comparisons.iter_mut().zip(&outputs).enumerate()
        {
            match comparisons {
                Some(Comparison::Classes(classes)) => {
                    classes.resize(rows.len(), 0);
                    partition.gather_classes(label, rows, classes)?;
                    let output = output.f_contiguous()?;
                    let scores = matrix(&output, rows.len())?;
                    sums.add_classes(label, scores, classes, &self.weights);
                }
                Some(Comparison::Values { activation, labels }) => {
                    if labels.nrows() != rows.len() {
                        *labels = Array2::zeros((rows.len(), labels.ncols()));
                    }
                    partition.gather_values(label, rows, labels.view_mut())?;
                    let activated = activation.apply(output)?;
                    let output = activated.as_ref().unwrap_or(output).f_contiguous()?;
                    let predictions = matrix(&output, rows.len())?;
                    sums.add_values(label, predictions, labels.view(), &self.weights);
                }
                None => {}
            }
        }
        Ok(())
    }
}

impl Training<'_> {
    /// Evaluates a worker's held-out rows while there are assignments; returns true if the fit is over for the worker.
    pub(super) fn evaluate_assigned(
        &mut self,
        workers: &mut [Worker],
        index: usize,
        clock: &mut Clock,
    ) -> Result<bool, TrainError> {
        loop {
            let Some(evaluator) = &mut self.evaluator else { return Ok(false) };
            let worker = &mut workers[index];
            let (channel, _) = worker.exchange.wait_idle()?;
            let target = evaluator.replica.parameters_mut();
            let (answer, assignment) = channel.evaluate(target, &mut evaluator.buffers)?;
            worker.note_reductions(answer);
            clock.waited();
            match assignment {
                Assignment::Score { epoch } => {
                    let answer = self.score(workers, index, epoch, clock)?;
                    workers[index].note_reductions(answer);
                    clock.waited();
                    if answer.stop {
                        return Ok(true);
                    }
                }
                Assignment::Wait => return Ok(answer.stop),
                Assignment::Over => {
                    if worker.phase == WorkerPhase::Scoring {
                        worker.finish()?;
                    }
                    return Ok(answer.stop);
                }
            }
        }
    }

    /// Scores a worker's held-out rows on the frozen center variable of the evaluator.
    fn score(
        &mut self,
        workers: &mut [Worker],
        index: usize,
        epoch: u32,
        clock: &mut Clock,
    ) -> Result<Answer, TrainError> {
        let Self { evaluator, network, loss, filler, partition, cancel, .. } = self;
        let Some(evaluator) = evaluator else {
            return Err(TrainError::Internal("nothing scores rows".to_owned()));
        };
        evaluator.replica.set_buffers(&evaluator.buffers);
        let mut sums = evaluator.set.empty();
        let rows = std::mem::take(&mut workers[index].held_out);
        for rows in rows.chunks(evaluator.capacity) {
            if cancel.is_cancelled() {
                return Err(TrainError::Cancelled);
            }
            evaluator.score(&**network, loss, filler, partition, rows, &mut sums)?;
            renew_leases(workers)?;
        }
        clock.evaluated();
        let worker = &mut workers[index];
        worker.held_out = rows;
        worker.report.evaluations += 1;
        let (channel, _) = worker.exchange.wait_idle()?;
        Ok(channel.score(epoch, &sums.encode())?)
    }

    /// Runs the assignments of the workers that have trained everything; pauses if no other worker trains.
    pub(super) fn evaluate_waiting(
        &mut self,
        workers: &mut [Worker],
        clock: &mut Clock,
    ) -> Result<(), TrainError> {
        for index in 0..workers.len() {
            if workers[index].phase != WorkerPhase::Scoring {
                continue;
            }
            let over = self.evaluate_assigned(workers, index, clock)?;
            if over && workers[index].phase == WorkerPhase::Scoring {
                workers[index].finish()?;
            }
        }
        let trains =
            |worker: &Worker| matches!(worker.phase, WorkerPhase::Training | WorkerPhase::InRound);
        let waits = |worker: &Worker| worker.phase == WorkerPhase::Scoring;
        if workers.iter().any(waits) && !workers.iter().any(trains) {
            if self.cancel.is_cancelled() {
                return Err(TrainError::Cancelled);
            }
            thread::sleep(PAUSE);
            clock.waited();
        }
        Ok(())
    }
}
