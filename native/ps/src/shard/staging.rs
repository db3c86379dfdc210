//! The state of one worker on a shard: parts of messages that wait for the driver's decision, and the view that the
//! worker can fetch.

use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_core::WorkerId;

use crate::error::PsError;
use crate::model::CenterView;

/// The maximum number of staged parts of one attempt: one being sent, and one whose decision has not arrived yet.
const MAX_STAGED: usize = 2;

/// A window, identified by its attempt and its sequence number.
pub(super) type WindowKey = (i64, u64);

/// The outcome of staging a part.
#[derive(Debug, PartialEq)]
pub(super) enum StageOutcome {
    /// The part is staged, or it is no longer needed because its window has been decided.
    Done,
    /// Earlier parts must be decided first; the part is returned.
    Wait(Vec<f32>),
}

/// The staged parts and the view of one worker.
#[derive(Debug, Default)]
pub(super) struct WorkerStaging {
    staged: BTreeMap<WindowKey, Vec<f32>>,
    /// The last window that was decided.
    decided: Option<WindowKey>,
    /// The newest attempt whose parts are refused.
    forgotten: Option<i64>,
    /// The view that the worker can fetch, and the number of the decision that produced it.
    ready: Option<(u64, Arc<CenterView>)>,
    /// The last view that the worker read, if the strategy needs it.
    pub(super) last_read: Option<Arc<CenterView>>,
}

impl WorkerStaging {
    /// Stages a part, replacing an earlier one of the same window.
    pub(super) fn stage(
        &mut self,
        worker: WorkerId,
        key: WindowKey,
        part: Vec<f32>,
        spare: &mut Vec<Vec<f32>>,
    ) -> Result<StageOutcome, PsError> {
        let (attempt, _) = key;
        if self.forgotten.is_some_and(|forgotten| attempt <= forgotten) {
            spare.push(part);
            let reason = "a newer attempt has taken over, or Spark reported it ended".to_owned();
            return Err(PsError::Fenced { worker, attempt, reason });
        }
        if self.decided.is_some_and(|decided| key <= decided) {
            spare.push(part);
            return Ok(StageOutcome::Done);
        }
        let others = self.staged.keys().filter(|other| other.0 == attempt && **other != key);
        if others.count() >= MAX_STAGED {
            return Ok(StageOutcome::Wait(part));
        }
        spare.extend(self.staged.insert(key, part));
        Ok(StageOutcome::Done)
    }

    /// Takes the part of a window that has been decided.
    pub(super) fn decide(&mut self, key: WindowKey) -> Option<Vec<f32>> {
        self.decided = self.decided.max(Some(key));
        self.staged.remove(&key)
    }

    /// Drops the parts of an attempt and of older ones, and refuses further ones.
    pub(super) fn forget(&mut self, attempt: i64, spare: &mut Vec<Vec<f32>>) {
        self.forgotten = self.forgotten.max(Some(attempt));
        let newer = self.staged.split_off(&(attempt.saturating_add(1), 0));
        spare.extend(std::mem::replace(&mut self.staged, newer).into_values());
    }

    /// Holds the view that a decision produced for the worker to fetch.
    pub(super) fn publish(&mut self, decision: u64, view: Arc<CenterView>) {
        self.ready = Some((decision, view));
    }

    /// Takes the view that the decision of this number produced; `None` if it is gone.
    pub(super) fn take_view(&mut self, decision: u64) -> Option<Arc<CenterView>> {
        self.ready.take_if(|(number, _)| *number == decision).map(|(_, view)| view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKER: WorkerId = WorkerId { partition: 0, index: 0 };

    fn stage(staging: &mut WorkerStaging, key: WindowKey) -> Result<StageOutcome, PsError> {
        staging.stage(WORKER, key, vec![key.1 as f32], &mut Vec::new())
    }

    #[test]
    fn a_part_waits_for_its_decision_and_comes_late_without_harm() {
        let mut staging = WorkerStaging::default();
        assert_eq!(stage(&mut staging, (1, 1)).unwrap(), StageOutcome::Done);
        assert_eq!(stage(&mut staging, (1, 1)).unwrap(), StageOutcome::Done, "sent again");
        assert_eq!(staging.decide((1, 1)), Some(vec![1.0]));
        assert_eq!(
            stage(&mut staging, (1, 1)).unwrap(),
            StageOutcome::Done,
            "a resend that was under way"
        );
        assert_eq!(staging.decide((1, 1)), None);
    }

    #[test]
    fn a_worker_that_runs_ahead_of_the_decisions_waits() {
        let mut staging = WorkerStaging::default();
        for sequence in 1..=2 {
            assert_eq!(stage(&mut staging, (1, sequence)).unwrap(), StageOutcome::Done);
        }
        assert_eq!(stage(&mut staging, (1, 3)).unwrap(), StageOutcome::Wait(vec![3.0]));
        assert_eq!(
            stage(&mut staging, (2, 1)).unwrap(),
            StageOutcome::Done,
            "a newer attempt does not"
        );
        staging.decide((1, 1));
        assert_eq!(stage(&mut staging, (1, 3)).unwrap(), StageOutcome::Done);
    }

    #[test]
    fn what_an_attempt_staged_is_dropped_when_it_is_forgotten_and_not_before() {
        let (mut staging, mut spare) = (WorkerStaging::default(), Vec::new());
        stage(&mut staging, (1, 5)).unwrap();
        stage(&mut staging, (2, 1)).unwrap();
        assert_eq!(
            staging.decide((1, 5)),
            Some(vec![5.0]),
            "decided before the newer attempt came"
        );
        stage(&mut staging, (1, 6)).unwrap();
        staging.forget(1, &mut spare);
        assert_eq!(spare, [[6.0]]);
        assert!(matches!(stage(&mut staging, (1, 7)), Err(PsError::Fenced { attempt: 1, .. })));
        assert_eq!(staging.decide((2, 1)), Some(vec![1.0]));
    }

    #[test]
    fn a_view_is_given_once_and_only_by_the_number_of_its_decision() {
        let mut staging = WorkerStaging::default();
        staging.publish(3, Arc::default());
        assert!(staging.take_view(2).is_none());
        assert!(staging.take_view(3).is_some());
        assert!(staging.take_view(3).is_none());
        staging.publish(4, Arc::default());
        staging.publish(6, Arc::default());
        assert!(staging.take_view(4).is_none() && staging.take_view(6).is_some());
    }
}
