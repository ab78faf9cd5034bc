//! The checkpoint of a backfill: a file that survives Ctrl-C, `kill -9` and full disks.
//!
//! JSON Lines, appended to: `sending` before a batch, `sent` after it. A finished day replaces the whole file by a
//! shorter one, atomically. Lines are not synced to the disk one by one: jobs that a power failure takes are sent
//! again, and the function answers them with `already_archived`.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Counts, Resumed};
use crate::ops::error::{Error, Kind};
use crate::ops::files;

/// Totals across interruptions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Totals {
    /// Conversations.
    #[serde(flatten)]
    pub counts: Counts,
    /// Entries of Genesys' answers without id or start.
    pub unreadable: u64,
    /// Length of the conversations sent, in seconds.
    pub seconds: u64,
    /// Jobs of their own among those of a run by batch downloads, for the estimate of a dry run, which has no file.
    #[serde(skip)]
    pub alone: u64,
}

/// A line of the file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Entry {
    /// The arguments that the file is for.
    Backfill(String),
    /// All days up to this one are done.
    Done {
        through: Option<Date>,
        #[serde(rename = "tally")]
        totals: Totals,
    },
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
    /// The totals up to the end of that day.
    pub totals: Totals,
    /// Keys of the jobs sent since then.
    sent: HashSet<String>,
    /// Nothing is left to do.
    finished: bool,
    /// Keys of the jobs that were perhaps sent: the run ended before it could note it.
    pub unknown: Vec<String>,
}

impl Checkpoint {
    /// Opens the file of a backfill with these arguments, or creates it.
    pub(super) fn open(path: &Path, arguments: String) -> Result<Self, Error> {
        let mut file = open(path).map_err(|error| failed(path, "opened", error))?;
        lock(&file, path)?;
        let mut checkpoint = Self {
            path: path.to_owned(),
            file: file.try_clone().map_err(|error| failed(path, "opened", error))?,
            arguments,
            through: None,
            totals: Totals::default(),
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
            // The last line may be cut off, by a full disk or a power failure. It is ignored.
            if text.pop() != Some(b'\n') {
                break;
            }
            lines += 1;
            let entry = serde_json::from_slice(&text).map_err(|_| {
                let shown = path.display();
                Error::new(
                    Kind::File,
                    format!("line {lines} of {shown} is not of a backfill's checkpoint"),
                )
                .remedy(ANOTHER)
            })?;
            match entry {
                Entry::Backfill(arguments) if arguments != checkpoint.arguments => other = Some(arguments),
                entry => checkpoint.apply(entry, lines)?,
            }
        }
        if let Some(other) = other {
            // A finished backfill may be followed by another.
            checkpoint = checkpoint.anew(other)?;
        }
        // Also when there is nothing to shorten: rewriting removes a line that was cut off, and notes the arguments.
        checkpoint.rewrite()?;
        Ok(checkpoint)
    }

