//! Proves that the log is whole: checkpoints, batches, tiles, and nothing else in its bucket.

use std::collections::{BTreeMap, HashSet};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::Serialize;

use super::chain::Gap;
use super::objects::Objects;
use super::{Chain, Log, Outside, inconsistency};
use crate::ops::finding::{Code, Finding};
use crate::ops::{Ended, Error, Listener, Session, Verdict};
use crate::seal::batch::Batch;
use crate::seal::layout;
use crate::seal::read::SignedTree;

/// Number of batches that are read at a time; each has 10,000 entries at most.
const BATCHES: usize = 64;

/// Number of entries that are held at a time.
const MOST_ENTRIES: u64 = 1 << 20;

/// A verification of the log in figures.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Its name.
    pub origin: String,
    /// What others need to check its signatures.
    pub verifier_key: String,
    /// Its bucket.
    pub bucket: String,
    /// Number of leaves at the newest checkpoint.
    pub size: u64,
    /// The root there, in base64; null without a checkpoint.
    pub root: Option<String>,
    /// When it was signed.
    pub newest: Option<Timestamp>,
    /// Checkpoints whose signature and consistency with the newest were checked.
    pub checkpoints: u64,
    /// Batches that were held against the tree.
    pub batches: u64,
    /// Leaves that no checkpoint has signed yet.
    pub waiting: u64,
    /// Tiles and bundles that were held against the root.
    pub tiles: u64,
    /// Records that leaves stand for.
    pub records: u64,
    /// Objects in the bucket.
    pub objects: u64,
    /// Times of more than an hour without a checkpoint.
    pub gaps: Vec<Gap>,
    /// A checkpoint that was kept outside was held against the log.
    pub kept: bool,
    /// Findings by kind.
    pub findings: BTreeMap<Code, u64>,
    /// Everything was checked.
    pub finished: bool,
}

impl Figures {
    /// Returns whether there are findings, or there was nothing to verify.
    pub fn verdict(&self) -> Verdict {
        if !self.findings.is_empty() {
            Verdict::Findings
        } else if self.size == 0 {
            Verdict::Nothing
        } else {
            Verdict::Clean
        }
    }
}

/// Reads all of the log and reports each finding.
pub async fn verify(session: &Session, outside: &Outside, listener: Listener<'_, Finding>) -> Ended<Figures> {
    let mut verification = Verification {
        session,
        listener,
        figures: Figures::default(),
        told: HashSet::new(),
    };
    let end = verification.all(outside).await;
    verification.figures.finished = end.is_ok();
    Ended {
        figures: verification.figures,
        end,
    }
}

pub(super) struct Verification<'a> {
    pub(super) session: &'a Session,
    pub(super) listener: Listener<'a, Finding>,
    pub(super) figures: Figures,
    /// Faults of the tree as a whole, which many reads come upon.
    told: HashSet<String>,
}

