//! The events of jobs.

use rusqlite::{Row, Transaction, params};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::rows::{json, signed, small, to_json, unsigned};
use super::{Result, Store};
use crate::clock::Millis;

/// An event of a job.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Event {
    /// The place among the job's events, from 1.
    pub seq: u64,
    /// The time.
    #[serde(serialize_with = "crate::json::time")]
    #[schema(value_type = String, format = DateTime)]
    pub time: Millis,
    /// The attempt.
    pub attempt: u32,
    /// The type: `state`, `fit`, `epoch`, `progress`, `result` or `failure`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The content, which depends on the type.
    #[schema(value_type = Object)]
    pub data: Value,
}

/// An event to add.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// The time.
    pub time: Millis,
    /// The type.
    pub kind: String,
    /// The content.
    pub data: Value,
}

pub(super) fn insert(
    transaction: &Transaction<'_>,
    job: &str,
    attempt: u32,
    event: &NewEvent,
) -> Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO events (job, seq, time, attempt, type, data) \
         VALUES (?1, (SELECT coalesce(max(seq), 0) + 1 FROM events WHERE job = ?1), ?2, ?3, ?4, ?5)",
    )?;
    statement.execute(params![job, event.time, attempt, event.kind, to_json(&event.data)?])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Event> {
    let data: String = row.get("data")?;
    Ok(Event {
        seq: unsigned(row.get("seq")?),
        time: row.get("time")?,
        attempt: small(row.get("attempt")?),
        kind: row.get("type")?,
        data: json("event", &data)?,
    })
}

impl Store {
    /// Returns the events of a job after the one with the number `after`, at most `limit`.
    ///
    /// # Errors
    /// If the database fails.
    pub fn events(&self, job: &str, after: u64, limit: u32) -> Result<Vec<Event>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT * FROM events WHERE job = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
            )?;
            let mut rows = statement.query(params![job, signed(after), limit])?;
            let mut events = Vec::new();
            while let Some(row) = rows.next()? {
                events.push(read(row)?);
            }
            Ok(events)
        })
    }

    /// Returns the last events of a type in their order, at most `limit`: those of an attempt, or of all.
    ///
    /// # Errors
    /// If the database fails.
    pub fn last_events(
        &self,
        job: &str,
        kind: &str,
        attempt: Option<u32>,
        limit: u32,
    ) -> Result<Vec<Event>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT * FROM events WHERE job = ?1 AND type = ?2 AND (?3 IS NULL OR attempt = ?3) \
                 ORDER BY seq DESC LIMIT ?4",
            )?;
            let mut rows = statement.query(params![job, kind, attempt, limit])?;
            let mut events = Vec::new();
            while let Some(row) = rows.next()? {
                events.push(read(row)?);
            }
            events.reverse();
            Ok(events)
        })
    }

    /// Returns the number of a job's last event, 0 before the first.
    ///
    /// # Errors
    /// If the database fails.
    pub fn last_event(&self, job: &str) -> Result<u64> {
        self.read(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT coalesce(max(seq), 0) FROM events WHERE job = ?1")?;
            Ok(unsigned(statement.query_row([job], |row| row.get(0))?))
        })
    }

    /// Adds the events that an attempt wrote to its file, up to the byte `read`, with the progress that they give. Events
    /// of an attempt that is not the job's last are not added, nor any beyond the number `most`.
    ///
    /// # Errors
    /// If the database fails.
    pub fn add_events(
        &self,
        job: &str,
        attempt: u32,
        events: &[NewEvent],
        read: u64,
        progress: Option<&Value>,
        most: u32,
    ) -> Result<()> {
        let progress = progress.map(to_json).transpose()?;
        self.write(|transaction| {
            let changed = transaction.execute(
                "UPDATE jobs SET events_read = ?3, progress = coalesce(?4, progress) WHERE id = ?1 AND attempt = ?2",
                params![job, attempt, signed(read), progress],
            )?;
            if changed == 0 {
                return Ok(());
            }
            let count: i64 =
                transaction.query_row("SELECT count(*) FROM events WHERE job = ?1", [job], |row| row.get(0))?;
            let room = usize::try_from(i64::from(most) - count).unwrap_or(0);
            for event in events.iter().take(room) {
                insert(transaction, job, attempt, event)?;
            }
            Ok(())
        })
    }
}
