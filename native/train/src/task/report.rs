//! The report of a task's training.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::network::DeadUnits;

/// The report of a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskReport {
    /// The partition of the task.
    pub partition: u32,
    /// Spark's `taskAttemptId`.
    pub attempt: i64,
    /// The workers of the task.
    pub workers: Vec<WorkerReport>,
    /// Signs of learning; `None` if the workers trained nothing.
    pub learning: Option<Learning>,
    /// The time by activity.
    pub seconds: Seconds,
}

/// The report of one worker in this attempt.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerReport {
    /// The worker's index in its task.
    pub index: u32,
    /// The number of its rows.
    pub rows: u64,
    /// The number of its rows that are held out.
    pub held_out: u64,
    /// A hash of its rows, in hexadecimal digits.
    pub content: String,
    /// The mini-batches trained.
    pub batches: u64,
    /// The rows trained, over all epochs.
    pub rows_trained: u64,
    /// The number of commits, or of saves if the strategy does not commit.
    pub commits: u64,
    /// The sum of the commits' staleness.
    pub staleness: u64,
    /// The number of evaluations of its held-out rows.
    pub evaluations: u64,
    /// True if it stopped before its last epoch.
    pub stopped: bool,
}

/// Signs of learning in a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Learning {
    /// The parameters that the loss did not depend on in any mini-batch.
    pub unreached: Vec<String>,
    /// The parameters that the loss depended on, with a gradient of 0 in every mini-batch.
    pub without_gradient: Vec<String>,
    /// The evaluation of a sample of a worker's rows after its last mini-batch.
    pub sample: Option<Sample>,
}

/// The evaluation of some trained rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// The rows.
    pub rows: usize,
    /// Their mean loss.
    pub loss: f64,
    /// Their mean loss with the labels of other rows, which is higher if the network distinguishes rows.
    pub shuffled_loss: f64,
    /// The outputs with enough rows for a conclusion.
    pub outputs: Vec<OutputSample>,
    /// The layers in which some units are 0 for all rows.
    pub dead: Vec<DeadUnits>,
}

/// The predictions of one output.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputSample {
    /// The output's name.
    pub output: String,
    /// The prediction, if it is the same for all rows although their labels differ.
    pub constant: Option<String>,
}

/// Seconds of a task's training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seconds {
    /// The total time.
    pub total: f64,
    /// Forward and backward passes, optimizer steps and update rules.
    pub compute: f64,
    /// Assembly of mini-batches.
    pub gather: f64,
    /// Evaluation of held-out rows.
    pub evaluate: f64,
    /// Calls to the parameter server.
    pub wait: f64,
}

/// A clock that attributes the time since its last mark to an activity.
pub(super) struct Clock {
    mark: Instant,
    pub(super) compute: Duration,
    pub(super) gather: Duration,
    pub(super) evaluate: Duration,
    pub(super) wait: Duration,
    start: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        let now = Instant::now();
        let zero = Duration::ZERO;
        Self { mark: now, compute: zero, gather: zero, evaluate: zero, wait: zero, start: now }
    }

    fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now - std::mem::replace(&mut self.mark, now)
    }

    pub(super) fn computed(&mut self) {
        let lap = self.lap();
        self.compute += lap;
    }

    pub(super) fn gathered(&mut self) {
        let lap = self.lap();
        self.gather += lap;
    }

    pub(super) fn evaluated(&mut self) {
        let lap = self.lap();
        self.evaluate += lap;
    }

    pub(super) fn waited(&mut self) {
        let lap = self.lap();
        self.wait += lap;
    }

    pub(super) fn seconds(&self) -> Seconds {
        Seconds {
            total: self.start.elapsed().as_secs_f64(),
            compute: self.compute.as_secs_f64(),
            gather: self.gather.as_secs_f64(),
            evaluate: self.evaluate.as_secs_f64(),
            wait: self.wait.as_secs_f64(),
        }
    }
}
