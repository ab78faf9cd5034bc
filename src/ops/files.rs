//! Files that are complete or absent, and never written through a link.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// Replaces the file under `path` by one of these bytes. Returns it, open for appending. A link is replaced, and its
/// target stays as it is. A device or a folder is not replaced.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<File> {
    replace_with(path, bytes, |_| Ok(()))
}

/// Replaces a file like [`replace`]. `prepare` is given the new file before anybody can find it.
pub fn replace_with(
    path: &Path,
    bytes: &[u8],
    prepare: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<File> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::other("it is not a regular file"));
    }
    // An unpredictable name, and a creation that follows no link.
    let beside = path.with_added_extension(format!("{}.new", uuid::Uuid::new_v4().simple()));
    let mut file = OpenOptions::new().append(true).create_new(true).open(&beside)?;
    let written = prepare(&file)
        .and_then(|()| file.write_all(bytes))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&beside, path));
    match written {
        Ok(()) => Ok(file),
        Err(error) => {
            // The first error is the one to report.
            let _ = fs::remove_file(&beside);
            Err(error)
        }
    }
}

/// A file that is on its way, under another name beside its own. Until it is published there is no file under its name,
/// and if it never is, nothing stays.
#[derive(Debug)]
pub struct Partial {
    path: PathBuf,
    beside: PathBuf,
    file: File,
}

impl Partial {
    /// Begins a file that only its owner can read.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let own = uuid::Uuid::new_v4().simple();
        let beside = path.with_file_name(format!(".{name}.{own}.part"));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self {
            path: path.to_owned(),
            file: options.open(&beside)?,
            beside,
        })
    }

    /// Forgets what was written so far.
    pub fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()
    }

    /// Adds bytes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Gives the file its name. Fails if that is taken: nothing is replaced.
    pub fn publish(self) -> io::Result<()> {
        self.file.sync_all()?;
        // Unlike a rename, a link replaces nothing.
        match fs::hard_link(&self.beside, &self.path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            Err(_) if fs::symlink_metadata(&self.path).is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
            // Not every file system has links.
            Err(_) => fs::rename(&self.beside, &self.path),
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        let _ = fs::remove_file(&self.beside);
    }
}

/// Writes a new file that only its owner can read. Fails if there is one: nothing is replaced.
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut partial = Partial::begin(path)?;
    partial.write(bytes)?;
    partial.publish()
}
