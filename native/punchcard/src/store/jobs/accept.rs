//! The acceptance of a job, in one transaction.

use rusqlite::{Connection, OptionalExtension as _, Transaction, named_params, params};

use super::{Job, State, Store, find, state_event, usage};
use crate::clock;
use crate::config::Quotas;
use crate::id;
use crate::job::JobRequest;
use crate::store::rows::{to_json, unsigned};
use crate::store::{Result, StoreError};

/// A job to accept.
#[derive(Clone, Debug)]
pub struct NewJob<'a> {
    /// The user.
    pub user: &'a str,
    /// The id of the token.
    pub token: &'a str,
    /// The cluster.
    pub cluster: &'a str,
    /// The checked request.
    pub request: &'a JobRequest,
    /// The key under which a repeated request is recognised.
    pub key: &'a str,
    /// The SHA-256 of what was sent with the key.
    pub hash: [u8; 32],
    /// The job that this one repeats.
    pub resubmitted_from: Option<&'a str>,
    /// The most bytes that the files of a program may have together.
    pub files_bytes: u64,
}

/// The answer to a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Accepted {
    /// The job is recorded.
    New(Box<Job>),
    /// The key was used before, with the same request, for this job.
    Known(Box<Job>),
    /// The key was used before with another request.
    KeyReused,
    /// The user has as many waiting jobs as the quota admits, which is this many.
    QueueFull(u32),
    /// The user has as many jobs as the quota keeps, which is this many.
    TooManyKept(u32),
    /// An upload does not exist, belongs to another user or has another extension.
    BadUpload {
        /// The field of the request.
        field: &'static str,
        /// The problem, and what to do.
        problem: String,
    },
}

impl Store {
    /// Returns the answer to a key that was used before; none for a new key.
    ///
    /// # Errors
    /// If the database fails.
    pub fn known(&self, user: &str, key: &str, hash: &[u8; 32]) -> Result<Option<Accepted>> {
        self.read(|connection| known(connection, user, key, hash))
    }

    /// Records a job, once for each key of a user.
    ///
    /// # Errors
    /// If the database fails.
    pub fn accept(&self, new: &NewJob<'_>, quotas: &Quotas) -> Result<Accepted> {
        let id = id::new_id()?;
        let request = to_json(new.request)?;
        self.write(|transaction| {
            if let Some(answer) = known(transaction, new.user, new.key, &new.hash)? {
                return Ok(answer);
            }
            let usage = usage(transaction, new.user)?;
            if usage.queued >= quotas.queued {
                return Ok(Accepted::QueueFull(quotas.queued));
            }
            if usage.kept >= quotas.kept {
                return Ok(Accepted::TooManyKept(quotas.kept));
            }
            if let Some(answer) = bad_upload(transaction, new)? {
                return Ok(answer);
            }
            transaction.execute(
                "INSERT INTO jobs (id, name, user, token, cluster, kind, state, retries, request, idempotency_key, \
                 request_hash, resubmitted_from, created_at) \
                 VALUES (:id, :name, :user, :token, :cluster, :kind, :state, :retries, :request, :key, :hash, :from, :now)",
                named_params! {
                    ":id": id,
                    ":name": new.request.name,
                    ":user": new.user,
                    ":token": new.token,
                    ":cluster": new.cluster,
                    ":kind": new.request.work.kind(),
                    ":state": State::Accepted.name(),
                    ":retries": new.request.retries,
                    ":request": request,
                    ":key": new.key,
                    ":hash": new.hash,
                    ":from": new.resubmitted_from,
                    ":now": clock::now(),
                },
            )?;
            for upload in new.request.work.uploads() {
                transaction.execute(
                    "INSERT INTO job_uploads (job, upload) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                    params![id, upload.id],
                )?;
                transaction.execute(
                    "UPDATE uploads SET used_at = ?2 WHERE id = ?1",
                    params![upload.id, clock::now()],
                )?;
            }
            state_event(transaction, &id, 0, State::Accepted, None)?;
            let job = find(transaction, &id)?
                .ok_or_else(|| StoreError::refused("the job was not recorded"))?;
            Ok(Accepted::New(Box::new(job)))
        })
    }
}

fn known(
    connection: &Connection,
    user: &str,
    key: &str,
    hash: &[u8; 32],
) -> Result<Option<Accepted>> {
    let found: Option<(String, Vec<u8>)> = connection
        .query_row(
            "SELECT id, request_hash FROM jobs WHERE user = ?1 AND idempotency_key = ?2",
            [user, key],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((id, stored)) = found else { return Ok(None) };
    if stored != hash {
        return Ok(Some(Accepted::KeyReused));
    }
    Ok(find(connection, &id)?.map(|job| Accepted::Known(Box::new(job))))
}

fn bad_upload(transaction: &Transaction<'_>, new: &NewJob<'_>) -> Result<Option<Accepted>> {
    let mut total = 0_u64;
    for upload in new.request.work.uploads() {
        let found: Option<(String, i64)> = transaction
            .query_row(
                "SELECT extension, size FROM uploads WHERE id = ?1 AND user = ?2",
                [upload.id, new.user],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let field = upload.field;
        let problem = match found {
            None => format!("you have no upload '{}'; upload the file first", upload.id),
            Some((found, _))
                if !upload.extensions.is_empty() && !upload.extensions.contains(&&*found) =>
            {
                format!(
                    "the upload '{}' is a '.{found}' file, but must be one of: {}",
                    upload.id,
                    upload.extensions.join(", ")
                )
            }
            Some((_, size)) => {
                total = total.saturating_add(unsigned(size));
                if total <= new.files_bytes {
                    continue;
                }
                format!(
                    "the uploads of the job have more than {} bytes together; use fewer or smaller files",
                    new.files_bytes
                )
            }
        };
        return Ok(Some(Accepted::BadUpload { field, problem }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::Accepted;
    use crate::config::Quotas;
    use crate::job::State;
    use crate::store::Change;
    use crate::store::testing::{accept, new_job, store};

    #[test]
    fn jobs_that_have_ended_count_until_they_are_deleted() {
        let (_folder, store) = store();
        let jobs: Vec<_> = ["a", "b", "c"].map(|key| accept(&store, key)).into();
        for job in &jobs {
            let cancelled = Change::to(State::Cancelled);
            assert!(store.change_job(&job.id, State::Accepted, &cancelled).expect("a change"));
        }
        assert_eq!(store.usage("ada").expect("usage").kept, 3);
        let request = store.request(&jobs[0].id).expect("an answer").expect("a request");
        let submit = |key: &str| {
            let new = new_job("ada", "a", &request, key);
            store.accept(&new, &Quotas { kept: 3, ..Quotas::default() }).expect("an answer")
        };
        assert_eq!(submit("d"), Accepted::TooManyKept(3));
        // A repeated request has the answer of the first.
        assert!(matches!(submit("a"), Accepted::Known(_)));
        assert!(store.remove_job(&jobs[1].id).expect("an answer"));
        assert!(matches!(submit("d"), Accepted::New(_)));
    }
}
