//! Proves that the archive is unchanged, byte by byte and event by event. The audit says what there has to be.

mod check;
mod ending;
mod log;
mod object;
mod sample;
mod scope;
mod strays;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::Serialize;

use super::finding::{Code, Finding};
use super::indexed::Indexed;
use super::log::Outside;
use super::scan::{self, Portion, Scan, Subjects};
use super::span::{Axis, Span};
use super::{Ended, Error, Listener, Session, Verdict};
use crate::domain::audit::Subject;
use crate::domain::recording::ConversationId;
pub(super) use check::{Checked, Checker};
pub use check::{Proof, Proven};
pub use ending::{Ending, Gone};
pub use log::Sealed;
use log::{Comparison, Reverse};
pub use sample::Sample;
pub use scope::Scope;

/// A verification, as it is asked for.
#[derive(Debug)]
pub struct Request {
    /// The conversations; empty: all of the archive.
    pub conversations: Vec<ConversationId>,
    /// Only recordings of these days.
    pub span: Option<Span>,
    /// Only a share of the conversations, and no objects that no record names.
    pub sample: Option<Sample>,
    /// Number of conversations at a time.
    pub concurrency: usize,
    /// What the log is held against.
    pub outside: Outside,
}

/// A verification in figures.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Conversations.
    pub conversations: u64,
    /// Archived recordings.
    pub recordings: u64,
    /// Files whose bytes were read back.
    pub files: u64,
    /// Files that are as they were archived.
    pub proven: u64,
    /// Files of those with a change that is no finding, or of which not everything was recorded.
    pub noted: u64,
    /// Files that ended: nothing has to lie there any more.
    pub gone: u64,
    /// Files of those of which nothing is left that says when they were deleted.
    pub untraced: u64,
    /// Bytes read back.
    pub bytes: u64,
    /// Audit events.
    pub events: u64,
    /// Recordings that are not archived; only their audit was checked.
    pub unarchived: u64,
    /// Recordings that were erased on purpose; no version of their objects is left.
    pub erased: u64,
    /// Objects that were looked up in the audit.
    pub objects: u64,
    /// The sample, if one was asked for.
    pub sample: Option<Sampled>,
    /// Findings by kind.
    pub findings: BTreeMap<Code, u64>,
    /// What was held against the log; null where none is configured.
    pub log: Option<Sealed>,
    /// Everything that was asked for was checked.
    pub finished: bool,
    /// What was looked at, with what, by whom, and when.
    pub scope: Option<Scope>,
}

/// A result on the way.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Item {
    /// A fault.
    Finding(Finding),
    /// An object that is as it was archived.
    Proven(Proven),
    /// An object that ended lawfully.
    Gone(Gone),
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
    /// Returns whether there are findings, or no file was read back: then nothing is proven.
    pub fn verdict(&self) -> Verdict {
        if !self.findings.is_empty() {
            Verdict::Findings
        } else if self.files == 0 {
            Verdict::Nothing
        } else {
            Verdict::Clean
        }
    }
}

/// Returns whether days are those of calls, which neither ledger nor bucket know.
fn by_call(span: Option<Span>) -> bool {
    span.is_some_and(|span| span.axis == Axis::Call)
}

/// Reads back the archive and reports each finding.
pub async fn verify(session: &Session, request: Request, listener: Listener<'_, Item>) -> Ended<Figures> {
    let checker = Arc::new(Checker {
        ledger: session.ledger(),
        storage: session.storage(),
        span: request.span,
    });
    let scope = Scope::begin(session, &request).await;
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
        searches: request.conversations.is_empty() && request.sample.is_none() && !by_call(request.span),
        sample: request.sample,
        portion: Portion::default(),
        log: None,
        named: HashSet::new(),
        elsewhere: Vec::new(),
    };
    let end = verification
        .with_log(&request.outside, request.conversations, &checker)
        .await;
    verification.figures.finished = end.is_ok();
    verification.figures.scope = Some(scope.end(session.now()));
    Ended {
        figures: verification.figures,
        end,
    }
}

struct Verification<'a> {
    session: &'a Session,
    listener: Listener<'a, Item>,
    concurrency: usize,
    sample: Option<Sample>,
    /// The steps of the current page.
    portion: Portion,
    log: Option<Comparison<'a>>,
    /// The objects that the audit named so far, 16 bytes each; empty where no others are looked for.
    named: HashSet<u128>,
    /// A search for objects that no event names follows.
    searches: bool,
    /// The conversations that objects of the bucket led to.
    elsewhere: Vec<ConversationId>,
    figures: Figures,
}

