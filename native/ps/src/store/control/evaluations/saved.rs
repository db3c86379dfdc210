//! What of the epochs' ends a checkpoint keeps. An epoch that is being scored is not among it: it is frozen and scored
//! anew.

use std::sync::Arc;

use firesteel_core::metrics::MetricSums;

use super::{Best, Ended, Evaluations};
use crate::checkpoint::{EndedProgress, EvaluationProgress, damaged};
use crate::error::PsError;
use crate::store::evaluation::Frozen;

/// The epochs' ends: their progress, the numbers of all sums one behind the other, and the best model, where it is kept.
#[derive(Debug, Default)]
pub(crate) struct SavedEvaluations {
    pub(crate) progress: Option<EvaluationProgress>,
    pub(crate) sums: Vec<f64>,
    pub(crate) best: Option<Arc<Frozen>>,
}

impl Evaluations {
    pub(crate) fn saved(&self) -> SavedEvaluations {
        let all =
            self.ended.iter().flat_map(|ended| ended.sums.iter().chain(ended.by_worker.values()));
        SavedEvaluations {
            sums: all.flat_map(MetricSums::encode).collect(),
            progress: Some(EvaluationProgress {
                next: self.next,
                judge: self.judge.state(),
                best: self.best.as_ref().map(|best| (best.epoch, best.version)),
                ended: self.ended.iter().map(Ended::saved).collect(),
            }),
            best: self.best.as_ref().and_then(|best| best.frozen.clone()),
        }
    }

    /// Goes on from there.
    pub(crate) fn restore(&mut self, saved: &SavedEvaluations) -> Result<(), PsError> {
        let Some(progress) = &saved.progress else {
            return Err(damaged("it says nothing of how epochs are judged"));
        };
        let mut numbers = saved.sums.as_slice();
        let mut next = || {
            let (first, rest) = numbers.split_at_checked(self.set.encoded_len())?;
            numbers = rest;
            self.set.decode(first)
        };
        let foreign = || damaged("its metrics are not those of the fit");
        let mut ended = Vec::with_capacity(progress.ended.len());
        for epoch in &progress.ended {
            let sums = match epoch.validated {
                true => Some(next().ok_or_else(foreign)?),
                false => None,
            };
            let workers = epoch.workers.iter().map(|worker| Some((*worker, next()?)));
            let by_worker = workers.collect::<Option<_>>().ok_or_else(foreign)?;
            ended.push(Ended { version: epoch.version, sums, by_worker });
        }
        if !numbers.is_empty() {
            return Err(damaged("it has more metrics than its header says"));
        }
        self.judge.restore(progress.judge);
        self.reductions = self.judge.reductions();
        self.next = progress.next;
        self.ended = ended;
        self.best = progress.best.map(|(epoch, version)| Best {
            epoch,
            version,
            frozen: saved.best.clone(),
        });
        Ok(())
    }
}

impl Ended {
    fn saved(&self) -> EndedProgress {
        EndedProgress {
            version: self.version,
            validated: self.sums.is_some(),
            workers: self.by_worker.keys().copied().collect(),
        }
    }
}
