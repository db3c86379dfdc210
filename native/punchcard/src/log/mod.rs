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
    // Such as `+` and 19 digits, which would be another segment's.
    let digits = name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit());
    if digits { name.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;

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
    fn only_regular_files_with_names_of_segments_belong_to_a_log() {
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("secret"), "secret").expect("a file");
        symlink("nothing", path(&super::segment_name(3))).expect("a link");
        symlink(path("secret"), path(&super::segment_name(4))).expect("a link");
        let made = Command::new("mkfifo").arg(path(&super::segment_name(5))).status();
        assert!(made.expect("a process").success());
        std::fs::create_dir(path(&super::segment_name(6))).expect("a folder");
        std::fs::write(path("+0000000000000000007"), "no").expect("a file");
        let (answer, answered) = mpsc::channel();
        let log = folder.path().to_owned();
        std::thread::spawn(move || {
            let chunk = read(&log, 0, 100).map(|chunk| (chunk.offset, chunk.bytes));
            answer.send((chunk.ok(), extent(&log).ok()))
        });
        let answer = answered.recv_timeout(Duration::from_secs(20)).expect("an answer");
        assert_eq!(answer, (Some((0, Vec::new())), Some(0..0)));

        std::fs::write(path(&super::segment_name(0)), "text").expect("a file");
        std::fs::write(path(&super::segment_name(u64::MAX)), "end").expect("a file");
        assert_eq!(read(folder.path(), 0, 100).expect("a chunk").bytes, b"text");
        assert_eq!(read(folder.path(), 9, 100).expect("a chunk").next(), u64::MAX);
        assert_eq!(extent(folder.path()).expect("an extent"), 0..u64::MAX);
    }

    #[test]
    fn a_segment_that_cannot_be_found_is_not_searched_for_ever() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut searches = 0;
        let result = super::reader::retrying(folder.path(), || {
            searches += 1;
            std::fs::read(folder.path().join("none"))
        });
        assert_eq!(result.expect_err("no file").kind(), std::io::ErrorKind::NotFound);
        assert!((2..1000).contains(&searches), "{searches}");
    }

    #[test]
    fn a_log_is_written_to_files_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let other = folder.path().join("other");
        std::fs::write(&other, "kept").expect("a file");
        let log = folder.path().join("log");
        std::fs::create_dir(&log).expect("a folder");
        for offset in [0, 2] {
            std::os::unix::fs::symlink(&other, log.join(super::segment_name(offset)))
                .expect("a link");
        }
        LogWriter::create(&log, 8).and_then(|mut log| log.write(b"text")).expect("a write");
        assert_eq!(read(&log, 0, 100).expect("a chunk").bytes, b"text");
        assert_eq!(std::fs::read(&other).expect("a file"), b"kept");
    }

    #[test]
    fn a_log_that_does_not_exist_is_empty() {
        let folder = tempfile::tempdir().expect("a folder");
        let chunk = read(&folder.path().join("log"), 7, 10).expect("a chunk");
        assert_eq!((chunk.offset, chunk.bytes.len()), (7, 0));
        assert_eq!(extent(&folder.path().join("log")).expect("an extent"), 0..0);
    }
}
