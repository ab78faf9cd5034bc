//! The checkpoints of a log: each signed by its key, and each the beginning of the newest.

use std::cmp::Reverse;

use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tlog_tiles::tlog::Hash;

use super::{Log, inconsistency};
use crate::ops::finding::{Code, Finding};
use crate::ops::{Error, Session};
use crate::seal::checkpoint::Checkpoint;
use crate::seal::layout;
use crate::seal::read::{MOST_LEAVES, SignedTree};

/// Number of checkpoints that are read side by side.
const SIDE_BY_SIDE: usize = 64;

/// Number of checkpoints that are held against the tree at a time.
const AT_A_TIME: usize = 512;

/// The longest time between two checkpoints.
const HOURLY: SignedDuration = SignedDuration::from_hours(1);

/// The longest run of a sealer. One that began before a larger checkpoint was signed may end after it.
const LONGEST_RUN: SignedDuration = SignedDuration::from_mins(15);

/// What the key of a checkpoint says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct Mark {
    pub(in crate::ops) time: Timestamp,
    pub(in crate::ops) size: u64,
}

/// A time of more than an hour without a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// The checkpoint before it.
    pub from: Timestamp,
    /// The checkpoint after it; null if none followed.
    pub to: Option<Timestamp>,
}

/// All checkpoints of a log.
#[derive(Debug)]
pub(in crate::ops) struct Chain {
    /// The one of the largest tree among those that the key signed.
    pub(in crate::ops) newest: Option<Checkpoint>,
    /// What the keys say, by time.
    pub(in crate::ops) marks: Vec<Mark>,
    /// Checkpoints that claim to be larger than the newest, and are none.
    pub(in crate::ops) findings: Vec<Finding>,
}

impl Mark {
    fn key(self) -> String {
        layout::checkpoint(self.time, self.size)
    }
}

impl Chain {
    /// Lists the checkpoints, and reads the newest.
    pub(in crate::ops) async fn read(log: &Log) -> Result<Self, Error> {
        let keys = log.store.checkpoints(None).await?;
        let parts = keys.iter().filter_map(|key| layout::checkpoint_parts(key));
        let marks: Vec<_> = parts.map(|(time, size)| Mark { time, size }).collect();
        let mut chain = Self {
            newest: None,
            marks,
            findings: Vec::new(),
        };
        let mut by_size = chain.marks.clone();
        by_size.sort_by_key(|mark| Reverse((mark.size, mark.time)));
        for mark in by_size {
            match open(log, mark).await? {
                Ok(checkpoint) => {
                    chain.newest = Some(checkpoint);
                    break;
                }
                Err(finding) => chain.findings.push(finding),
            }
        }
        Ok(chain)
    }

    /// Returns the size of the tree at the last checkpoint that was signed at `time` or before; 0 without one.
    pub(in crate::ops) fn size_at(&self, time: Timestamp) -> u64 {
        let before = self.marks.partition_point(|mark| mark.time <= time);
        before.checked_sub(1).map_or(0, |at| self.marks[at].size)
    }

    /// Returns when the last checkpoint that was signed at `time` or before was; `time` itself without one.
    pub(in crate::ops) fn time_at(&self, time: Timestamp) -> Timestamp {
        let before = self.marks.partition_point(|mark| mark.time <= time);
        before.checked_sub(1).map_or(time, |at| self.marks[at].time)
    }

    /// Returns the first checkpoint that was signed at `time` or later.
    pub(in crate::ops) fn first_since(&self, time: Timestamp) -> Option<Mark> {
        self.marks.iter().find(|mark| mark.time >= time).copied()
    }

