//! Findings about the archive, and their remedies.

use std::fmt;

use serde::Serialize;

use crate::aws::ledger::UnreadableEvent;
use crate::domain::audit::Subject;

/// The kind of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// There is no object under the key.
    ObjectMissing,
    /// The object has other bytes.
    ObjectChanged,
    /// The object has another length.
    SizeDiffers,
    /// The metadata is not that of the attempt that archived it.
    ObjectForeign,
    /// A tag is missing, was added, or differs.
    TagDiffers,
    /// Content type, storage class or encryption differ.
    ObjectAttributes,
    /// The object was written again: another version or a delete marker lies there, or it is younger than its audit.
    ObjectReplaced,
    /// The lock ends earlier, is weaker, or is gone.
    LockShortened,
    /// The object was erased on purpose, and a version of it is there.
    ErasedObjectPresent,
    /// The object could not be read.
    ObjectUnreadable,
    /// No audit event names the object.
    ObjectUnrecorded,
    /// An event was changed, removed, added or moved.
    AuditBroken,
    /// Events are missing.
    AuditMissing,
    /// An item of the audit is no event.
    AuditUnreadable,
    /// Events go back in time, or lie in the future.
    TimeImplausible,
    /// Ledger and audit contradict each other.
    LedgerDiffers,
    /// An item of the ledger is no record.
    LedgerUnreadable,
    /// The log does not hold the event.
    EventNotSealed,
    /// The audit does not hold an event that the log has.
    SealedEventMissing,
    /// The log says that an item of the audit was changed, removed, or written by something else.
    AuditModified,
    /// A checkpoint is not one that the log's key signed.
    CheckpointInvalid,
    /// The log is not the one that a checkpoint signed, or its objects were changed.
    LogInconsistent,
    /// Neither table knows the conversation.
    #[serde(rename = "unknown_conversation")]
    Unknown,
}

impl Code {
    /// Returns its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ObjectMissing => "object_missing",
            Self::ObjectChanged => "object_changed",
            Self::SizeDiffers => "size_differs",
            Self::ObjectForeign => "object_foreign",
            Self::TagDiffers => "tag_differs",
            Self::ObjectAttributes => "object_attributes",
            Self::ObjectReplaced => "object_replaced",
            Self::LockShortened => "lock_shortened",
            Self::ErasedObjectPresent => "erased_object_present",
            Self::ObjectUnreadable => "object_unreadable",
            Self::ObjectUnrecorded => "object_unrecorded",
            Self::AuditBroken => "audit_broken",
            Self::AuditMissing => "audit_missing",
            Self::AuditUnreadable => "audit_unreadable",
            Self::TimeImplausible => "time_implausible",
            Self::LedgerDiffers => "ledger_differs",
            Self::LedgerUnreadable => "ledger_unreadable",
            Self::EventNotSealed => "event_not_sealed",
            Self::SealedEventMissing => "sealed_event_missing",
            Self::AuditModified => "audit_modified",
            Self::CheckpointInvalid => "checkpoint_invalid",
            Self::LogInconsistent => "log_inconsistent",
            Self::Unknown => "unknown_conversation",
        }
    }

    /// Returns the remedy.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::ObjectMissing
            | Self::ObjectChanged
            | Self::SizeDiffers
            | Self::ObjectForeign
            | Self::ObjectAttributes
            | Self::ObjectReplaced => {
                "who did it: CloudTrail's data events of the bucket; if it is versioned, the archived bytes are an \
                 earlier version: aws s3api list-object-versions --bucket BUCKET --prefix KEY"
            }
            Self::TagDiffers => {
                "who did it: CloudTrail's data events of the bucket; set the tags again: aws s3api put-object-tagging"
            }
            Self::LockShortened => {
                "who did it: CloudTrail's data events of the bucket; set the lock again: aws s3api \
                 put-object-retention"
            }
            Self::ErasedObjectPresent => {
                "its erasure did not finish, or somebody put it there since: archivectl erase CONVERSATION finishes it"
            }
            Self::ObjectUnreadable => {
                "not proven either way: grant s3:GetObject, s3:GetObjectTagging, s3:GetObjectRetention and \
                 s3:ListBucketVersions (and kms:Decrypt), restore it from Glacier, or try again"
            }
            Self::ObjectUnrecorded => {
                "no audit event names it: it was put there by something else, or its events were deleted; compare with \
                 a backup of the audit table (point-in-time recovery)"
            }
            Self::AuditBroken
            | Self::AuditMissing
            | Self::AuditUnreadable
            | Self::TimeImplausible
            | Self::LedgerDiffers
            | Self::LedgerUnreadable => {
                "the tables were changed by something else: compare with their point-in-time recovery, with the audit \
                 lines in the function's log, and with CloudTrail"
            }
            Self::EventNotSealed => {
                "the event was changed after it was sealed, or the sealer did not run: see its alarms; events that it never \
                 saw are sealed by archivectl log import"
            }
            Self::SealedEventMissing | Self::AuditModified => {
                "an event was changed or removed after it was sealed: compare with a backup of the audit table \
                 (point-in-time recovery), with the audit lines in the function's log, and with CloudTrail"
            }
            Self::CheckpointInvalid | Self::LogInconsistent => {
                "the log's bucket was changed: an earlier version of the object may still be there (aws s3api \
                 list-object-versions --bucket BUCKET --prefix KEY), who did it is in CloudTrail's data events; \
                 docs/log.md says how to restore it"
            }
            Self::Unknown => {
                "if it was recorded: archivectl reconcile, or archivectl backfill --ids FILE; if the id is a recording's, give \
                 that of its conversation: it stands in the object's key and in its metadata interaction-id"
            }
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A fault of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Its kind.
    pub code: Code,
    /// The conversation, where it is known.
    pub interaction_id: Option<String>,
    /// The recording as ledger and audit spell it.
    pub recording_id: Option<String>,
    /// `s3://bucket/key`, if it is about an object.
    pub archive_key: Option<String>,
    /// The facts that were found.
    pub detail: String,
}

