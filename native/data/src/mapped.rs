//! Files mapped into memory. With `import`, the only unsafe code of the crate.
#![expect(unsafe_code, reason = "maps files into memory")]

use std::io::{self, Write};
use std::path::Path;

use memmap2::Mmap;

/// Writes `bytes` to a temporary file in `directory` and maps it for reading. The file has no name (or lost it before
/// anything was written), so nothing is left behind even by a crash; its space is freed with the map.
///
/// The bytes are written, not stored through a map, so a full disk is an error and not a SIGBUS.
pub(crate) fn spill(directory: &Path, bytes: &[u8]) -> io::Result<Mmap> {
    let mut file = tempfile::tempfile_in(directory)?;
    file.write_all(bytes)?;
    // SAFETY: the file has no name, and the only handle to it is closed below: nobody can change or shorten it.
    unsafe { Mmap::map(&file) }
}

#[cfg(test)]
mod tests {
    use super::spill;

    #[test]
    fn a_spilled_file_has_no_name_from_the_start_and_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        let map = spill(directory.path(), &[1, 2, 3]).unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        assert_eq!(&map[..], [1, 2, 3]);
    }

    #[test]
    fn a_directory_that_does_not_exist_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        assert!(spill(&directory.path().join("gone"), &[1]).is_err());
    }
}
