//! The recordings behind a report's figures, as comma-separated values (RFC 4180).

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};

use recording_archiver::ops::files::Partial;
use recording_archiver::ops::report::Behind;
use recording_archiver::ops::{Error, Kind};

const HEADER: &str = "interactionId,recordingId,state,archivedAt,bytes,retainUntil,lock,hold\r\n";

/// A file that gets a line for each recording. Until it is published there is none.
pub(super) struct List {
    path: PathBuf,
    /// The file, and what went wrong with it first.
    written: RefCell<(Partial, io::Result<()>)>,
}

impl List {
    /// Begins a new file.
    pub(super) fn begin(path: &Path) -> Result<Self, Error> {
        if path.exists() {
            return Err(not_written(path, &io::ErrorKind::AlreadyExists.into()));
        }
        let begun = Partial::begin(path).and_then(|mut file| {
            file.write(HEADER.as_bytes())?;
            Ok(file)
        });
        let file = begun.map_err(|error| not_written(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            written: RefCell::new((file, Ok(()))),
        })
    }

    /// Adds a recording. What goes wrong is told at the end.
    pub(super) fn add(&self, behind: &Behind) {
        let (file, written) = &mut *self.written.borrow_mut();
        if written.is_ok() {
            *written = file.write(line(behind).as_bytes());
        }
    }

    /// Gives the file its name, and returns that.
    pub(super) fn publish(self) -> Result<String, Error> {
        let (file, written) = self.written.into_inner();
        let published = written.and_then(|()| file.publish());
        published.map_err(|error| not_written(&self.path, &error))?;
        Ok(self.path.display().to_string())
    }
}

/// Returns the line of a recording. Ids and states hold no comma, quote or line end; ids of a broken audit might.
fn line(behind: &Behind) -> String {
    let moment = |at: Option<jiff::Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    let cells = [
        behind.interaction_id.clone(),
        behind.recording_id.clone(),
        behind.state.to_owned(),
        moment(behind.archived_at),
        behind.bytes.to_string(),
        moment(behind.retain_until),
        behind
            .locks
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("; "),
        match behind.hold {
            None => String::new(),
            Some(true) => "on".to_owned(),
            Some(false) => "off".to_owned(),
        },
    ];
    let quoted = cells.map(|cell| match cell.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    });
    quoted.join(",") + "\r\n"
}

fn not_written(path: &Path, error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::AlreadyExists {
        let message = format!("{} is there already, and nothing is replaced", path.display());
        return Error::new(Kind::File, message).remedy("name a new file: --ids");
    }
    Error::new(
        Kind::File,
        format!("{} cannot be written: {error}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_become_two() {
        let behind = Behind {
            interaction_id: "a,b".to_owned(),
            recording_id: "\"x\"\n".to_owned(),
            state: "archived",
            archived_at: Some("2026-03-01T10:20:30Z".parse().unwrap()),
            bytes: 7,
            retain_until: None,
            locks: ["COMPLIANCE", "none"].map(str::to_owned).into(),
            hold: Some(true),
        };
        assert_eq!(
            line(&behind),
            "\"a,b\",\"\"\"x\"\"\n\",archived,2026-03-01T10:20:30Z,7,,COMPLIANCE; none,on\r\n"
        );
    }
}
