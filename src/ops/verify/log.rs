//! Holds the audit against the transparency log, and the log against the audit.
//!
//! Entries have no time: those of a span of days lie between its checkpoints, and those of events that were sealed late
//! lie behind. What was done to the table has no leaf among those of its events, so all records are read. Memory holds
//! the hashes of the events that were looked at, and of the leaves that none of them is.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::super::custody;
use super::super::finding::{Code, Finding};
use super::super::indexed::Indexed;
use super::super::log::{Chain, Leaves, Log, Modified, Outside, SEALED_WITHIN, modified, not_sealed};
use super::super::scan;
use super::super::span::{Axis, Span};
use super::super::{Error, Session};
use super::Sample;
use crate::aws::ledger::Mark;
use crate::domain::audit::{AuditEvent, Subject};
use crate::domain::days::{Range, day_of};
use crate::seal::read::SignedTree;
use crate::seal::{Entry, layout};
use crate::sealer::Genesis;
use crate::sealer::stream::Tampering;

/// The longest time between an event and its leaf while the sealer runs: what the audit table's stream keeps.
const STREAM_KEEPS: SignedDuration = SignedDuration::from_hours(24);

/// Number of conversations that are read at a time where leaves are looked up in the audit.
const CONVERSATIONS: usize = 8;

/// What was held against the log.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sealed {
    /// The log's name.
    pub origin: String,
    /// Number of leaves at the newest checkpoint.
    pub size: u64,
    /// When it was signed; null without one.
    pub time: Option<Timestamp>,
    /// Its signed note: to be kept outside the account.
    pub checkpoint: Option<String>,
    /// Checkpoints whose signature and consistency with the newest were checked.
    pub checkpoints: u64,
    /// Audit events that the log holds.
    pub sealed: u64,
    /// Audit events of the last hour that no checkpoint has yet.
    pub young: u64,
    /// Leaves that were looked up in the audit.
    pub leaves: u64,
    /// Leaves among them that stand for a record of the log.
    pub records: u64,
    /// A checkpoint that was kept outside was held against the log.
    pub kept: bool,
}

/// An audit event that the log has to hold.
#[derive(Debug)]
pub(in crate::ops) struct Leaf {
    entry: Entry,
    at: Option<Timestamp>,
    /// It is of what was asked for, not only of the same conversation.
    wanted: bool,
}

/// What is known of an event.
#[derive(Debug)]
struct Known {
    subject: usize,
    at: Option<Timestamp>,
    wanted: bool,
    sealed: bool,
}

/// Leaves, by their entries, that are none of the events which were looked at.
type Absent = BTreeMap<Entry, u64>;

/// The leaves that are looked up in the audit, too.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reverse {
    /// None: what was asked for is a part of what was sealed with it.
    None,
    /// All of the log.
    All,
    /// Those that were sealed in these days.
    Days(Span),
}

/// The log on its way to be compared.
#[derive(Debug)]
pub(super) struct Comparison<'a> {
    session: &'a Session,
    log: Log,
    /// As it was before the audit was read, so that every one of its events was there then.
    chain: Chain,
    tree: Option<SignedTree>,
    kept: Option<Vec<u8>>,
    reverse: Reverse,
    /// The conversations that were asked for, those that are not there any more among them.
    sample: Option<Sample>,
    began: Timestamp,
    subjects: Vec<Subject>,
    events: HashMap<Entry, Known>,
    figures: Sealed,
    findings: Vec<Finding>,
}

impl Leaf {
    /// Returns the leaves that the events of a chain have to be.
    pub(in crate::ops) fn of(events: &[AuditEvent], wanted: bool) -> impl Iterator<Item = Self> {
        events.iter().filter_map(move |event| {
            Some(Self {
                entry: event.text("eventHash")?.parse().ok()?,
                at: event.timestamp(),
                wanted,
            })
        })
    }
}

impl Reverse {
    /// Returns what is compared in a verification of this span, or of the whole archive.
    pub(super) fn of(span: Option<Span>, whole: bool) -> Self {
        match span {
            _ if !whole => Self::None,
            None => Self::All,
            Some(span) if span.axis == Axis::Archived => Self::Days(span),
            Some(_) => Self::None,
        }
    }
}

