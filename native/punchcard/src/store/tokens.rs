//! Tokens.

mod mint;

use rusqlite::{OptionalExtension as _, Transaction, params};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Result, Role, Store, StoreError, User};
use crate::auth::TokenHash;
use crate::clock::{self, Millis};
use crate::id;

pub use mint::Minted;

/// The longest life of a token in days.
pub const LONGEST_DAYS: u32 = 3650;

/// A token that was just made, with its text, which is stored nowhere.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewToken {
    /// The id.
    pub id: String,
    /// The token. It is shown only here.
    pub token: String,
    /// The time after which it is refused; none if absent.
    #[serde(serialize_with = "crate::json::maybe_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Millis>,
}

/// A token as it is listed.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenRow {
    /// The id.
    pub id: String,
    /// The user.
    pub user: String,
    /// A text for people.
    pub label: String,
    /// The time of creation.
    #[serde(serialize_with = "crate::json::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Millis,
    /// The time after which it is refused; none if absent.
    #[serde(serialize_with = "crate::json::maybe_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Millis>,
    /// The id of the token that made it over HTTP, with which it is revoked; none for one of the command line.
    pub parent: Option<String>,
    /// The time at which it was revoked.
    #[serde(serialize_with = "crate::json::maybe_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Millis>,
}

/// The user and token of a request.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The user.
    pub user: User,
    /// The id of the token.
    pub token: String,
}

impl Identity {
    /// Returns true if the user may handle what belongs to `owner`.
    #[must_use]
    pub fn may_handle(&self, owner: &str) -> bool {
        self.user.role == Role::Admin || self.user.name == owner
    }
}

fn has_user(transaction: &Transaction<'_>, name: &str) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM users WHERE name = ?1)";
    Ok(transaction.query_row(sql, [name], |row| row.get(0))?)
}

/// Adds the row of a token; returns its id.
fn insert(
    transaction: &Transaction<'_>,
    user: &str,
    label: &str,
    token: &str,
    expires_at: Option<Millis>,
    parent: Option<&str>,
) -> Result<String> {
    let hash = TokenHash::of(token);
    let id = id::new_id()?;
    let added = transaction.execute(
        "INSERT INTO tokens (id, user, label, hash, prefix, created_at, expires_at, parent) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
        params![id, user, label, hash.bytes(), hash.prefix(), clock::now(), expires_at, parent],
    )?;
    if added == 0 {
        return Err(StoreError::refused("the token exists already"));
    }
    Ok(id)
}

impl Store {
    /// Makes a token of a user that depends on no other token.
    ///
    /// # Errors
    /// If there is no such user.
    pub fn new_token(
        &self,
        user: &str,
        label: &str,
        expires_at: Option<Millis>,
    ) -> Result<NewToken> {
        let token = id::new_token()?;
        let id = self.add_token(user, label, &token, expires_at)?;
        Ok(NewToken { id, token, expires_at })
    }

    /// Adds a token that exists elsewhere, such as a secret of dist-keras; returns its id.
    ///
    /// # Errors
    /// If there is no such user, or the token exists already.
    pub fn add_token(
        &self,
        user: &str,
        label: &str,
        token: &str,
        expires_at: Option<Millis>,
    ) -> Result<String> {
        self.write(|transaction| {
            if !has_user(transaction, user)? {
                return Err(StoreError::refused(format!("there is no user '{user}'")));
            }
            insert(transaction, user, label, token, expires_at, None)
        })
    }

