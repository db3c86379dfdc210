//! The fits whose servers are open in this process, so that workers of the same process reach them through memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::error::PsError;
use crate::secret::Secret;
use crate::store::Store;

static FITS: Mutex<Fits> = Mutex::new(Fits { open: BTreeMap::new(), closed: VecDeque::new() });

/// The number of closed fits that are remembered: more than one process has tasks that have not yet noticed.
const MAX_CLOSED: usize = 256;

struct Fits {
    open: BTreeMap<String, Weak<dyn LocalServer>>,
    /// The fits whose servers were closed last.
    closed: VecDeque<String>,
}

/// A fit's server in this process.
pub(crate) trait LocalServer: Send + Sync {
    /// The store of the fit.
    fn store(&self) -> &Arc<Store>;

    /// The secret of the fit.
    fn secret(&self) -> &Secret;

    /// Closes the server; no thread is left when it returns.
    fn close(&self);
}

/// Opens the server of a fit and registers it.
///
/// # Errors
/// `Spec` if the fit has an open server in this process; the error of `open`.
pub(crate) fn register<S: LocalServer + 'static>(
    fit: &str,
    open: impl FnOnce() -> Result<Arc<S>, PsError>,
) -> Result<Arc<S>, PsError> {
    let mut fits = FITS.lock();
    if fits.open.contains_key(fit) {
        return Err(PsError::Spec(format!("fit {fit} already has a server in this process")));
    }
    let server = open()?;
    let weak: Weak<S> = Arc::downgrade(&server);
    fits.open.insert(fit.to_owned(), weak);
    Ok(server)
}

/// Removes a fit whose server has closed.
pub(crate) fn remove(fit: &str) {
    let mut fits = FITS.lock();
    fits.open.remove(fit);
    if fits.closed.len() == MAX_CLOSED {
        fits.closed.pop_front();
    }
    fits.closed.push_back(fit.to_owned());
}

/// Returns the store of a fit's server in this process, and its secret; `None` if the server is in another process.
///
/// # Errors
/// `Closed` if the server was in this process: nothing listens at its port any more, so a late worker need not try.
pub(crate) fn find(fit: &str) -> Result<Option<(Arc<Store>, Secret)>, PsError> {
    let fits = FITS.lock();
    if let Some(server) = fits.open.get(fit).and_then(Weak::upgrade) {
        return Ok(Some((Arc::clone(server.store()), server.secret().clone())));
    }
    if fits.closed.iter().any(|closed| closed == fit) {
        return Err(PsError::Closed(fit.to_owned()));
    }
    Ok(None)
}

/// Closes every server of this process. Servers can be opened again afterwards.
pub(crate) fn close_all() {
    let open: Vec<_> = FITS.lock().open.values().filter_map(Weak::upgrade).collect();
    for server in open {
        server.close();
    }
}
