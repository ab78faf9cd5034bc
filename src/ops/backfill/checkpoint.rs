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

use super::Resumed;
use crate::ops::error::{Error, Kind};
use crate::ops::files;

/// What is counted across interruptions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tally {
    /// Conversations seen.
    pub listed: u64,
    /// No recording of a wanted kind was started.
    pub unrecorded: u64,
    /// Left out by the filters.
    pub filtered: u64,
    /// Not over yet.
    pub ongoing: u64,
    /// The ledger says that they are archived.
    pub archived: u64,
    /// Sent, or archived right here.
    pub sent: u64,
    /// Entries of Genesys' answers without id or start.
    pub unreadable: u64,
    /// How long the sent ones lasted, in seconds.
    pub seconds: u64,
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
    /// Sent for sure; the others of the batch were refused.
    Sent(Vec<String>),
    /// Nothing is left to do.
    Finished(bool),
}

/// The file, open and locked.
#[derive(Debug)]
pub(super) struct Checkpoint {
    path: PathBuf,
    file: File,
    arguments: String,
    /// All days up to this one are done.
    pub through: Option<Date>,
    /// The count up to the end of that day.
    pub tally: Tally,
    /// Sent since then.
    sent: HashSet<String>,
    /// Nothing was left to do.
    finished: bool,
    /// Perhaps sent: the run ended before it could say.
    pub unknown: Vec<String>,
}

impl Checkpoint {
    /// Opens the file of a backfill with these arguments, or begins it.
    pub(super) fn open(path: &Path, arguments: String) -> Result<Self, Error> {
        let mut file = open(path).map_err(|error| failed(path, "opened", error))?;
        lock(&file, path)?;
        let mut checkpoint = Self {
            path: path.to_owned(),
            file: file.try_clone().map_err(|error| failed(path, "opened", error))?,
            arguments,
            through: None,
            tally: Tally::default(),
            sent: HashSet::new(),
            finished: false,
            unknown: Vec::new(),
        };
        let mut other = None;
        let mut lines = 0;
        let mut reader = BufReader::new(&mut file);
        let mut text = Vec::new();
        loop {
            text.clear();
            let read = reader.read_until(b'\n', &mut text);
            read.map_err(|error| failed(path, "read", error))?;
            // The last line may be torn, by a full disk or a power failure: as if it had never been.
            if text.pop() != Some(b'\n') {
                break;
            }
            lines += 1;
            let line = serde_json::from_slice(&text).map_err(|_| {
                let shown = path.display();
                Error::new(
                    Kind::File,
                    format!("line {lines} of {shown} is not of a backfill's checkpoint"),
                )
                .remedy(ANOTHER)
            })?;
            match line {
                Line::Backfill(arguments) if arguments != checkpoint.arguments => other = Some(arguments),
                line => checkpoint.apply(line, lines)?,
            }
        }
        if let Some(other) = other {
            // One that is finished may be followed by another.
            checkpoint = checkpoint.anew(other)?;
        }
        // Also when there is nothing to shorten: it takes a torn line away, and names the arguments.
        checkpoint.rewrite()?;
        Ok(checkpoint)
    }

    fn apply(&mut self, line: Line, number: usize) -> Result<(), Error> {
        match line {
            Line::Backfill(_) => {}
            Line::Finished(finished) => self.finished = finished,
            _ if number == 1 => {
                let message = format!("{} is no checkpoint of a backfill", self.path.display());
                return Err(Error::new(Kind::File, message).remedy(ANOTHER));
            }
            Line::Done { through, tally } => (self.through, self.tally) = (through, tally),
            Line::Sending(ids) => self.unknown = ids,
            // The batch was answered: what is not among these was refused, and is nowhere.
            Line::Sent(ids) => {
                self.unknown.clear();
                self.sent.extend(ids);
            }
        }
        Ok(())
    }

    /// Forgets the backfill that the file belongs to, if that one is finished.
    fn anew(self, other: String) -> Result<Self, Error> {
        if !self.finished {
            let message = format!(
                "the checkpoint {} belongs to another backfill ({other})",
                self.path.display()
            );
            return Err(Error::new(Kind::File, message).remedy(format!("finish that one, or {ANOTHER}")));
        }
        Ok(Self {
            through: None,
            tally: Tally::default(),
            sent: HashSet::new(),
            finished: false,
            unknown: Vec::new(),
            ..self
        })
    }

