//! What a backfill did so far, in a file that survives Ctrl-C, `kill -9` and full disks.
//!
//! JSON Lines, appended to: `sending` before a batch, `sent` after it. A finished day replaces the whole file by a
//! shorter one, atomically. Nothing is synced to the disk line by line: what a power failure takes is sent again, and
//! the function answers that with `already_archived`.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{Failure, files};

/// What is counted across interruptions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Tally {
    /// Conversations seen.
    pub(crate) listed: u64,
    /// No recording of a wanted kind was started.
    pub(crate) unrecorded: u64,
    /// Left out by the filters.
    pub(crate) filtered: u64,
    /// Not over yet.
    pub(crate) ongoing: u64,
    /// The ledger says that they are archived.
    pub(crate) archived: u64,
    /// Sent, or archived right here.
    pub(crate) sent: u64,
    /// Entries of Genesys' answers without id or start.
    pub(crate) unreadable: u64,
    /// How long the sent ones lasted, in seconds.
    pub(crate) seconds: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Line {
    /// The arguments that the file is for.
    Backfill(String),
    /// All days up to this one are done.
    Done { through: Option<Date>, tally: Tally },
    /// About to be sent.
    Sending(Vec<String>),
    /// Sent for sure.
    Sent(Vec<String>),
}

/// The file, open and locked.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    path: PathBuf,
    file: File,
    arguments: String,
    /// All days up to this one are done.
    pub(crate) through: Option<Date>,
    /// The count up to the end of that day.
    pub(crate) tally: Tally,
    /// Sent since then.
    sent: HashSet<String>,
    /// Perhaps sent: the run ended before it could say.
    pub(crate) unknown: Vec<String>,
}

impl Checkpoint {
    /// Opens the file of a backfill with these arguments, or begins it.
    pub(crate) fn open(path: &Path, arguments: String) -> Result<Self, Failure> {
        let shown = path.display();
        let mut file =
            open(path).map_err(|error| format!("the checkpoint {shown} cannot be opened: {error}"))?;
        lock(&file, path)?;
        let mut checkpoint = Self {
            path: path.to_owned(),
            file: file.try_clone()?,
            arguments,
            through: None,
            tally: Tally::default(),
            sent: HashSet::new(),
            unknown: Vec::new(),
        };
        let mut lines = 0;
        let mut reader = BufReader::new(&mut file);
        let mut text = Vec::new();
        loop {
            text.clear();
            reader.read_until(b'\n', &mut text)?;
            // The last line may be torn, by a full disk or a power failure: as if it had never been.
            if text.pop() != Some(b'\n') {
                break;
            }
            lines += 1;
            let line = serde_json::from_slice(&text);
            let line = line.map_err(|_| {
                format!(
                    "line {lines} of {shown} is not of a backfill's checkpoint: name another (--checkpoint)"
                )
            })?;
            checkpoint.apply(line, lines)?;
        }
        // Also when there is nothing to shorten: it takes a torn line away, and names the arguments.
        checkpoint.rewrite()?;
        Ok(checkpoint)
    }

    fn apply(&mut self, line: Line, number: usize) -> Result<(), Failure> {
        match line {
            Line::Backfill(arguments) if arguments != self.arguments => {
                return Err(format!(
                    "the checkpoint {} belongs to another backfill ({arguments}): finish that one, or name another file (--checkpoint)",
                    self.path.display()
                )
                .into());
            }
            Line::Backfill(_) => {}
            _ if number == 1 => {
                return Err(format!("{} is no checkpoint of a backfill", self.path.display()).into());
            }
            Line::Done { through, tally } => (self.through, self.tally) = (through, tally),
            Line::Sending(ids) => self.unknown = ids,
            Line::Sent(ids) => {
                self.unknown.retain(|id| !ids.contains(id));
                self.sent.extend(ids);
            }
        }
        Ok(())
    }

    /// Whether it was sent since the last finished day.
    pub(crate) fn was_sent(&self, id: &str) -> bool {
        self.sent.contains(id)
    }

    /// How many were sent since the last finished day.
    pub(crate) fn sent_since(&self) -> usize {
        self.sent.len()
    }

    /// These are about to be sent.
    pub(crate) fn sending(&mut self, ids: Vec<String>) -> Result<(), Failure> {
        self.append(&Line::Sending(ids))
    }

    /// These were sent.
    pub(crate) fn sent(&mut self, ids: Vec<String>) -> Result<(), Failure> {
        self.sent.extend(ids.iter().cloned());
        self.append(&Line::Sent(ids))
    }

