//! The reader of a log, which another process may be writing.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;

use super::{segment_name, segment_offset};

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
        self.offset + self.bytes.len() as u64
    }
}

/// Reads at most `limit` bytes from an offset, or from the oldest byte if the one at the offset was dropped.
///
/// # Errors
/// If a file cannot be read.
pub fn read(folder: &Path, offset: u64, limit: usize) -> io::Result<Chunk> {
    loop {
        match read_once(folder, offset, limit) {
            // The writer dropped the segment between the listing and the opening.
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder.is_dir() => {}
            result => return result,
        }
    }
}

/// Returns the offset of the oldest byte and the one after the newest.
///
/// # Errors
/// If a file cannot be read.
pub fn extent(folder: &Path) -> io::Result<Range<u64>> {
    loop {
        let starts = segments(folder)?;
        let (Some(first), Some(last)) = (starts.first(), starts.last()) else {
            return Ok(0..0);
        };
        match fs::metadata(folder.join(segment_name(*last))) {
            Ok(metadata) => return Ok(*first..last + metadata.len()),
            // The writer dropped all segments of the listing.
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder.is_dir() => {}
            Err(error) => return Err(error),
        }
    }
}

/// Returns the offsets of the segments, the oldest first.
fn segments(folder: &Path) -> io::Result<Vec<u64>> {
    let mut starts = Vec::new();
    match fs::read_dir(folder) {
        Ok(entries) => {
            for entry in entries {
                starts.extend(entry?.file_name().to_str().and_then(segment_offset));
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
        let mut file = File::open(folder.join(segment_name(*start)))?;
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
