//! The part of the state under the control lock that a checkpoint keeps.

use std::time::{Duration, Instant};

use super::{Control, EpochTotal, Evaluations, MAX_WARNINGS, SavedEvaluations};
use crate::error::PsError;
use crate::model::checkpoint::{EpochProgress, FitProgress, Owner};
use crate::model::status::ResumedStatus;
use crate::store::terms::Terms;
use crate::store::ticket::Ticket;
use crate::store::worker::WorkerRecord;

impl Control {
    /// Returns the progress of the fit, and a ticket to read the center variable of its version.
    pub(crate) fn saved(
        &mut self,
        terms: &Terms,
        bytes: u64,
        now: Instant,
    ) -> Result<(FitProgress, SavedEvaluations, Ticket), PsError> {
        if let Some((code, message)) = &self.failure {
            return Err(PsError::Reported { code: *code, message: message.clone() });
        }
        let millis = now.saturating_duration_since(terms.opened).as_millis();
        let earlier = self.resumed.as_ref().map_or(0, |resumed| resumed.millis);
        let evaluations = self.evaluations.as_ref().map(Evaluations::saved).unwrap_or_default();
        let progress = FitProgress {
            version: self.version,
            commits: self.commits,
            pulls: self.pulls,
            bytes,
            millis: earlier.saturating_add(u64::try_from(millis).unwrap_or(u64::MAX)),
            trained_millis: u64::try_from(self.trained_for(now).as_millis()).unwrap_or(u64::MAX),
            stop: self.stop,
            histogram: self.histogram.clone(),
            warnings: self.warnings.clone(),
            epochs: self
                .epochs
                .iter()
                .map(|&EpochTotal { rows, tally, rates }| EpochProgress { rows, tally, rates })
                .collect(),
            evaluations: evaluations.progress.clone(),
            workers: self.workers.values().map(WorkerRecord::saved).collect(),
        };
        Ok((progress, evaluations, Ticket::issue(&mut self.tail, terms.ticket_steps)))
    }

    /// Restores the state of a checkpoint: no worker has a lease, and each waits for its first attempt.
    pub(crate) fn restore(
        &mut self,
        progress: &FitProgress,
        evaluations: SavedEvaluations,
        owner: &Owner,
    ) -> Result<(), PsError> {
        if let Some(own) = &mut self.evaluations {
            own.restore(evaluations)?;
        }
        let epoch = progress.epoch(owner);
        self.version = progress.version;
        self.commits = progress.commits;
        self.pulls = progress.pulls;
        self.earlier = Duration::from_millis(progress.trained_millis);
        self.stop = progress.stop;
        self.histogram.clone_from(&progress.histogram);
        // The strategy's own warnings, which are already present, are in the checkpoint as well.
        self.warnings = progress.warnings.iter().take(MAX_WARNINGS - 1).cloned().collect();
        self.warnings.push(format!(
            "resumed in epoch {} of {} from a checkpoint after {} updates and {} trained rows",
            (epoch + 1).min(owner.epochs),
            owner.epochs,
            progress.version,
            progress.rows_trained()
        ));
        self.epochs = progress
            .epochs
            .iter()
            .map(|&EpochProgress { rows, tally, rates }| EpochTotal { rows, tally, rates })
            .collect();
        self.workers = progress
            .workers
            .iter()
            .map(|saved| (saved.worker, WorkerRecord::restored(saved, progress.version)))
            .collect();
        self.resumed = Some(ResumedStatus { epoch, millis: progress.millis });
        Ok(())
    }

    /// The number of workers that have started since the server was opened, or have finished.
    pub(super) fn started(&self) -> usize {
        self.workers.values().filter(|worker| worker.started || worker.finished).count()
    }
}