impl Verification<'_> {
    /// Checks everything, and holds it against the log as that was before.
    async fn with_log(
        &mut self,
        outside: &Outside,
        named: Vec<ConversationId>,
        checker: &Arc<Checker>,
    ) -> Result<(), Error> {
        let reverse = Reverse::of(checker.span, named.is_empty() && self.sample.is_none());
        let sample = self.sample.clone().filter(|_| checker.span.is_none());
        self.log = Comparison::begin(self.session, outside, reverse, sample).await?;
        self.all(named, checker).await?;
        if let Some(log) = self.log.take() {
            self.listener.at("the log");
            let (figures, findings) = log.end().await?;
            self.figures.log = Some(figures);
            findings.into_iter().for_each(|finding| self.found(finding));
        }
        Ok(())
    }

    async fn all(&mut self, named: Vec<ConversationId>, checker: &Arc<Checker>) -> Result<(), Error> {
        if !named.is_empty() {
            self.listener.total(named.len() as u64);
            self.portion = Portion::new(named.len() as u64, named.len());
            let named = named.into_iter().map(Subject::from);
            return self.subjects(named.collect(), checker).await;
        }
        let mut scanned = 0;
        // 18 bytes for each conversation, so that the ledger is only asked about others.
        let mut seen = HashSet::new();
        let span = checker.span;
        let events = Indexed::new(self.session, &checker.ledger, span);
        let mut events = self.session.unless_interrupted(events).await?;
        if let Some(items) = events.items {
            self.listener.total(items);
        }
        while let Some(page) = self.session.unless_interrupted(events.next()).await? {
            scanned += page.scanned;
            if span.is_none() {
                seen.extend(page.ids.iter().copied());
            }
            self.listed(page, checker, Finding::unreadable_keys).await?;
        }
        // The ledger has no days to be asked for: a span would cost what the whole of it costs.
        if span.is_none() {
            let mut records = Scan::new(&checker.ledger);
            while let Some(mut page) = self.session.unless_interrupted(records.records(|_| true)).await? {
                page.ids.retain(|id| !seen.contains(id));
                page.scanned = 0;
                self.listed(page, checker, Finding::unreadable).await?;
            }
        }
        // There are about as many objects as files that the audit names.
        self.listener.total(scanned + self.figures.files);
        if self.searches {
            self.objects(checker).await?;
        }
        Ok(())
    }

    /// Checks the conversations of a page, and the other subjects.
    async fn listed(
        &mut self,
        page: Subjects,
        checker: &Arc<Checker>,
        unreadable: fn((String, String)) -> Finding,
    ) -> Result<(), Error> {
        for keys in page.unreadable {
            self.found(unreadable(keys));
        }
        let ids = self.sampled(page.ids);
        self.portion = Portion::new(page.scanned, ids.len());
        if ids.is_empty() {
            self.listener.steps(page.scanned);
        }
        self.subjects(ids, checker).await
    }

    /// Returns the subjects that are in the sample.
    fn sampled(&mut self, mut ids: Vec<Subject>) -> Vec<Subject> {
        if let (Some(sample), Some(sampled)) = (&self.sample, &mut self.figures.sample) {
            let all = ids.len();
            ids.retain(|id| sample.holds(&id.to_string()));
            sampled.left_out += (all - ids.len()) as u64;
        }
        ids
    }

    async fn subjects(&mut self, ids: Vec<Subject>, checker: &Arc<Checker>) -> Result<(), Error> {
        self.each(ids, |id| {
            let checker = checker.clone();
            async move { checker.subject(id).await }
        })
        .await
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
        figures.erased += checked.erased;
        figures.objects += checked.objects;
        figures.proven += checked.proven.len() as u64;
        if let (Some(log), Some(id)) = (&mut self.log, checked.subject) {
            log.add(id, checked.leaves);
        }
        figures.gone += checked.gone.len() as u64;
        let untraced = checked.gone.iter().filter(|gone| gone.ending == Ending::Untraced);
        figures.untraced += untraced.count() as u64;
        self.elsewhere.extend(checked.elsewhere);
        if self.searches {
            self.named.extend(checked.named);
        }
        for finding in checked.findings {
            self.found(finding);
        }
        for gone in checked.gone {
            self.listener.item(Item::Gone(gone));
        }
        for proven in checked.proven {
            self.figures.noted += u64::from(!proven.notes.is_empty());
            self.listener.item(Item::Proven(proven));
        }
        self.listener.steps(self.portion.next());
        self.listener.bytes(self.figures.bytes);
    }

    fn found(&mut self, finding: Finding) {
        *self.figures.findings.entry(finding.code).or_default() += 1;
        self.listener.item(Item::Finding(finding));
    }
}
