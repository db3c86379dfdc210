//! The secrets file of dist-keras.

use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;

use crate::store::{Result, Role, Store, StoreError};

#[derive(Deserialize)]
struct Entry {
    secret: String,
    identity: String,
}

/// The shortest secret that is imported.
const SHORTEST: usize = 16;

/// Imports the users and secrets of a file such as `[{"secret": "...", "identity": "user1"}]`. What exists already is left
/// as it is. Returns the number of secrets that are new.
///
/// # Errors
/// If the file cannot be read, or an entry does not fit; the error names it.
pub fn import(store: &Store, file: &Path) -> Result<usize> {
    let bad = |problem: String| {
        StoreError::System(io::Error::other(format!("{}: {problem}", file.display())))
    };
    let text = fs::read_to_string(file).map_err(|error| bad(error.to_string()))?;
    let entries: Vec<Entry> = serde_json::from_str(&text).map_err(|error| {
        bad(format!(
            "must be a list of objects such as [{{\"secret\": \"...\", \"identity\": \"user1\"}}]: {error}"
        ))
    })?;
    let mut added = 0;
    for (index, entry) in entries.iter().enumerate() {
        if entry.secret.len() < SHORTEST {
            return Err(bad(format!(
                "the secret of entry {} ('{}') has {} characters; it needs {SHORTEST}, since whoever guesses it is \
                 that user",
                index + 1,
                entry.identity,
                entry.secret.len()
            )));
        }
        if store.user(&entry.identity)?.is_none() {
            store.add_user(&entry.identity, Role::User, false)?;
        }
        match store.add_token(&entry.identity, "dist-keras secret", &entry.secret, None) {
            Ok(_) => added += 1,
            Err(StoreError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(added)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::import;
    use crate::store::testing::store;

    #[test]
    fn the_secrets_of_a_user_are_tokens_after_the_import() {
        let (folder, store) = store();
        let file = folder.path().join("secrets.json");
        let text = r#"[{"secret": "secret_of_user_1", "identity": "user1"}, {"secret": "other_secret_of_user_1", "identity": "user1"}]"#;
        fs::write(&file, text).expect("a file");
        assert_eq!(import(&store, &file).expect("a number"), 2);
        assert_eq!(import(&store, &file).expect("a number"), 0);
        let identity =
            store.identify("other_secret_of_user_1").expect("an answer").expect("a user");
        assert_eq!(identity.user.name, "user1");
    }

    #[test]
    fn a_file_that_is_no_list_is_refused_with_the_form_that_it_needs() {
        let (folder, store) = store();
        let file = folder.path().join("secrets.json");
        for text in [r#"{"secret": "secret_of_user_1", "identity": "user1"}"#, "[{}]", "secret"] {
            fs::write(&file, text).expect("a file");
            let error = import(&store, &file).expect_err(text).to_string();
            assert!(
                error.contains("secrets.json: must be a list of objects such as [{\"secret"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_short_secret_is_refused_with_its_entry() {
        let (folder, store) = store();
        let file = folder.path().join("secrets.json");
        fs::write(&file, r#"[{"secret": "short", "identity": "user1"}]"#).expect("a file");
        let error = import(&store, &file).expect_err("a short secret").to_string();
        assert!(error.contains("entry 1 ('user1')"), "{error}");
    }
}
