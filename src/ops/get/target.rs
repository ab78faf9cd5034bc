//! Where the files go.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::domain::recording::RecordingRef;
use crate::ops::access::{Wanted, WantedFile};
use crate::ops::{Error, Kind};

/// Longest extension that is taken over from an object's key.
const LONGEST_EXTENSION: usize = 8;

/// Where the files go.
#[derive(Debug)]
pub(super) enum Targets {
    /// Into a folder, each under a name of its own.
    Folder(PathBuf),
    /// The only file goes here.
    File(PathBuf),
}

impl Targets {
    /// Decides where the files go, and fails before anything is read where one of them could not be written: nothing
    /// is replaced. Makes the folder where one is named that is not there.
    pub(super) fn of(wanted: &[Wanted], output: Option<&Path>) -> Result<Self, Error> {
        let output = output.unwrap_or(Path::new("."));
        let files = || {
            wanted
                .iter()
                .flat_map(|wanted| wanted.files.iter().map(|file| (wanted.recording, file)))
        };
        let named_as_folder = output
            .as_os_str()
            .to_string_lossy()
            .ends_with(std::path::is_separator);
        let targets = if output.is_dir() {
            Self::Folder(output.to_owned())
        } else if named_as_folder {
            fs::create_dir_all(output).map_err(|error| super::not_written(output, &error))?;
            Self::Folder(output.to_owned())
        } else {
            let count = files().count();
            if count > 1 {
                let message = format!("there are {count} files, and {} is one", output.display());
                return Err(Error::new(Kind::Usage, message)
                    .remedy("name a folder: --output DIR/, or one of the recordings"));
            }
            Self::File(output.to_owned())
        };
        let mut taken = HashSet::new();
        for (recording, file) in files() {
            let path = targets.path(recording, file);
            for path in [receipt_of(&path), path] {
                if fs::symlink_metadata(&path).is_ok() || !taken.insert(path.clone()) {
                    return Err(there_already(&path));
                }
            }
        }
        Ok(targets)
    }

    /// Returns the path of a file.
    pub(super) fn path(&self, recording: RecordingRef, file: &WantedFile) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.join(name(recording, file)),
            Self::File(path) => path.clone(),
        }
    }
}

/// Returns the name of a file: the recording, its channel or part, and the extension of its key. Nothing else of the
/// key is taken over, as folders and dots in it could lead elsewhere.
pub(in crate::ops) fn name(recording: RecordingRef, file: &WantedFile) -> String {
    let mut name = recording.recording_key().replace('#', "-");
    if let Some(number) = file.stored.part.or(file.stored.channel) {
        name.push_str(&format!("-{number}"));
    }
    let key = &file.stored.archive_key.key;
    let last = key.rsplit('/').next().unwrap_or_default();
    let extension = last.rsplit_once('.').map_or("", |(_, extension)| extension);
    let plain = extension.chars().all(|letter| letter.is_ascii_alphanumeric());
    if plain && (1..=LONGEST_EXTENSION).contains(&extension.len()) {
        name.push('.');
        name.push_str(extension);
    }
    name
}

/// Returns the path of the receipt of a file.
pub(super) fn receipt_of(path: &Path) -> PathBuf {
    path.with_added_extension("receipt.json")
}

/// Makes the error of a file that is there.
pub(super) fn there_already(path: &Path) -> Error {
    let message = format!("there is a file {} already", path.display());
    Error::new(Kind::File, message)
        .remedy("nothing is replaced: name another folder with --output, or move it away")
}
