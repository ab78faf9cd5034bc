//! Compares the objects of a conversation with ledger and audit.

use super::Checked;
use crate::aws::ledger::{Ledger, RecordPage};
use crate::aws::storage::{Found, Storage};
use crate::domain::audit::Action;
use crate::domain::record::Record;
use crate::domain::recording::{ArchivedFile, ConversationId};
use crate::error::Error;

use crate::domain::days::Range;
use crate::ops::custody::{self, Custody};
use crate::ops::finding::{Code, Finding};

/// Checks conversations and objects.
#[derive(Debug)]
pub(super) struct Checker {
    pub(super) ledger: Ledger,
    pub(super) storage: Storage,
    /// Only recordings that were archived in these days.
    pub(super) range: Option<Range>,
}

/// Number of times that an object is read while its reading breaks off.
const TRIES: usize = 3;

impl Checker {
    /// Returns whether a record is to be checked.
    pub(super) fn wants(&self, record: &Record) -> bool {
        self.range.is_none_or(|range| {
            record.is_archived() && record.archived_at.is_some_and(|archived| range.holds(archived))
        })
    }

    /// Checks the records, events and objects of one conversation.
    pub(super) async fn conversation(&self, id: ConversationId) -> Result<Checked, Error> {
        let (custodies, findings) = custody::of(&self.ledger, id).await?;
        let mut checked = Checked {
            conversations: 1,
            findings,
            ..Checked::default()
        };
        for mut custody in custodies {
            if custody.record.as_ref().is_some_and(|record| !self.wants(record)) {
                continue;
            }
            checked.events += custody.events.len() as u64;
            checked.findings.append(&mut custody.findings);
            let Some(record) = &custody.record else { continue };
            if !record.is_archived() {
                checked.unarchived += u64::from(!custody.superseded);
                continue;
            }
            checked.recordings += 1;
            for file in &record.files {
                checked.files += 1;
                let mut found = |code, detail| {
                    let finding = custody.finding(id.to_string(), Some(file), code, detail);
                    checked.findings.push(finding);
                };
                // A broken chain has a finding already.
                if custody.intact {
                    check_audit(&custody, file, &mut found);
                }
                checked.bytes += self.check_object(record, file, &mut found).await;
            }
        }
        Ok(checked)
    }

    /// Reads the object of an archived file and compares it. Returns the number of bytes read.
    async fn check_object(
        &self,
        record: &Record,
        file: &ArchivedFile,
        found: &mut impl FnMut(Code, String),
    ) -> u64 {
        let mut tries = 1;
        let read = loop {
            match self.storage.read(file).await {
                Err(_) if tries < TRIES => tries += 1,
                read => break read,
            }
        };
        match read {
            Err(error) => found(Code::ObjectUnreadable, error.to_string()),
            Ok(None) => found(Code::ObjectMissing, "there is no object under its key".to_owned()),
            Ok(Some(object)) => {
                compare(record, file, &object, found);
                return object.digest.size;
            }
        }
        0
    }

    /// Checks whether the ledger names this object of the archive bucket.
    pub(super) async fn recorded(&self, key: &str) -> Result<Checked, Error> {
        let mut checked = Checked {
            objects: 1,
            ..Checked::default()
        };
        let archive_key = self.storage.archive_key(key);
        let label = match self.storage.label(key).await {
            Ok(Some(label)) => label,
            // Deleted since it was listed: there is nothing left to be recorded.
            Ok(None) => return Ok(checked),
            Err(error) => {
                checked.findings.push(Finding {
                    code: Code::ObjectUnreadable,
                    interaction_id: None,
                    recording_id: None,
                    archive_key: Some(archive_key.to_string()),
                    detail: error.to_string(),
                });
                return Ok(checked);
            }
        };
        let conversation = label.interaction_id.as_deref().map(ConversationId::parse);
        let known = match conversation {
            Some(Ok(id)) => self.ledger.all_records(id).await?,
            Some(Err(_)) | None => RecordPage::default(),
        };
        let mut unreadable = known.unreadable.iter().map(|(_, recording)| Some(recording));
        // An unreadable record may name the object, and is a finding itself.
        if unreadable.any(|recording| recording == label.recording_id.as_ref()) {
            return Ok(checked);
        }
        let mut named = known
            .records
            .iter()
            .flat_map(|record| record.files.iter().chain(&record.former_files));
        if !named.any(|file| file.archive_key == archive_key) {
            let detail = match &label.interaction_id {
                Some(_) => "it names its recording, and the ledger does not name it",
                None => "it does not say whose recording it is",
            };
            checked.findings.push(Finding {
                code: Code::ObjectUnrecorded,
                interaction_id: label.interaction_id,
                recording_id: label.recording_id,
                archive_key: Some(archive_key.to_string()),
                detail: detail.to_owned(),
            });
        }
        Ok(checked)
    }
}

/// Checks that the audit says of this file what the ledger says.
fn check_audit(custody: &Custody, file: &ArchivedFile, found: &mut impl FnMut(Code, String)) {
    let archive_key = file.archive_key.to_string();
    let stored = custody.events.iter().rev().find(|event| {
        event.action() == Some(Action::ArchiveStored) && event.archive_key() == Some(archive_key.as_str())
    });
    let Some(stored) = stored else {
        let detail = "no audit event archive.stored names it".to_owned();
        return found(Code::AuditMissing, detail);
    };
    let size = stored.number("sizeBytes").map(|size| size.to_string());
    for (name, in_ledger, in_audit) in [
        ("SHA-256", file.sha256.clone(), stored.sha256()),
        ("attempt", file.attempt_id.to_string(), stored.text("attemptId")),
        ("size", file.size_bytes.to_string(), size.as_deref()),
    ] {
        if in_audit != Some(in_ledger.as_str()) {
            let in_audit = in_audit.unwrap_or("missing");
            let detail = format!("{name} is {in_ledger} in the ledger and {in_audit} in the audit");
            found(Code::LedgerDiffers, detail);
        }
    }
}

/// Checks that the object is the one that was archived.
fn compare(record: &Record, file: &ArchivedFile, object: &Found, found: &mut impl FnMut(Code, String)) {
    let (size, hash) = (object.digest.size, object.digest.hex());
    if size != file.size_bytes {
        found(
            Code::SizeDiffers,
            format!("it has {size} bytes; archived were {}", file.size_bytes),
        );
    } else if hash != file.sha256 {
        found(
            Code::ObjectChanged,
            format!(
                "SHA-256 of its {size} bytes is {hash}; archived was {}",
                file.sha256
            ),
        );
    }
    let (label, attempt) = (&object.label, file.attempt_id.to_string());
    for (code, name, now, archived) in [
        (
            Code::ObjectForeign,
            "metadata interaction-id",
            &label.interaction_id,
            &record.interaction_id,
        ),
        (
            Code::ObjectForeign,
            "metadata recording-id",
            &label.recording_id,
            &record.recording_id,
        ),
        (
            Code::ObjectForeign,
            "metadata attempt-id",
            &label.attempt_id,
            &attempt,
        ),
        (Code::TagDiffers, "tag sha256", &object.sha256_tag, &file.sha256),
    ] {
        if now.as_ref() != Some(archived) {
            let now = now.as_deref().unwrap_or("missing");
            found(code, format!("its {name} is {now}; archived was {archived}"));
        }
    }
}
