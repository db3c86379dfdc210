//! What the state under the control lock says of the fit.

use std::time::Instant;

use firesteel_core::Tally;
use firesteel_core::compression::Distortion;

use super::{Control, Terms};
use crate::error::PsError;
use crate::store::status::{EpochStatus, FailureStatus, ServerStatus, ServerSummary};
use crate::store::worker::Worker;

impl Control {
    /// Fails unless there is a trained model to give.
    pub(crate) fn check_trained(&self, terms: &Terms) -> Result<(), PsError> {
        if let Some((code, message)) = &self.failure {
            return Err(PsError::Reported { code: *code, message: message.clone() });
        }
        if self.version == 0 {
            return Err(PsError::Untrained("no worker has committed anything".to_owned()));
        }
        if !self.epochs.iter().any(|epoch| epoch.tally.weight > 0.0) {
            return Err(PsError::Untrained("the weights of all rows are 0".to_owned()));
        }
        let open: Vec<_> = self
            .workers
            .iter()
            .filter(|(_, worker)| !worker.finished)
            .map(|(id, _)| id.to_string())
            .collect();
        let missing = terms.workers as usize - self.workers.len();
        if !open.is_empty() {
            return Err(PsError::Untrained(format!(
                "workers {} have not finished",
                open.join(", ")
            )));
        }
        if missing > 0 {
            return Err(PsError::Untrained(format!(
                "{missing} of {} workers never started",
                terms.workers
            )));
        }
        Ok(())
    }

    pub(crate) fn status(
        &self,
        terms: &Terms,
        port: u16,
        bytes: u64,
        now: Instant,
    ) -> ServerStatus {
        let mut recent = Tally::default();
        let mut through = vec![0_u32; self.epochs.len()];
        for worker in self.workers.values() {
            recent.add(worker.recent());
            let done = through.len().min(worker.position.epoch as usize);
            through[..done].iter_mut().for_each(|count| *count += 1);
        }
        let epochs =
            self.epochs.iter().zip(through).zip(0..).map(|((total, finished_workers), epoch)| {
                EpochStatus { epoch, loss: mean(total.tally), rows: total.rows, finished_workers }
            });
        ServerStatus {
            fit: terms.fit.clone(),
            port,
            version: self.version,
            commits: self.commits,
            pulls: self.pulls,
            bytes,
            workers: self.workers.values().map(|worker| worker.status(now, terms)).collect(),
            epochs: epochs.collect(),
            rows_trained: self.workers.values().map(Worker::rows).sum(),
            recent_loss: mean(recent),
            warnings: self.warnings.clone(),
            resumed: self.resumed,
            failure: self.failure.as_ref().map(|(code, message)| FailureStatus {
                code: code.number(),
                message: message.clone(),
            }),
        }
    }

    pub(crate) fn summary(&self, terms: &Terms) -> ServerSummary {
        let mut distortion = Distortion::default();
        self.workers.values().for_each(|worker| distortion.add(worker.distortion()));
        ServerSummary {
            compression_ratio: terms.compression_ratio,
            compression_error: distortion.relative_error(),
            staleness_histogram: self.histogram.clone(),
            ledger: self.workers.values().flat_map(Worker::ledger).collect(),
        }
    }
}

fn mean(tally: Tally) -> Option<f64> {
    (tally.weight > 0.0).then(|| tally.loss / tally.weight)
}
