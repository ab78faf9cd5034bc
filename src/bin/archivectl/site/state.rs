//! What the page's server knows: who may ask, which calls are open, and what was searched for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use recording_archiver::domain::recording::ConversationId;
use recording_archiver::ops::find::Hit;
use recording_archiver::ops::finding::Finding;
use recording_archiver::ops::play::{self, Call, Figures, Request, Track};
use recording_archiver::ops::{Error, Kind, Session};
use recording_archiver::redact::people;
use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;

use super::quiet::Quiet;
use crate::words::Zone;

/// A search's fields as a form sends them: names and values.
pub(crate) type Form = Vec<(String, String)>;

/// Searches by a form.
pub(crate) type Search<'a> = dyn Fn(Form) -> LocalBoxFuture<'a, Result<Found, Error>> + 'a;

/// What a search found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Recordings.
    pub(crate) hits: Vec<Hit>,
    /// Sentences about recordings that may fit and are not among them.
    pub(crate) missed: Vec<String>,
    /// The mark after which the next ones begin; `None`: there are no more.
    pub(crate) after: Option<String>,
}

/// Most searches that are kept; of more, the oldest are forgotten.
const MOST_SEARCHES: usize = 100;

/// A call that is open, and how many of its findings were shown.
struct Opened<'a> {
    call: Arc<Call<'a>>,
    shown: usize,
}

/// A file that is to be checked as a whole.
pub(super) type Job<'a> = (Arc<Call<'a>>, Arc<Track>);

/// Everything that requests are answered from.
pub(super) struct Site<'a> {
    pub(super) session: &'a Session,
    pub(super) zone: &'a Zone,
    /// Host and port, as a browser names them.
    pub(super) authority: String,
    /// What a URL has to begin with.
    pub(super) token: String,
    pub(super) quiet: Quiet,
    pub(super) jobs: UnboundedSender<Job<'a>>,
    /// Why somebody listens.
    pub(super) reason: String,
    /// Where calls are found; `None`: only those are shown that are open.
    pub(super) search: Option<&'a Search<'a>>,
    /// The fields that the form begins with.
    pub(super) form: Form,
    /// The searches that were sent, by their numbers.
    searches: RefCell<BTreeMap<u64, Form>>,
    /// Never borrowed while something is awaited.
    calls: RefCell<BTreeMap<ConversationId, Opened<'a>>>,
}

impl<'a> Site<'a> {
    pub(super) fn new(
        (session, zone): (&'a Session, &'a Zone),
        authority: String,
        reason: &str,
        jobs: UnboundedSender<Job<'a>>,
    ) -> Self {
        Self {
            session,
            zone,
            authority,
            // 244 random bits.
            token: format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()),
            quiet: Quiet::new(),
            jobs,
            // As the audit keeps it.
            reason: people(reason),
            search: None,
            form: Form::new(),
            searches: RefCell::default(),
            calls: RefCell::default(),
        }
    }

    /// Keeps a search, and returns its number: each has one of its own, so that no tab shows the search of another.
    pub(super) fn keep(&self, form: Form) -> u64 {
        let mut searches = self.searches.borrow_mut();
        let number = searches.last_key_value().map_or(1, |(last, _)| last + 1);
        searches.insert(number, form);
        if searches.len() > MOST_SEARCHES {
            searches.pop_first();
        }
        number
    }

    /// Returns a search that is kept.
    pub(super) fn kept(&self, number: u64) -> Option<Form> {
        self.searches.borrow().get(&number).cloned()
    }

    /// Adds a call that is open.
    pub(super) fn add(&self, conversation: ConversationId, call: Arc<Call<'a>>) {
        self.calls
            .borrow_mut()
            .insert(conversation, Opened { call, shown: 0 });
    }

    /// Returns a call that is open, or opens it where calls are searched for.
    pub(super) async fn call(&self, conversation: ConversationId) -> Result<Arc<Call<'a>>, Error> {
        let known = |opened: &Opened<'a>| opened.call.clone();
        let open = self.calls.borrow().get(&conversation).map(known);
        if let Some(call) = open {
            return Ok(call);
        }
        if self.search.is_none() {
            return Err(Error::new(Kind::Usage, "another call was opened here"));
        }
        let request = Request {
            conversation,
            recording: None,
            reason: self.reason.clone(),
        };
        let call = Arc::new(play::open(self.session, &request).await?);
        // Another request may have opened it meanwhile.
        let mut calls = self.calls.borrow_mut();
        let opened = calls.entry(conversation).or_insert(Opened { call, shown: 0 });
        Ok(opened.call.clone())
    }

    /// Returns the findings that were not returned before.
    pub(super) fn fresh(&self) -> Vec<Finding> {
        let mut fresh = Vec::new();
        for opened in self.calls.borrow_mut().values_mut() {
            let findings = opened.call.findings();
            fresh.extend(findings.iter().skip(opened.shown).cloned());
            opened.shown = findings.len();
        }
        fresh
    }

    /// Returns what became of the calls.
    pub(super) async fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        let calls: Vec<_> = self
            .calls
            .borrow()
            .values()
            .map(|opened| opened.call.clone())
            .collect();
        for call in calls {
            call.count(&mut figures).await;
        }
        figures
    }
}
