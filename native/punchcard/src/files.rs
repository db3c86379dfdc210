//! Files that are whole or absent after a crash.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

/// Writes a file so that it has all its bytes or does not exist, also after a power failure.
///
/// # Errors
/// If a system call fails.
pub fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("partial");
    let mut file = create_anew(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    publish(&temporary, path)
}

/// Creates a file. One that a crash or a program has left under the name, such as a link or a pipe, is removed and not
/// opened.
///
/// # Errors
/// If a system call fails.
pub fn create_anew(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => File::create_new(path),
    }
}

/// Moves a file, whose bytes are durable, to a name in the same file system, durably.
///
/// # Errors
/// If a system call fails.
pub fn publish(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_folder(to.parent().unwrap_or(Path::new(".")))
}

/// Opens a file for reading that another program may have put there: a link, a pipe or a device is an error, at which
/// the reader does not wait.
///
/// # Errors
/// If the file cannot be opened or is not a regular one.
pub fn open_regular(path: &Path) -> io::Result<File> {
    open_regular_with(File::options().read(true), path)
}

/// Opens a file as [`open_regular`] does, with other options.
///
/// # Errors
/// If the file cannot be opened or is not a regular one; the kind of the error is `InvalidData` then.
pub fn open_regular_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let other = || {
        let problem = format!("{} is not a regular file", path.display());
        io::Error::new(io::ErrorKind::InvalidData, problem)
    };
    match options.custom_flags(flags).open(path) {
        Ok(file) if file.metadata()?.is_file() => Ok(file),
        Ok(_) => Err(other()),
        // Links, and pipes and sockets without a reader.
        Err(error) if is_any(&error, &[Errno::LOOP, Errno::NXIO, Errno::ISDIR]) => Err(other()),
        Err(error) => Err(error),
    }
}

/// Returns true if a system call failed with one of some errors.
pub fn is_any(error: &io::Error, numbers: &[Errno]) -> bool {
    numbers.iter().any(|number| error.raw_os_error() == Some(number.raw_os_error()))
}

/// Reads a regular file of at most `limit` bytes; what is beyond is left out.
///
/// # Errors
/// If the file cannot be read or is not a regular one.
pub fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Removes a folder with all that is below it, also what a program has taken the permissions from.
///
/// # Errors
/// If something is left.
pub fn remove_tree(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            allow(folder)?;
            fs::remove_dir_all(folder)
        }
        result => result,
    }
}

/// Gives the owner all rights on a folder and those below it.
fn allow(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            allow(&entry.path())?;
        }
    }
    Ok(())
}

/// Makes the names in a folder durable.
///
/// # Errors
/// If a system call fails.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The names of a server's files.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Creates the folders of a server.
    ///
    /// # Errors
    /// If a folder cannot be created.
    pub fn create(root: &Path) -> io::Result<Self> {
        let layout = Self { root: root.to_owned() };
        for folder in [layout.root.clone(), layout.jobs(), layout.uploads(), layout.incoming()] {
            // Requests and results are their users' own.
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        }
        Ok(layout)
    }

    /// Removes what is left of uploads that an earlier server was receiving.
    ///
    /// # Errors
    /// If the folder cannot be read, or a file cannot be removed.
    pub fn clear_incoming(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.incoming())? {
            fs::remove_file(entry?.path())?;
        }
        Ok(())
    }

    /// Returns the database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.root.join("punchcard.db")
    }

    /// Returns the file whose lock the running server holds.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// Returns the folder with a folder for each job.
    #[must_use]
    pub fn jobs(&self) -> PathBuf {
        self.root.join("jobs")
    }

    /// Returns the folder of a job.
    #[must_use]
    pub fn job(&self, id: &str) -> PathBuf {
        self.jobs().join(id)
    }

    /// Returns the folder of an attempt.
    #[must_use]
    pub fn attempt(&self, job: &str, number: u32) -> PathBuf {
        self.job(job).join(format!("attempt-{number}"))
    }

    /// Returns the folder of complete uploads.
    #[must_use]
    pub fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    /// Returns the folder of uploads that are arriving.
    #[must_use]
    pub fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }
}
