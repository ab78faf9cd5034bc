//! Retention, locks and holds of archived files, by the month of archiving.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Serialize;

use crate::aws::storage::{Lock, Storage};
use crate::domain::audit::Stored;
use crate::domain::recording::{ArchiveKey, Kept};
use crate::error::Error;
use crate::ops::custody::Custody;
use crate::ops::span::Span;

/// The files that were archived in a month, and their locks: as the audit holds them, or as S3 told them just now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Month {
    /// The month: `2026-03`, in UTC.
    pub month: String,
    /// Files of recordings.
    pub files: u64,
    /// Those locked in the mode GOVERNANCE.
    pub governance: u64,
    /// Those locked in the mode COMPLIANCE.
    pub compliance: u64,
    /// Those without a lock.
    pub unlocked: u64,
    /// Those of which no lock is known: the event is of an older version of the archiver, or S3 has no such object.
    pub unknown: u64,
    /// Those whose lock is over.
    pub over: u64,
    /// The earliest end of a lock.
    pub first_end: Option<Timestamp>,
    /// The latest one.
    pub last_end: Option<Timestamp>,
    /// Those on which a legal hold is; null: S3 was not asked.
    pub holds: Option<u64>,
}

/// The locks of files, by their places.
pub(super) type Locks = HashMap<ArchiveKey, Lock>;

/// Asks S3 for the locks of the files that a span holds; nothing without `storage`.
pub(super) async fn asked(
    storage: Option<&Storage>,
    span: Span,
    custodies: &[Custody],
) -> Result<Locks, Error> {
    let mut locks = Locks::new();
    let Some(storage) = storage else {
        return Ok(locks);
    };
    let counted = |custody: &&Custody| !custody.superseded && span.holds(custody);
    for custody in custodies.iter().filter(counted) {
        for file in custody.files() {
            let kept = kept(&file);
            let version = kept.and_then(|kept| kept.answer.version_id.as_deref());
            let was_locked = kept.is_some_and(|kept| kept.lock_mode.is_some());
            if let Some(lock) = storage.lock(&file.archive_key, version, was_locked).await? {
                locks.insert(file.archive_key.clone(), lock);
            }
        }
    }
    Ok(locks)
}

fn kept(file: &Stored) -> Option<&Kept> {
    Some(&file.stored_as.as_ref()?.kept)
}

/// The months of a report, while they are gathered.
#[derive(Debug)]
pub(super) struct Months {
    now: Timestamp,
    /// S3 was asked.
    asked: bool,
    months: BTreeMap<String, Month>,
}

impl Months {
    pub(super) fn new(now: Timestamp, asked: bool) -> Self {
        Self {
            now,
            asked,
            months: BTreeMap::new(),
        }
    }

    /// Adds a file that was archived at this time. Returns its lock; `None`: not known.
    pub(super) fn add(&mut self, archived: Timestamp, file: &Stored, locks: &Locks) -> Option<Lock> {
        let name = archived.strftime("%Y-%m").to_string();
        let month = self.months.entry(name.clone()).or_insert_with(|| Month {
            month: name,
            holds: self.asked.then_some(0),
            ..Month::default()
        });
        let lock = match self.asked {
            true => locks.get(&file.archive_key).cloned(),
            false => kept(file).map(|kept| Lock {
                mode: kept.lock_mode.clone(),
                until: kept.retain_until,
                legal_hold: false,
            }),
        };
        month.files += 1;
        let Some(lock) = lock else {
            month.unknown += 1;
            return None;
        };
        *match lock.mode.as_deref() {
            Some("GOVERNANCE") => &mut month.governance,
            Some("COMPLIANCE") => &mut month.compliance,
            Some(_) => &mut month.unknown,
            None => &mut month.unlocked,
        } += 1;
        if let Some(holds) = &mut month.holds {
            *holds += u64::from(lock.legal_hold);
        }
        if let Some(end) = lock.until {
            month.over += u64::from(end <= self.now);
            month.first_end = Some(month.first_end.map_or(end, |first| first.min(end)));
            month.last_end = Some(month.last_end.map_or(end, |last| last.max(end)));
        }
        Some(lock)
    }

    /// Returns whether S3 was asked.
    pub(super) fn asked(&self) -> bool {
        self.asked
    }

    pub(super) fn finish(self) -> Vec<Month> {
        self.months.into_values().collect()
    }
}