    /// Notes that nothing is left to do.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        self.finished = true;
        self.rewrite()
    }

    /// Returns what a former run left behind, if there was one.
    pub(super) fn resumed(&self) -> Option<Resumed> {
        let resumed = Resumed {
            through: self.through,
            sent: self.sent.len(),
            unknown: self.unknown.len(),
            finished: self.finished.then(|| self.path.clone()),
        };
        let nothing = Resumed {
            through: None,
            sent: 0,
            unknown: 0,
            finished: None,
        };
        (resumed != nothing).then_some(resumed)
    }

    /// Returns how many were sent by former runs.
    pub(super) fn sent_before(&self) -> u64 {
        self.tally.sent + self.sent.len() as u64
    }

    /// Says whether it was sent since the last finished day.
    pub(super) fn was_sent(&self, id: &str) -> bool {
        self.sent.contains(id)
    }

    /// Notes that these are about to be sent.
    pub(super) fn sending(&mut self, ids: Vec<String>) -> Result<(), Error> {
        self.append(&Line::Sending(ids))
    }

    /// Notes that these were sent.
    pub(super) fn sent(&mut self, ids: Vec<String>) -> Result<(), Error> {
        self.sent.extend(ids.iter().cloned());
        self.append(&Line::Sent(ids))
    }

    /// Notes that all days up to this one are done, and `tally` counts them. `keys` is what was sent of this day: others may
    /// have been sent of later days, when an earlier run went on although something of this day was refused.
    pub(super) fn done(&mut self, through: Date, tally: &Tally, keys: &[String]) -> Result<(), Error> {
        (self.through, self.tally) = (Some(through), tally.clone());
        for key in keys {
            self.sent.remove(key);
        }
        self.unknown.clear();
        self.rewrite()
    }

    fn append(&mut self, line: &Line) -> Result<(), Error> {
        let text = format!("{}\n", serde_json::to_string(line)?);
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|error| failed(&self.path, "written", error))
    }

    /// Replaces the file by one that says the same in few lines.
    fn rewrite(&mut self) -> Result<(), Error> {
        let mut lines = vec![
            Line::Backfill(self.arguments.clone()),
            Line::Done {
                through: self.through,
                tally: self.tally.clone(),
            },
        ];
        lines.extend((!self.sent.is_empty()).then(|| Line::Sent(self.sent.iter().cloned().collect())));
        lines.extend(self.finished.then_some(Line::Finished(true)));
        lines.extend((!self.unknown.is_empty()).then(|| Line::Sending(self.unknown.clone())));
        let mut text = String::new();
        for line in &lines {
            text.push_str(&serde_json::to_string(line)?);
            text.push('\n');
        }
        // The lock goes over to the new file before anybody can find it.
        let replaced = files::replace_with(&self.path, text.as_bytes(), File::lock);
        self.file = replaced.map_err(|error| failed(&self.path, "written", error))?;
        Ok(())
    }
}

/// The way out where a file is not this backfill's.
const ANOTHER: &str = "name another file (--checkpoint)";

fn failed(path: &Path, done: &str, error: std::io::Error) -> Error {
    let message = format!("the checkpoint {} cannot be {done}: {error}", path.display());
    Error::new(Kind::File, message)
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

fn lock(file: &File, path: &Path) -> Result<(), Error> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let message = format!(
                "another backfill is at work with the checkpoint {}",
                path.display()
            );
            Err(Error::new(Kind::File, message).remedy(format!("wait for its end, or {ANOTHER}")))
        }
        Err(TryLockError::Error(error)) => Err(failed(path, "locked", error)),
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
        assert_eq!(checkpoint.sent.len(), 1);
        assert!(checkpoint.was_sent("5"), "of a later day");
        assert!(checkpoint.unknown.is_empty());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_was_refused_is_not_taken_for_sent() {
        let folder = folder("refused");
        let path = folder.join("a.checkpoint");
        let mut checkpoint = Checkpoint::open(&path, "x".to_owned()).unwrap();
        checkpoint.sending(ids(&["1", "2"])).unwrap();
        checkpoint.sent(ids(&["1"])).unwrap();
        drop(checkpoint);
        let checkpoint = Checkpoint::open(&path, "x".to_owned()).unwrap();
        assert!(checkpoint.was_sent("1") && !checkpoint.was_sent("2"));
        assert_eq!(checkpoint.resumed().unwrap().unknown, 0);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_checkpoint_serves_one_backfill_of_one_process() {
        let folder = folder("serves");
        let path = folder.join("a.checkpoint");
        let first = Checkpoint::open(&path, "x".to_owned()).unwrap();
        let refused = |path: &Path, arguments: &str| {
            let refused = Checkpoint::open(path, arguments.to_owned());
            refused.unwrap_err().to_string()
        };
        assert!(refused(&path, "x").contains("another backfill is at work"));
        drop(first);
        assert!(refused(&path, "y").contains("belongs to another backfill (x)"));
        let mut first = Checkpoint::open(&path, "x".to_owned()).unwrap();
        first.sent(ids(&["1"])).unwrap();
        first.finish().unwrap();
        drop(first);
        let again = Checkpoint::open(&path, "x".to_owned()).unwrap();
        assert_eq!(again.resumed().unwrap().finished, Some(path.clone()));
        drop(again);
        let next = Checkpoint::open(&path, "y".to_owned()).unwrap();
        assert!(
            next.resumed().is_none(),
            "another may follow one that is finished"
        );
        drop(next);
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
