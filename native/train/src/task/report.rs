//! What a task tells of its training when it ends.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::Learning;

/// What the workers of a task did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskReport {
    /// The partition of the task.
    pub partition: u32,
    /// Spark's `taskAttemptId`.
    pub attempt: i64,
    /// The workers of the task.
    pub workers: Vec<WorkerReport>,
    /// Signs of whether they learnt; none where they trained nothing.
    pub learning: Option<Learning>,
    /// Where the time went.
    pub seconds: Seconds,
}

/// What one worker did in this attempt.
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
    /// The commits, or the saves where the strategy does not commit.
    pub commits: u64,
    /// The sum of the commits' staleness.
    pub staleness: u64,
    /// How often its held-out rows were scored.
    pub evaluations: u64,
    /// Whether it was stopped before its last epoch.
    pub stopped: bool,
}

/// Seconds of a task's training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seconds {
    /// All of it.
    pub total: f64,
    /// Forward and backward passes, optimizer steps and update rules.
    pub compute: f64,
    /// Putting mini-batches together.
    pub gather: f64,
    /// Scoring held-out rows.
    pub evaluate: f64,
    /// Calls to the parameter server.
    pub wait: f64,
}

/// Attributes the time since the last mark.
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
