//! The evaluation state in a checkpoint. It excludes an epoch that is being scored, which is frozen and scored again.

use std::sync::Arc;

use super::{BestEpoch, EndedEpoch, Evaluations};
use crate::error::PsError;
use crate::model::checkpoint::{EndedProgress, EvaluationProgress};
use crate::model::status::ValidationStatus;
use crate::store::frozen::FrozenModel;

/// The evaluated epochs, and the best model if it is kept.
#[derive(Debug, Default)]
pub(crate) struct SavedEvaluations {
    pub(crate) progress: Option<EvaluationProgress>,
    pub(crate) best: Option<Arc<FrozenModel>>,
}

impl Evaluations {
    pub(crate) fn saved(&self) -> SavedEvaluations {
        let ended = |ended: &EndedEpoch| EndedProgress {
            version: ended.version,
            all: ended.all.clone(),
            by_worker: ended.by_worker.iter().map(|(id, scores)| (*id, scores.clone())).collect(),
        };
        SavedEvaluations {
            progress: Some(EvaluationProgress {
                next: self.next,
                judge: self.judge.state(),
                best: self.best.as_ref().map(|best| (best.epoch, best.version)),
                ended: self.ended.iter().map(ended).collect(),
            }),
            best: self.best.as_ref().and_then(|best| best.frozen.clone()),
        }
    }

    /// Restores the state of a checkpoint.
    pub(crate) fn restore(&mut self, saved: SavedEvaluations) -> Result<(), PsError> {
        let Some(progress) = saved.progress else {
            let text = "the state of the evaluation of epochs is missing".to_owned();
            return Err(PsError::Checkpoint(text));
        };
        let own = self.set.values(&self.set.empty());
        let own = || own.iter().map(|metric| &metric.name);
        let names =
            |all: &ValidationStatus| all.metrics.iter().map(|metric| &metric.name).eq(own());
        if !progress.ended.iter().filter_map(|ended| ended.all.as_ref()).all(names) {
            let text = "its metrics differ from those of the fit".to_owned();
            return Err(PsError::Checkpoint(text));
        }
        let restored = |EndedProgress { version, all, by_worker }| EndedEpoch {
            version,
            all,
            by_worker: by_worker.into_iter().collect(),
        };
        self.judge.restore(progress.judge);
        self.reductions = self.judge.reductions();
        self.next = progress.next;
        self.ended = progress.ended.into_iter().map(restored).collect();
        self.best =
            progress.best.map(|(epoch, version)| BestEpoch { epoch, version, frozen: saved.best });
        Ok(())
    }
}
