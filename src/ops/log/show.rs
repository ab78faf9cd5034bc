//! What the log is: its name and key, its newest checkpoint, and what waits for the next one.

use jiff::Timestamp;
use serde::Serialize;

use super::{Chain, Log, Outside};
use crate::ops::finding::Finding;
use crate::ops::{Error, Session, Verdict};

/// A log as it stands.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// Its name: the first line of its checkpoints.
    pub origin: String,
    /// What others need to check its signatures: a verifier key of a signed note.
    pub verifier_key: String,
    /// Its bucket.
    pub bucket: String,
    /// Number of leaves at the newest checkpoint; null without one.
    pub size: Option<u64>,
    /// The root there, in base64.
    pub root: Option<String>,
    /// Number of checkpoints.
    pub checkpoints: u64,
    /// When the first one was signed.
    pub first: Option<Timestamp>,
    /// When the newest one was signed.
    pub newest: Option<Timestamp>,
    /// Seconds since then.
    pub age_seconds: Option<i64>,
    /// Batches that no checkpoint has signed yet.
    pub waiting: u64,
    /// The signed note of the newest checkpoint: to be kept outside the account.
    pub checkpoint: Option<String>,
    /// Checkpoints that claim to be newer and are none.
    pub findings: Vec<Finding>,
}

/// Reads what the log is. Checks the signature of the newest checkpoint alone.
pub async fn show(session: &Session, outside: &Outside) -> Result<Shown, Error> {
    let reading = async {
        let log = Log::required(session, outside.key.as_ref()).await?;
        let chain = Chain::read(&log).await?;
        let newest = chain.newest.as_ref();
        let size = newest.map(|newest| newest.size);
        let waiting = log.store.batches_from(size.unwrap_or_default()).await?;
        Ok::<_, Error>(Shown {
            origin: log.key.origin().to_owned(),
            verifier_key: log.key.verifier_key(),
            bucket: log.store.bucket().to_owned(),
            size,
            root: newest.map(|newest| newest.root.to_string()),
            checkpoints: chain.marks.len() as u64,
            first: chain.marks.first().map(|mark| mark.time),
            newest: newest.map(|newest| newest.time),
            age_seconds: newest.map(|newest| session.now().duration_since(newest.time).as_secs()),
            waiting: waiting.len() as u64,
            checkpoint: newest.map(|newest| String::from_utf8_lossy(&newest.note).into_owned()),
            findings: chain.findings,
        })
    };
    session.unless_interrupted(reading).await
}

impl Shown {
    /// Returns whether there is a checkpoint, and none that is invalid.
    pub fn verdict(&self) -> Verdict {
        if !self.findings.is_empty() {
            Verdict::Findings
        } else if self.size.is_none() {
            Verdict::Nothing
        } else {
            Verdict::Clean
        }
    }
}
