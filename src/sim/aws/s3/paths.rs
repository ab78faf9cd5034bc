//! Files and folders, with errors as S3 has them.

use std::fs;
use std::path::Path;

use s3s::{S3Error, S3Result};

/// Returns the paths of all files in a folder, relative to it.
pub(super) fn files_below(top: &Path) -> S3Result<Vec<String>> {
    let (mut folders, mut files) = (vec![top.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).map_err(internal)? {
            let path = entry.map_err(internal)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Some(file) = path.strip_prefix(top).ok().and_then(Path::to_str) {
                files.push(file.to_owned());
            }
        }
    }
    Ok(files)
}

pub(super) fn create_parent(path: &Path) -> S3Result<()> {
    path.parent()
        .map_or(Ok(()), |parent| fs::create_dir_all(parent).map_err(internal))
}

pub(super) fn internal(error: impl std::error::Error + Send + Sync + 'static) -> S3Error {
    S3Error::internal_error(error)
}
