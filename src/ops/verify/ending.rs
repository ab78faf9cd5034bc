//! Objects that are not there any more and do not have to be. Pure.

use jiff::Timestamp;
use serde::Serialize;

use crate::aws::storage::Version;
use crate::domain::audit::Stored;
use crate::domain::recording::ConversationId;
use crate::ops::custody::Custody;

/// An object that ended, so that nothing has to lie under its key any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gone {
    /// `s3://bucket/key`.
    pub archive_key: String,
    /// Its conversation.
    pub interaction_id: String,
    /// Its recording.
    pub recording_id: String,
    /// SHA-256 of the bytes that were archived.
    pub sha256: String,
    /// How it ended.
    pub ending: Ending,
    /// The facts.
    pub detail: String,
}

/// How an object ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// Its lock had ended when it was hidden by a delete marker, below which it still lies.
    Expired,
    /// Its lock has ended, and no version of it is left, so nothing says when it was deleted.
    Untraced,
    /// It was erased on purpose, which its audit tells.
    Erased,
}

impl Ending {
    /// Returns its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Untraced => "untraced",
            Self::Erased => "erased",
        }
    }
}

impl Gone {
    pub(super) fn of(
        id: ConversationId,
        custody: &Custody,
        stored: &Stored,
        ending: Ending,
        detail: String,
    ) -> Self {
        Self {
            archive_key: stored.archive_key.to_string(),
            interaction_id: id.to_string(),
            recording_id: custody.recording.clone(),
            sha256: stored.sha256.clone(),
            ending,
            detail,
        }
    }
}

/// Returns how an object that is not there any more ended, and the facts, where nothing contradicts that its lock, as
/// archived, had ended: nothing hid it before, and no other bytes were put in its place. `versions` are those that are
/// still there. Without a lock nothing says how long an object had to stay, so it never ends.
pub(super) fn of(stored: &Stored, versions: &[Version], now: Timestamp) -> Option<(Ending, String)> {
    let kept = &stored.stored_as.as_ref()?.kept;
    let until = kept.retain_until.filter(|until| *until <= now)?;
    let archived = kept.answer.version_id.as_deref().unwrap_or("null");
    let (markers, there): (Vec<_>, Vec<_>) = versions.iter().partition(|version| version.is_marker);
    if there.iter().any(|version| version.id != archived) {
        return None;
    }
    let hidden: Option<Vec<_>> = markers.iter().map(|marker| marker.written).collect();
    let since = hidden?.into_iter().min();
    if since.is_some_and(|since| since < until) {
        return None;
    }
    Some(match since {
        Some(since) if !there.is_empty() => {
            let detail = format!(
                "deleted at {since}, after its lock had ended at {until}; its version is still there"
            );
            (Ending::Expired, detail)
        }
        // Anybody may have put a marker there long after the version was gone.
        Some(_) | None => {
            let detail = format!(
                "its lock ended at {until}, and no version is left that says when it was deleted: compare with the proofs of \
                 before"
            );
            (Ending::Untraced, detail)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::recording::{ArchiveKey, Kept, ObjectKind, StoreAnswer, StoredAs};

    const EARLY: &str = "2026-06-01T00:00:00Z";
    const UNTIL: &str = "2027-01-01T00:00:00Z";
    const LATER: &str = "2030-01-01T00:00:00Z";

    fn moment(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Returns an object whose version 1 was archived under a lock until then.
    fn stored(until: Option<&str>) -> Stored {
        let at = moment("2026-01-01T00:00:00Z");
        Stored {
            archive_key: ArchiveKey::parse("s3://calls/a.wav").unwrap(),
            sha256: hex::encode([7; 32]),
            size_bytes: 3,
            attempt_id: "a".to_owned(),
            channel: None,
            part: None,
            at: Some(at),
            kind: ObjectKind::Recording,
            stored_as: Some(StoredAs {
                lane: None,
                archived_at: at,
                multipart: false,
                kept: Kept {
                    content_type: "audio/wav".to_owned(),
                    storage_class: "STANDARD".to_owned(),
                    lock_mode: until.map(|_| "GOVERNANCE".to_owned()),
                    retain_until: until.map(moment),
                    answer: StoreAnswer {
                        version_id: Some("1".to_owned()),
                        ..StoreAnswer::default()
                    },
                },
            }),
        }
    }

    fn version(id: &str, written: &str) -> Version {
        Version {
            id: id.to_owned(),
            is_marker: false,
            written: Some(moment(written)),
        }
    }

    fn marker(written: &str) -> Version {
        Version {
            is_marker: true,
            ..version("2", written)
        }
    }

    #[test]
    fn an_object_ends_no_sooner_than_its_lock_and_has_expired_where_its_version_shows_it() {
        let archived = || version("1", "2026-01-01T00:00:00Z");
        let (expired, untraced) = (Some(Ending::Expired), Some(Ending::Untraced));
        for (until, versions, now, ending) in [
            (Some(UNTIL), vec![archived(), marker(UNTIL)], LATER, expired),
            (Some(UNTIL), vec![], LATER, untraced),
            (Some(UNTIL), vec![marker(UNTIL)], LATER, untraced),
            (Some(UNTIL), vec![], EARLY, None),
            // Hidden before the lock had ended, though it has ended since.
            (Some(UNTIL), vec![archived(), marker(EARLY)], LATER, None),
            (Some(UNTIL), vec![marker(EARLY)], LATER, None),
            // Other bytes in its place.
            (Some(UNTIL), vec![version("3", LATER), marker(LATER)], LATER, None),
            (None, vec![archived(), marker(UNTIL)], LATER, None),
        ] {
            let found = of(&stored(until), &versions, moment(now));
            let found = found.map(|(ending, _)| ending);
            assert_eq!(found, ending, "{until:?} {versions:?} {now}");
        }
    }
}
