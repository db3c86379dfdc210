//! The decisions of the driver, which every shard follows in the same order.

use firesteel_core::WorkerId;
use serde::{Deserialize, Serialize};

/// A number of a message that is NaN or infinite.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
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

/// A worker's share of a round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Share {
    pub(crate) worker: WorkerId,
    pub(crate) attempt: i64,
    pub(crate) sequence: u64,
    /// The weight of the worker's message; 0 if nothing was trained.
    pub(crate) weight: f64,
}

/// One decision of the driver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Decision {
    /// Applies, or saves, the staged part of this window.
    Apply { worker: WorkerId, attempt: i64, sequence: u64, staleness: u64 },
    /// Closes a round over the staged parts of these windows, in the order of the workers. A server-side optimizer
    /// steps with this learning rate, or with its own if there is none.
    Close { shares: Vec<Share>, learning_rate: Option<f64> },
    /// Holds the current center variable for a worker to fetch; if `round`, the result of the last round.
    Read { worker: WorkerId, round: bool },
    /// Drops the parts that this attempt of a worker and older ones have staged, and refuses further ones.
    Forget { worker: WorkerId, attempt: i64 },
}
