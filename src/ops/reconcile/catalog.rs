//! The catalog of calls against the archive: archived recordings that it does not know, and items of calls without a
//! call record.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use super::{Cause, Item, LOOKUPS, OnlyCatalogued, Reason, Reconciliation, Standing};
use crate::aws::storage::Storage;
use crate::catalog::{Catalog, Entry};
use crate::domain::call::{CallRecord, Extent};
use crate::domain::days::Range;
use crate::domain::record::Record;
use crate::domain::recording::ConversationId;
use crate::ops::custody::{self, Custody};
use crate::ops::{Error, Session, scan};

/// A recording, in 24 bytes: its conversation, and a part of the SHA-256 of its id.
type Key = (ConversationId, u64);

/// The catalog, and what it holds of the days.
#[derive(Debug)]
pub(super) struct Catalogued {
    catalog: Catalog,
    storage: Storage,
    /// The recordings that nothing was held against yet, with the start of their calls in milliseconds.
    left: HashMap<Key, i64>,
}

impl Catalogued {
    /// Reads the items by hour of these days. `None` where calls are not described, or there is no catalog.
    pub(super) async fn read(session: &Session, range: Range) -> Result<Option<Self>, Error> {
        let described = session.config.settles() && session.config.call_record != Extent::Off;
        if !described || session.config.catalog.is_none() {
            return Ok(None);
        }
        let mut catalogued = Self {
            catalog: session.catalog()?,
            storage: session.storage(),
            left: HashMap::new(),
        };
        let end = range.end().min(session.now());
        let hours = (0..).map(|hours| range.start() + SignedDuration::from_hours(hours));
        for hour in hours.take_while(|hour| *hour < end) {
            session.unless_interrupted(catalogued.hour(hour)).await?;
        }
        Ok(Some(catalogued))
    }

    async fn hour(&mut self, hour: Timestamp) -> Result<(), Error> {
        let mut after = None;
        loop {
            let (entries, more) = self.catalog.began(hour, after.as_deref()).await?;
            let known = |entry: &Entry| {
                let id = ConversationId::parse(&entry.interaction_id).ok()?;
                Some((key(id, &entry.recording_id), entry.start.as_millisecond()))
            };
            self.left.extend(entries.iter().filter_map(known));
            after = entries.into_iter().next_back().map(|entry| entry.at);
            if !more {
                return Ok(());
            }
        }
    }

    /// Returns what the catalog lacks of an archived conversation.
    pub(super) async fn lacks(
        &mut self,
        id: ConversationId,
        custodies: &[Custody],
    ) -> Result<Option<(Reason, Vec<Cause>)>, Error> {
        let archived: Vec<_> = custodies
            .iter()
            .filter(|custody| custody.record.as_ref().is_some_and(Record::is_archived))
            .collect();
        let whole = custodies.iter().find(|custody| custody.recording == "-");
        let record = whole.and_then(|whole| whole.record.as_ref());
        let described = record.map_or(&[][..], |record| &record.described);
        let undescribed = archived
            .iter()
            .filter(|custody| !described.contains(&custody.recording));
        let undescribed: Vec<_> = undescribed
            .map(|custody| {
                Cause::unfound(
                    custody,
                    "no call record names it, so archivectl find does not know it",
                )
            })
            .collect();
        let mut missing = archived.clone();
        missing.retain(|custody| self.left.remove(&key(id, &custody.recording)).is_none());
        if !undescribed.is_empty() {
            return Ok(Some((Reason::Undescribed, undescribed)));
        }
        let Some(whole) = whole.filter(|_| !missing.is_empty()) else {
            return Ok(None);
        };
        // By its details a call may have begun on another day than Genesys lists it under.
        let there = self.looked_up(id, whole).await?;
        missing.retain(|custody| !there.contains(&custody.recording));
        let causes: Vec<_> = missing
            .iter()
            .map(|custody| {
                Cause::unfound(
                    custody,
                    "the catalog has no item of it: archivectl catalog rebuild",
                )
            })
            .collect();
        Ok((!causes.is_empty()).then_some((Reason::Uncatalogued, causes)))
    }

    /// Returns the recordings that the catalog has where the last call record says that they are; none where it cannot
    /// be read, as `verify` reports.
    async fn looked_up(&self, id: ConversationId, whole: &Custody) -> Result<BTreeSet<String>, Error> {
        let files = whole.files();
        let Some(last) = files.last() else {
            return Ok(BTreeSet::new());
        };
        let read = self.storage.read_call(&last.archive_key, &last.sha256).await;
        let call = read
            .ok()
            .flatten()
            .and_then(|bytes| CallRecord::read(&bytes).ok());
        let Some(call) = call else {
            return Ok(BTreeSet::new());
        };
        let (start, id) = (call.facts(None).start, id.to_string());
        let entries = self.catalog.of_call(start, &id).await?;
        Ok(entries.into_iter().map(|entry| entry.recording_id).collect())
    }
}

impl Reconciliation<'_> {
    /// Finds the items of calls that no call record names.
    pub(super) async fn only_catalogued(&mut self) -> Result<(), Error> {
        let Some(catalogued) = self.catalogued.take() else {
            return Ok(());
        };
        let mut left: HashMap<ConversationId, Vec<Key>> = HashMap::new();
        for key in catalogued.left.keys() {
            left.entry(key.0).or_default().push(*key);
        }
        let ledger = self.ledger.clone();
        let read = |(id, keys): (ConversationId, Vec<Key>)| {
            let ledger = ledger.clone();
            async move {
                let held = custody::of(&ledger, id).await?;
                let named = named(id, &held.custodies);
                let stray = keys.into_iter().find(|key| !named.contains(key));
                Ok(stray)
            }
        };
        let (session, listener, figures) = (self.session, self.listener, &mut self.figures);
        scan::each(session, LOOKUPS, left.into_iter().collect(), read, |stray| {
            let Some(key) = stray else { return };
            let start = catalogued.left.get(&key).copied().unwrap_or_default();
            figures.only_catalogued += 1;
            listener.item(Item {
                interaction_id: key.0.to_string(),
                start: Timestamp::from_millisecond(start).unwrap_or_default(),
                reason: Standing::OnlyCatalogued(OnlyCatalogued::OnlyCatalogued),
                recordings: None,
            });
        })
        .await
    }
}

/// Returns the recordings that the call records of a conversation name, or are about to.
fn named(id: ConversationId, custodies: &[Custody]) -> BTreeSet<Key> {
    let whole = custodies.iter().find(|custody| custody.recording == "-");
    let record = whole.and_then(|whole| whole.record.as_ref());
    let Some(record) = record.filter(|record| !record.is_erased()) else {
        return BTreeSet::new();
    };
    // A run is at it, or died, and the next look adopts what it put.
    let being = custodies
        .iter()
        .map(|custody| &custody.recording)
        .filter(|_| !record.describing.is_empty());
    record
        .described
        .iter()
        .chain(being)
        .map(|of| key(id, of))
        .collect()
}

fn key(id: ConversationId, recording: &str) -> Key {
    let digest = Sha256::digest(recording);
    let part = digest.iter().take(8);
    (id, part.fold(0, |number, byte| number << 8 | u64::from(*byte)))
}
