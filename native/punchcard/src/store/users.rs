//! Users.

use rusqlite::{OptionalExtension as _, Row, named_params, params};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rows::{signed, small, unsigned};
use super::{Result, Store, StoreError};
use crate::clock::{self, Millis};
use crate::config::Quotas;

/// The role of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May handle own jobs and tokens.
    User,
    /// May handle all jobs, users and tokens.
    Admin,
}

impl Role {
    /// Returns the name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }

    /// Returns the role with this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        [Self::User, Self::Admin].into_iter().find(|role| role.name() == name)
    }
}

/// A user. A quota that is absent is the server's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct User {
    /// The name.
    pub name: String,
    /// The role.
    pub role: Role,
    /// True if the user may run uploaded programs.
    pub programs: bool,
    /// The jobs that run at a time.
    pub running: Option<u32>,
    /// The jobs that wait at a time.
    pub queued: Option<u32>,
    /// The bytes of uploads.
    pub upload_bytes: Option<u64>,
    /// The bytes of the log of each attempt that are kept.
    pub log_bytes: Option<u64>,
    /// The days for which finished jobs are kept.
    pub retention_days: Option<u32>,
    /// The time of creation.
    #[serde(serialize_with = "crate::json::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Millis,
}

impl User {
    /// Returns the user's quotas.
    #[must_use]
    pub fn quotas(&self, default: &Quotas) -> Quotas {
        Quotas {
            running: self.running.unwrap_or(default.running),
            running_per_token: default.running_per_token,
            queued: self.queued.unwrap_or(default.queued),
            kept: default.kept,
            upload_bytes: self.upload_bytes.unwrap_or(default.upload_bytes),
            log_bytes: self.log_bytes.unwrap_or(default.log_bytes),
            retention_days: self.retention_days.unwrap_or(default.retention_days),
        }
    }
}

/// A change of a user. Absent fields stay; a quota of null becomes the server's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UserChange {
    /// The role.
    pub role: Option<Role>,
    /// True if the user may run uploaded programs.
    pub programs: Option<bool>,
    /// The jobs that run at a time.
    #[serde(deserialize_with = "crate::json::given")]
    #[schema(value_type = Option<u32>)]
    pub running: Option<Option<u32>>,
    /// The jobs that wait at a time.
    #[serde(deserialize_with = "crate::json::given")]
    #[schema(value_type = Option<u32>)]
    pub queued: Option<Option<u32>>,
    /// The bytes of uploads.
    #[serde(deserialize_with = "crate::json::given")]
    #[schema(value_type = Option<u64>)]
    pub upload_bytes: Option<Option<u64>>,
    /// The bytes of the log of each attempt that are kept, at least 1.
    #[serde(deserialize_with = "crate::json::given")]
    #[schema(value_type = Option<u64>)]
    pub log_bytes: Option<Option<u64>>,
    /// The days for which finished jobs are kept.
    #[serde(deserialize_with = "crate::json::given")]
    #[schema(value_type = Option<u32>)]
    pub retention_days: Option<Option<u32>>,
}

/// Returns true for the name of a user: letters, digits, `.`, `_`, `-` and `@`, at most 64.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
    (1..=64).contains(&name.len())
        && name.bytes().all(allowed)
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
}

fn read(row: &Row<'_>) -> rusqlite::Result<User> {
    let role: String = row.get("role")?;
    Ok(User {
        name: row.get("name")?,
        // The table admits no other role.
        role: Role::of(&role).unwrap_or(Role::User),
        programs: row.get("programs")?,
        running: row.get::<_, Option<i64>>("running")?.map(small),
        queued: row.get::<_, Option<i64>>("queued")?.map(small),
        upload_bytes: row.get::<_, Option<i64>>("upload_bytes")?.map(unsigned),
        log_bytes: row.get::<_, Option<i64>>("log_bytes")?.map(unsigned),
        retention_days: row.get::<_, Option<i64>>("retention_days")?.map(small),
        created_at: row.get("created_at")?,
    })
}

