//! Reports on the fit from the state under the control lock.

use std::sync::Arc;
use std::time::Instant;

use firesteel_core::Tally;
use firesteel_core::compression::Distortion;

use super::{Control, EpochTotal, Evaluations};
use crate::error::PsError;
use crate::model::status::{
    EpochStatus, FailureStatus, LedgerStatus, ServerStatus, ServerSummary, ValidationStatus,
};
use crate::store::frozen::FrozenModel;
use crate::store::terms::Terms;
use crate::store::worker::{WorkerRecord, mean};

impl Control {
    /// Fails if there is no trained model.
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
        let ended = self.evaluations.as_ref().map_or(&[][..], Evaluations::ended);
        let status = |epoch: usize, total: &EpochTotal, finished_workers| EpochStatus {
            epoch: epoch as u32,
            loss: mean(total.tally),
            rows: total.rows,
            finished_workers,
            learning_rate: (total.rates.1 > 0).then(|| total.rates.0 / f64::from(total.rates.1)),
            validation: ended
                .get(epoch)
                .and_then(|ended| ended.all.as_ref())
                .map(ValidationStatus::without_matrices),
        };
        let epochs = self.epochs.iter().zip(through).enumerate();
        let epochs =
            epochs.map(|(epoch, (total, finished_workers))| status(epoch, total, finished_workers));
        ServerStatus {
            fit: terms.fit.clone(),
            port,
            version: self.version,
            commits: self.commits,
            pulls: self.pulls,
            bytes,
            workers: self.workers.values().map(|worker| worker.status(now, terms)).collect(),
            epochs: epochs.collect(),
            rows_trained: self.workers.values().map(WorkerRecord::rows).sum(),
            recent_loss: mean(recent),
            warnings: self.warnings.clone(),
            resumed: self.resumed,
            failure: self.failure.as_ref().map(|(code, message)| FailureStatus {
                code: code.number(),
                message: message.clone(),
            }),
            stopped: self.stop,
            best_epoch: self
                .evaluations
                .as_ref()
                .and_then(Evaluations::best)
                .map(|best| best.epoch),
            reductions: self.evaluations.as_ref().map_or(0, Evaluations::reductions),
        }
    }

    pub(crate) fn summary(&self, terms: &Terms) -> ServerSummary {
        let mut distortion = Distortion::default();
        self.workers.values().for_each(|worker| distortion.add(worker.distortion()));
        let ended = self.evaluations.as_ref().map_or(&[][..], Evaluations::ended);
        let ledger = self.workers.iter().flat_map(|(id, worker)| {
            worker.ledger().map(|epoch| {
                let ended = ended.get(epoch.epoch as usize);
                let validation = ended.and_then(|ended| ended.by_worker.get(id)).cloned();
                LedgerStatus { validation, ..epoch }
            })
        });
        ServerSummary {
            compression_ratio: terms.compression_ratio,
            compression_error: distortion.relative_error(),
            staleness_histogram: self.histogram.clone(),
            ledger: ledger.collect(),
            evaluations: ended.iter().filter_map(|ended| ended.all.clone()).collect(),
        }
    }

    /// Returns the model of the best epoch and its version, if it is to be restored.
    pub(crate) fn restored(&self) -> Option<(Arc<FrozenModel>, u64)> {
        let best = self.evaluations.as_ref()?.best()?;
        Some((Arc::clone(best.frozen.as_ref()?), best.version))
    }
}
