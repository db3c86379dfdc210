//! Jobs.

mod accept;
mod row;

use rusqlite::{Connection, OptionalExtension as _, Transaction, named_params, params};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::events::insert;
use super::rows::{json, small, unsigned};
use super::{NewEvent, Result, Store, StoreError};
use crate::clock::{self, Millis};
use crate::job::{JobRequest, State};

pub use accept::{Accepted, NewJob};
use row::COLUMNS;
pub use row::Job;

/// The conditions on listed jobs.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The user; all if absent.
    pub user: Option<String>,
    /// The states; all if empty.
    pub states: Vec<State>,
    /// A part of the name.
    pub name: Option<String>,
    /// The id of a job, which may have been removed; only earlier ones are listed.
    pub before: Option<String>,
    /// The largest number of jobs.
    pub limit: u32,
}

/// A change of a job's state, with what else changes.
#[derive(Clone, Debug)]
pub struct Change {
    /// The new state.
    pub state: State,
    /// A sentence about it.
    pub reason: Option<String>,
    /// The exit code of the attempt.
    pub exit_code: Option<i32>,
    /// The time before which the next attempt does not start.
    pub not_before: Option<Millis>,
}

impl Change {
    /// Creates a change without a reason.
    #[must_use]
    pub const fn to(state: State) -> Self {
        Self { state, reason: None, exit_code: None, not_before: None }
    }

    /// Creates a change with a reason.
    #[must_use]
    pub fn because(state: State, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::to(state) }
    }
}

/// The part of the quotas that a user has in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Usage {
    /// The jobs that run.
    pub running: u32,
    /// The jobs that wait.
    pub queued: u32,
    /// The jobs that are kept, in all states.
    pub kept: u32,
    /// The bytes of uploads.
    pub upload_bytes: u64,
}

const WAITING: &str = "('ACCEPTED', 'QUEUED')";
const ACTIVE: &str = "('STARTING', 'RUNNING')";

fn find(connection: &Connection, id: &str) -> Result<Option<Job>> {
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(Job::read).transpose()
}

fn usage(connection: &Connection, user: &str) -> Result<Usage> {
    let count = |condition: &str| -> Result<u32> {
        let query = format!("SELECT count(*) FROM jobs WHERE user = ?1 AND {condition}");
        Ok(small(connection.query_row(&query, [user], |row| row.get(0))?))
    };
    let bytes = connection.query_row(
        "SELECT coalesce(sum(size), 0) FROM uploads WHERE user = ?1",
        [user],
        |row| row.get(0),
    )?;
    Ok(Usage {
        running: count(&format!("state IN {ACTIVE}"))?,
        queued: count(&format!("state IN {WAITING}"))?,
        kept: count("true")?,
        upload_bytes: unsigned(bytes),
    })
}

/// Adds the event of a job's present state.
fn state_event(
    transaction: &Transaction<'_>,
    id: &str,
    attempt: u32,
    state: State,
    reason: Option<&str>,
) -> Result<()> {
    let data = json!({ "state": state, "reason": reason });
    let event = NewEvent { time: clock::now(), kind: "state".to_owned(), data };
    insert(transaction, id, attempt, &event)
}

impl Store {
    /// Returns a job.
    ///
    /// # Errors
    /// If the database fails.
    pub fn job(&self, id: &str) -> Result<Option<Job>> {
        self.read(|connection| find(connection, id))
    }

