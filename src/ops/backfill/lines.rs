//! Takes the jobs of a list, line after line.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::Path;

use super::done::key;
use super::list::List;
use super::send::LOOKUPS;
use super::{Backfill, Candidate, Item};
use crate::domain::job::Job;
use crate::ops::error::{Error, Kind};

/// Counts the lines of a file; `None` for stdin and other sources that are no file.
fn count_lines(path: &Path) -> Option<u64> {
    let file = File::open(path).ok()?;
    file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let mut reader = BufReader::new(file);
    let mut lines = 0;
    loop {
        let read = reader.fill_buf().ok()?;
        if read.is_empty() {
            return Some(lines);
        }
        lines += read.iter().filter(|byte| **byte == b'\n').count() as u64;
        let length = read.len();
        reader.consume(length);
    }
}

/// Opens a list; `-` is stdin.
pub(super) fn open(path: &Path) -> Result<Box<dyn Read>, Error> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(io::stdin()));
    }
    let file = File::open(path).map_err(|error| failed(path, &error))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(failed(path, &io::ErrorKind::IsADirectory.into()));
    }
    Ok(Box::new(file))
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::new(
        Kind::File,
        format!("the list {} cannot be read: {error}", path.display()),
    )
}

impl Backfill<'_> {
    /// Takes the jobs of the list at `path`.
    pub(super) async fn list(&mut self, path: &Path, file: Box<dyn Read>) -> Result<(), Error> {
        if let Some(lines) = count_lines(path) {
            self.listener.total(lines);
        }
        let api = self.session.config.genesys.api;
        let mut list = List::new(BufReader::new(file), api, self.bulk.is_some());
        let mut seen = HashSet::new();
        let mut candidates = Vec::new();
        while let Some(line) = list.next().map_err(|error| failed(path, &error))? {
            match line {
                Ok(job) => candidates.extend(self.candidate(job, &mut seen)),
                Err(bad) => {
                    self.findings.bad_lines += 1;
                    self.listener.item(Item::BadLine(bad));
                }
            }
            if candidates.len() == LOOKUPS {
                self.offer(std::mem::take(&mut candidates)).await?;
            }
        }
        self.offer(candidates).await?;
        self.flush().await
    }

    /// Returns the job of a line, unless an earlier line asked for the same.
    fn candidate(&mut self, mut job: Job, seen: &mut HashSet<String>) -> Option<Candidate> {
        let key = key(&job);
        if !seen.insert(key.clone()) {
            self.findings.duplicates += 1;
            return None;
        }
        self.totals.counts.listed += 1;
        if job.requested_by.is_none() {
            job.requested_by = Some(self.session.requester("backfill", "a list"));
        }
        Some(Candidate::new(key, job))
    }
}