    /// Checks the checkpoints from the last one before `from` to the first one after `to`; all without these:
    /// signature, consistency with the newest, and that no larger tree was signed long before a smaller one. Returns
    /// their number and the findings.
    pub(in crate::ops) async fn check(
        &self,
        session: &Session,
        log: &Log,
        tree: &SignedTree,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<(u64, Vec<Finding>), Error> {
        let first = self
            .marks
            .partition_point(|mark| mark.time <= from)
            .saturating_sub(1);
        let end = self.marks.partition_point(|mark| mark.time < to) + 1;
        let marks = &self.marks[first..end.min(self.marks.len())];
        let mut findings = rolled_back(log, marks);
        for marks in marks.chunks(AT_A_TIME) {
            session.go_on()?;
            let read = stream::iter(marks)
                .map(|mark| open(log, *mark))
                .buffered(SIDE_BY_SIDE);
            let read: Vec<_> = read.collect().await;
            let mut checkpoints = Vec::new();
            for opened in read {
                match opened? {
                    Ok(checkpoint) => checkpoints.push(checkpoint),
                    // That of a checkpoint larger than the newest is there already.
                    Err(finding) if !self.findings.contains(&finding) => findings.push(finding),
                    Err(_) => {}
                }
            }
            findings.extend(consistent(log, tree, &checkpoints).await?);
        }
        Ok((marks.len() as u64, findings))
    }

    /// Checks that a checkpoint which was kept outside is the beginning of the newest.
    pub(in crate::ops) async fn holds(&self, log: &Log, note: &[u8]) -> Result<Vec<Finding>, Error> {
        let kept = match log.key.open(note) {
            Ok(kept) => kept,
            Err(refused) => {
                let detail = format!("the checkpoint that was given: {refused}");
                return Ok(vec![Finding::of_log(Code::CheckpointInvalid, None, detail)]);
            }
        };
        let smaller = |size: u64| {
            let detail = format!(
                "the checkpoint that was given is of {} leaves, signed {}; the log has {size}",
                kept.size, kept.time
            );
            vec![Finding::of_log(Code::LogInconsistent, None, detail)]
        };
        match &self.newest {
            None => Ok(smaller(0)),
            Some(newest) if newest.size < kept.size => Ok(smaller(newest.size)),
            Some(newest) => {
                let tree = log.tree(newest);
                let root = inconsistency(tree.roots(&[kept.size]).await)?;
                let detail = match root {
                    Ok(roots) if roots == [kept.root] => return Ok(Vec::new()),
                    Ok(_) => format!(
                        "the log is another one than that of the checkpoint that was given, of {} leaves, signed {}",
                        kept.size, kept.time
                    ),
                    Err(detail) => detail,
                };
                Ok(vec![Finding::of_log(Code::LogInconsistent, None, detail)])
            }
        }
    }

    /// Returns the times of more than an hour without a checkpoint.
    pub(in crate::ops) fn gaps(&self, now: Timestamp) -> Vec<Gap> {
        let times = self.marks.iter().map(|mark| Some(mark.time));
        let after = times.clone().skip(1).chain([None]);
        let pairs = times.flatten().zip(after);
        let long = pairs.filter(|(from, to)| to.unwrap_or(now).duration_since(*from) > HOURLY);
        long.map(|(from, to)| Gap { from, to }).collect()
    }
}

/// Reads a checkpoint, and checks that it is what its key says.
async fn open(log: &Log, mark: Mark) -> Result<Result<Checkpoint, Finding>, Error> {
    let key = mark.key();
    let invalid = |detail: String| {
        let place = Some(log.store.place(&key));
        Ok(Err(Finding::of_log(Code::CheckpointInvalid, place, detail)))
    };
    let Some(note) = log.store.get(&key).await? else {
        return invalid("it is listed, and cannot be read: it was deleted".to_owned());
    };
    match log.key.open(&note) {
        Err(refused) => invalid(refused.to_string()),
        Ok(checkpoint) if layout::checkpoint(checkpoint.time, checkpoint.size) != key => {
            let (size, time) = (checkpoint.size, checkpoint.time);
            invalid(format!("it is the checkpoint of size {size}, signed {time}"))
        }
        Ok(checkpoint) if checkpoint.size == 0 || checkpoint.size > MOST_LEAVES => {
            invalid(format!("no log has {} leaves", checkpoint.size))
        }
        Ok(checkpoint) => Ok(Ok(checkpoint)),
    }
}

/// Holds the roots of checkpoints against those that the tree had.
async fn consistent(log: &Log, tree: &SignedTree, checkpoints: &[Checkpoint]) -> Result<Vec<Finding>, Error> {
    let within: Vec<_> = checkpoints.iter().filter(|one| one.size <= tree.size()).collect();
    let sizes: Vec<_> = within.iter().map(|one| one.size).collect();
    let roots: Vec<Hash> = match inconsistency(tree.roots(&sizes).await)? {
        Ok(roots) => roots,
        Err(detail) => return Ok(vec![Finding::of_log(Code::LogInconsistent, None, detail)]),
    };
    let differing = within.iter().zip(roots).filter(|(one, root)| one.root != *root);
    let findings = differing.map(|(one, _)| {
        let place = log.store.place(&layout::checkpoint(one.time, one.size));
        let detail = format!(
            "its root is not the one that the newest checkpoint's tree, of {} leaves, had at {}",
            tree.size(),
            one.size
        );
        Finding::of_log(Code::LogInconsistent, Some(place), detail)
    });
    Ok(findings.collect())
}

/// Finds checkpoints that were signed long after a larger one: somebody rolled the log back.
fn rolled_back(log: &Log, marks: &[Mark]) -> Vec<Finding> {
    let mut largest: Option<Mark> = None;
    let mut findings = Vec::new();
    for mark in marks {
        match largest {
            Some(before) if before.size > mark.size => {
                if mark.time.duration_since(before.time) > LONGEST_RUN {
                    let detail = format!(
                        "a checkpoint of {} leaves was signed before it, at {}",
                        before.size, before.time
                    );
                    let place = Some(log.store.place(&mark.key()));
                    findings.push(Finding::of_log(Code::LogInconsistent, place, detail));
                }
            }
            _ => largest = Some(*mark),
        }
    }
    findings
}