    /// All days up to this one are done, and `tally` counts them. `keys` is what was sent of this day: others may have
    /// been sent of later days, when an earlier run went on although something of this day was refused.
    pub(crate) fn done(&mut self, through: Date, tally: &Tally, keys: &[String]) -> Result<(), Failure> {
        (self.through, self.tally) = (Some(through), tally.clone());
        for key in keys {
            self.sent.remove(key);
        }
        self.unknown.clear();
        self.rewrite()
    }

    fn append(&mut self, line: &Line) -> Result<(), Failure> {
        let text = format!("{}\n", serde_json::to_string(line)?);
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|error| {
            format!(
                "the checkpoint {} cannot be written: {error}",
                self.path.display()
            )
            .into()
        })
    }

    /// Replaces the file by one that says the same in few lines.
    fn rewrite(&mut self) -> Result<(), Failure> {
        let mut lines = vec![
            Line::Backfill(self.arguments.clone()),
            Line::Done {
                through: self.through,
                tally: self.tally.clone(),
            },
        ];
        lines.extend((!self.sent.is_empty()).then(|| Line::Sent(self.sent.iter().cloned().collect())));
        lines.extend((!self.unknown.is_empty()).then(|| Line::Sending(self.unknown.clone())));
        let mut text = String::new();
        for line in &lines {
            text.push_str(&serde_json::to_string(line)?);
            text.push('\n');
        }
        // The lock goes over to the new file before anybody can find it.
        let replaced = files::replace_with(&self.path, text.as_bytes(), File::lock);
        self.file = replaced.map_err(|error| {
            format!(
                "the checkpoint {} cannot be written: {error}",
                self.path.display()
            )
        })?;
        Ok(())
    }
}

/// Opens what is there, or begins it; never creates what a link leads to.
fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true);
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => options.create_new(true).open(path),
        opened => opened,
    }
}

fn lock(file: &File, path: &Path) -> Result<(), Failure> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(format!(
            "another backfill is at work with the checkpoint {}",
            path.display()
        )
        .into()),
        Err(TryLockError::Error(error)) => {
            Err(format!("the checkpoint {} cannot be locked: {error}", path.display()).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("archivectl-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn ids(of: &[&str]) -> Vec<String> {
        of.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn what_was_sent_survives_and_what_was_being_sent_is_told_apart() {
        let folder = folder("survives");
        let path = folder.join("a.checkpoint");
        let mut checkpoint = Checkpoint::open(&path, "x".to_owned()).unwrap();
        checkpoint.sending(ids(&["1", "2"])).unwrap();
        checkpoint.sent(ids(&["1", "2"])).unwrap();
        checkpoint.sending(ids(&["3", "4"])).unwrap();
        drop(checkpoint);
        // The machine went down in the middle of a line.
        OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"{\"sent\":[\"3\"")
            .unwrap();
        for _ in 0..2 {
            let checkpoint = Checkpoint::open(&path, "x".to_owned()).unwrap();
            assert!(checkpoint.was_sent("1") && checkpoint.was_sent("2"));
            assert!(!checkpoint.was_sent("3"));
            assert_eq!(checkpoint.unknown, ["3", "4"]);
        }
        let mut checkpoint = Checkpoint::open(&path, "x".to_owned()).unwrap();
        let tally = Tally {
            sent: 4,
            ..Tally::default()
        };
        checkpoint.sent(ids(&["5"])).unwrap();
        let day = ids(&["1", "2", "3", "4"]);
        checkpoint
            .done("2026-01-05".parse().unwrap(), &tally, &day)
            .unwrap();
        drop(checkpoint);
        let checkpoint = Checkpoint::open(&path, "x".to_owned()).unwrap();
        assert_eq!(checkpoint.through, Some("2026-01-05".parse().unwrap()));
        assert_eq!(checkpoint.tally, tally);
        assert_eq!(checkpoint.sent_since(), 1);
        assert!(checkpoint.was_sent("5"), "of a later day");
        assert!(checkpoint.unknown.is_empty());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_checkpoint_serves_one_backfill_of_one_process() {
        let folder = folder("serves");
        let path = folder.join("a.checkpoint");
        let first = Checkpoint::open(&path, "x".to_owned()).unwrap();
        let refused = |path: &Path, arguments: &str| {
            Checkpoint::open(path, arguments.to_owned())
                .unwrap_err()
                .to_string()
        };
        assert!(refused(&path, "x").contains("another backfill is at work"));
        drop(first);
        assert!(refused(&path, "y").contains("belongs to another backfill (x)"));
        let foreign = folder.join("notes.txt");
        std::fs::write(&foreign, "buy milk\n").unwrap();
        assert!(refused(&foreign, "x").contains("line 1"));
        assert_eq!(
            std::fs::read_to_string(&foreign).unwrap(),
            "buy milk\n",
            "it is left alone"
        );
        std::fs::remove_dir_all(folder).unwrap();
    }
}
