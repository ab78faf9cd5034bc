//! The leaves of a log, from one of them on.

use std::collections::{HashMap, HashSet};

use super::{Session, inconsistency};
use crate::ops::Error;
use crate::seal::Entry;
use crate::seal::read::SignedTree;

/// Number of leaves that are read at a time: 64 bundles.
const AT_A_TIME: u64 = 64 * 256;

/// A walk through the leaves of a tree.
#[derive(Debug)]
pub(in crate::ops) struct Leaves<'a> {
    session: &'a Session,
    tree: &'a SignedTree,
    next: u64,
    end: u64,
}

/// Leaves that stand side by side.
#[derive(Debug)]
pub(in crate::ops) struct Run {
    /// The first of them.
    pub(in crate::ops) first: u64,
    /// Their entries, or what is wrong with the log there.
    pub(in crate::ops) entries: Result<Vec<Entry>, String>,
}

impl<'a> Leaves<'a> {
    /// Makes a walk from the leaf `first` to the one before `end`.
    pub(in crate::ops) fn new(session: &'a Session, tree: &'a SignedTree, first: u64, end: u64) -> Self {
        let end = end.min(tree.size());
        Self {
            session,
            tree,
            next: first,
            end,
        }
    }

    /// Returns the next leaves; `None` after the last. Fails once Ctrl-C was pressed.
    pub(in crate::ops) async fn next(&mut self) -> Result<Option<Run>, Error> {
        self.session.go_on()?;
        if self.next >= self.end {
            return Ok(None);
        }
        let first = self.next;
        // Whole bundles, but for the first.
        self.next = ((first / AT_A_TIME + 1) * AT_A_TIME).min(self.end);
        let entries = inconsistency(self.tree.entries(first..self.next).await)?;
        Ok(Some(Run { first, entries }))
    }

    /// Walks on until every entry of `wanted` is found, or to the end. Returns their leaves, and what is wrong with the
    /// log where it was passed.
    pub(in crate::ops) async fn find(
        &mut self,
        mut wanted: HashSet<Entry>,
    ) -> Result<(HashMap<Entry, u64>, Vec<String>), Error> {
        let (mut found, mut wrong) = (HashMap::new(), Vec::new());
        while !wanted.is_empty() {
            let Some(run) = self.next().await? else { break };
            match run.entries {
                Ok(entries) => {
                    for (leaf, entry) in (run.first..).zip(entries) {
                        if wanted.remove(&entry) {
                            found.insert(entry, leaf);
                        }
                    }
                }
                Err(detail) => wrong.push(detail),
            }
        }
        Ok((found, wrong))
    }
}
