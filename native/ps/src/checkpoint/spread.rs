//! Checkpoints of fits that resume with another number of tasks.

use std::collections::{BTreeMap, BTreeSet};

use firesteel_core::WorkerId;

use crate::model::DRIVER;
use crate::model::checkpoint::Checkpoint;

impl Checkpoint {
    /// Assigns the progress of each worker, in order, to the workers of the same fit spread over `tasks` tasks. A
    /// worker whose rows are different then starts its epoch again.
    pub fn spread_over(&mut self, tasks: u32) {
        let spread = spread(self.owner.workers, tasks.max(1));
        let known: BTreeSet<_> = self
            .progress
            .workers
            .iter()
            .map(|worker| worker.worker)
            .chain(self.members.iter().chain(&self.best).map(|member| member.worker))
            .filter(|worker| *worker != DRIVER)
            .collect();
        if known.is_subset(&spread) {
            return;
        }
        let places: BTreeMap<_, _> = known.into_iter().zip(spread).collect();
        let place = |worker: &mut WorkerId| {
            if let Some(place) = places.get(worker) {
                *worker = *place;
            }
        };
        for worker in &mut self.progress.workers {
            place(&mut worker.worker);
        }
        for member in self.members.iter_mut().chain(&mut self.best) {
            place(&mut member.worker);
        }
        for epoch in self.progress.evaluations.iter_mut().flat_map(|all| &mut all.ended) {
            epoch.by_worker.iter_mut().for_each(|(worker, _)| place(worker));
        }
    }
}

/// The workers of a fit: the numbers of workers of two tasks differ by at most one.
fn spread(workers: u32, tasks: u32) -> BTreeSet<WorkerId> {
    let of = |partition: u32| workers / tasks + u32::from(partition < workers % tasks);
    (0..tasks)
        .flat_map(|partition| (0..of(partition)).map(move |index| WorkerId { partition, index }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_spread_as_the_tasks_of_a_fit_have_them() {
        let ids = |workers, tasks| {
            spread(workers, tasks)
                .into_iter()
                .map(|id| (id.partition, id.index))
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(4, 4), [(0, 0), (1, 0), (2, 0), (3, 0)]);
        assert_eq!(ids(5, 2), [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]);
    }
}
