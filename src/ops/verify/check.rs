//! Holds the objects of a conversation, and the ledger, against the audit.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::ending::{self, Ending, Gone};
use super::log::Leaf;
use super::object::Comparison;
use crate::aws::ledger::Ledger;
use crate::aws::storage::{Found, Storage};
use crate::domain::audit::{Stored, Subject};
use crate::domain::record::State;
use crate::domain::recording::{ArchiveKey, ConversationId};
use crate::error::Error;
use crate::ops::custody::{self, ApartChain, Custody, Held};
use crate::ops::finding::{Code, Finding};
use crate::ops::span::Span;

/// Checks conversations and objects.
#[derive(Debug)]
pub(in crate::ops) struct Checker {
    pub(in crate::ops) ledger: Ledger,
    pub(in crate::ops) storage: Storage,
    /// Only recordings of these days.
    pub(in crate::ops) span: Option<Span>,
}

/// The result of checking one conversation or object.
#[derive(Debug, Default)]
pub(in crate::ops) struct Checked {
    pub(super) conversations: u64,
    /// The conversation, or other subject, whose events are the leaves.
    pub(super) subject: Option<Subject>,
    /// What the log has to hold.
    pub(super) leaves: Vec<Leaf>,
    pub(super) recordings: u64,
    pub(super) bytes: u64,
    pub(super) events: u64,
    pub(super) unarchived: u64,
    /// Recordings that were erased on purpose.
    pub(super) erased: u64,
    pub(super) objects: u64,
    /// The objects that the audit names and that were looked at, by [`fingerprint`].
    pub(super) named: Vec<u128>,
    /// A conversation that an object of the bucket led to, and that has to be checked whatever its days.
    pub(super) elsewhere: Option<ConversationId>,
    pub(in crate::ops) proven: Vec<Proven>,
    /// Files that ended lawfully.
    pub(in crate::ops) gone: Vec<Gone>,
    /// Files whose bytes were read, proven or not.
    pub(in crate::ops) files: u64,
    pub(in crate::ops) findings: Vec<Finding>,
}

/// An object that is as it was archived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proven {
    /// `s3://bucket/key`.
    pub archive_key: String,
    /// Its conversation.
    pub interaction_id: String,
    /// Its recording.
    pub recording_id: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Number of its bytes.
    pub size_bytes: u64,
    /// Its version, where the bucket keeps any.
    pub version_id: Option<String>,
    /// How it was proven.
    pub proof: Proof,
    /// Changes that are no findings, and what was not recorded when it was archived.
    pub notes: Vec<String>,
}

/// How an object was proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Proof {
    /// All of its bytes were read and hashed.
    Read,
}

/// Number of times that an object is read while its reading breaks off.
const TRIES: usize = 3;

impl Checker {
    /// Checks the records, events and objects of one conversation, or of another subject of the audit.
    pub(super) async fn subject(&self, subject: Subject) -> Result<Checked, Error> {
        self.subject_in(subject, self.span).await
    }

    /// Checks the recordings of one conversation that `span` holds, and with them its chains apart: a chain that `span`
    /// only touches has to be whole, too.
    pub(super) async fn subject_in(&self, subject: Subject, span: Option<Span>) -> Result<Checked, Error> {
        let Held {
            mut custodies,
            mut apart,
            findings,
        } = custody::of(&self.ledger, subject).await?;
        let holds = |custody: &Custody| span.is_none_or(|span| span.holds(custody));
        let accompany = custodies.iter().any(holds);
        let holds_apart = |chain: &ApartChain| accompany || span.is_none_or(|span| span.holds_apart(chain));
        let leaves = custodies
            .iter()
            .flat_map(|custody| Leaf::of(&custody.events, holds(custody)));
        let beside = apart
            .iter()
            .flat_map(|chain| Leaf::of(&chain.events, holds_apart(chain)));
        let leaves = leaves.chain(beside).collect();
        custodies.retain(holds);
        apart.retain(holds_apart);
        let conversation = subject.conversation();
        let mut checked = Checked {
            subject: Some(subject),
            leaves,
            conversations: u64::from(!custodies.is_empty() || !findings.is_empty()),
            findings,
            ..Checked::default()
        };
        for chain in apart {
            checked.events += chain.events.len() as u64;
            checked.findings.extend(chain.findings);
        }
        for custody in custodies {
            checked.events += custody.events.len() as u64;
            checked.findings.extend_from_slice(&custody.findings);
            match (custody.state(), custody.archived_at()) {
                // Counted with its files.
                (Some(State::Erased), _) => {}
                (_, None) => checked.unarchived += u64::from(!custody.superseded),
                (_, Some(_)) => checked.recordings += 1,
            }
            if let Some(id) = conversation {
                self.files(id, &custody, &mut checked).await;
            }
        }
        Ok(checked)
    }