impl Store {
    /// Returns the users, by name.
    ///
    /// # Errors
    /// If the database fails.
    pub fn users(&self) -> Result<Vec<User>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT * FROM users ORDER BY name")?;
            let users = statement.query_map([], read)?.collect::<rusqlite::Result<_>>()?;
            Ok(users)
        })
    }

    /// Returns a user.
    ///
    /// # Errors
    /// If the database fails.
    pub fn user(&self, name: &str) -> Result<Option<User>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT * FROM users WHERE name = ?1")?;
            Ok(statement.query_row([name], read).optional()?)
        })
    }

    /// Adds a user with the server's quotas.
    ///
    /// # Errors
    /// If the name does not fit or is taken.
    pub fn add_user(&self, name: &str, role: Role, programs: bool) -> Result<()> {
        if !is_name(name) {
            return Err(StoreError::refused(format!(
                "the name '{name}' must be of at most 64 letters, digits, '.', '_', '-' and '@', and begin with a letter \
                 or digit"
            )));
        }
        self.write(|transaction| {
            let added = transaction.execute(
                "INSERT INTO users (name, role, programs, created_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                params![name, role.name(), programs, clock::now()],
            )?;
            if added == 0 {
                return Err(StoreError::refused(format!("the user '{name}' exists already")));
            }
            Ok(())
        })
    }

    /// Changes a user; returns false if there is none of this name.
    ///
    /// # Errors
    /// If the database fails.
    pub fn change_user(&self, name: &str, change: &UserChange) -> Result<bool> {
        self.write(|transaction| {
            let found = transaction
                .query_row("SELECT * FROM users WHERE name = ?1", [name], read)
                .optional()?;
            let Some(user) = found else { return Ok(false) };
            let bytes = |changed: Option<Option<u64>>, old: Option<u64>| {
                changed.unwrap_or(old).map(signed)
            };
            transaction.execute(
                "UPDATE users SET role = :role, programs = :programs, running = :running, queued = :queued, \
                 upload_bytes = :upload_bytes, log_bytes = :log_bytes, retention_days = :retention_days \
                 WHERE name = :name",
                named_params! {
                    ":name": name,
                    ":role": change.role.unwrap_or(user.role).name(),
                    ":programs": change.programs.unwrap_or(user.programs),
                    ":running": change.running.unwrap_or(user.running),
                    ":queued": change.queued.unwrap_or(user.queued),
                    ":upload_bytes": bytes(change.upload_bytes, user.upload_bytes),
                    ":log_bytes": bytes(change.log_bytes, user.log_bytes),
                    ":retention_days": change.retention_days.unwrap_or(user.retention_days),
                },
            )?;
            Ok(true)
        })
    }

    /// Removes a user with the tokens; returns false if there is none of this name.
    ///
    /// # Errors
    /// If jobs or uploads of the user are left.
    pub fn remove_user(&self, name: &str) -> Result<bool> {
        self.write(|transaction| {
            let count = |table: &str| -> Result<i64> {
                let query = format!("SELECT count(*) FROM {table} WHERE user = ?1");
                Ok(transaction.query_row(&query, [name], |row| row.get(0))?)
            };
            let (jobs, uploads) = (count("jobs")?, count("uploads")?);
            if jobs + uploads > 0 {
                return Err(StoreError::refused(format!(
                    "the user '{name}' has {jobs} jobs and {uploads} uploads; delete them first, or revoke the tokens"
                )));
            }
            Ok(transaction.execute("DELETE FROM users WHERE name = ?1", [name])? > 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Role, UserChange, is_name};
    use crate::config::Quotas;
    use crate::store::testing::store;

    #[test]
    fn a_user_has_the_quotas_of_the_server_until_they_are_changed() {
        let (_folder, store) = store();
        store.add_user("ada", Role::User, false).expect("a user");
        let default = Quotas::default();
        let user = store.user("ada").expect("an answer").expect("a user");
        assert_eq!(user.quotas(&default), default);
        let change = UserChange { running: Some(Some(9)), ..UserChange::default() };
        assert!(store.change_user("ada", &change).expect("a change"));
        let user = store.user("ada").expect("an answer").expect("a user");
        assert_eq!(user.quotas(&default).running, 9);
        let change = UserChange { running: Some(None), programs: Some(true), ..change };
        store.change_user("ada", &change).expect("a change");
        let user = store.user("ada").expect("an answer").expect("a user");
        assert!(user.programs);
        assert_eq!(user.quotas(&default), default);
        assert!(!store.change_user("bob", &change).expect("an answer"));
    }

    #[test]
    fn a_name_is_taken_once() {
        let (_folder, store) = store();
        store.add_user("ada", Role::Admin, true).expect("a user");
        let error = store.add_user("ada", Role::User, false).expect_err("the name is taken");
        assert_eq!(error.to_string(), "the user 'ada' exists already");
        assert!(store.remove_user("ada").expect("an answer"));
        assert!(!store.remove_user("ada").expect("an answer"));
    }

    #[test]
    fn paths_and_options_are_not_names() {
        assert!(is_name("ada.lovelace@lab-1"));
        for name in ["", ".", "../x", "-v", "a b", "a/b", "ä", "a\n"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
