//! The conversations that Genesys recorded in the days of a report, against the archive: as `reconcile` finds them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Behind, NAMED};
use crate::domain::days::Range;
use crate::ops::filter::Filter;
use crate::ops::reconcile::{self, Item, Reason, Standing, reconcile};
use crate::ops::{Error, Event, Listener, Session};

/// The comparison of the conversations that began in these days, by Genesys and by the archive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// Conversations that Genesys lists.
    pub listed: u64,
    /// Those that are not over yet.
    pub ongoing: u64,
    /// Entries of Genesys' lists that cannot be read.
    pub unreadable: u64,
    /// Conversations that are over, and of which Genesys says that a recording was started.
    pub recorded: u64,
    /// Those that are archived.
    pub archived: u64,
    /// Those that may still be archived by themselves.
    pub waiting: u64,
    /// Those that are neither.
    pub missing: u64,
    /// Recorded conversations by the reasons of `reconcile`.
    pub reasons: BTreeMap<Reason, u64>,
    /// The conversations behind each reason but `archived`, the first ones found.
    pub conversations: BTreeMap<&'static str, BTreeSet<String>>,
    /// Conversations that are archived, and that Genesys does not list.
    pub not_listed: u64,
}

impl Compared {
    /// Counts what somebody has to look into.
    pub fn findings(&self) -> u64 {
        let findings = self.reasons.iter().filter(|(reason, _)| reason.is_finding());
        findings.map(|(_, count)| count).sum::<u64>() + self.unreadable
    }

    fn counted(figures: reconcile::Figures) -> Self {
        let sum = |of: fn(Reason) -> bool| {
            let reasons = figures.reasons.iter().filter(|(reason, _)| of(**reason));
            reasons.map(|(_, count)| count).sum::<u64>()
        };
        let waiting = sum(Reason::is_early);
        let missing = sum(|reason| !reason.is_archived() && !reason.is_early());
        // The reasons count conversations that are archived and not listed, too.
        let others = figures.unrecorded + figures.filtered + figures.ongoing;
        let recorded = figures.listed.saturating_sub(others);
        Self {
            listed: figures.listed,
            ongoing: figures.ongoing,
            unreadable: figures.unreadable,
            recorded,
            archived: recorded.saturating_sub(waiting + missing),
            waiting,
            missing,
            reasons: figures.reasons,
            conversations: BTreeMap::new(),
            not_listed: figures.not_listed,
        }
    }
}

/// Lists the conversations of these days at Genesys, and asks both tables about each. Each one that is not archived is
/// an item.
pub(super) async fn with_genesys(
    session: &Session,
    range: Range,
    listener: Listener<'_, Behind>,
) -> Result<Compared, Error> {
    let request = reconcile::Request {
        range,
        filter: Filter::default(),
        enqueue: false,
        recordings: false,
        // Nothing is sent.
        rate: 1.0,
    };
    let named = RefCell::new(BTreeMap::<&'static str, BTreeSet<String>>::new());
    let hear = |event: Event<Item>| match event {
        Event::Item(item) => {
            if let Some(behind) = behind(item) {
                let mut named = named.borrow_mut();
                let ids = named.entry(behind.state).or_default();
                if ids.len() < NAMED {
                    ids.insert(behind.interaction_id.clone());
                }
                listener.item(behind);
            }
        }
        Event::At(place) => listener.at(place),
        Event::Parts { done, all } => listener.parts(done, all),
        Event::Steps(_) | Event::Total(_) | Event::Bytes(_) => {}
    };
    let ended = Box::pin(reconcile(session, &request, Listener::new(&hear))).await?;
    ended.end?;
    Ok(Compared {
        conversations: named.into_inner(),
        ..Compared::counted(ended.figures)
    })
}

fn behind(item: Item) -> Option<Behind> {
    let state = match item.reason {
        Standing::Missing(reason) => reason.as_str(),
        Standing::NotListed(_) => "not_listed",
        Standing::OnlyCatalogued(_) => return None,
    };
    Some(Behind {
        interaction_id: item.interaction_id,
        recording_id: "-".to_owned(),
        state,
        archived_at: None,
        bytes: 0,
        retain_until: None,
        locks: BTreeSet::new(),
        hold: None,
    })
}
