//! The rows of jobs.

use rusqlite::Row;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::clock::Millis;
use crate::job::State;
use crate::store::rows::{json, small, unsigned};
use crate::store::{Result, StoreError};

/// The columns of a [`Job`]: not the request, which may be large.
pub(super) const COLUMNS: &str = "seq, id, name, user, token, cluster, kind, state, reason, attempt, retries, cancel_requested, \
                       application_id, exit_code, progress, resubmitted_from, events_read, not_before, created_at, \
                       started_at, finished_at";

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Job {
    /// The place in the order of acceptance.
    #[serde(skip)]
    pub seq: i64,
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The user.
    pub user: String,
    /// The id of the token that submitted it.
    #[serde(skip)]
    pub token: String,
    /// The cluster.
    pub cluster: String,
    /// The kind of work: `trainer`, `estimator` or `program`.
    pub kind: String,
    /// The state.
    pub state: State,
    /// A sentence about the state, such as the cause of a failure.
    pub reason: Option<String>,
    /// The number of the present or last attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// The number of further attempts after a failed one.
    pub retries: u32,
    /// True if a user has cancelled the job, which may still run.
    pub cancel_requested: bool,
    /// The place in the queue, from 1, while the job waits.
    pub position: Option<u32>,
    /// The id of the Spark application of the last attempt.
    pub application_id: Option<String>,
    /// The exit code of the last attempt.
    pub exit_code: Option<i32>,
    /// The progress of the last attempt's last fit.
    #[schema(value_type = Option<Object>)]
    pub progress: Option<Value>,
    /// The job that this one repeats.
    pub resubmitted_from: Option<String>,
    /// The bytes of the attempt's event file that were read.
    #[serde(skip)]
    pub events_read: u64,
    /// The time before which the next attempt does not start, while the job waits after a failed one.
    #[serde(serialize_with = "crate::json::maybe_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub not_before: Option<Millis>,
    /// The time of acceptance.
    #[serde(serialize_with = "crate::json::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Millis,
    /// The start of the last attempt.
    #[serde(serialize_with = "crate::json::maybe_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Millis>,
    /// The time at which the job became final.
    #[serde(serialize_with = "crate::json::maybe_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Millis>,
}

impl Job {
    pub(super) fn read(row: &Row<'_>) -> Result<Self> {
        let state: String = row.get("state")?;
        let progress: Option<String> = row.get("progress")?;
        Ok(Self {
            seq: row.get("seq")?,
            id: row.get("id")?,
            name: row.get("name")?,
            user: row.get("user")?,
            token: row.get("token")?,
            cluster: row.get("cluster")?,
            kind: row.get("kind")?,
            state: State::of(&state)
                .ok_or(StoreError::Unreadable { what: "state of a job", value: state })?,
            reason: row.get("reason")?,
            attempt: small(row.get("attempt")?),
            retries: small(row.get("retries")?),
            cancel_requested: row.get("cancel_requested")?,
            position: None,
            application_id: row.get("application_id")?,
            exit_code: row.get("exit_code")?,
            progress: progress.map(|text| json("progress", &text)).transpose()?,
            resubmitted_from: row.get("resubmitted_from")?,
            events_read: unsigned(row.get("events_read")?),
            not_before: row.get("not_before")?,
            created_at: row.get("created_at")?,
            started_at: row.get("started_at")?,
            finished_at: row.get("finished_at")?,
        })
    }
}