impl Finding {
    /// Makes the finding that an item of the ledger, named by its keys, is no record.
    pub fn unreadable((interaction_id, recording_id): (String, String)) -> Self {
        Self {
            code: Code::LedgerUnreadable,
            interaction_id: Some(interaction_id),
            recording_id: Some(recording_id),
            archive_key: None,
            detail: "this item of the ledger cannot be read as a record".to_owned(),
        }
    }

    /// Makes the finding that an item of the audit, named by its keys, belongs to no conversation and no statement.
    pub fn unreadable_keys((interaction_id, event_id): (String, String)) -> Self {
        Self {
            code: Code::AuditUnreadable,
            interaction_id: Some(interaction_id),
            recording_id: None,
            archive_key: None,
            detail: format!("the item with the eventId {event_id} is of no conversation and no statement"),
        }
    }

    /// Makes the finding that an item of the audit is no event.
    pub fn unreadable_event(subject: Subject, event: &UnreadableEvent) -> Self {
        Self {
            code: Code::AuditUnreadable,
            interaction_id: Some(subject.to_string()),
            recording_id: event.recording_id.clone(),
            archive_key: None,
            detail: format!(
                "the item with the eventId {} is no event: {}",
                event.event_id, event.why
            ),
        }
    }

    /// Makes the finding that neither table knows the conversation.
    pub fn unknown(subject: Subject) -> Self {
        Self {
            code: Code::Unknown,
            interaction_id: Some(subject.to_string()),
            recording_id: None,
            archive_key: None,
            detail: "neither the ledger nor the audit knows a conversation of this id".to_owned(),
        }
    }

    /// Makes a finding about the transparency log, or about one of its objects (`s3://bucket/key`).
    pub fn of_log(code: Code, object: Option<String>, detail: impl Into<String>) -> Self {
        Self {
            code,
            interaction_id: None,
            recording_id: None,
            archive_key: object,
            detail: detail.into(),
        }
    }

    /// Returns conversation and recording, as far as they are known.
    pub fn about(&self) -> String {
        let ids = [&self.interaction_id, &self.recording_id];
        ids.into_iter().flatten().cloned().collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_one_name() {
        for code in [Code::ObjectMissing, Code::AuditUnreadable, Code::Unknown] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
