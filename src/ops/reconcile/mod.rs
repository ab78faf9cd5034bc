//! Compares the lists of Genesys with the archive: recordings that are not archived, and the reverse. Compares the
//! archive with the catalog of calls as well, in both directions.

mod catalog;
mod conversations;
mod reverse;

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use serde::Serialize;

use self::catalog::Catalogued;
use super::filter::Filter;
use super::listing::{self, Listing};
use super::sink::{Pace, Sink};
use super::{Ended, Error, Listener, Session, Verdict};
use crate::aws::ledger::Ledger;
pub use crate::custody::standing::{Cause, Reason};
use crate::domain::days::Range;
use crate::domain::job::Job;
use crate::domain::recording::ConversationId;
use crate::genesys::Genesys;

/// A comparison, as it is asked for.
#[derive(Debug)]
pub struct Request {
    /// The days.
    pub range: Range,
    /// The filter over their conversations.
    pub filter: Filter,
    /// Send a job for each conversation that one can fix.
    pub enqueue: bool,
    /// Ask Genesys for the recordings of each conversation that is archived, or was settled without any.
    pub recordings: bool,
    /// Conversations to send, or to ask for their recordings, a minute.
    pub rate: f64,
}

/// A conversation that is reported.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// The conversation.
    pub interaction_id: String,
    /// Its beginning.
    pub start: Timestamp,
    /// Its standing.
    pub reason: Standing,
    /// Its recordings that are not archived; `None` for a conversation that is not listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recordings: Option<Vec<Cause>>,
}

/// The standing of a conversation that is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Standing {
    /// The conversation is not archived.
    Missing(Reason),
    /// The conversation is archived, and Genesys does not list it.
    NotListed(NotListed),
    /// The catalog has it, and no call record names it.
    OnlyCatalogued(OnlyCatalogued),
}

/// The one reason of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum NotListed {
    /// Its stable name.
    #[serde(rename = "not_listed")]
    NotListed,
}

/// The one reason of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum OnlyCatalogued {
    /// Its stable name.
    #[serde(rename = "only_catalogued")]
    OnlyCatalogued,
}

/// A comparison in figures.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Conversations that Genesys lists.
    pub listed: u64,
    /// No recording of a wanted kind was started.
    pub unrecorded: u64,
    /// Left out by the filters.
    pub filtered: u64,
    /// Not over yet.
    pub ongoing: u64,
    /// Entries of Genesys' lists that cannot be read.
    pub unreadable: u64,
    /// Recorded conversations by their standing.
    pub reasons: BTreeMap<Reason, u64>,
    /// Archived, and not listed by Genesys.
    pub not_listed: u64,
    /// In the catalog, and named by no call record.
    pub only_catalogued: u64,
    /// Sent to the work queue.
    pub sent: u64,
    /// Refused by it.
    pub refused: u64,
    /// Everything that was asked for was compared.
    pub finished: bool,
}

impl Figures {
    /// Counts the findings.
    pub fn findings(&self) -> u64 {
        let findings = self.reasons.iter().filter(|(reason, _)| reason.is_finding());
        findings.map(|(_, count)| count).sum::<u64>() + self.only_catalogued + self.unreadable + self.refused
    }

    /// Returns whether there are findings.
    pub fn verdict(&self) -> Verdict {
        if self.findings() == 0 {
            Verdict::Clean
        } else {
            Verdict::Findings
        }
    }
}

/// Compares the lists of Genesys with both tables.
pub async fn reconcile(
    session: &Session,
    request: &Request,
    listener: Listener<'_, Item>,
) -> Result<Ended<Figures>, Error> {
    let mut reconciliation = Reconciliation {
        session,
        request,
        listener,
        ledger: session.ledger(),
        sink: request.enqueue.then(|| Sink::queue(session)).transpose()?,
        genesys: request.recordings.then(|| session.genesys()).transpose()?,
        pace: Pace::new(request.rate),
        batch: Vec::new(),
        listed: HashSet::new(),
        catalogued: None,
        figures: Figures::default(),
    };
    let end = reconciliation.all().await;
    let mut figures = reconciliation.figures;
    figures.listed = reconciliation.listed.len() as u64;
    figures.finished = end.is_ok();
    Ok(Ended { figures, end })
}

struct Reconciliation<'a> {
    session: &'a Session,
    request: &'a Request,
    listener: Listener<'a, Item>,
    ledger: Ledger,
    /// None without `enqueue`.
    sink: Option<Sink>,
    /// None without `recordings`.
    genesys: Option<Genesys>,
    pace: Pace,
    /// Waiting to be sent.
    batch: Vec<Job>,
    /// All conversations that Genesys lists.
    listed: HashSet<ConversationId>,
    /// `None` where there is no catalog.
    catalogued: Option<Catalogued>,
    figures: Figures,
}

/// Number of conversations that the tables are asked about at a time.
const LOOKUPS: usize = 16;

impl Reconciliation<'_> {
    async fn all(&mut self) -> Result<(), Error> {
        self.catalogued = Catalogued::read(self.session, self.request.range).await?;
        let mut listing = Listing::begin(self.session, self.request.range.days()).await?;
        while let Some((place, mut day)) = listing.next().await? {
            self.listener.at(place);
            while let Some(page) = listing::next_page(self.session, &mut day).await? {
                self.page(page).await?;
            }
            self.listener.parts(place.before + 1, place.all);
        }
        self.flush().await?;
        self.reverse().await?;
        self.only_catalogued().await
    }
}