    /// Checks every object that the audit of a recording names, and that the ledger names no archived one beside them.
    pub(in crate::ops) async fn files(&self, id: ConversationId, custody: &Custody, checked: &mut Checked) {
        let files = custody.files();
        if custody.state() == Some(State::Erased) {
            return self.erased(id, custody, &files, checked).await;
        }
        for stored in &files {
            checked.named.push(fingerprint(&stored.archive_key));
            let comparison = self.object(id, custody, stored, checked).await;
            for (code, detail) in comparison {
                let finding = custody.finding(id.to_string(), Some(&stored.archive_key), code, detail);
                checked.findings.push(finding);
            }
        }
        // An event that cannot be read may name it.
        let readable = custody.unreadable.is_empty();
        let record = custody
            .record
            .iter()
            .filter(|record| readable && record.is_archived());
        for file in record.flat_map(|record| &record.files) {
            if !files.iter().any(|stored| stored.archive_key == file.archive_key) {
                let detail = "no audit event archive.stored names it".to_owned();
                let key = Some(&file.archive_key);
                let finding = custody.finding(id.to_string(), key, Code::AuditMissing, detail);
                checked.findings.push(finding);
            }
        }
    }

    /// Checks that no version is left of what was erased.
    async fn erased(&self, id: ConversationId, custody: &Custody, files: &[Stored], checked: &mut Checked) {
        checked.erased += u64::from(custody.recording != "-");
        for stored in files {
            let place = &stored.archive_key;
            let (code, detail) = match self.storage.versions(place).await {
                Ok(left) if left.is_empty() => {
                    let detail = "erased on purpose: no version of it is left".to_owned();
                    checked
                        .gone
                        .push(Gone::of(id, custody, stored, Ending::Erased, detail));
                    continue;
                }
                Ok(left) => {
                    let detail = format!("it was erased, and {} of its versions are there", left.len());
                    (Code::ErasedObjectPresent, detail)
                }
                Err(error) => (Code::ObjectUnreadable, error.to_string()),
            };
            let finding = custody.finding(id.to_string(), Some(place), code, detail);
            checked.findings.push(finding);
        }
    }

    /// Reads an object that the audit names, and counts it as proven unless something is found about it.
    async fn object(
        &self,
        id: ConversationId,
        custody: &Custody,
        stored: &Stored,
        checked: &mut Checked,
    ) -> Vec<(Code, String)> {
        let place = &stored.archive_key;
        let mut read = self.read(place).await;
        if let Ok(Some(found)) = &read
            && let Err(error) = self.lock_is_told(stored, found).await
        {
            read = Err(error);
        }
        let then = stored.stored_as.as_ref();
        let version = then.and_then(|then| then.kept.answer.version_id.clone());
        let (mut comparison, version) = match &read {
            Err(error) => return vec![(Code::ObjectUnreadable, error.to_string())],
            Ok(None) => {
                let mut comparison = Comparison::default();
                let detail = "there is no object under its key".to_owned();
                comparison.findings.push((Code::ObjectMissing, detail));
                (comparison, version)
            }
            Ok(Some(found)) => {
                checked.files += 1;
                checked.bytes += found.digest.size;
                let ids = [id.to_string(), custody.recording.clone()];
                let ids = [ids[0].as_str(), ids[1].as_str()];
                let comparison = Comparison::of(stored, found, ids, self.ledger.now());
                (comparison, found.kept.answer.version_id.clone().or(version))
            }
        };
        let mut versions = Vec::new();
        if version.is_some() {
            match self.storage.versions(place).await {
                Ok(there) => versions = there,
                Err(error) => {
                    let unreadable = (Code::ObjectUnreadable, error.to_string());
                    comparison.findings.push(unreadable);
                    return comparison.findings;
                }
            }
        }
        let missing = matches!(read, Ok(None));
        let ended = ending::of(stored, &versions, self.ledger.now()).filter(|_| missing);
        if let Some((ending, detail)) = ended {
            checked.gone.push(Gone::of(id, custody, stored, ending, detail));
            return Vec::new();
        }
        comparison.versions(stored, &versions);
        if comparison.findings.is_empty() {
            checked.proven.push(Proven {
                archive_key: place.to_string(),
                interaction_id: id.to_string(),
                recording_id: custody.recording.clone(),
                sha256: stored.sha256.clone(),
                size_bytes: stored.size_bytes,
                version_id: version,
                proof: Proof::Read,
                notes: comparison.notes,
            });
        }
        comparison.findings
    }

    /// Reads an object, again while its reading breaks off.
    pub(super) async fn read(&self, place: &ArchiveKey) -> Result<Option<Found>, Error> {
        let mut tries = 1;
        loop {
            match self.storage.read(place).await {
                Err(_) if tries < TRIES => tries += 1,
                read => return read,
            }
        }
    }

    /// Fails where a lock was set, and S3 keeps from the caller whether it still is.
    async fn lock_is_told(&self, stored: &Stored, found: &Found) -> Result<(), Error> {
        let was = stored
            .stored_as
            .as_ref()
            .and_then(|then| then.kept.lock_mode.as_ref());
        if was.is_some() && found.kept.lock_mode.is_none() {
            self.storage.has_no_lock(&stored.archive_key).await?;
        }
        Ok(())
    }
}

/// Returns a number for an object, which nobody can give to another: half of the SHA-256 of its place.
pub(super) fn fingerprint(place: &ArchiveKey) -> u128 {
    let digest = Sha256::digest(place.to_string());
    digest
        .iter()
        .take(16)
        .fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// Makes a finding about an object of which nothing else is known.
pub(super) fn about(place: &ArchiveKey, code: Code, detail: String) -> Finding {
    Finding {
        code,
        interaction_id: None,
        recording_id: None,
        archive_key: Some(place.to_string()),
        detail,
    }
}
