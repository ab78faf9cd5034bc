//! Compares an object with the audit event that stored it. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::aws::storage::{Found, Version};
use crate::domain::audit::{Stored, is_ahead};
use crate::domain::recording::Kept;
use crate::ops::finding::Code;

/// What is wrong with an object, and what changed lawfully.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Comparison {
    /// Codes and facts.
    pub(super) findings: Vec<(Code, String)>,
    /// Changes that are no findings.
    pub(super) notes: Vec<String>,
}

/// The order in which lifecycle rules may move an object:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html>
const TRANSITIONS: [&str; 7] = [
    "STANDARD",
    "STANDARD_IA",
    "INTELLIGENT_TIERING",
    "ONEZONE_IA",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
];

/// Named values of an object, as they were archived.
struct Named {
    values: BTreeMap<&'static str, String>,
    /// There were no others.
    all: bool,
}

/// Returns the user metadata that the object was stored with. `ids` are conversation and recording.
fn metadata(stored: &Stored, [conversation, recording]: [&str; 2]) -> Named {
    let mut values = BTreeMap::from([
        ("interaction-id", conversation.to_owned()),
        ("recording-id", recording.to_owned()),
        ("attempt-id", stored.attempt_id.clone()),
    ]);
    if let Some(then) = &stored.stored_as {
        values.insert("archived-at", then.archived_at.to_string());
        values.extend(then.lane.iter().map(|lane| ("lane", lane.clone())));
        if !then.multipart {
            values.insert("sha256", stored.sha256.clone());
            values.insert("size-bytes", stored.size_bytes.to_string());
        }
    }
    Named {
        values,
        all: stored.stored_as.is_some(),
    }
}

/// Returns the tags that the object was stored with.
fn tags(stored: &Stored) -> Named {
    let mut values = BTreeMap::from([("sha256", stored.sha256.clone())]);
    if stored.stored_as.is_some() {
        values.insert("compliance", stored.kind.tag().to_owned());
    }
    Named {
        values,
        all: stored.stored_as.is_some(),
    }
}

impl Comparison {
    fn found(&mut self, code: Code, detail: String) {
        self.findings.push((code, detail));
    }

    fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Compares bytes, and what S3 keeps beside them. `ids` are conversation and recording.
    pub(super) fn of(stored: &Stored, found: &Found, ids: [&str; 2], now: Timestamp) -> Self {
        let mut comparison = Self::default();
        comparison.bytes(stored, found);
        comparison.names(
            Code::ObjectForeign,
            "metadata",
            &metadata(stored, ids),
            &found.metadata,
        );
        comparison.names(Code::TagDiffers, "tag", &tags(stored), &found.tags);
        match &stored.stored_as {
            Some(then) => {
                comparison.attributes(&then.kept, &found.kept);
                comparison.lock(&then.kept, found, now);
            }
            None => {
                let unknown = "content type, lock, version and storage class were not recorded then";
                comparison.note(unknown.to_owned());
            }
        }
        if let (Some(at), Some(written)) = (stored.at, found.written)
            && is_ahead(written, at)
        {
            let detail = format!("it was written at {written}; archived was the one of {at}");
            comparison.found(Code::ObjectReplaced, detail);
        }
        comparison
    }

    fn bytes(&mut self, stored: &Stored, found: &Found) {
        let (size, hash) = (found.digest.size, found.digest.hex());
        if size != stored.size_bytes {
            let archived = stored.size_bytes;
            self.found(
                Code::SizeDiffers,
                format!("it has {size} bytes; archived were {archived}"),
            );
        } else if hash != stored.sha256 {
            let archived = &stored.sha256;
            let detail = format!("SHA-256 of its {size} bytes is {hash}; archived was {archived}");
            self.found(Code::ObjectChanged, detail);
        }
    }

    /// Compares named values.
    fn names(&mut self, code: Code, what: &str, then: &Named, today: &BTreeMap<String, String>) {
        for (name, archived) in &then.values {
            let now = today.get(*name);
            if now != Some(archived) {
                let now = now.map_or("missing", String::as_str);
                self.found(
                    code,
                    format!("its {what} {name} is {now}; archived was {archived}"),
                );
            }
        }
        let added = today.iter().filter(|(name, _)| {
            // Only AWS itself sets tags with this prefix.
            let by_aws = what == "tag" && name.starts_with("aws:");
            !then.values.contains_key(name.as_str()) && !by_aws
        });
        for (name, now) in added.filter(|_| then.all) {
            self.found(code, format!("its {what} {name} is {now}; archived was none"));
        }
    }

