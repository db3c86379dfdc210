//! The log of an attempt: what its process printed, in files of a bounded total size.
//!
//! A log is a folder of segments. The name of a segment is the offset of its first byte among all bytes that were ever
//! written, so that a reader's offset stays valid when the oldest segment is dropped.

mod reader;
mod text;
mod writer;

pub use reader::{Chunk, extent, read};
pub use text::whole_characters;
pub use writer::LogWriter;

/// The segments that a full log consists of.
const SEGMENTS: u64 = 4;

/// Returns the name of the segment that starts at an offset.
fn segment_name(offset: u64) -> String {
    format!("{offset:020}")
}

/// Returns the offset of a segment with this name.
fn segment_offset(name: &str) -> Option<u64> {
    if name.len() == 20 { name.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{LogWriter, extent, read};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_log_keeps_its_newest_bytes_within_its_limit(
            limit in 4_u64..200,
            writes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..90), 0..40),
            chunk in 1_usize..64,
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let mut writer = LogWriter::create(folder.path(), limit).expect("a log");
            let mut all = Vec::new();
            for bytes in &writes {
                writer.write(bytes).expect("a write");
                all.extend_from_slice(bytes);
                let kept: u64 = std::fs::read_dir(folder.path())
                    .expect("a folder")
                    .map(|entry| entry.expect("an entry").metadata().expect("a size").len())
                    .sum();
                prop_assert!(kept <= limit, "{kept} bytes");
            }
            let first = read(folder.path(), 0, chunk).expect("a chunk");
            let start = usize::try_from(first.offset).expect("an offset");
            prop_assert!(all.len() as u64 <= limit / 4 * 3 || all.len() - start >= usize::try_from(limit / 4 * 3).expect("a size"));
            let (mut offset, mut got) = (0, Vec::new());
            loop {
                let part = read(folder.path(), offset, chunk).expect("a chunk");
                if part.bytes.is_empty() {
                    break;
                }
                prop_assert!(part.bytes.len() <= chunk);
                got.extend_from_slice(&part.bytes);
                offset = part.next();
            }
            prop_assert_eq!(&got[..], &all[start..]);
            prop_assert_eq!(extent(folder.path()).expect("an extent"), first.offset..all.len() as u64);
        }
    }

    #[test]
    fn a_part_after_the_end_is_empty() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut writer = LogWriter::create(folder.path(), 100).expect("a log");
        writer.write(b"text").expect("a write");
        for offset in [4, 5, u64::MAX] {
            let chunk = read(folder.path(), offset, 10).expect("a chunk");
            assert_eq!((chunk.offset, chunk.bytes.len()), (offset, 0));
        }
    }

    #[test]
    fn bytes_that_a_crash_has_lost_are_skipped() {
        let folder = tempfile::tempdir().expect("a folder");
        let segment = |offset, bytes: &[u8]| {
            std::fs::write(folder.path().join(super::segment_name(offset)), bytes).expect("a file");
        };
        // The last five bytes of the first segment were not written to the disk before the power failed.
        segment(0, b"01234");
        segment(10, b"abc");
        let chunk = read(folder.path(), 0, 100).expect("a chunk");
        assert_eq!((chunk.offset, &chunk.bytes[..], chunk.next()), (0, &b"01234"[..], 5));
        for offset in 5..=10 {
            let chunk = read(folder.path(), offset, 100).expect("a chunk");
            assert_eq!((chunk.offset, &chunk.bytes[..]), (10, &b"abc"[..]), "{offset}");
        }
        assert_eq!(read(folder.path(), 11, 100).expect("a chunk").bytes, b"bc");
        let end = read(folder.path(), 13, 100).expect("a chunk");
        assert_eq!((end.offset, end.bytes.len()), (13, 0));
    }

    #[test]
    fn a_log_that_does_not_exist_is_empty() {
        let folder = tempfile::tempdir().expect("a folder");
        let chunk = read(&folder.path().join("log"), 7, 10).expect("a chunk");
        assert_eq!((chunk.offset, chunk.bytes.len()), (7, 0));
        assert_eq!(extent(&folder.path().join("log")).expect("an extent"), 0..0);
    }
}