    /// Returns the user of a token, none for one that is unknown, expired or revoked.
    ///
    /// # Errors
    /// If the database fails.
    pub fn identify(&self, token: &str) -> Result<Option<Identity>> {
        let hash = TokenHash::of(token);
        let found = self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, user, hash FROM tokens \
                 WHERE prefix = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)",
            )?;
            let mut rows = statement.query(params![hash.prefix(), clock::now()])?;
            while let Some(row) = rows.next()? {
                let stored: Vec<u8> = row.get("hash")?;
                if hash.matches(&stored) {
                    let found: (String, String) = (row.get("id")?, row.get("user")?);
                    return Ok(Some(found));
                }
            }
            Ok(None)
        })?;
        let Some((token, name)) = found else { return Ok(None) };
        Ok(self.user(&name)?.map(|user| Identity { user, token }))
    }

    /// Returns the identity of a token by its id, none for one that is expired or revoked.
    ///
    /// # Errors
    /// If the database fails.
    pub fn identity_of(&self, id: &str) -> Result<Option<Identity>> {
        let user = self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT user FROM tokens \
                 WHERE id = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)",
            )?;
            let user: Option<String> =
                statement.query_row(params![id, clock::now()], |row| row.get(0)).optional()?;
            Ok(user)
        })?;
        let Some(name) = user else { return Ok(None) };
        Ok(self.user(&name)?.map(|user| Identity { user, token: id.to_owned() }))
    }

    /// Returns the tokens of a user, or all of them, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub fn tokens(&self, user: Option<&str>) -> Result<Vec<TokenRow>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT * FROM tokens WHERE ?1 IS NULL OR user = ?1 ORDER BY id DESC",
            )?;
            let tokens = statement
                .query_map([user], |row| {
                    Ok(TokenRow {
                        id: row.get("id")?,
                        user: row.get("user")?,
                        label: row.get("label")?,
                        created_at: row.get("created_at")?,
                        expires_at: row.get("expires_at")?,
                        parent: row.get("parent")?,
                        revoked_at: row.get("revoked_at")?,
                    })
                })?
                .collect::<rusqlite::Result<_>>()?;
            Ok(tokens)
        })
    }

    /// Revokes a token of a user, and those that were made with it; returns false if there is none of this id.
    ///
    /// # Errors
    /// If the database fails.
    pub fn revoke_token(&self, user: &str, id: &str) -> Result<bool> {
        self.write(|transaction| {
            let changed = transaction.execute(
                "WITH RECURSIVE made (id) AS ( \
                   SELECT id FROM tokens WHERE user = ?1 AND id = ?2 \
                   UNION SELECT tokens.id FROM tokens JOIN made ON tokens.parent = made.id) \
                 UPDATE tokens SET revoked_at = coalesce(revoked_at, ?3) WHERE id IN (SELECT id FROM made)",
                params![user, id, clock::now()],
            )?;
            Ok(changed > 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::clock;
    use crate::store::testing::store;
    use crate::store::{Role, Store};

    fn user_of(store: &Store, token: &str) -> Option<String> {
        store.identify(token).expect("an answer").map(|identity| identity.user.name)
    }

    #[test]
    fn a_token_identifies_its_user_until_it_is_revoked() {
        let (_folder, store) = store();
        store.add_user("ada", Role::User, false).expect("a user");
        let first = store.new_token("ada", "", None).expect("a token");
        let second = store.new_token("ada", "", None).expect("a token");
        assert_eq!(user_of(&store, &first.token).as_deref(), Some("ada"));
        assert!(store.revoke_token("ada", &first.id).expect("an answer"));
        assert_eq!(user_of(&store, &first.token), None);
        assert_eq!(user_of(&store, &second.token).as_deref(), Some("ada"));
        assert!(!store.revoke_token("bob", &second.id).expect("an answer"));
        assert_eq!(user_of(&store, "fsp_guess"), None);
    }

    #[test]
    fn a_token_is_refused_after_its_expiry() {
        let (_folder, store) = store();
        store.add_user("ada", Role::User, false).expect("a user");
        let past = store.new_token("ada", "", Some(clock::now() - 1)).expect("a token");
        let future = store.new_token("ada", "", Some(clock::now() + clock::DAY)).expect("a token");
        assert_eq!(user_of(&store, &past.token), None);
        assert_eq!(user_of(&store, &future.token).as_deref(), Some("ada"));
    }

    #[test]
    fn the_database_does_not_contain_the_text_of_a_token() {
        let (folder, store) = store();
        store.add_user("ada", Role::User, false).expect("a user");
        let token = store.new_token("ada", "", None).expect("a token").token;
        for entry in std::fs::read_dir(folder.path()).expect("a folder") {
            let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
            assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()));
        }
    }

    #[test]
    fn a_secret_is_added_once_and_for_known_users_only() {
        let (_folder, store) = store();
        let error = store.add_token("ada", "", "secret_of_user_1", None).expect_err("no user");
        assert_eq!(error.to_string(), "there is no user 'ada'");
        store.add_user("ada", Role::User, false).expect("a user");
        store.add_token("ada", "", "secret_of_user_1", None).expect("a token");
        assert_eq!(user_of(&store, "secret_of_user_1").as_deref(), Some("ada"));
        store.add_token("ada", "", "secret_of_user_1", None).expect_err("the token exists");
    }
}