    fn attributes(&mut self, then: &Kept, today: &Kept) {
        let told = |value: &Option<String>| value.clone().unwrap_or_else(|| "missing".to_owned());
        let mut compared = vec![(
            "content type",
            then.content_type.clone(),
            today.content_type.clone(),
        )];
        // What the store did not say when it took the object is not known.
        let (was, is) = (&then.answer, &today.answer);
        if was.encryption.is_some() {
            compared.push(("encryption", told(&was.encryption), told(&is.encryption)));
        }
        if was.kms_key_id.is_some() {
            compared.push(("KMS key", told(&was.kms_key_id), told(&is.kms_key_id)));
        }
        for (name, archived, now) in compared {
            if archived != now {
                let detail = format!("its {name} is {now}; archived was {archived}");
                self.found(Code::ObjectAttributes, detail);
            }
        }
        let [was, is] = [&then.storage_class, &today.storage_class];
        let place = |class: &String| TRANSITIONS.iter().position(|known| known == class);
        match (place(was), place(is)) {
            _ if was == is => {}
            (Some(before), Some(after)) if before < after => {
                self.note(format!("a lifecycle rule moved it from {was} to {is}"));
            }
            _ => self.found(
                Code::ObjectAttributes,
                format!("its storage class is {is}; archived was {was}"),
            ),
        }
    }

    fn lock(&mut self, then: &Kept, found: &Found, now: Timestamp) {
        let today = &found.kept;
        if found.legal_hold {
            self.note("a legal hold is on it".to_owned());
        }
        let told = |lock: &Kept| match (&lock.lock_mode, lock.retain_until) {
            (Some(mode), Some(until)) => format!("{mode} until {until}"),
            _ => "none".to_owned(),
        };
        let (was, is) = (told(then), told(today));
        // A lock that has run out may be removed.
        let running = then.retain_until.is_some_and(|until| until > now);
        let compliance = |lock: &Kept| lock.lock_mode.as_deref() == Some("COMPLIANCE");
        let weaker = compliance(then) && !compliance(today) || today.lock_mode.is_none();
        let shorter = today.retain_until < then.retain_until;
        // S3 takes no date in the past, so an earlier end was set before the lock ran out.
        let moved = shorter && today.retain_until.is_some();
        if running && (weaker || shorter) || moved {
            self.found(
                Code::LockShortened,
                format!("its lock is {is}; archived was {was}"),
            );
        } else if today.retain_until > then.retain_until {
            self.note(format!("its lock is {is}; archived was {was}"));
        }
    }