impl Verification<'_> {
    async fn all(&mut self, outside: &Outside) -> Result<(), Error> {
        let log = Log::required(self.session, outside.key.as_ref()).await?;
        let chain = Chain::read(&log).await?;
        self.figures.origin = log.key.origin().to_owned();
        self.figures.verifier_key = log.key.verifier_key();
        self.figures.bucket = log.store.bucket().to_owned();
        self.figures.gaps = chain.gaps(self.session.now());
        self.found(chain.findings.clone());
        if let Some(note) = &outside.checkpoint {
            self.figures.kept = true;
            self.found(chain.holds(&log, note).await?);
        }
        let tree = match &chain.newest {
            None => None,
            Some(newest) => {
                self.figures.size = newest.size;
                self.figures.root = Some(newest.root.to_string());
                self.figures.newest = Some(newest.time);
                let tree = log.tree(newest);
                self.listener.at("checkpoints");
                let always = (Timestamp::MIN, Timestamp::MAX);
                let (checked, findings) = chain.check(self.session, &log, &tree, always).await?;
                self.figures.checkpoints = checked;
                self.found(findings);
                Some(tree)
            }
        };
        self.listener.total(self.figures.size);
        let end = self.batches(&log, tree.as_ref()).await?;
        self.listener.at("objects");
        let mut objects = Objects::new(&log, &chain, tree.as_ref(), end);
        objects.check(self).await
    }

    /// Checks that each leaf is in one batch, and that the tree holds the batches' entries. Returns where they end.
    async fn batches(&mut self, log: &Log, tree: Option<&SignedTree>) -> Result<u64, Error> {
        let starts = log.store.batches_from(0).await?;
        let mut next = 0;
        for starts in starts.chunks(BATCHES) {
            self.session.go_on()?;
            let read = stream::iter(starts).map(|start| async move {
                let bytes = log.store.get(&layout::batch(*start)).await?;
                Ok::<_, crate::error::Error>((*start, bytes))
            });
            let read: Vec<_> = read.buffered(BATCHES).try_collect().await?;
            let mut batches = Vec::new();
            for (start, bytes) in read {
                let place = log.store.place(&layout::batch(start));
                let about = |detail: String| {
                    vec![Finding::of_log(
                        Code::LogInconsistent,
                        Some(place.clone()),
                        detail,
                    )]
                };
                match bytes.as_deref().map(Batch::from_bytes) {
                    Some(Ok(batch)) if batch.start == start => {
                        if start != next {
                            self.found(about(format!("the batches before it end at the leaf {next}")));
                        }
                        next = batch.end().max(next);
                        batches.push(batch);
                    }
                    Some(Ok(batch)) => {
                        self.found(about(format!("it says that it starts at {}", batch.start)));
                    }
                    Some(Err(wrong)) => self.found(about(wrong.to_string())),
                    None => self.found(about(
                        "it is listed, and cannot be read: it was deleted".to_owned(),
                    )),
                }
            }
            self.figures.batches += batches.len() as u64;
            if let Some(tree) = tree {
                self.compared(log, tree, &batches).await?;
            }
        }
        if next < self.figures.size {
            let detail = format!(
                "the batches end at the leaf {next}, and the checkpoint signed {}",
                self.figures.size
            );
            self.found(vec![Finding::of_log(Code::LogInconsistent, None, detail)]);
        }
        self.figures.waiting = next.saturating_sub(self.figures.size);
        Ok(next)
    }

    /// Holds batches against the tree's entries, as many at a time as stand side by side.
    async fn compared(&mut self, log: &Log, tree: &SignedTree, batches: &[Batch]) -> Result<(), Error> {
        let Some(first) = batches.first().map(|batch| batch.start) else {
            return Ok(());
        };
        let signed = |batch: &Batch| batch.end().min(tree.size());
        let end = batches.iter().map(signed).max().unwrap_or_default();
        if batches.len() > 1 && end.saturating_sub(first) > MOST_ENTRIES {
            let (one, other) = batches.split_at(batches.len() / 2);
            Box::pin(self.compared(log, tree, one)).await?;
            return Box::pin(self.compared(log, tree, other)).await;
        }
        let held = match inconsistency(tree.entries(first..end).await)? {
            Ok(entries) => entries,
            Err(detail) => {
                self.inconsistent(detail);
                return Ok(());
            }
        };
        for batch in batches {
            let Some(leaves) = signed(batch).checked_sub(batch.start) else {
                continue;
            };
            let place = |leaf: u64| usize::try_from(leaf.saturating_sub(first)).unwrap_or(usize::MAX);
            let entries = held.get(place(batch.start)..place(batch.start + leaves));
            if !entries.is_some_and(|entries| batch.entries.starts_with(entries)) {
                let place = log.store.place(&layout::batch(batch.start));
                let detail = "the tree holds other entries".to_owned();
                self.found(vec![Finding::of_log(Code::LogInconsistent, Some(place), detail)]);
            }
            self.listener.steps(leaves);
        }
        Ok(())
    }

    /// Reports a fault of the tree, once.
    pub(super) fn inconsistent(&mut self, detail: String) {
        if self.told.insert(detail.clone()) {
            self.found(vec![Finding::of_log(Code::LogInconsistent, None, detail)]);
        }
    }

    /// Reports findings.
    pub(super) fn found(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            *self.figures.findings.entry(finding.code).or_default() += 1;
            self.listener.item(finding);
        }
    }
}
