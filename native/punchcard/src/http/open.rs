//! The streams and uploads that users have open at a time.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Problem;

/// The streams and uploads that are open, by user.
#[derive(Debug, Default)]
pub struct Open {
    users: Mutex<HashMap<String, Count>>,
}

#[derive(Debug, Default)]
struct Count {
    streams: u32,
    uploads: u32,
    upload_bytes: u64,
}

/// A stream or an upload, which counts until it is dropped.
#[derive(Debug)]
pub struct Permit {
    open: Arc<Open>,
    user: String,
    /// The declared bytes of an upload; none for a stream.
    upload_bytes: Option<u64>,
}

impl Open {
    /// Counts a stream of a user, of which `most` may be open.
    ///
    /// # Errors
    /// If the user has as many.
    pub fn stream(self: &Arc<Self>, user: &str, most: u32) -> Result<Permit, Problem> {
        let mut users = self.users.lock();
        let streams = &mut users.entry(user.to_owned()).or_default().streams;
        if *streams >= most {
            return Err(Problem::quota(format!(
                "you have {most} streams open, the most that the server allows; close some"
            )));
        }
        *streams += 1;
        drop(users);
        Ok(Permit { open: Arc::clone(self), user: user.to_owned(), upload_bytes: None })
    }

    /// Counts an upload of a user, of which `most` may arrive at a time; returns it with the declared bytes of all of
    /// them.
    ///
    /// # Errors
    /// If as many arrive.
    pub fn upload(
        self: &Arc<Self>,
        user: &str,
        bytes: u64,
        most: u32,
    ) -> Result<(Permit, u64), Problem> {
        let mut users = self.users.lock();
        let count = users.entry(user.to_owned()).or_default();
        if count.uploads >= most {
            return Err(Problem::quota(format!(
                "{most} uploads of yours arrive at present, the most that the server allows; wait for one to end"
            )));
        }
        count.uploads += 1;
        count.upload_bytes = count.upload_bytes.saturating_add(bytes);
        let arriving = count.upload_bytes;
        drop(users);
        let (open, user) = (Arc::clone(self), user.to_owned());
        Ok((Permit { open, user, upload_bytes: Some(bytes) }, arriving))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut users = self.open.users.lock();
        let Some(count) = users.get_mut(&self.user) else { return };
        match self.upload_bytes {
            Some(bytes) => {
                count.uploads = count.uploads.saturating_sub(1);
                count.upload_bytes = count.upload_bytes.saturating_sub(bytes);
            }
            None => count.streams = count.streams.saturating_sub(1),
        }
        if count.streams == 0 && count.uploads == 0 {
            users.remove(&self.user);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Open;

    #[test]
    fn each_user_has_a_number_of_streams_and_uploads() {
        let open = Arc::new(Open::default());
        let first = open.stream("ada", 2).expect("a stream");
        let _second = open.stream("ada", 2).expect("a stream");
        assert_eq!(open.stream("ada", 2).expect_err("a third").status, 429);
        open.stream("bob", 2).expect("a stream of another user");
        drop(first);
        open.stream("ada", 2).expect("a stream instead of the first");
        let (_upload, arriving) = open.upload("ada", 10, 2).expect("an upload");
        assert_eq!(arriving, 10);
        let (other, arriving) = open.upload("ada", 5, 2).expect("an upload");
        assert_eq!(arriving, 15);
        assert_eq!(open.upload("ada", 1, 2).expect_err("a third").status, 429);
        drop(other);
        assert_eq!(open.upload("ada", 1, 2).expect("an upload").1, 11);
    }

    #[test]
    fn users_who_have_nothing_open_are_forgotten() {
        let open = Arc::new(Open::default());
        drop((open.stream("ada", 1), open.upload("ada", 10, 1)));
        assert!(open.users.lock().is_empty());
    }
}
