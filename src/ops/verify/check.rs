//! Holds the objects of a conversation, and the ledger, against the audit.

use serde::Serialize;

use super::object::Comparison;
use crate::aws::ledger::Ledger;
use crate::aws::storage::{Found, Storage};
use crate::domain::audit::{Action, AuditEvent, Stored};
use crate::domain::recording::{ArchiveKey, ConversationId};
use crate::error::Error;
use crate::ops::custody::{self, Custody};
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
    pub(super) recordings: u64,
    pub(super) bytes: u64,
    pub(super) events: u64,
    pub(super) unarchived: u64,
    pub(super) objects: u64,
    pub(in crate::ops) proven: Vec<Proven>,
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
    /// Checks the records, events and objects of one conversation.
    pub(super) async fn conversation(&self, id: ConversationId) -> Result<Checked, Error> {
        self.conversation_in(id, self.span).await
    }

    async fn conversation_in(&self, id: ConversationId, span: Option<Span>) -> Result<Checked, Error> {
        let (mut custodies, findings) = custody::of(&self.ledger, id).await?;
        custodies.retain(|custody| span.is_none_or(|span| span.holds(custody)));
        let mut checked = Checked {
            conversations: u64::from(!custodies.is_empty() || !findings.is_empty()),
            findings,
            ..Checked::default()
        };
        for custody in custodies {
            checked.events += custody.events.len() as u64;
            checked.findings.extend_from_slice(&custody.findings);
            if custody.archived_at().is_none() {
                checked.unarchived += u64::from(!custody.superseded);
            } else {
                checked.recordings += 1;
            }
            self.files(id, &custody, &mut checked).await;
        }
        Ok(checked)
    }

    /// Checks all of the conversation that an object of the bucket led to, whatever its days.
    async fn conversation_of_an_object(&self, id: ConversationId) -> Result<Checked, Error> {
        Ok(Checked {
            objects: 1,
            ..self.conversation_in(id, None).await?
        })
    }

    /// Checks every object that the audit of a recording names, and that the ledger names no archived one beside them.
    pub(in crate::ops) async fn files(&self, id: ConversationId, custody: &Custody, checked: &mut Checked) {
        let files = custody.files();
        for stored in &files {
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
        if version.is_some() {
            match self.storage.versions(place).await {
                Ok(versions) => comparison.versions(stored, &versions),
                Err(error) => comparison
                    .findings
                    .push((Code::ObjectUnreadable, error.to_string())),
            }
        }
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
    async fn read(&self, place: &ArchiveKey) -> Result<Option<Found>, Error> {
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

    /// Checks whether the audit names this object of the archive bucket.
    pub(super) async fn recorded(&self, key: &str) -> Result<Checked, Error> {
        let mut checked = Checked {
            objects: 1,
            ..Checked::default()
        };
        let place = self.storage.archive_key(key);
        let label = match self.storage.label(key).await {
            Ok(Some(label)) => label,
            // Deleted since it was listed: there is nothing left to be recorded.
            Ok(None) => return Ok(checked),
            Err(error) => {
                let finding = about(&place, Code::ObjectUnreadable, error.to_string());
                checked.findings.push(finding);
                return Ok(checked);
            }
        };
        let conversation = label.interaction_id.as_deref().map(ConversationId::parse);
        let (id, events) = match conversation {
            Some(Ok(id)) => (Some(id), self.ledger.events(id).await?),
            Some(Err(_)) | None => (None, Default::default()),
        };
        // An item that cannot be read may name it. It has a finding of its own, unless its conversation is of other
        // days.
        if !events.unreadable.is_empty() {
            return match id.filter(|_| self.span.is_some()) {
                Some(id) => self.conversation_of_an_object(id).await,
                None => Ok(checked),
            };
        }
        let names = |event: &&AuditEvent| event.archive_key() == Some(place.to_string().as_str());
        let named: Vec<_> = events.events.iter().filter(names).collect();
        let stored = named
            .iter()
            .find(|event| event.action().is_some_and(Action::stores));
        if let (Some(stored), Some(id), Some(span)) = (stored, id, self.span) {
            // The bucket says that it is of these days, and its event does not.
            if stored.timestamp().is_none_or(|at| !span.range.holds(at)) {
                return self.conversation_of_an_object(id).await;
            }
        }
        if stored.is_some() {
            return Ok(checked);
        }
        // An attempt announced it; the run is still at it, or died, and another one archived the recording elsewhere.
        let attempt = label.attempt_id.as_deref();
        let announced = named.iter().find(|event| event.text("attemptId") == attempt);
        let wrong = match announced {
            None if self.is_being_described(id, &place, attempt).await? => None,
            None => Some((Code::ObjectUnrecorded, "no audit event names it".to_owned())),
            Some(event) => match self.read(&place).await {
                Ok(Some(found)) if event.sha256() != Some(&found.digest.hex()) => {
                    let detail = "it has other bytes than the attempt that announced it";
                    Some((Code::ObjectUnrecorded, detail.to_owned()))
                }
                Ok(Some(_) | None) => None,
                Err(error) => Some((Code::ObjectUnreadable, error.to_string())),
            },
        };
        checked.findings.extend(wrong.map(|(code, detail)| Finding {
            interaction_id: label.interaction_id,
            recording_id: label.recording_id,
            ..about(&place, code, detail)
        }));
        Ok(checked)
    }
}

impl Checker {
    /// Checks whether the ledger names an object as a call record that an attempt is about to make visible. The run is
    /// still at it, or died, and the conversation's next look adopts it.
    async fn is_being_described(
        &self,
        id: Option<ConversationId>,
        place: &ArchiveKey,
        attempt: Option<&str>,
    ) -> Result<bool, Error> {
        let Some(id) = id else { return Ok(false) };
        let records = self.ledger.all_records(id).await?.records;
        let mut named = records.iter().flat_map(|record| &record.describing);
        Ok(named.any(|file| file.archive_key == *place && attempt == Some(&file.attempt_id.to_string())))
    }
}

/// Makes a finding about an object of which nothing else is known.
fn about(place: &ArchiveKey, code: Code, detail: String) -> Finding {
    Finding {
        code,
        interaction_id: None,
        recording_id: None,
        archive_key: Some(place.to_string()),
        detail,
    }
}
