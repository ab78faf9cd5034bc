//! The proof that the log holds an event: C2SP tlog-proof, which anybody can check without this program.

use std::collections::HashSet;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde::Serialize;

use super::{Chain, Leaves, Log, Outside, inconsistency};
use crate::domain::audit::{AuditEvent, Subject};
use crate::domain::recording::ConversationId;
use crate::ops::Session;
use crate::ops::error::Error;
use crate::ops::finding::{Code, Finding};
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

/// An event, by what people have of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// Its `eventHash`.
    Hash(Entry),
    /// Its place in the chain of a recording.
    Place {
        /// The conversation, or the day of a statement.
        subject: Subject,
        /// The recording as the audit spells it; `-` is the conversation as a whole.
        recording: String,
        /// Its `seq`, from 1.
        seq: u64,
    },
}

impl FromStr for Named {
    type Err = String;

    /// Reads an `eventHash`, or conversation, recording and `seq` with spaces between them.
    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<_> = text.split(' ').collect();
        match words[..] {
            [hash] => match hash.parse() {
                Ok(entry) => Ok(Self::Hash(entry)),
                Err(_) => Err(format!("{hash} is no eventHash: 64 hexadecimal digits")),
            },
            [subject, recording, seq] => Ok(Self::Place {
                subject: match Subject::parse(subject) {
                    Some(subject) => subject,
                    None => ConversationId::parse(subject)
                        .map_err(|error| error.to_string())?
                        .into(),
                },
                recording: recording.to_owned(),
                seq: seq
                    .parse()
                    .map_err(|_| format!("{seq} is no number of an event in its chain"))?,
            }),
            _ => {
                Err("an event is named by its eventHash, or by conversation, recording and number".to_owned())
            }
        }
    }
}

/// Proves that the log holds an event.
pub async fn prove(session: &Session, event: &Named, outside: &Outside) -> Result<Proved, Error> {
    let log = Log::required(session, outside.key.as_ref()).await?;
    let (entry, since) = match event {
        Named::Hash(entry) => (*entry, None),
        Named::Place {
            subject,
            recording,
            seq,
        } => look_up(session, *subject, recording, *seq).await?,
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

/// Returns the entry of an event, and the time before which it cannot have been sealed.
async fn look_up(
    session: &Session,
    subject: Subject,
    recording: &str,
    seq: u64,
) -> Result<(Entry, Option<Timestamp>), Error> {
    let ledger = session.ledger();
    let events = session.unless_interrupted(ledger.events(subject)).await?.events;
    let named = |event: &&AuditEvent| event.recording() == Some(recording) && event.seq() == Some(seq);
    let found = events.iter().find(named);
    let entry = found.and_then(|event| event.text("eventHash")?.parse().ok());
    let entry = entry.ok_or_else(|| {
        let message = format!("the audit has no event {seq} of {subject}, recording {recording}");
        let remedy = "archivectl audit CONVERSATION lists the events with their numbers";
        Error::usage(message, remedy)
    })?;
    Ok((entry, found.and_then(AuditEvent::timestamp)))
}
