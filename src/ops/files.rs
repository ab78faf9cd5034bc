//! Files that are complete or absent, and never written through a link.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

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
