//! What was recorded at Genesys and is not archived, and the reverse.

mod conversations;
mod reason;
mod reverse;

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use serde::Serialize;

use super::filter::Filter;
use super::listing::{self, Listing};
use super::sink::{Pace, Sink};
use super::{Ended, Error, Session, Tell, Verdict};
use crate::aws::ledger::Ledger;
use crate::domain::days::Range;
use crate::domain::job::Job;
use crate::domain::recording::ConversationId;
use crate::genesys::Genesys;
pub use reason::{Cause, Reason};

/// What is to be compared.
#[derive(Debug)]
pub struct Request {
    /// Which days.
    pub range: Range,
    /// Which of their conversations.
    pub filter: Filter,
    /// What a job can fix goes to the work queue.
    pub enqueue: bool,
    /// Genesys is asked for the recordings of each conversation that is archived, or was settled without any.
    pub recordings: bool,
    /// How many conversations a minute to send, or to ask for their recordings.
    pub rate: f64,
}

/// A conversation that is told.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Which conversation.
    pub interaction_id: String,
    /// When it began.
    pub start: Timestamp,
    /// How it stands.
    pub reason: Told,
    /// Its recordings that are not archived; nothing is said of what is not listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recordings: Option<Vec<Cause>>,
}

/// How a conversation that is told stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Told {
    /// It is not archived.
    Missing(Reason),
    /// It is archived, and Genesys does not list it.
    NotListed(NotListed),
}

/// The one reason of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum NotListed {
    /// Its stable name.
    #[serde(rename = "not_listed")]
    NotListed,
}

/// How a comparison came out.
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
    /// Recorded conversations by how they stand.
    pub reasons: BTreeMap<Reason, u64>,
    /// Archived, and not listed by Genesys.
    pub not_listed: u64,
    /// Sent to the work queue.
    pub sent: u64,
    /// Refused by it.
    pub refused: u64,
    /// Everything that was asked for was looked at.
    pub finished: bool,
}

impl Figures {
    /// Returns how much there is to look after.
    pub fn findings(&self) -> u64 {
        let findings = self.reasons.iter().filter(|(reason, _)| reason.is_finding());
        findings.map(|(_, count)| count).sum::<u64>() + self.unreadable + self.refused
    }

    /// Says whether there is something to look after.
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
    tell: Tell<'_, Item>,
) -> Result<Ended<Figures>, Error> {
    let mut reconciliation = Reconciliation {
        session,
        request,
        tell,
        ledger: session.ledger(),
        sink: request.enqueue.then(|| Sink::queue(session)).transpose()?,
        genesys: request.recordings.then(|| session.genesys()).transpose()?,
        pace: Pace::new(request.rate),
        batch: Vec::new(),
        listed: HashSet::new(),
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
    tell: Tell<'a, Item>,
    ledger: Ledger,
    /// None without `enqueue`.
    sink: Option<Sink>,
    /// None without `recordings`.
    genesys: Option<Genesys>,
    pace: Pace,
    /// Waiting to be sent.
    batch: Vec<Job>,
    /// All that Genesys lists.
    listed: HashSet<ConversationId>,
    figures: Figures,
}

/// How many conversations the ledger is asked about at a time.
const LOOKUPS: usize = 16;

impl Reconciliation<'_> {
    async fn all(&mut self) -> Result<(), Error> {
        let mut listing = Listing::begin(self.session, self.request.range.days()).await?;
        while let Some((place, mut day)) = listing.next().await? {
            self.tell.at(place);
            while let Some(page) = listing::next_page(self.session, &mut day).await? {
                self.page(page).await?;
            }
            self.tell.parts(place.before + 1, place.all);
        }
        self.flush().await?;
        self.reverse().await
    }
}