    /// Compares the versions of the key with the one that was archived.
    pub(super) fn versions(&mut self, stored: &Stored, versions: &[Version]) {
        let archived = stored
            .stored_as
            .as_ref()
            .and_then(|then| then.kept.answer.version_id.as_deref());
        let others = versions.iter().filter(|version| {
            version.is_marker
                || match (&stored.stored_as, archived) {
                    // The event is of an older version of the archiver, which did not record the object's version.
                    (None, _) => versions.len() > 1,
                    (Some(_), Some(archived)) => version.id != archived,
                    // It was archived before the bucket kept versions.
                    (Some(_), None) => version.id != "null",
                }
        });
        let told = others.map(|version| {
            let kind = if version.is_marker {
                "delete marker"
            } else {
                "version"
            };
            format!("{kind} {}", version.id)
        });
        let told: Vec<_> = told.collect();
        if !told.is_empty() {
            let archived = archived.unwrap_or("the one without an id");
            let detail = format!(
                "its key has also: {}; archived was version {archived}",
                told.join(", ")
            );
            self.found(Code::ObjectReplaced, detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::storage::Found;
    use crate::domain::digest::Digest;
    use crate::domain::recording::{ArchiveKey, ObjectKind, StoreAnswer, StoredAs};

    const UNTIL: &str = "2027-01-01T00:00:00Z";
    const LATER: &str = "2030-01-01T00:00:00Z";

    fn moment(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn locked(mode: Option<&str>, until: Option<&str>) -> Kept {
        Kept {
            content_type: "audio/wav".to_owned(),
            storage_class: "STANDARD".to_owned(),
            lock_mode: mode.map(str::to_owned),
            retain_until: until.map(moment),
            answer: StoreAnswer::default(),
        }
    }

    fn compared(then: Option<Kept>, today: Kept, now: &str) -> (Vec<Code>, usize) {
        compared_with(
            then,
            today,
            now,
            &["interaction-id", "recording-id", "attempt-id"],
        )
    }

    /// Returns what the audit says of an object of three bytes.
    fn stored(stored_as: Option<StoredAs>) -> Stored {
        Stored {
            archive_key: ArchiveKey::parse("s3://calls/a.wav").unwrap(),
            sha256: hex::encode([7; 32]),
            size_bytes: 3,
            attempt_id: "a".to_owned(),
            channel: None,
            part: None,
            at: Some(moment("2026-01-01T00:00:00Z")),
            kind: ObjectKind::Recording,
            stored_as,
        }
    }

    /// Compares an object that was archived in parts and has this metadata now.
    fn compared_with(then: Option<Kept>, kept: Kept, now: &str, named: &[&str]) -> (Vec<Code>, usize) {
        let at = moment("2026-01-01T00:00:00Z");
        let stored = stored(then.map(|kept| StoredAs {
            lane: None,
            archived_at: at,
            multipart: true,
            kept,
        }));
        let values = [
            ("interaction-id", "c"),
            ("recording-id", "r"),
            ("attempt-id", "a"),
        ];
        let metadata = values.iter().filter(|(name, _)| named.contains(name));
        let mut metadata: BTreeMap<_, _> = metadata
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        metadata.insert("archived-at".to_owned(), at.to_string());
        let found = Found {
            digest: Digest {
                sha256: [7; 32],
                size: 3,
            },
            metadata,
            tags: [
                ("sha256", hex::encode([7; 32])),
                ("compliance", "archive".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
            kept,
            legal_hold: false,
            written: Some(at),
        };
        let Comparison { findings, notes } = Comparison::of(&stored, &found, ["c", "r"], moment(now));
        (findings.into_iter().map(|(code, _)| code).collect(), notes.len())
    }

    #[test]
    fn a_lock_may_grow_and_after_its_end_go() {
        let now = "2026-06-01T00:00:00Z";
        let governed = || locked(Some("GOVERNANCE"), Some(UNTIL));
        for (today, at, findings, notes) in [
            (governed(), now, 0, 0),
            (locked(Some("GOVERNANCE"), Some(LATER)), now, 0, 1),
            (locked(Some("COMPLIANCE"), Some(UNTIL)), now, 0, 0),
            (
                locked(Some("GOVERNANCE"), Some("2026-12-31T00:00:00Z")),
                now,
                1,
                0,
            ),
            (locked(None, None), now, 1, 0),
            (locked(None, None), LATER, 0, 0),
            (
                locked(Some("GOVERNANCE"), Some("2026-12-31T00:00:00Z")),
                LATER,
                1,
                0,
            ),
        ] {
            let expected = (vec![Code::LockShortened; findings], notes);
            assert_eq!(
                compared(Some(governed()), today.clone(), at),
                expected,
                "{today:?}"
            );
        }
        let compliant = locked(Some("COMPLIANCE"), Some(UNTIL));
        let longer = locked(Some("GOVERNANCE"), Some(LATER));
        assert_eq!(
            compared(Some(compliant), longer, now),
            (vec![Code::LockShortened], 0)
        );
    }

    #[test]
    fn a_storage_class_only_goes_down() {
        let class = |class: &str| Kept {
            storage_class: class.to_owned(),
            ..locked(None, None)
        };
        for (then, today, findings, notes) in [
            ("STANDARD", "DEEP_ARCHIVE", 0, 1),
            ("GLACIER", "STANDARD", 1, 0),
            ("STANDARD", "REDUCED_REDUNDANCY", 1, 0),
        ] {
            let found = compared(Some(class(then)), class(today), UNTIL);
            assert_eq!(
                found,
                (vec![Code::ObjectAttributes; findings], notes),
                "{then} {today}"
            );
        }
    }

    #[test]
    fn what_an_older_event_did_not_record_is_no_finding() {
        let more = Kept {
            content_type: "x".to_owned(),
            ..locked(Some("GOVERNANCE"), Some(UNTIL))
        };
        assert_eq!(compared(None, more.clone(), UNTIL), (Vec::new(), 1));
        assert_eq!(compared_with(None, more, UNTIL, &[]).0, [Code::ObjectForeign; 3]);
    }

    #[test]
    fn what_aws_adds_and_what_the_store_did_not_answer_is_no_finding() {
        let mut comparison = Comparison::default();
        let then = Named {
            values: BTreeMap::new(),
            all: true,
        };
        let tag = |name: &str| BTreeMap::from([(name.to_owned(), "x".to_owned())]);
        comparison.names(Code::TagDiffers, "tag", &then, &tag("aws:backup"));
        let kept = |key: Option<&str>| Kept {
            answer: StoreAnswer {
                version_id: None,
                encryption: Some("aws:kms".to_owned()),
                kms_key_id: key.map(str::to_owned),
            },
            ..locked(None, None)
        };
        comparison.attributes(&kept(None), &kept(Some("one")));
        assert_eq!(comparison, Comparison::default());
        comparison.names(Code::TagDiffers, "tag", &then, &tag("awsome"));
        comparison.attributes(&kept(Some("one")), &kept(Some("other")));
        let codes: Vec<_> = comparison.findings.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, [Code::TagDiffers, Code::ObjectAttributes]);
    }
}
