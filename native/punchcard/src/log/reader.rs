//! The reader of a log, which another process may be writing.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
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

fn read_once(folder: &Path, offset: u64, limit: usize) -> io::Result<Chunk> {
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
        file.seek(SeekFrom::Start(chunk.next() - start))?;
        let room = (limit - chunk.bytes.len()) as u64;
        file.take(room).read_to_end(&mut chunk.bytes)?;
        if chunk.bytes.len() == limit {
            break;
        }
    }
    Ok(chunk)
}
