//! Uploads: the rows of files that users sent.

use rusqlite::{OptionalExtension as _, Row, params};
use serde::Serialize;
use utoipa::ToSchema;

use super::rows::{signed, unsigned};
use super::{Result, Store, StoreError};
use crate::clock::{self, Millis};
use crate::id;

/// A file that a user sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Upload {
    /// The id.
    pub id: String,
    /// The bytes.
    pub size: u64,
    /// The SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// The extension of the file's name.
    pub extension: String,
    /// The time of the first upload.
    #[serde(serialize_with = "crate::json::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Millis,
}

impl Upload {
    /// Returns the name of the file in the folder of uploads.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.{}", self.id, self.extension)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Upload> {
    Ok(Upload {
        id: row.get("id")?,
        size: unsigned(row.get("size")?),
        sha256: row.get("sha256")?,
        extension: row.get("extension")?,
        created_at: row.get("created_at")?,
    })
}

impl Store {
    /// Returns an upload by its id.
    ///
    /// # Errors
    /// If the database fails.
    pub fn upload(&self, id: &str) -> Result<Option<Upload>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT * FROM uploads WHERE id = ?1")?;
            Ok(statement.query_row([id], read).optional()?)
        })
    }

    /// Returns true if the user has an upload with these bytes and extension.
    ///
    /// # Errors
    /// If the database fails.
    pub fn has_upload(&self, user: &str, size: u64, sha256: &str, extension: &str) -> Result<bool> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM uploads \
                 WHERE user = ?1 AND size = ?2 AND sha256 = ?3 AND extension = ?4)",
            )?;
            Ok(statement
                .query_row(params![user, signed(size), sha256, extension], |row| row.get(0))?)
        })
    }

    /// Records an upload and returns it with true, or with false the one that the user has with the same bytes and
    /// extension. `publish` moves the file to its name before the row is durable.
    ///
    /// # Errors
    /// If the user's quota would be exceeded, or the file cannot be moved.
    pub fn add_upload(
        &self,
        user: &str,
        size: u64,
        sha256: &str,
        extension: &str,
        quota: u64,
        publish: impl FnOnce(&Upload) -> std::io::Result<()>,
    ) -> Result<(Upload, bool)> {
        let now = clock::now();
        self.write(|transaction| {
            let known = transaction
                .query_row(
                    "SELECT * FROM uploads WHERE user = ?1 AND sha256 = ?2 AND extension = ?3",
                    [user, sha256, extension],
                    read,
                )
                .optional()?;
            if let Some(upload) = known {
                transaction.execute(
                    "UPDATE uploads SET used_at = ?2 WHERE id = ?1",
                    params![upload.id, now],
                )?;
                return Ok((upload, false));
            }
            let used: i64 = transaction.query_row(
                "SELECT coalesce(sum(size), 0) FROM uploads WHERE user = ?1",
                [user],
                |row| row.get(0),
            )?;
            if unsigned(used).saturating_add(size) > quota {
                return Err(StoreError::refused(format!(
                    "the upload of {size} bytes would exceed your quota of {quota} bytes, of which {used} are in use; \
                     delete uploads or jobs that you do not need"
                )));
            }
            let upload = Upload {
                id: id::new_id()?,
                size,
                sha256: sha256.to_owned(),
                extension: extension.to_owned(),
                created_at: now,
            };
            transaction.execute(
                "INSERT INTO uploads (id, user, size, sha256, extension, created_at, used_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
                params![upload.id, user, signed(size), sha256, extension, now],
            )?;
            publish(&upload)?;
            Ok((upload, true))
        })
    }

    /// Removes an upload of a user; returns false if there is none of this id.
    ///
    /// # Errors
    /// If a job refers to it.
    pub fn remove_upload(&self, user: &str, id: &str) -> Result<bool> {
        self.write(|transaction| {
            let used: bool = transaction.query_row(
                "SELECT EXISTS (SELECT 1 FROM job_uploads WHERE upload = ?1)",
                [id],
                |row| row.get(0),
            )?;
            if used {
                return Err(StoreError::refused(format!(
                    "jobs refer to the upload '{id}'; delete them first"
                )));
            }
            let removed = transaction
                .execute("DELETE FROM uploads WHERE user = ?1 AND id = ?2", [user, id])?;
            Ok(removed > 0)
        })
    }

    /// Removes the rows of uploads that no job refers to and none used since a time.
    ///
    /// # Errors
    /// If the database fails.
    pub fn remove_unused_uploads(&self, before: Millis) -> Result<()> {
        self.write(|transaction| {
            transaction.execute(
                "DELETE FROM uploads WHERE used_at < ?1 \
                 AND NOT EXISTS (SELECT 1 FROM job_uploads WHERE upload = uploads.id)",
                [before],
            )?;
            Ok(())
        })
    }
}
