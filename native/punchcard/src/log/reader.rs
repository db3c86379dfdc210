//! The reader of a log, which another process may be writing.

use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;

use super::{segment_name, segment_offset};
use crate::files;

/// The most listings for one answer: each but the last names a segment that was dropped before it was opened.
const LISTINGS: u32 = 64;

/// Consecutive bytes of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The offset of the first byte.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Chunk {
    /// Returns the offset after the last byte.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.offset.saturating_add(self.bytes.len() as u64)
    }
}

/// Reads at most `limit` bytes from an offset, or from the oldest byte if the one at the offset was dropped.
///
/// # Errors
/// If a file cannot be read.
pub fn read(folder: &Path, offset: u64, limit: usize) -> io::Result<Chunk> {
    retrying(folder, || read_once(folder, offset, limit))
}

/// Returns the offset of the oldest byte and the one after the newest.
///
/// # Errors
/// If a file cannot be read.
pub fn extent(folder: &Path) -> io::Result<Range<u64>> {
    retrying(folder, || {
        let starts = segments(folder)?;
        let (Some(first), Some(last)) = (starts.first(), starts.last()) else {
            return Ok(0..0);
        };
        let length = files::open_regular(&folder.join(segment_name(*last)))?.metadata()?.len();
        Ok(*first..last.saturating_add(length))
    })
}

/// Looks at a log again if its writer drops a segment between the listing and the opening.
pub(super) fn retrying<T>(folder: &Path, mut look: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..LISTINGS {
        match look() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder.is_dir() => {}
            result => return result,
        }
    }
    look()
}

/// Returns the offsets of the segments, the oldest first. A program of the job may have put anything else beside them.
fn segments(folder: &Path) -> io::Result<Vec<u64>> {
    let mut starts = Vec::new();
    match fs::read_dir(folder) {
        Ok(entries) => {
            for entry in entries {
                let entry = entry?;
                if entry.file_type()?.is_file() {
                    starts.extend(entry.file_name().to_str().and_then(segment_offset));
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    starts.sort_unstable();
    Ok(starts)
}

fn read_once(folder: &Path, offset: u64, limit: usize) -> io::Result<Chunk> {
    let starts = segments(folder)?;
    let Some(oldest) = starts.first() else {
        return Ok(Chunk { offset, bytes: Vec::new() });
    };
    let mut chunk = Chunk { offset: offset.max(*oldest), bytes: Vec::new() };
    let first = starts.partition_point(|start| *start <= chunk.offset) - 1;
    for start in &starts[first..] {
        if *start > chunk.next() {
            // The end of an older segment was lost with the machine's last writes, or never written.
            if !chunk.bytes.is_empty() {
                break;
            }
            chunk.offset = *start;
        }
        let mut file = files::open_regular(&folder.join(segment_name(*start)))?;
        let from = chunk.next() - start;
        if from > file.metadata()?.len() {
            // The bytes at the offset were lost; those of a later segment follow.
            continue;
        }
        file.seek(SeekFrom::Start(from))?;
        let room = (limit - chunk.bytes.len()) as u64;
        file.take(room).read_to_end(&mut chunk.bytes)?;
        if chunk.bytes.len() == limit {
            break;
        }
    }
    Ok(chunk)
}
