//! Line after line of a list.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::list::List;
use super::send::{LOOKUPS, key};
use super::{Backfill, BadLine, Candidate, Item};
use crate::archive::job::Job;
use crate::ops::error::{Error, Kind};

impl Backfill<'_> {
    pub(super) async fn list(&mut self, path: &Path) -> Result<(), Error> {
        let failed = |error: io::Error| Error::new(Kind::File, format!("{}: {error}", path.display()));
        let file: Box<dyn Read> = if path.as_os_str() == "-" {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).map_err(failed)?)
        };
        let mut list = List::new(BufReader::new(file), self.session.config.genesys.api);
        let mut seen = HashSet::new();
        let mut candidates = Vec::new();
        while let Some(line) = list.next().map_err(failed)? {
            match line {
                Ok(job) => candidates.extend(self.candidate(job, &mut seen)),
                Err(bad) => {
                    self.findings.bad_lines += 1;
                    self.tell.item(Item::BadLine(BadLine {
                        line: bad.number,
                        error: bad.why,
                    }));
                }
            }
            if candidates.len() == LOOKUPS {
                self.offer(std::mem::take(&mut candidates)).await?;
            }
        }
        self.offer(candidates).await?;
        self.flush().await
    }

    /// Returns what a line asks for, unless an earlier one did.
    fn candidate(&mut self, mut job: Job, seen: &mut HashSet<String>) -> Option<Candidate> {
        let key = key(&job);
        if !seen.insert(key.clone()) {
            self.findings.duplicates += 1;
            return None;
        }
        self.tally.listed += 1;
        if job.requested_by.is_none() {
            job.requested_by = Some(self.session.requester("backfill", "a list"));
        }
        Some(Candidate { key, job, seconds: 0 })
    }
}
