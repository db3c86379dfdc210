//! The writer of a log.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use super::{SEGMENTS, segment_name};
use crate::files::create_anew;

/// The writer of a log.
#[derive(Debug)]
pub struct LogWriter {
    folder: PathBuf,
    segment_bytes: u64,
    /// The offsets of the segments, the oldest first.
    segments: VecDeque<u64>,
    /// The bytes of the newest segment.
    filled: u64,
    file: File,
}

impl LogWriter {
    /// Creates a log of at most `limit` bytes, at least 4, in a folder.
    ///
    /// # Errors
    /// If a file cannot be created.
    pub fn create(folder: &Path, limit: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            segment_bytes: (limit / SEGMENTS).max(1),
            segments: VecDeque::from([0]),
            filled: 0,
            file: create_anew(&folder.join(segment_name(0)))?,
        })
    }

    /// Appends bytes, and drops the oldest segment when the log is full.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.filled == self.segment_bytes {
                self.next_segment()?;
            }
            let room = usize::try_from(self.segment_bytes - self.filled).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            let result = self.file.write_all(now);
            // After an error some of the bytes may be there.
            self.filled = self.file.stream_position()?;
            result?;
            bytes = later;
        }
        Ok(())
    }

    fn next_segment(&mut self) -> io::Result<()> {
        if self.segments.len() as u64 == SEGMENTS
            && let Some(oldest) = self.segments.pop_front()
        {
            fs::remove_file(self.folder.join(segment_name(oldest)))?;
        }
        let offset = self.segments.back().copied().unwrap_or(0) + self.filled;
        self.file = create_anew(&self.folder.join(segment_name(offset)))?;
        self.segments.push_back(offset);
        self.filled = 0;
        Ok(())
    }
}