impl<'a> Comparison<'a> {
    /// Reads the newest checkpoint of the log that is configured; `None` if none is. `sample` is that of a verification
    /// without days.
    pub(super) async fn begin(
        session: &'a Session,
        outside: &Outside,
        reverse: Reverse,
        sample: Option<Sample>,
    ) -> Result<Option<Self>, Error> {
        let began = session.now();
        let Some(log) = outside.log(session).await? else {
            return Ok(None);
        };
        let chain = Chain::read(&log).await?;
        let newest = chain.newest.as_ref();
        Ok(Some(Self {
            session,
            tree: newest.map(|newest| log.tree(newest)),
            figures: Sealed {
                origin: log.key.origin().to_owned(),
                size: newest.map_or(0, |newest| newest.size),
                time: newest.map(|newest| newest.time),
                checkpoint: newest.map(|newest| String::from_utf8_lossy(&newest.note).into_owned()),
                ..Sealed::default()
            },
            findings: chain.findings.clone(),
            log,
            chain,
            kept: outside.checkpoint.clone(),
            reverse,
            sample,
            began,
            subjects: Vec::new(),
            events: HashMap::new(),
        }))
    }

    /// Adds the events of a conversation, or of another subject.
    pub(super) fn add(&mut self, subject: Subject, leaves: Vec<Leaf>) {
        let place = self.subjects.len();
        self.subjects.push(subject);
        for leaf in leaves {
            let known = self.events.entry(leaf.entry).or_insert(Known {
                subject: place,
                at: leaf.at,
                wanted: false,
                sealed: false,
            });
            known.wanted |= leaf.wanted;
        }
    }

    /// Holds what was added against the log. Returns figures and findings.
    pub(super) async fn end(mut self) -> Result<(Sealed, Vec<Finding>), Error> {
        if let Some(note) = self.kept.take() {
            self.figures.kept = true;
            let findings = self.chain.holds(&self.log, &note).await?;
            self.findings.extend(findings);
        }
        let modified = self.modified().await?;
        self.findings.extend(modified.findings);
        if let Some(tree) = self.tree.take() {
            self.held_against(&tree, &modified.entries).await?;
        }
        self.unsealed().await?;
        Ok((self.figures, self.findings))
    }

    /// Reads the records of what was done to the items of all that was looked at, and of all of a sample.
    async fn modified(&self) -> Result<Modified, Error> {
        let subjects: HashSet<_> = self.subjects.iter().copied().collect();
        let wanted = |id: Option<&str>| {
            let looked_at = || Subject::parse(id?).filter(|subject| subjects.contains(subject));
            let sampled = || self.sample.as_ref()?.holds(id?).then_some(());
            matches!(self.reverse, Reverse::All) || looked_at().is_some() || sampled().is_some()
        };
        Modified::of(self.session, &self.log, wanted).await
    }

    /// Holds events and leaves against each other. `modified` are records that were found already.
    async fn held_against(&mut self, tree: &SignedTree, modified: &HashSet<Entry>) -> Result<(), Error> {
        let wanted = self.events.values().filter(|known| known.wanted);
        let earliest = wanted.filter_map(|known| known.at).min();
        let (from, to) = match self.reverse {
            Reverse::All => (Timestamp::MIN, Timestamp::MAX),
            Reverse::Days(span) => (span.range.start(), span.range.end()),
            Reverse::None => (Timestamp::MAX, Timestamp::MAX),
        };
        let since = earliest.map_or(from, |earliest| earliest.min(from));
        let (checked, findings) = self
            .chain
            .check(self.session, &self.log, tree, (since, to))
            .await?;
        self.figures.checkpoints = checked;
        self.findings.extend(findings);
        let last = self.chain.first_since(to).map_or(tree.size(), |mark| mark.size);
        let first = self.chain.size_at(from);
        let mut absent = Absent::new();
        let mut leaves = Leaves::new(self.session, tree, self.chain.size_at(since), last);
        while let Some(run) = leaves.next().await? {
            self.walked(run.entries, run.first, first, &mut absent);
        }
        // Sealed late, or by a sealer that stood still.
        let late = self
            .events
            .iter()
            .filter(|(_, known)| known.wanted && !known.sealed);
        let late: HashSet<_> = late.map(|(entry, _)| *entry).collect();
        let (found, wrong) = Leaves::new(self.session, tree, last, tree.size())
            .find(late)
            .await?;
        for entry in found.keys() {
            self.events.entry(*entry).and_modify(|known| known.sealed = true);
        }
        wrong.into_iter().for_each(|detail| self.inconsistent(detail));
        self.absent(absent, modified).await
    }

    /// Takes leaves, which are looked up in the audit from the leaf `since` on.
    fn walked(&mut self, run: Result<Vec<Entry>, String>, first: u64, since: u64, absent: &mut Absent) {
        let entries = match run {
            Ok(entries) => entries,
            Err(detail) => return self.inconsistent(detail),
        };
        for (leaf, entry) in (first..).zip(entries) {
            let reverse = !matches!(self.reverse, Reverse::None) && leaf >= since;
            self.figures.leaves += u64::from(reverse);
            match self.events.get_mut(&entry) {
                Some(known) => known.sealed = true,
                None if reverse => {
                    absent.insert(entry, leaf);
                }
                None => {}
            }
        }
    }

