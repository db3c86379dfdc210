//! The database: users, tokens, uploads, jobs and events in one SQLite file.
//!
//! A change is durable when its method returns (`synchronous = FULL`). Methods block for the time of a write to the
//! disk: an asynchronous caller uses [`Store::run`].

mod events;
mod jobs;
mod migrations;
mod rows;
mod sessions;
mod tokens;
mod uploads;
mod users;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

pub use events::{Event, NewEvent};
pub use jobs::{Accepted, Change, Filter, Job, NewJob, Usage};
pub use tokens::{Identity, LONGEST_DAYS, Minted, NewToken, TokenRow};
pub use uploads::Upload;
pub use users::{Role, User, UserChange, is_name};

/// A failure of the database, or a rule of it that a change would break.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] rusqlite::Error),
    /// The operating system failed.
    #[error("{0}")]
    System(#[from] std::io::Error),
    /// A stored value is not what the program wrote.
    #[error("the database has an unreadable {what}: {value}")]
    Unreadable {
        /// The name of the value.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// The database was written by a later version.
    #[error(
        "the database has version {found}, but this program knows versions up to {known}; run a newer program"
    )]
    TooNew {
        /// The version of the database.
        found: i64,
        /// The newest version that the program knows.
        known: i64,
    },
    /// The change breaks a rule.
    #[error("{0}")]
    Refused(String),
}

impl StoreError {
    fn refused(problem: impl Into<String>) -> Self {
        Self::Refused(problem.into())
    }
}

/// The result of a method of the store.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A handle on the database, which clones share.
#[derive(Clone, Debug)]
pub struct Store {
    connections: Arc<Connections>,
}

#[derive(Debug)]
struct Connections {
    writer: Mutex<Connection>,
    // Readers wait neither for the disk nor, as a rule, for each other.
    readers: Vec<Mutex<Connection>>,
    /// The number of reads that found no free connection.
    waited: AtomicUsize,
}

/// The connections for reading.
const READERS: usize = 4;

impl Store {
    /// Opens the database in a file, creates it if it does not exist, and brings it to the present version.
    ///
    /// # Errors
    /// If the file is not a database or was written by a later version.
    pub fn open(file: &Path) -> Result<Self> {
        let mut writer = connect(file, OpenFlags::default())?;
        // The journal mode is stored in the file, so that readers have it too.
        writer.pragma_update(None, "journal_mode", "WAL")?;
        writer.pragma_update(None, "synchronous", "FULL")?;
        migrations::apply(&mut writer)?;
        let reader = |_| connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY).map(Mutex::new);
        let readers = (0..READERS).map(reader).collect::<Result<_>>()?;
        let waited = AtomicUsize::new(0);
        let connections = Connections { writer: Mutex::new(writer), readers, waited };
        Ok(Self { connections: Arc::new(connections) })
    }

    /// Runs a method on a thread that may block.
    ///
    /// # Errors
    /// The error of the method.
    pub async fn run<T: Send + 'static>(
        &self,
        method: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || method(&store))
            .await
            .map_err(|error| StoreError::System(std::io::Error::other(error)))?
    }

    fn read<T>(&self, body: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let Connections { readers, waited, .. } = &*self.connections;
        if let Some(reader) = readers.iter().find_map(Mutex::try_lock) {
            return body(&reader);
        }
        let turn = waited.fetch_add(1, Ordering::Relaxed) % readers.len();
        body(&readers[turn].lock())
    }

    fn write<T>(&self, body: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut connection = self.connections.writer.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = body(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }
}

fn connect(file: &Path, flags: OpenFlags) -> Result<Connection> {
    let connection = Connection::open_with_flags(file, flags)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // The command line changes users and tokens beside a running server.
    connection.busy_timeout(Duration::from_secs(10))?;
    Ok(connection)
}

#[cfg(test)]
pub(crate) mod testing {
    use super::{Accepted, Job, NewJob, Role, Store};
    use crate::config::Quotas;
    use crate::job::JobRequest;

    /// Accepts a job of the user `ada`, whom it adds; `key` is the name of the job and its idempotency key.
    pub(crate) fn accept(store: &Store, key: &str) -> Job {
        if store.user("ada").expect("an answer").is_none() {
            store.add_user("ada", Role::User, true).expect("a user");
        }
        let upload = store.add_upload("ada", 1, &"0".repeat(64), "py", u64::MAX, |_| Ok(()));
        let (upload, _) = upload.expect("an upload");
        let work = serde_json::json!({ "kind": "program", "file": upload.id });
        let request = serde_json::json!({ "name": key, "work": work });
        let request = serde_json::from_value(request).expect("a request");
        accepted(store, &new_job("ada", "a", &request, key))
    }

    /// Accepts a job that is new and within its quotas.
    pub(crate) fn accepted(store: &Store, new: &NewJob<'_>) -> Job {
        match store.accept(new, &Quotas { queued: 1000, ..Quotas::default() }) {
            Ok(Accepted::New(job)) => *job,
            other => panic!("{other:?}"),
        }
    }

    /// A job to accept, of the cluster `local`.
    pub(crate) fn new_job<'a>(
        user: &'a str,
        token: &'a str,
        request: &'a JobRequest,
        key: &'a str,
    ) -> NewJob<'a> {
        NewJob {
            user,
            token,
            cluster: "local",
            request,
            key,
            hash: [0; 32],
            resubmitted_from: None,
            files_bytes: 1000,
        }
    }

    /// A job that was just accepted.
    pub(crate) fn job() -> Job {
        let (_folder, store) = store();
        accept(&store, "n")
    }

    /// A store in a folder that is removed at the end.
    pub(crate) fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("punchcard.db")).expect("a store");
        (folder, store)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::testing::store;

    #[test]
    fn reads_do_not_wait_for_a_slow_one() {
        let (_folder, store) = store();
        let (inside, entered) = mpsc::channel();
        let (finish, finished) = mpsc::channel::<()>();
        thread::scope(|scope| {
            let slow = &store;
            scope.spawn(move || {
                slow.read(|_| {
                    inside.send(()).expect("a test");
                    // Ends when the test drops the sender.
                    let _ = finished.recv();
                    Ok(())
                })
            });
            entered.recv().expect("a slow read");
            let (answer, answered) = mpsc::channel();
            let fast = &store;
            scope.spawn(move || answer.send(fast.users().map(|users| users.len())));
            let users = answered.recv_timeout(Duration::from_secs(20));
            drop(finish);
            assert_eq!(users.expect("a read in time").expect("users"), 0);
        });
    }
}
