//! Pages for people, and the files that they are written into.

use std::path::Path;

pub(crate) use recording_archiver::html::{
    STYLE, cards, document, escape, figures, hash, page, table, texts,
};
use recording_archiver::ops::{Error, Kind, files};

/// Says whether a page goes to stdout.
pub(crate) fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Writes the page in place of what lies there, and names the file if it cannot be written.
pub(crate) fn write(path: &Path, page: &str) -> Result<(), Error> {
    let written = files::replace(path, page.as_bytes());
    written.map(drop).map_err(|error| {
        Error::new(
            Kind::File,
            format!("{} cannot be written: {error}", path.display()),
        )
    })
}
