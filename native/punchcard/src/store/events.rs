//! The events of jobs.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::rows::{json, signed, small, to_json, unsigned};
use super::{Result, Store};
use crate::clock::Millis;
use crate::config::Limits;

/// The type of the events that report the rows of an epoch that runs.
const PROGRESS: &str = "progress";

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

/// The room for the events that a job's drivers write.
struct Room {
    events: u64,
    bytes: u64,
    limits: Limits,
}

impl Room {
    fn read(transaction: &Transaction<'_>, job: &str, limits: &Limits) -> Result<Self> {
        let (events, bytes) = transaction.query_row(
            "SELECT events_kept, event_bytes FROM jobs WHERE id = ?1",
            [job],
            |row| Ok((unsigned(row.get(0)?), unsigned(row.get(1)?))),
        )?;
        Ok(Self { events, bytes, limits: *limits })
    }

    fn has(&self, bytes: u64) -> bool {
        self.events < u64::from(self.limits.events)
            && self.bytes.saturating_add(bytes) <= self.limits.event_bytes
    }

    /// Takes room for an event; returns false if there is none. Old progress is removed for events of other types.
    fn take(&mut self, transaction: &Transaction<'_>, job: &str, event: &NewEvent) -> Result<bool> {
        let bytes = to_json(&event.data)?.len() as u64;
        while !self.has(bytes) && event.kind != PROGRESS && bytes <= self.limits.event_bytes {
            // The last event stays, so that no later one gets its number.
            let oldest: Option<(i64, i64)> = transaction
                .query_row(
                    "SELECT seq, length(CAST(data AS BLOB)) FROM events WHERE job = ?1 AND type = ?2 \
                     AND seq < (SELECT max(seq) FROM events WHERE job = ?1) ORDER BY seq LIMIT 1",
                    [job, PROGRESS],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            let Some((seq, freed)) = oldest else { break };
            transaction
                .execute("DELETE FROM events WHERE job = ?1 AND seq = ?2", params![job, seq])?;
            self.events = self.events.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(unsigned(freed));
        }
        let fits = self.has(bytes);
        if fits {
            self.events += 1;
            self.bytes += bytes;
        }
        Ok(fits)
    }

    fn write(&self, transaction: &Transaction<'_>, job: &str) -> Result<()> {
        transaction.execute(
            "UPDATE jobs SET events_kept = ?2, event_bytes = ?3 WHERE id = ?1",
            params![job, signed(self.events), signed(self.bytes)],
        )?;
        Ok(())
    }
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
    /// of an attempt that is not the job's last are not added, nor any beyond the limits.
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
        limits: &Limits,
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
            let mut room = Room::read(transaction, job, limits)?;
            for event in events {
                if room.take(transaction, job, event)? {
                    insert(transaction, job, attempt, event)?;
                }
            }
            room.write(transaction, job)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{NewEvent, PROGRESS};
    use crate::config::Limits;
    use crate::store::Store;
    use crate::store::testing::{accept, store};

    fn event(kind: &str, number: usize) -> NewEvent {
        let data = json!({ "number": number, "text": "x".repeat(100) });
        NewEvent { time: 0, kind: kind.to_owned(), data }
    }

    /// Returns the types of the events of drivers, and checks that numbers of events are not used again.
    fn kinds(store: &Store, job: &str) -> Vec<String> {
        let events = store.events(job, 0, 1000).expect("events");
        assert!(events.is_sorted_by(|a, b| a.seq < b.seq));
        events.into_iter().map(|event| event.kind).filter(|kind| kind != "state").collect()
    }

    #[test]
    fn progress_gives_way_to_epochs() {
        let (_folder, store) = store();
        let id = accept(&store, "n").id;
        let limits = Limits { events: 10, ..Limits::default() };
        let add = |events: &[NewEvent]| {
            store.add_events(&id, 0, events, 1, None, &limits).expect("events");
        };
        add(&(0..50).map(|number| event(PROGRESS, number)).collect::<Vec<_>>());
        assert_eq!(kinds(&store, &id).len(), 10);
        for number in 0..8 {
            add(&[event("epoch", number), event(PROGRESS, number)]);
        }
        let found = kinds(&store, &id);
        assert_eq!(found.len(), 10);
        assert_eq!(found.iter().filter(|kind| *kind == "epoch").count(), 8);
        add(&(0..20).map(|number| event("epoch", number)).collect::<Vec<_>>());
        let epochs = kinds(&store, &id).iter().filter(|kind| *kind == "epoch").count();
        assert!((9..=10).contains(&epochs), "{epochs}");
    }

    #[test]
    fn events_are_bounded_by_their_bytes() {
        let (_folder, store) = store();
        let id = accept(&store, "n").id;
        let limits = Limits { event_bytes: 1000, ..Limits::default() };
        for number in 0..20 {
            store.add_events(&id, 0, &[event("epoch", number)], 1, None, &limits).expect("events");
        }
        let events = store.events(&id, 0, 1000).expect("events");
        let bytes: usize = events
            .iter()
            .filter(|event| event.kind == "epoch")
            .map(|event| event.data.to_string().len())
            .sum();
        assert!((500..=1000).contains(&bytes), "{bytes}");
    }
}