    fn apply(&mut self, entry: Entry, number: usize) -> Result<(), Error> {
        match entry {
            Entry::Backfill(_) => {}
            Entry::Finished(finished) => self.finished = finished,
            _ if number == 1 => {
                let message = format!("{} is no checkpoint of a backfill", self.path.display());
                return Err(Error::new(Kind::File, message).remedy(ANOTHER));
            }
            Entry::Done { through, totals } => (self.through, self.totals) = (through, totals),
            Entry::Sending(ids) => self.unknown = ids,
            // The batch was answered: a job that is not among these was refused.
            Entry::Sent(ids) => {
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
            totals: Totals::default(),
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

    /// Returns the state in which an earlier run left the file, if there was one.
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

    /// Counts the jobs that earlier runs sent.
    pub(super) fn sent_before(&self) -> u64 {
        self.totals.counts.sent + self.sent.len() as u64
    }

    /// Returns whether a job was sent since the last finished day.
    pub(super) fn was_sent(&self, id: &str) -> bool {
        self.sent.contains(id)
    }

    /// Notes that jobs are about to be sent.
    pub(super) fn sending(&mut self, ids: Vec<String>) -> Result<(), Error> {
        self.append(&Entry::Sending(ids))
    }

    /// Notes that jobs were sent.
    pub(super) fn sent(&mut self, ids: Vec<String>) -> Result<(), Error> {
        self.sent.extend(ids.iter().cloned());
        self.append(&Entry::Sent(ids))
    }

    /// Notes that all days up to this one are done, with their totals. `keys` are the jobs sent of this day: an
    /// earlier run may have sent jobs of later days, if it went on although a job of this day was refused.
    pub(super) fn done(&mut self, through: Date, totals: &Totals, keys: &[String]) -> Result<(), Error> {
        (self.through, self.totals) = (Some(through), totals.clone());
        for key in keys {
            self.sent.remove(key);
        }
        self.unknown.clear();
        self.rewrite()
    }

    fn append(&mut self, entry: &Entry) -> Result<(), Error> {
        let text = format!("{}\n", serde_json::to_string(entry)?);
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|error| failed(&self.path, "written", error))
    }

    /// Replaces the file by one with the same content in few lines.
    fn rewrite(&mut self) -> Result<(), Error> {
        let mut entries = vec![
            Entry::Backfill(self.arguments.clone()),
            Entry::Done {
                through: self.through,
                totals: self.totals.clone(),
            },
        ];
        entries.extend((!self.sent.is_empty()).then(|| Entry::Sent(self.sent.iter().cloned().collect())));
        entries.extend(self.finished.then_some(Entry::Finished(true)));
        entries.extend((!self.unknown.is_empty()).then(|| Entry::Sending(self.unknown.clone())));
        let mut text = String::new();
        for entry in &entries {
            text.push_str(&serde_json::to_string(entry)?);
            text.push('\n');
        }
        // The new file is locked before anybody can find it.
        let replaced = files::replace_with(&self.path, text.as_bytes(), File::lock);
        self.file = replaced.map_err(|error| failed(&self.path, "written", error))?;
        Ok(())
    }
}

/// The remedy where a file belongs to another backfill.
const ANOTHER: &str = "name another file (--checkpoint)";

fn failed(path: &Path, done: &str, error: std::io::Error) -> Error {
    let message = format!("the checkpoint {} cannot be {done}: {error}", path.display());
    Error::new(Kind::File, message)
}

/// Opens the file, or creates it; never creates the target of a link.
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
        let totals = Totals {
            counts: Counts {
                sent: 4,
                ..Counts::default()
            },
            ..Totals::default()
        };
        checkpoint.sent(ids(&["5"])).unwrap();
        let day = ids(&["1", "2", "3", "4"]);
        checkpoint
            .done("2026-01-05".parse().unwrap(), &totals, &day)
            .unwrap();
        drop(checkpoint);
        let checkpoint = Checkpoint::open(&path, "x".to_owned()).unwrap();
        assert_eq!(checkpoint.through, Some("2026-01-05".parse().unwrap()));
        assert_eq!(checkpoint.totals, totals);
        assert_eq!(checkpoint.sent.len(), 1);
        assert!(checkpoint.was_sent("5"), "of a later day");
        assert!(checkpoint.unknown.is_empty());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_checkpoint_of_an_earlier_version_is_continued() {
        let folder = folder("earlier");
        let path = folder.join("a.checkpoint");
        let stored = concat!(
            "{\"backfill\":\"x\"}\n",
            "{\"done\":{\"through\":\"2026-01-05\",\"tally\":{\"listed\":7,\"unrecorded\":1,\"filtered\":0,\"ongoing\":0,",
            "\"archived\":2,\"sent\":4,\"unreadable\":1,\"seconds\":90}}}\n",
        );
        std::fs::write(&path, stored).unwrap();
        let checkpoint = Checkpoint::open(&path, "x".to_owned()).unwrap();
        let Totals {
            counts,
            unreadable,
            seconds,
            ..
        } = checkpoint.totals;
        assert_eq!((counts.listed, counts.archived, counts.sent), (7, 2, 4));
        assert_eq!((unreadable, seconds), (1, 90));
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            stored,
            "and written as it was"
        );
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
