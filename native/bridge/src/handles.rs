//! The objects that Java refers to by an id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use firesteel_core::ErrorCode;
use jni::sys::jlong;
use parking_lot::Mutex;

use crate::errors::BridgeError;

/// The next id. Ids are unique over all registries and never reused, so a stale one finds nothing. 0 is not an id.
static NEXT: AtomicI64 = AtomicI64::new(1);

/// The open objects of one kind. A call holds its object by `Arc`, so a close while it runs is safe.
pub(crate) struct Registry<T> {
    kind: &'static str,
    open: Mutex<BTreeMap<jlong, Arc<T>>>,
}

impl<T> Registry<T> {
    pub(crate) const fn new(kind: &'static str) -> Self {
        Self { kind, open: Mutex::new(BTreeMap::new()) }
    }

    /// Keeps an object and returns its id.
    pub(crate) fn insert(&self, object: T) -> jlong {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        self.open.lock().insert(id, Arc::new(object));
        id
    }

    /// The object with this id.
    pub(crate) fn get(&self, id: jlong) -> Result<Arc<T>, BridgeError> {
        self.open.lock().get(&id).cloned().ok_or_else(|| {
            BridgeError::new(ErrorCode::Internal, format!("no {} is open as {id}", self.kind))
        })
    }

    /// Removes an object; `None` if it was removed before.
    pub(crate) fn remove(&self, id: jlong) -> Option<Arc<T>> {
        self.open.lock().remove(&id)
    }

    /// All open objects.
    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        self.open.lock().values().cloned().collect()
    }

    /// Removes all objects and returns them.
    pub(crate) fn take_all(&self) -> Vec<Arc<T>> {
        std::mem::take(&mut *self.open.lock()).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Registry;

    #[test]
    fn a_closed_or_invented_id_is_an_error_that_names_the_kind() {
        let registry = Registry::new("worker");
        let id = registry.insert("a");
        assert_eq!(*registry.get(id).unwrap(), "a");
        assert!(registry.remove(id).is_some());
        assert!(registry.remove(id).is_none());
        let error = registry.get(id).unwrap_err().to_string();
        assert_eq!(error, format!("no worker is open as {id}"));
        assert!(registry.get(0).is_err());
        assert!(registry.get(i64::MIN).is_err());
    }

    #[test]
    fn an_id_of_one_registry_means_nothing_to_another() {
        let (workers, servers) = (Registry::new("worker"), Registry::new("server"));
        let id = workers.insert(());
        assert!(servers.get(id).is_err());
        assert_ne!(servers.insert(()), id);
    }

    #[test]
    fn what_a_call_holds_outlives_the_close() {
        let registry = Registry::new("worker");
        let id = registry.insert(vec![1, 2, 3]);
        let held = registry.get(id).unwrap();
        registry.remove(id);
        assert_eq!(*held, [1, 2, 3]);
    }
}
