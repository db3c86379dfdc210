//! The sessions of the web page.

use rusqlite::params;

use super::{Identity, Result, Store};
use crate::auth::TokenHash;
use crate::clock::{self, Millis};
use crate::id;

impl Store {
    /// Starts a session of a token, by the token's id; returns the secret for the cookie, which is stored nowhere.
    /// Sessions after their expiry are removed.
    ///
    /// # Errors
    /// If there is no such token.
    pub fn new_session(&self, token: &str, expires_at: Millis) -> Result<String> {
        let secret = id::new_secret()?;
        let hash = TokenHash::of(&secret);
        self.write(|transaction| {
            transaction.execute("DELETE FROM sessions WHERE expires_at <= ?1", [clock::now()])?;
            transaction.execute(
                "INSERT INTO sessions (hash, prefix, token, expires_at) VALUES (?1, ?2, ?3, ?4)",
                params![hash.bytes(), hash.prefix(), token, expires_at],
            )?;
            Ok(())
        })?;
        Ok(secret)
    }

    /// Returns the identity of a session, none for one that is unknown, has ended or expired, or whose token has.
    ///
    /// # Errors
    /// If the database fails.
    pub fn session(&self, secret: &str) -> Result<Option<Identity>> {
        let hash = TokenHash::of(secret);
        let token = self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT hash, token FROM sessions WHERE prefix = ?1 AND expires_at > ?2",
            )?;
            let mut rows = statement.query(params![hash.prefix(), clock::now()])?;
            while let Some(row) = rows.next()? {
                let stored: Vec<u8> = row.get("hash")?;
                if hash.matches(&stored) {
                    return Ok(Some(row.get::<_, String>("token")?));
                }
            }
            Ok(None)
        })?;
        token.map_or(Ok(None), |token| self.identity_of(&token))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// If the database fails.
    pub fn end_session(&self, secret: &str) -> Result<()> {
        let hash = TokenHash::of(secret);
        self.write(|transaction| {
            transaction.execute("DELETE FROM sessions WHERE hash = ?1", params![hash.bytes()])?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::clock::{DAY, now};
    use crate::store::testing::store;
    use crate::store::{Role, Store};

    fn user_of(store: &Store, secret: &str) -> Option<String> {
        store.session(secret).expect("an answer").map(|identity| identity.user.name)
    }

    #[test]
    fn a_session_ends_when_its_user_signs_out() {
        let (_folder, store) = store();
        store.add_user("ada", Role::User, false).expect("a user");
        let token = store.new_token("ada", "", None).expect("a token");
        let first = store.new_session(&token.id, now() + DAY).expect("a session");
        let second = store.new_session(&token.id, now() + DAY).expect("a session");
        assert_eq!(user_of(&store, &first).as_deref(), Some("ada"));
        store.end_session(&first).expect("an answer");
        assert_eq!(user_of(&store, &first), None);
        assert_eq!(user_of(&store, &second).as_deref(), Some("ada"));
        assert_eq!(user_of(&store, "guess"), None);
    }

    #[test]
    fn a_session_ends_with_its_token_and_at_its_expiry() {
        let (_folder, store) = store();
        store.add_user("ada", Role::User, false).expect("a user");
        let token = store.new_token("ada", "", None).expect("a token");
        let past = store.new_session(&token.id, now() - 1).expect("a session");
        let session = store.new_session(&token.id, now() + DAY).expect("a session");
        assert_eq!(user_of(&store, &past), None);
        store.revoke_token("ada", &token.id).expect("an answer");
        assert_eq!(user_of(&store, &session), None);
        let expired = store.new_token("ada", "", Some(now() - 1)).expect("a token");
        let session = store.new_session(&expired.id, now() + DAY).expect("a session");
        assert_eq!(user_of(&store, &session), None);
        assert!(store.remove_user("ada").expect("an answer"));
    }
}
