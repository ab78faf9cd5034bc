//! The proof that the log holds an event: C2SP tlog-proof, which anybody can check without this program.

use std::collections::HashSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde::Serialize;

use super::{Chain, Leaves, Log, Outside, inconsistency};
use crate::domain::audit::AuditEvent;
use crate::ops::error::Error;
use crate::ops::finding::{Code, Finding};
use crate::ops::scan::Scan;
use crate::ops::{Kind, Session};
use crate::seal::Entry;
use crate::seal::checkpoint::Checkpoint;

/// The first line of a proof. <https://c2sp.org/tlog-proof>
const FORMAT: &str = "c2sp.org/tlog-proof@v1";

/// A proof that a leaf is in the tree of a checkpoint.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// The entry of the leaf: the event's `eventHash`.
    pub event_hash: String,
    /// The leaf, from 0.
    pub leaf: u64,
    /// Number of leaves of the checkpoint.
    pub size: u64,
    /// When the checkpoint was signed.
    pub time: Timestamp,
    /// What others need to check its signature: a verifier key of a signed note.
    pub verifier_key: String,
    /// The proof: index, hashes, and the checkpoint.
    pub proof: String,
}

/// The end of an attempt to prove an event.
#[derive(Debug)]
pub enum Proved {
    /// The log holds it.
    Sealed(Box<Proof>),
    /// The log does not hold it, or not the way that its checkpoint signed.
    Unproven(Vec<Finding>),
}

/// Proves that the log holds the event of this `eventId` or `eventHash`.
pub async fn prove(session: &Session, event: &str, outside: &Outside) -> Result<Proved, Error> {
    let log = Log::required(session, outside.key.as_ref()).await?;
    let (entry, since) = match event.parse::<Entry>() {
        Ok(entry) => (entry, None),
        Err(_) => look_up(session, event).await?,
    };
    let chain = Chain::read(&log).await?;
    let not_sealed = |detail: String| {
        let finding = Finding::of_log(Code::EventNotSealed, None, detail);
        Ok(Proved::Unproven(vec![finding]))
    };
    let Some(newest) = &chain.newest else {
        return not_sealed("the log has no checkpoint".to_owned());
    };
    let tree = log.tree(newest);
    let first = since.map_or(0, |since| chain.size_at(since));
    let mut leaves = Leaves::new(session, &tree, first, newest.size);
    let (found, wrong) = leaves.find(HashSet::from([entry])).await?;
    let inconsistent = |detail: String| Finding::of_log(Code::LogInconsistent, None, detail);
    let Some(leaf) = found.get(&entry) else {
        if !wrong.is_empty() {
            return Ok(Proved::Unproven(wrong.into_iter().map(inconsistent).collect()));
        }
        let (size, time) = (newest.size, newest.time);
        return not_sealed(format!(
            "no leaf of the checkpoint of size {size}, signed {time}, is {entry}"
        ));
    };
    match inconsistency(tree.inclusion(*leaf).await)? {
        Err(detail) => Ok(Proved::Unproven(vec![inconsistent(detail)])),
        Ok(hashes) => Ok(Proved::Sealed(Box::new(Proof {
            event_hash: entry.to_string(),
            leaf: *leaf,
            size: newest.size,
            time: newest.time,
            verifier_key: log.key.verifier_key(),
            proof: text(*leaf, hashes.iter().map(|hash| hash.0), newest),
        }))),
    }
}

/// Returns a proof as C2SP tlog-proof writes it.
fn text(leaf: u64, hashes: impl Iterator<Item = [u8; 32]>, checkpoint: &Checkpoint) -> String {
    let mut text = format!("{FORMAT}\nindex {leaf}\n");
    for hash in hashes {
        text.push_str(&BASE64_STANDARD.encode(hash));
        text.push('\n');
    }
    text.push('\n');
    text + &String::from_utf8_lossy(&checkpoint.note)
}

/// Returns the entry of the event of this `eventId`, and the time before which it cannot have been sealed.
async fn look_up(session: &Session, event_id: &str) -> Result<(Entry, Option<Timestamp>), Error> {
    let ledger = session.ledger();
    let mut scan = Scan::new(&ledger);
    let unknown = || {
        Error::new(Kind::Usage, format!("the audit has no event {event_id}")).remedy(
            "give an event's eventId or its eventHash: archivectl audit CONVERSATION --json prints both",
        )
    };
    while let Some(page) = scan.events(|mark| mark.event_id == event_id).await? {
        session.go_on()?;
        for id in page.ids {
            let events = ledger.events(id).await?.events;
            let named = |event: &&AuditEvent| event.text("eventId") == Some(event_id);
            let Some(event) = events.iter().find(named) else {
                continue;
            };
            let hash = event.text("eventHash").and_then(|hash| hash.parse().ok());
            return Ok((hash.ok_or_else(unknown)?, event.timestamp()));
        }
    }
    Err(unknown())
}
