//! The part of a worker's record that a checkpoint keeps: its progress, and no attempt.

use std::sync::atomic::{AtomicU64, Ordering};

use firesteel_core::Registration;

use super::{Activity, LedgerEpoch, WorkerRecord};
use crate::model::EARLIER_ATTEMPT;
use crate::model::checkpoint::{WorkerEpoch, WorkerProgress};
use crate::model::status::SpanStatus;

impl WorkerRecord {
    /// Returns the progress; the mini-batches of all attempts so far count as those of one attempt.
    pub(crate) fn saved(&self) -> WorkerProgress {
        let Registration { worker, rows, content, batches, held_out, .. } = self.registration;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WorkerProgress {
            worker,
            rows,
            content,
            batches,
            held_out,
            position: self.position,
            finished: self.finished,
            latest: self.latest,
            commits: self.commits,
            staleness_sum: self.staleness_sum,
            staleness_max: self.staleness_max,
            bytes: read(&self.activity.bytes),
            wait_nanos: read(&self.activity.wait_nanos),
            apply_nanos: read(&self.activity.apply_nanos),
            distortion: self.distortion,
            ledger: self.ledger.iter().map(LedgerEpoch::saved).collect(),
        }
    }

    /// Creates a worker that continues from there once an attempt of it registers. `version` is that of the center
    /// variable.
    pub(crate) fn restored(saved: &WorkerProgress, version: u64) -> Self {
        let registration = Registration {
            worker: saved.worker,
            attempt: EARLIER_ATTEMPT,
            rows: saved.rows,
            content: saved.content,
            batches: saved.batches,
            held_out: saved.held_out,
        };
        Self {
            position: saved.position,
            started: false,
            finished: saved.finished,
            pulled: version,
            latest: saved.latest,
            ledger: saved.ledger.iter().map(LedgerEpoch::restored).collect(),
            commits: saved.commits,
            staleness_sum: saved.staleness_sum,
            staleness_max: saved.staleness_max,
            distortion: saved.distortion,
            activity: Activity {
                wait_nanos: saved.wait_nanos.into(),
                apply_nanos: saved.apply_nanos.into(),
                bytes: saved.bytes.into(),
                ..Activity::default()
            }
            .into(),
            ..Self::new(registration, 0)
        }
    }
}

impl LedgerEpoch {
    fn saved(&self) -> WorkerEpoch {
        let all = self.spans.first().map(|first| SpanStatus {
            attempt: EARLIER_ATTEMPT,
            start: first.start,
            batches: self.spans.iter().map(|span| span.batches).sum(),
            rows: self.spans.iter().map(|span| span.rows).sum(),
        });
        WorkerEpoch {
            epoch: self.epoch,
            rows: self.rows,
            tally: self.tally,
            learning_rate: self.learning_rate,
            spans: all.into_iter().collect(),
            superseded_rows: self.superseded_rows,
        }
    }

    fn restored(saved: &WorkerEpoch) -> Self {
        Self {
            epoch: saved.epoch,
            rows: saved.rows,
            tally: saved.tally,
            learning_rate: saved.learning_rate,
            spans: saved.spans.clone(),
            superseded_rows: saved.superseded_rows,
        }
    }
}