    /// Returns the request of a job.
    ///
    /// # Errors
    /// If the database fails.
    pub fn request(&self, id: &str) -> Result<Option<JobRequest>> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT request FROM jobs WHERE id = ?1")?;
            let text: Option<String> = statement.query_row([id], |row| row.get(0)).optional()?;
            text.map(|text| json("request", &text)).transpose()
        })
    }

    /// Returns the jobs that a filter admits, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub fn jobs(&self, filter: &Filter) -> Result<Vec<Job>> {
        let states = serde_json::to_string(&filter.states).unwrap_or_default();
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs WHERE (:user IS NULL OR user = :user) \
             AND (:any OR state IN (SELECT value FROM json_each(:states))) \
             AND (:name IS NULL OR instr(lower(name), lower(:name)) > 0) \
             AND (:before IS NULL OR seq < coalesce( \
               (SELECT seq FROM jobs WHERE id = :before), \
               (SELECT max(seq) + 1 FROM jobs WHERE id < :before), 0)) \
             ORDER BY seq DESC LIMIT :limit"
        );
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query(named_params! {
                ":user": filter.user,
                ":any": filter.states.is_empty(),
                ":states": states,
                ":name": filter.name,
                ":before": filter.before,
                ":limit": filter.limit,
            })?;
            let mut jobs = Vec::new();
            while let Some(row) = rows.next()? {
                jobs.push(Job::read(row)?);
            }
            Ok(jobs)
        })
    }

    /// Returns the jobs that are not final, in the order of acceptance. A row that cannot be read is logged and left out,
    /// so that it does not hold up the others.
    ///
    /// # Errors
    /// If the database fails.
    pub fn unfinished(&self) -> Result<Vec<Job>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs WHERE state IN {WAITING} OR state IN {ACTIVE} ORDER BY seq"
        );
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([])?;
            let mut jobs = Vec::new();
            while let Some(row) = rows.next()? {
                match Job::read(row) {
                    Ok(job) => jobs.push(job),
                    Err(error) => tracing::error!(%error, "a job is left out"),
                }
            }
            Ok(jobs)
        })
    }

    /// Returns what a user has in use.
    ///
    /// # Errors
    /// If the database fails.
    pub fn usage(&self, user: &str) -> Result<Usage> {
        self.read(|connection| usage(connection, user))
    }

    /// Returns the number of jobs in each state.
    ///
    /// # Errors
    /// If the database fails.
    pub fn counts(&self) -> Result<Vec<(State, u64)>> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT count(*) FROM jobs WHERE state = ?1")?;
            State::ALL
                .into_iter()
                .map(|state| {
                    let count = statement.query_row([state.name()], |row| row.get(0))?;
                    Ok((state, unsigned(count)))
                })
                .collect()
        })
    }

    /// Changes the state of a job, if it is still `from`; returns false otherwise. `Starting` begins a new attempt.
    ///
    /// # Errors
    /// If the states do not follow each other.
    pub fn change_job(&self, id: &str, from: State, change: &Change) -> Result<bool> {
        let state = change.state;
        if !from.may_become(state) {
            return Err(StoreError::refused(format!(
                "a job does not go from {} to {}",
                from.name(),
                state.name()
            )));
        }
        let now = clock::now();
        self.write(|transaction| {
            let new_attempt = state == State::Starting;
            let changed = transaction.execute(
                "UPDATE jobs SET state = :state, reason = :reason, not_before = :not_before, attempt = attempt + :new_attempt, \
                 exit_code = CASE WHEN :new_attempt THEN NULL ELSE coalesce(:exit_code, exit_code) END, \
                 application_id = CASE WHEN :new_attempt THEN NULL ELSE application_id END, \
                 progress = CASE WHEN :new_attempt THEN NULL ELSE progress END, \
                 events_read = CASE WHEN :new_attempt THEN 0 ELSE events_read END, \
                 started_at = CASE WHEN :new_attempt THEN :now ELSE started_at END, \
                 finished_at = CASE WHEN :final THEN :now ELSE NULL END \
                 WHERE id = :id AND state = :from",
                named_params! {
                    ":id": id,
                    ":from": from.name(),
                    ":state": state.name(),
                    ":reason": change.reason,
                    ":not_before": change.not_before,
                    ":new_attempt": new_attempt,
                    ":exit_code": change.exit_code,
                    ":final": state.is_final(),
                    ":now": now,
                },
            )?;
            if changed == 0 {
                return Ok(false);
            }
            let attempt: i64 =
                transaction.query_row("SELECT attempt FROM jobs WHERE id = ?1", [id], |row| row.get(0))?;
            state_event(transaction, id, small(attempt), state, change.reason.as_deref())?;
            Ok(true)
        })
    }

    /// Records the application of a job's attempt.
    ///
    /// # Errors
    /// If the database fails.
    pub fn set_application(&self, id: &str, application: &str) -> Result<()> {
        self.write(|transaction| {
            transaction.execute(
                "UPDATE jobs SET application_id = ?2 WHERE id = ?1",
                params![id, application],
            )?;
            Ok(())
        })
    }

    /// Records that a user cancels a job, unless it is final; returns the job, none if there is none of this id.
    ///
    /// # Errors
    /// If the database fails.
    pub fn request_cancel(&self, id: &str) -> Result<Option<Job>> {
        self.write(|transaction| {
            transaction.execute(
                "UPDATE jobs SET cancel_requested = 1 WHERE id = ?1 AND finished_at IS NULL",
                [id],
            )?;
            find(transaction, id)
        })
    }

    /// Removes a job that is final; returns false if it is not.
    ///
    /// # Errors
    /// If the database fails.
    pub fn remove_job(&self, id: &str) -> Result<bool> {
        self.write(|transaction| {
            let removed = transaction
                .execute("DELETE FROM jobs WHERE id = ?1 AND finished_at IS NOT NULL", [id])?;
            Ok(removed > 0)
        })
    }

    /// Returns the ids of a user's jobs that became final before a time.
    ///
    /// # Errors
    /// If the database fails.
    pub fn finished_before(&self, user: &str, time: Millis) -> Result<Vec<String>> {
        self.read(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT id FROM jobs WHERE user = ?1 AND finished_at < ?2")?;
            let ids = statement
                .query_map(params![user, time], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            Ok(ids)
        })
    }

    /// Returns true if there is a job of this id.
    ///
    /// # Errors
    /// If the database fails.
    pub fn has_job(&self, id: &str) -> Result<bool> {
        self.read(|connection| {
            let found: Option<i64> = connection
                .query_row("SELECT seq FROM jobs WHERE id = ?1", [id], |row| row.get(0))
                .optional()?;
            Ok(found.is_some())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Filter};
    use crate::job::State;
    use crate::store::testing::{accept, store};

    #[test]
    fn the_jobs_before_a_removed_one_are_listed() {
        let (_folder, store) = store();
        let jobs: Vec<_> = (0..5)
            .map(|number| {
                let job = accept(&store, &number.to_string());
                // Ids have the time in milliseconds.
                while crate::clock::now() <= job.created_at {
                    std::thread::yield_now();
                }
                job
            })
            .collect();
        let before = |id: &str| {
            let filter = Filter { before: Some(id.to_owned()), limit: 10, ..Filter::default() };
            let jobs = store.jobs(&filter).expect("jobs");
            jobs.into_iter().map(|job| job.name).collect::<Vec<_>>()
        };
        assert_eq!(before(&jobs[3].id), ["2", "1", "0"]);
        let cancelled =
            store.change_job(&jobs[3].id, State::Accepted, &Change::to(State::Cancelled));
        assert!(cancelled.expect("a change") && store.remove_job(&jobs[3].id).expect("an answer"));
        assert_eq!(before(&jobs[3].id), ["2", "1", "0"]);
        assert_eq!(before(&"0".repeat(28)), [""; 0]);
    }
}
