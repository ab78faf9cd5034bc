//! Proves that the archive is unchanged, byte by byte and event by event.

mod check;
mod sample;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::finding::{Code, Finding};
use super::scan::{self, Portion, Scan};
use super::{Ended, Error, Listener, Session, Verdict};
use crate::domain::days::Range;
use crate::domain::recording::ConversationId;
use check::Checker;
pub use sample::Sample;

/// A verification, as it is asked for.
#[derive(Debug)]
pub struct Request {
    /// The conversations; empty: all of the archive.
    pub conversations: Vec<ConversationId>,
    /// Only recordings that were archived in these days.
    pub range: Option<Range>,
    /// Only a share of the conversations, and no objects that no record names.
    pub sample: Option<Sample>,
    /// Number of conversations at a time.
    pub concurrency: usize,
}

/// A verification in figures.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Conversations.
    pub conversations: u64,
    /// Archived recordings.
    pub recordings: u64,
    /// Files read back.
    pub files: u64,
    /// Bytes read back.
    pub bytes: u64,
    /// Audit events.
    pub events: u64,
    /// Recordings that are not archived; only their audit was checked.
    pub unarchived: u64,
    /// Objects that were looked up in the ledger.
    pub objects: u64,
    /// The sample, if one was asked for.
    pub sample: Option<Sampled>,
    /// Findings by kind.
    pub findings: BTreeMap<Code, u64>,
    /// Everything that was asked for was checked.
    pub finished: bool,
}

/// A sample, and the number of conversations that it left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sampled {
    /// More than 0 and at most 1.
    pub share: f64,
    /// The word that chose it.
    pub seed: String,
    /// Conversations that are not in it.
    pub left_out: u64,
}

impl Figures {
    /// Returns whether there are findings, or nothing was checked.
    pub fn verdict(&self) -> Verdict {
        if !self.findings.is_empty() {
            Verdict::Findings
        } else if self.conversations + self.objects == 0 {
            Verdict::Nothing
        } else {
            Verdict::Clean
        }
    }
}

/// Reads back the archive and reports each finding.
pub async fn verify(session: &Session, request: Request, listener: Listener<'_, Finding>) -> Ended<Figures> {
    let checker = Arc::new(Checker {
        ledger: session.ledger(),
        storage: session.storage(),
        range: request.range,
    });
    let sampled = |sample: &Sample| Sampled {
        share: sample.share,
        seed: sample.seed.clone(),
        left_out: 0,
    };
    let mut verification = Verification {
        session,
        listener,
        concurrency: request.concurrency,
        figures: Figures {
            sample: request.sample.as_ref().map(sampled),
            ..Figures::default()
        },
        sample: request.sample,
        portion: Portion::default(),
    };
    let end = verification.all(request.conversations, &checker).await;
    verification.figures.finished = end.is_ok();
    Ended {
        figures: verification.figures,
        end,
    }
}

/// The result of checking one conversation or object.
#[derive(Debug, Default)]
struct Checked {
    conversations: u64,
    recordings: u64,
    files: u64,
    bytes: u64,
    events: u64,
    unarchived: u64,
    objects: u64,
    findings: Vec<Finding>,
}

struct Verification<'a> {
    session: &'a Session,
    listener: Listener<'a, Finding>,
    concurrency: usize,
    sample: Option<Sample>,
    /// The steps of the current page.
    portion: Portion,
    figures: Figures,
}

impl Verification<'_> {
    async fn all(&mut self, named: Vec<ConversationId>, checker: &Arc<Checker>) -> Result<(), Error> {
        if !named.is_empty() {
            self.listener.total(named.len() as u64);
            self.portion = Portion::new(named.len() as u64, named.len());
            return self.conversations(named, checker).await;
        }
        if let Some(items) = checker.ledger.about_how_many().await {
            self.listener.total(items);
        }
        let mut scanned = 0;
        let mut scan = Scan::new(&checker.ledger, checker.range.map(Range::start));
        while let Some(page) = scan.next(|record| checker.wants(record)).await? {
            self.session.go_on()?;
            for keys in page.unreadable {
                self.found(Finding::unreadable(keys));
            }
            let ids = self.sampled(page.ids);
            scanned += page.scanned;
            self.portion = Portion::new(page.scanned, ids.len());
            if ids.is_empty() {
                self.listener.steps(page.scanned);
            }
            self.conversations(ids, checker).await?;
        }
        // There are about as many objects as files that the ledger names.
        self.listener.total(scanned + self.figures.files);
        if self.sample.is_none() {
            self.objects(checker).await?;
        }
        Ok(())
    }

    /// Returns the conversations that are in the sample.
    fn sampled(&mut self, mut ids: Vec<ConversationId>) -> Vec<ConversationId> {
        if let (Some(sample), Some(sampled)) = (&self.sample, &mut self.figures.sample) {
            let all = ids.len();
            ids.retain(|id| sample.holds(&id.to_string()));
            sampled.left_out += (all - ids.len()) as u64;
        }
        ids
    }

    async fn conversations(&mut self, ids: Vec<ConversationId>, checker: &Arc<Checker>) -> Result<(), Error> {
        self.each(ids, |id| {
            let checker = checker.clone();
            async move { checker.conversation(id).await }
        })
        .await
    }

    /// Finds objects that no record names.
    async fn objects(&mut self, checker: &Arc<Checker>) -> Result<(), Error> {
        let prefix = self.session.config.storage.key_template.prefix();
        let mut from = None;
        loop {
            self.session.go_on()?;
            let page = checker.storage.list(prefix, from).await?;
            let wanted = |written: Option<Timestamp>| {
                checker
                    .range
                    .is_none_or(|range| written.is_none_or(|written| range.holds(written)))
            };
            let keys = page.objects.into_iter().filter(|(_, written)| wanted(*written));
            let keys: Vec<_> = keys.map(|(key, _)| key).collect();
            self.portion = Portion::new(keys.len() as u64, keys.len());
            self.each(keys, |key: String| {
                let checker = checker.clone();
                async move { checker.recorded(&key).await }
            })
            .await?;
            from = page.next;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    async fn each<T, F>(&mut self, items: Vec<T>, work: impl Fn(T) -> F) -> Result<(), Error>
    where
        F: Future<Output = Result<Checked, crate::error::Error>> + Send + 'static,
    {
        let (session, concurrency) = (self.session, self.concurrency);
        scan::each(session, concurrency, items, work, |checked| self.add(checked)).await
    }

    fn add(&mut self, checked: Checked) {
        let figures = &mut self.figures;
        figures.conversations += checked.conversations;
        figures.recordings += checked.recordings;
        figures.files += checked.files;
        figures.bytes += checked.bytes;
        figures.events += checked.events;
        figures.unarchived += checked.unarchived;
        figures.objects += checked.objects;
        for finding in checked.findings {
            self.found(finding);
        }
        self.listener.steps(self.portion.next());
        self.listener.bytes(self.figures.bytes);
    }

    fn found(&mut self, finding: Finding) {
        *self.figures.findings.entry(finding.code).or_default() += 1;
        self.listener.item(finding);
    }
}
