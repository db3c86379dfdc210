//! The memory budget for the blocks of an executor's tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A number of bytes shared by the partitions of a process. A byte counts while a block holds it.
#[derive(Debug)]
pub struct CacheBudget {
    limit: u64,
    used: AtomicU64,
    /// The number of spilled blocks, by which all partitions together take the directories in turn.
    spills: AtomicUsize,
}

impl CacheBudget {
    /// A budget of `bytes` bytes (`spark.firesteel.cache.memory`) for all tasks that hold a clone.
    #[must_use]
    pub fn shared(bytes: u64) -> Arc<Self> {
        Arc::new(Self { limit: bytes, used: AtomicU64::new(0), spills: AtomicUsize::new(0) })
    }

    /// The limit in bytes.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// The bytes in use now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }

    /// Returns the next number for the choice of a spill directory.
    pub(crate) fn next_spill(&self) -> usize {
        self.spills.fetch_add(1, Ordering::Relaxed)
    }

    /// Reserves `bytes` until the reservation is dropped; `None` if they do not fit.
    pub(crate) fn reserve(self: &Arc<Self>, bytes: u64) -> Option<Reservation> {
        self.used
            .try_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                used.checked_add(bytes).filter(|&sum| sum <= self.limit)
            })
            .ok()
            .map(|_| Reservation { budget: Arc::clone(self), bytes })
    }

    /// Reserves `bytes` even beyond the limit, for the few bytes of a row that cannot be spilled.
    pub(crate) fn force(self: &Arc<Self>, bytes: u64) -> Reservation {
        self.used.fetch_add(bytes, Ordering::AcqRel);
        Reservation { budget: Arc::clone(self), bytes }
    }
}

/// Bytes of a budget, given back on drop.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<CacheBudget>,
    bytes: u64,
}

impl Reservation {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::CacheBudget;

    #[test]
    fn a_budget_gives_what_fits_and_takes_it_back_on_drop() {
        let budget = CacheBudget::shared(100);
        let first = budget.reserve(60).unwrap();
        assert!(budget.reserve(41).is_none());
        let second = budget.reserve(40).unwrap();
        assert_eq!(budget.used(), 100);
        drop(first);
        assert_eq!(budget.used(), 40);
        drop(second);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_forced_reservation_counts_against_later_ones() {
        let budget = CacheBudget::shared(10);
        let forced = budget.force(20);
        assert!(budget.reserve(1).is_none());
        drop(forced);
        assert!(budget.reserve(10).is_some());
    }

    #[test]
    fn tasks_on_many_threads_never_exceed_the_limit() {
        let budget = CacheBudget::shared(1000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let held: Vec<_> = (0..5).filter_map(|_| budget.reserve(70)).collect();
                        assert!(budget.used() <= 1000);
                        drop(held);
                    }
                });
            }
        });
        assert_eq!(budget.used(), 0);
    }
}
