//! The replicas of strategies whose workers train models of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_core::{Buffers, WorkerId};
use parking_lot::Mutex;

use crate::model::CenterReader;
use crate::store::contribution::Contribution;

/// One worker's model.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    pub(crate) parameters: Arc<Vec<f32>>,
    pub(crate) buffers: Arc<Buffers>,
}

impl Replica {
    /// Passes the whole replica to a reader.
    pub(crate) fn read(&self, reader: &mut dyn CenterReader) {
        reader.stripe(&self.parameters);
        reader.buffers(&self.buffers);
    }
}

/// The last saved replica of each worker.
#[derive(Debug, Default)]
pub(crate) struct SavedReplicas(Mutex<BTreeMap<WorkerId, Replica>>);

impl SavedReplicas {
    /// Saves a replica in place of the worker's last one.
    pub(crate) fn save(&self, worker: WorkerId, saved: Contribution<'_>) {
        let replica = Replica {
            parameters: Arc::new(saved.message.to_vec()),
            buffers: Arc::new(saved.buffers.clone()),
        };
        self.0.lock().insert(worker, replica);
    }

    /// Returns a worker's replica.
    pub(crate) fn find(&self, worker: WorkerId) -> Option<Replica> {
        self.0.lock().get(&worker).cloned()
    }

    /// Returns all replicas in the order of the workers.
    pub(crate) fn all(&self) -> Vec<(WorkerId, Replica)> {
        self.0.lock().iter().map(|(worker, replica)| (*worker, replica.clone())).collect()
    }
}
