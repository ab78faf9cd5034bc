//! What can be wrong with the archive, and what to do about it.

use std::fmt;

use recording_archiver::archive::recording::ConversationId;
use recording_archiver::aws::ledger::UnreadableEvent;
use serde_json::{Value, json};

use crate::out::{BAD, DIM, Text};

/// The kind of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Code {
    ObjectMissing,
    ObjectChanged,
    SizeDiffers,
    ObjectForeign,
    TagDiffers,
    ObjectUnreadable,
    ObjectUnrecorded,
    AuditBroken,
    AuditMissing,
    AuditUnreadable,
    LedgerDiffers,
    LedgerUnreadable,
    Unknown,
}

impl Code {
    /// Its stable name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ObjectMissing => "object_missing",
            Self::ObjectChanged => "object_changed",
            Self::SizeDiffers => "size_differs",
            Self::ObjectForeign => "object_foreign",
            Self::TagDiffers => "tag_differs",
            Self::ObjectUnreadable => "object_unreadable",
            Self::ObjectUnrecorded => "object_unrecorded",
            Self::AuditBroken => "audit_broken",
            Self::AuditMissing => "audit_missing",
            Self::AuditUnreadable => "audit_unreadable",
            Self::LedgerDiffers => "ledger_differs",
            Self::LedgerUnreadable => "ledger_unreadable",
            Self::Unknown => "unknown_conversation",
        }
    }

    /// What to do about it.
    pub(crate) fn remedy(self) -> &'static str {
        match self {
            Self::ObjectMissing | Self::ObjectChanged | Self::SizeDiffers | Self::ObjectForeign => {
                "who did it: CloudTrail's data events of the bucket; if it is versioned, the archived bytes are an \
                 earlier version: aws s3api list-object-versions --bucket BUCKET --prefix KEY"
            }
            Self::TagDiffers => {
                "the bytes are the archived ones; set the tag sha256 again: aws s3api put-object-tagging"
            }
            Self::ObjectUnreadable => {
                "not proven either way: grant s3:GetObject and s3:GetObjectTagging (and kms:Decrypt), restore it from \
                 Glacier, or try again"
            }
            Self::ObjectUnrecorded => {
                "no ledger record names it: it was put there by something else, or its record was deleted; \
                 compare with a backup of the ledger (point-in-time recovery)"
            }
            Self::AuditBroken
            | Self::AuditMissing
            | Self::AuditUnreadable
            | Self::LedgerDiffers
            | Self::LedgerUnreadable => {
                "the tables were changed by something else: compare with their point-in-time recovery, with the audit \
                 lines in the function's log, and with CloudTrail"
            }
            Self::Unknown => "if it was recorded: archivectl reconcile, or archivectl backfill --ids FILE",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that is not as it was archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) code: Code,
    /// Of the conversation, where it is known.
    pub(crate) interaction_id: Option<String>,
    /// As ledger and audit spell it.
    pub(crate) recording_id: Option<String>,
    /// `s3://bucket/key`, if it is about an object.
    pub(crate) archive_key: Option<String>,
    /// What was found.
    pub(crate) detail: String,
}

impl Finding {
    /// An item of the ledger, named by its keys, is no record.
    pub(crate) fn unreadable((interaction_id, recording_id): (String, String)) -> Self {
        Self {
            code: Code::LedgerUnreadable,
            interaction_id: Some(interaction_id),
            recording_id: Some(recording_id),
            archive_key: None,
            detail: "this item of the ledger cannot be read as a record".to_owned(),
        }
    }

    /// An item of the audit is no event.
    pub(crate) fn unreadable_event(id: ConversationId, event: &UnreadableEvent) -> Self {
        Self {
            code: Code::AuditUnreadable,
            interaction_id: Some(id.to_string()),
            recording_id: event.recording_id.clone(),
            archive_key: None,
            detail: format!(
                "the item with the eventId {} is no event: {}",
                event.event_id, event.why
            ),
        }
    }

    /// Neither table knows the conversation.
    pub(crate) fn unknown(id: ConversationId) -> Self {
        Self {
            code: Code::Unknown,
            interaction_id: Some(id.to_string()),
            recording_id: None,
            archive_key: None,
            detail: "neither the ledger nor the audit knows it".to_owned(),
        }
    }

    /// On one line, without colours.
    pub(crate) fn plain(&self) -> String {
        let ids = [&self.interaction_id, &self.recording_id];
        let of = ids.into_iter().flatten().cloned().collect::<Vec<_>>().join(" ");
        format!("{} {of}: {}", self.code, self.detail)
    }

    pub(crate) fn json(&self) -> Value {
        json!({"code": self.code.as_str(), "interactionId": self.interaction_id, "recordingId": self.recording_id,
               "archiveKey": self.archive_key, "detail": self.detail})
    }

    pub(crate) fn text(&self) -> Text {
        let ids = [&self.interaction_id, &self.recording_id];
        let of = ids.into_iter().flatten().cloned().collect::<Vec<_>>().join(" ");
        let what = self.archive_key.as_ref().unwrap_or(&of);
        let text = Text::styled(BAD, self.code).add(format!(" {what}"));
        let text = text.line().add(format!("  {}", self.detail));
        if self.archive_key.is_none() || of.is_empty() {
            return text;
        }
        text.line().add("  ").style(DIM, format!("recording {of}"))
    }
}
