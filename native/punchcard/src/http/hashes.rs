//! The SHA-256 of files, computed once for each version of a file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::problem::Problem;
use crate::id::hex;

/// The largest number of hashes that are kept.
const KEPT: usize = 4096;
/// The most threads that may read files at a time. A large file takes minutes, and the threads of
/// [`BLOCKING_THREADS`](crate::server::BLOCKING_THREADS) beyond these serve all other requests meanwhile.
const READERS: usize = 16;
/// The bytes that are read at a time.
const CHUNK: usize = 256 * 1024;

/// The version of a file. A program can set the time of the last change to the bytes, but not that of the last change to
/// the inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Version {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Version {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// The hashes of files that were read before, or are being read.
#[derive(Debug)]
pub struct Hashes {
    known: Mutex<HashMap<Version, Entry>>,
    readers: Arc<Semaphore>,
}

impl Default for Hashes {
    fn default() -> Self {
        Self { known: Mutex::default(), readers: Arc::new(Semaphore::new(READERS)) }
    }
}

/// A hash once it is known. Its lock is held while the file is read.
type Entry = Arc<Mutex<Option<String>>>;

impl Hashes {
    /// Calls `read` on a thread for blocking calls, once fewer than [`READERS`] such calls run.
    ///
    /// # Errors
    /// If `read` fails or panics.
    pub async fn reading<T, R>(self: &Arc<Self>, read: R) -> Result<T, Problem>
    where
        T: Send + 'static,
        R: FnOnce(&Self) -> io::Result<T> + Send + 'static,
    {
        let readers = Arc::clone(&self.readers);
        let turn = readers.acquire_owned().await.map_err(|error| Problem::internal(&error))?;
        let hashes = Arc::clone(self);
        let reading = spawn_blocking(move || {
            // The thread goes on when a client hangs up and its request is dropped: the turn is the thread's.
            let _turn = turn;
            read(&hashes)
        });
        Ok(reading.await.map_err(|error| Problem::internal(&error))??)
    }

    /// Returns the SHA-256 of an open file in hexadecimal digits. It reads the file, unless it has read this version.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn sha256(&self, file: &mut File) -> io::Result<String> {
        let version = Version::of(file)?;
        let entry = self.entry(version);
        // Requests for a file that is being read wait for its hash: a client that loses patience asks again.
        let mut known = entry.lock();
        if let Some(hash) = &*known {
            return Ok(hash.clone());
        }
        let mut hash = Sha256::new();
        let mut bytes = vec![0; CHUNK];
        loop {
            let count = file.read(&mut bytes)?;
            if count == 0 {
                break;
            }
            hash.update(&bytes[..count]);
        }
        let text = hex(&hash.finalize());
        // The driver may have written meanwhile.
        if Version::of(file)? == version {
            *known = Some(text.clone());
        }
        Ok(text)
    }

    fn entry(&self, version: Version) -> Entry {
        let mut known = self.known.lock();
        if known.len() >= KEPT && !known.contains_key(&version) {
            known.clear();
        }
        Arc::clone(known.entry(version).or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use std::sync::{Arc, mpsc};

    use super::{Hashes, READERS, Version};

    #[test]
    fn a_file_is_read_once_for_each_of_its_versions() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.bin");
        fs::write(&path, "abc").expect("a file");
        let hashes = Hashes::default();
        let open = || File::open(&path).expect("a file");
        let first = hashes.sha256(&mut open()).expect("a hash");
        assert!(first.starts_with("ba7816bf"), "{first}");
        // A file that is open for writing cannot be read.
        let unreadable = || File::options().append(true).open(&path).expect("a file");
        assert_eq!(hashes.sha256(&mut unreadable()).expect("a known hash"), first);
        fs::write(&path, "abcd").expect("a file");
        hashes.sha256(&mut unreadable()).expect_err("another version");
        assert!(hashes.sha256(&mut open()).expect("a hash").starts_with("88d4266f"));
    }

    #[test]
    fn a_file_that_is_being_read_is_not_read_by_others_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.bin");
        fs::write(&path, "abc").expect("a file");
        let hashes = Hashes::default();
        let version = Version::of(&File::open(&path).expect("a file")).expect("a version");
        let entry = hashes.entry(version);
        let mut reading = entry.lock();
        std::thread::scope(|scope| {
            // It could not read the file.
            let other = || {
                let mut file = File::options().append(true).open(&path).expect("a file");
                hashes.sha256(&mut file).expect("the hash of the first")
            };
            let waiting = scope.spawn(other);
            *reading = Some("first".to_owned());
            drop(reading);
            assert_eq!(waiting.join().expect("a hash"), "first");
        });
    }

    #[tokio::test]
    async fn a_thread_that_reads_for_a_client_that_hung_up_counts_until_it_ends() {
        let hashes = Arc::new(Hashes::default());
        let (started, starts) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        let ends = Arc::new(parking_lot::Mutex::new(ends));
        for _ in 0..READERS {
            let (hashes, started, ends) = (Arc::clone(&hashes), started.clone(), Arc::clone(&ends));
            let request = tokio::spawn(async move {
                let read = move |_: &Hashes| {
                    started.send(()).expect("the test waits");
                    ends.lock().recv().map_err(std::io::Error::other)
                };
                hashes.reading(read).await.is_ok()
            });
            while starts.try_recv().is_err() {
                tokio::task::yield_now().await;
            }
            request.abort();
            assert!(request.await.expect_err("the client hung up").is_cancelled());
        }
        assert_eq!(hashes.readers.available_permits(), 0);
        let mut next = Box::pin(hashes.reading(|_| Ok(())));
        let waits = futures_util::future::select(&mut next, std::future::ready(())).await;
        assert!(matches!(waits, futures_util::future::Either::Right(_)), "no thread is free");
        end.send(()).expect("a thread reads");
        next.await.expect("a turn");
        drop(end);
        let all = u32::try_from(READERS).expect("a few");
        drop(hashes.readers.acquire_many(all).await.expect("all threads end"));
    }
}
