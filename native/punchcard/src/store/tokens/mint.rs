//! Tokens that are made with other tokens.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{NewToken, has_user, insert};
use crate::clock::{self, Millis};
use crate::id;
use crate::store::{Result, Store};

/// The most tokens of a user that are valid when another one is made over HTTP.
const VALID: u32 = 100;
/// The most tokens of a user that have expired or were revoked and are still listed.
const ENDED: u32 = 100;

/// The answer to a request for a token.
#[derive(Debug)]
pub enum Minted {
    /// The token.
    New(NewToken),
    /// There is no such user.
    NoUser,
    /// The token that asks has expired or was revoked.
    NotValid,
    /// The user has as many tokens as are allowed, which is this many.
    TooMany(u32),
}

impl Store {
    /// Makes a token of a user for the one who has the token with the id `parent`. A token of the same user expires no
    /// later than that one and is revoked with it, so that a stolen token does not live on in others. The tokens that an
    /// administrator makes for other users are their own.
    ///
    /// # Errors
    /// If the database fails.
    pub fn mint_token(
        &self,
        parent: &str,
        user: &str,
        label: &str,
        expires_at: Option<Millis>,
    ) -> Result<Minted> {
        let token = id::new_token()?;
        let now = clock::now();
        self.write(|transaction| {
            if !has_user(transaction, user)? {
                return Ok(Minted::NoUser);
            }
            let found: Option<(String, Option<Millis>)> = transaction
                .query_row(
                    "SELECT user, expires_at FROM tokens \
                     WHERE id = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)",
                    params![parent, now],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            let Some((owner, latest)) = found else { return Ok(Minted::NotValid) };
            let own = owner == user;
            let expires_at = expires_at.into_iter().chain(latest.filter(|_| own)).min();
            let valid: u32 = transaction.query_row(
                "SELECT count(*) FROM tokens \
                 WHERE user = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)",
                params![user, now],
                |row| row.get(0),
            )?;
            if valid >= VALID {
                return Ok(Minted::TooMany(VALID));
            }
            forget_ended(transaction, user, now)?;
            let id = insert(transaction, user, label, &token, expires_at, own.then_some(parent))?;
            Ok(Minted::New(NewToken { id, token, expires_at }))
        })
    }
}

/// Removes the oldest tokens of a user that have expired or were revoked. Those that were made with them have, too.
fn forget_ended(transaction: &Transaction<'_>, user: &str, now: Millis) -> Result<()> {
    transaction.execute(
        "DELETE FROM tokens WHERE id IN ( \
           SELECT id FROM tokens WHERE user = ?1 AND (revoked_at IS NOT NULL OR expires_at <= ?2) \
           ORDER BY id DESC LIMIT -1 OFFSET ?3)",
        params![user, now, ENDED],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{ENDED, Minted, VALID};
    use crate::clock::{DAY, now};
    use crate::store::testing::store;
    use crate::store::{NewToken, Role, Store};

    fn mint(store: &Store, parent: &str, user: &str, days: Option<i64>) -> NewToken {
        match store.mint_token(parent, user, "", days.map(|days| now() + days * DAY)) {
            Ok(Minted::New(token)) => token,
            other => panic!("{other:?}"),
        }
    }

    fn is_valid(store: &Store, token: &NewToken) -> bool {
        store.identify(&token.token).expect("an answer").is_some()
    }

    #[test]
    fn a_token_expires_no_later_than_the_one_that_made_it() {
        let (_folder, store) = store();
        store.add_user("ada", Role::User, false).expect("a user");
        let latest = Some(now() + 2 * DAY);
        let first = store.new_token("ada", "", latest).expect("a token");
        for days in [None, Some(3)] {
            let made = mint(&store, &first.id, "ada", days);
            assert_eq!(made.expires_at, latest);
            assert_eq!(mint(&store, &made.id, "ada", None).expires_at, latest);
        }
        let shorter = mint(&store, &first.id, "ada", Some(1));
        assert!(shorter.expires_at.expect("a time") < now() + 2 * DAY - 1000);
        let endless = store.new_token("ada", "", None).expect("a token");
        assert_eq!(mint(&store, &endless.id, "ada", None).expires_at, None);
    }

    #[test]
    fn a_token_is_revoked_with_the_one_that_made_it() {
        let (_folder, store) = store();
        for (name, role) in [("root", Role::Admin), ("ada", Role::User)] {
            store.add_user(name, role, false).expect("a user");
        }
        let first = store.new_token("root", "", Some(now() + DAY)).expect("a token");
        let other = store.new_token("root", "", None).expect("a token");
        let made = mint(&store, &first.id, "root", None);
        let last = mint(&store, &made.id, "root", None);
        let beside = mint(&store, &first.id, "ada", None);
        assert_eq!(beside.expires_at, None, "it is of another user");
        assert!(store.revoke_token("root", &first.id).expect("an answer"));
        for token in [&first, &made, &last] {
            assert!(!is_valid(&store, token));
        }
        assert!(is_valid(&store, &other) && is_valid(&store, &beside));
        let late = store.mint_token(&first.id, "ada", "", None).expect("an answer");
        assert!(matches!(late, Minted::NotValid), "{late:?}");
        let nobody = store.mint_token(&other.id, "eve", "", None).expect("an answer");
        assert!(matches!(nobody, Minted::NoUser), "{nobody:?}");
    }

    #[test]
    fn the_tokens_of_a_user_are_bounded() {
        let (_folder, store) = store();
        for name in ["ada", "bob"] {
            store.add_user(name, Role::User, false).expect("a user");
        }
        let first = store.new_token("ada", "", None).expect("a token");
        let made: Vec<_> = (1..VALID).map(|_| mint(&store, &first.id, "ada", None)).collect();
        let full = store.mint_token(&first.id, "ada", "", None).expect("an answer");
        assert!(matches!(full, Minted::TooMany(VALID)), "{full:?}");
        mint(&store, &first.id, "bob", None);
        for token in &made {
            store.revoke_token("ada", &token.id).expect("an answer");
        }
        for _ in 0..10 {
            let token = mint(&store, &first.id, "ada", None);
            store.revoke_token("ada", &token.id).expect("an answer");
        }
        let rows = store.tokens(Some("ada")).expect("tokens").len();
        assert!(rows <= 2 + ENDED as usize, "{rows}");
        assert!(is_valid(&store, &first));
    }
}
