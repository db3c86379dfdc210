//! The state that this crate keeps for the whole process: the open servers and shards.

use crate::{registry, shard};

/// Closes every server that is still open in this process; no thread and no port of this crate is left when it returns.
/// Servers can be opened again afterwards, by a second `SparkContext` in the same JVM.
pub fn shutdown() {
    registry::close_all();
    shard::close_all();
}