    /// Looks for leaves that are none of the events which were added: as events of other days, and as records.
    async fn absent(&mut self, mut absent: Absent, found: &HashSet<Entry>) -> Result<(), Error> {
        let before = absent.len();
        absent.retain(|entry, _| !found.contains(entry));
        self.figures.records += (before - absent.len()) as u64;
        if let Reverse::Days(span) = self.reverse
            && !absent.is_empty()
        {
            let before = self.chain.time_at(span.range.start()) - STREAM_KEEPS;
            let after = self
                .chain
                .first_since(span.range.end())
                .map_or(self.began, |mark| mark.time);
            self.looked_up(&mut absent, Some((before, after))).await?;
        }
        for (entry, leaf) in absent.clone() {
            self.session.go_on()?;
            let record = self.log.store.get(&layout::record(&entry)).await?;
            let record = record.filter(|record| Entry::of_record(record) == entry);
            // Anybody who may put objects can keep the text of an event there, whose hash fits.
            let finding = match record.as_deref() {
                Some(record) if leaf == 0 && Genesis::from_bytes(record).is_some() => None,
                record => match record.and_then(Tampering::from_bytes) {
                    Some(tampering) => Some(modified(&tampering)),
                    None => continue,
                },
            };
            absent.remove(&entry);
            self.figures.records += 1;
            self.findings.extend(finding);
        }
        if matches!(self.reverse, Reverse::Days(_)) && !absent.is_empty() {
            // Imported, or sealed late.
            self.looked_up(&mut absent, None).await?;
        }
        for (entry, leaf) in absent {
            let detail = format!(
                "leaf {leaf} of the log is an event with the eventHash {entry}, and the audit has none"
            );
            self.findings
                .push(Finding::of_log(Code::SealedEventMissing, None, detail));
        }
        Ok(())
    }

    /// Removes the leaves that are events of other conversations than those which were added, of these times; without
    /// times, of all.
    async fn looked_up(
        &self,
        absent: &mut Absent,
        times: Option<(Timestamp, Timestamp)>,
    ) -> Result<(), Error> {
        let known: HashSet<_> = self.subjects.iter().collect();
        let ledger = self.session.ledger();
        let span = times.map(|(first, last)| Span {
            range: Range {
                first: day_of(first),
                last: day_of(last),
            },
            axis: Axis::Archived,
        });
        let mut events = Indexed::new(self.session, &ledger, span).await?;
        let wants = |mark: &Mark| {
            let within = |at| times.is_none_or(|(first, last)| first <= at && at <= last);
            mark.at.is_none_or(within)
        };
        while let Some(page) = events.next_of(wants).await? {
            self.session.go_on()?;
            let ids: Vec<_> = page.ids.into_iter().filter(|id| !known.contains(id)).collect();
            let read = |id| {
                let ledger = ledger.clone();
                async move { custody::of(&ledger, id).await }
            };
            scan::each(self.session, CONVERSATIONS, ids, read, |held| {
                // The hashes of a chain that is not whole prove nothing.
                let custodies = held.custodies.iter().filter(|custody| custody.intact);
                let apart = held.apart.iter().filter(|chain| chain.intact);
                let chains = custodies.map(|custody| &custody.events);
                for events in chains.chain(apart.map(|chain| &chain.events)) {
                    for leaf in Leaf::of(events, false) {
                        absent.remove(&leaf.entry);
                    }
                }
            })
            .await?;
        }
        Ok(())
    }

    /// Counts the events that the log holds, and reports those that it should.
    async fn unsealed(&mut self) -> Result<(), Error> {
        let mut missing: HashMap<usize, HashSet<String>> = HashMap::new();
        for (entry, known) in self.events.iter().filter(|(_, known)| known.wanted) {
            let young = known
                .at
                .is_some_and(|at| self.began.duration_since(at) < SEALED_WITHIN);
            self.figures.sealed += u64::from(known.sealed);
            self.figures.young += u64::from(!known.sealed && young);
            if !known.sealed && !young {
                missing
                    .entry(known.subject)
                    .or_default()
                    .insert(entry.to_string());
            }
        }
        let ledger = self.session.ledger();
        for (place, hashes) in missing {
            self.session.go_on()?;
            let id = self.subjects[place];
            let events = ledger.events(id).await?.events;
            let missing =
                |event: &&AuditEvent| event.text("eventHash").is_some_and(|hash| hashes.contains(hash));
            self.findings
                .extend(events.iter().filter(missing).map(not_sealed));
        }
        Ok(())
    }

    fn inconsistent(&mut self, detail: String) {
        let finding = Finding::of_log(Code::LogInconsistent, None, detail);
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }
}
