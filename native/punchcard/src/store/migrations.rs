//! The versions of the database.

use rusqlite::{Connection, TransactionBehavior};

use super::{Result, StoreError};

/// The steps from each version to the next. Steps are never changed after a release.
const MIGRATIONS: [&str; 5] = [
    include_str!("../../migrations/0001_initial.sql"),
    include_str!("../../migrations/0002_sessions.sql"),
    include_str!("../../migrations/0003_events.sql"),
    include_str!("../../migrations/0004_retries.sql"),
    include_str!("../../migrations/0005_token_parents.sql"),
];

/// Brings a database to the present version, each step in a transaction of its own.
pub(super) fn apply(connection: &mut Connection) -> Result<()> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    loop {
        // Two processes may open a new database at the same time.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > known {
            return Err(StoreError::TooNew { found, known });
        }
        let Some(step) = usize::try_from(found).ok().and_then(|index| MIGRATIONS.get(index)) else {
            return Ok(());
        };
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", found + 1)?;
        transaction.commit()?;
    }
}

#[cfg(test)]
mod tests {
    use crate::store::{Store, StoreError};

    #[test]
    fn a_database_of_a_later_version_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("punchcard.db");
        Store::open(&file).expect("a store");
        Store::open(&file).expect("a store that exists");
        let connection = rusqlite::Connection::open(&file).expect("a connection");
        connection.pragma_update(None, "user_version", 99).expect("a version");
        let error = Store::open(&file).expect_err("a later version");
        assert!(matches!(error, StoreError::TooNew { found: 99, .. }), "{error}");
    }
}
