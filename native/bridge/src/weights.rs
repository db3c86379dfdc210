//! Weights that the predictors of a process share while one of them is open.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// Values by the hash of their content.
pub(crate) struct SharedByHash<T> {
    held: Mutex<BTreeMap<String, Weak<T>>>,
}

impl<T> SharedByHash<T> {
    pub(crate) const fn new() -> Self {
        Self { held: Mutex::new(BTreeMap::new()) }
    }

    /// Returns the value with this hash, if it is held.
    pub(crate) fn find(&self, hash: &str) -> Option<Arc<T>> {
        self.held.lock().get(hash).and_then(Weak::upgrade)
    }

    /// Returns the value with this hash, made by `make` unless it is held. Two threads that miss it at once run `make`
    /// one after the other, so that it is never held twice.
    pub(crate) fn share<E>(
        &self,
        hash: &str,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let mut held = self.held.lock();
        if let Some(value) = held.get(hash).and_then(Weak::upgrade) {
            return Ok(value);
        }
        held.retain(|_, value| value.strong_count() > 0);
        let value = Arc::new(make()?);
        held.insert(hash.to_owned(), Arc::downgrade(&value));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use super::SharedByHash;

    #[test]
    fn a_value_is_made_once_while_it_is_held_and_again_afterwards() {
        let shared = SharedByHash::new();
        assert!(shared.find("a").is_none());
        let first = shared.share("a", || Ok::<_, Infallible>(vec![1])).unwrap();
        let second = shared.share("a", || Ok::<_, Infallible>(vec![2])).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert!(Arc::ptr_eq(&first, &shared.find("a").unwrap()));
        drop((first, second));
        assert!(shared.find("a").is_none());
        let third = shared.share("a", || Ok::<_, Infallible>(vec![3])).unwrap();
        assert_eq!(*third, [3]);
    }

    #[test]
    fn a_failure_to_make_a_value_leaves_nothing_behind() {
        let shared = SharedByHash::<u8>::new();
        assert_eq!(shared.share("a", || Err("damaged")).unwrap_err(), "damaged");
        assert_eq!(*shared.share("a", || Ok::<_, Infallible>(4)).unwrap(), 4);
    }
}
