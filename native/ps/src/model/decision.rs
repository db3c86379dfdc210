//! The decisions of the driver, which every shard follows in the same order.

use firesteel_core::WorkerId;

/// A number of a message that is NaN or infinite.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flaw {
    /// Its index among all parameters.
    pub(crate) index: u64,
    /// The number.
    pub(crate) value: f32,
}

impl PartialEq for Flaw {
    fn eq(&self, other: &Self) -> bool {
        (self.index, self.value.to_bits()) == (other.index, other.value.to_bits())
    }
}

impl Eq for Flaw {}

/// A worker's part in a round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Share {
    pub(crate) worker: WorkerId,
    pub(crate) attempt: i64,
    pub(crate) sequence: u64,
    /// What it counts; 0 if nothing was trained.
    pub(crate) weight: f64,
}

/// One decision of the driver.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Decision {
    /// The staged part of this window is applied, or saved.
    Apply { worker: WorkerId, attempt: i64, sequence: u64, staleness: u64 },
    /// A round closes over the staged parts of these windows, in the order of the workers; an optimizer on the server
    /// steps with this learning rate, or with the one that it has.
    Close { shares: Vec<Share>, learning_rate: Option<f64> },
    /// The center variable of this moment is kept for a worker to fetch; what the last round gave if `round`.
    Read { worker: WorkerId, round: bool },
    /// What this attempt of a worker and older ones have staged is dropped; nothing of theirs is staged any more.
    Forget { worker: WorkerId, attempt: i64 },
}
