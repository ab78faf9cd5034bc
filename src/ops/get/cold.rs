//! Files in cold storage: how long a restore takes, what it costs, and asking for it.

use serde::Serialize;

use crate::aws::storage::{Cold, Restore, Shelf};
use crate::ops::access::{Access, Accessor, Wanted, WantedFile};
use crate::ops::{Error, Kind};

/// A file that is being restored.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restoring {
    /// Its recording.
    pub recording_id: String,
    /// `s3://bucket/key`.
    pub archive_key: String,
    /// Number of its bytes.
    pub size_bytes: u64,
    /// The storage class, or the tier of S3 Intelligent-Tiering.
    pub cold: &'static str,
    /// `requested`, or `in_progress` where it was asked for before.
    pub restore: &'static str,
    /// Within how many hours of the request a restore typically ends.
    pub hours: u8,
}

/// A standard retrieval. Times: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html>.
/// Prices in USD: list prices of us-east-1 as of May 2026, <https://aws.amazon.com/s3/pricing/>.
#[derive(Debug, Clone, Copy)]
struct Retrieval {
    /// Within how many hours it typically ends.
    hours: u8,
    per_gib: f64,
    per_1000_requests: f64,
}

/// Price of a GiB in S3 Standard for a month, as of the same list: a copy that is restored costs that.
const COPY_PER_GIB: f64 = 0.023;

const GIB: f64 = 1_073_741_824.0;

impl Retrieval {
    fn of(cold: Cold) -> Self {
        let (hours, per_gib, per_1000_requests) = match cold {
            Cold::Glacier => (5, 0.01, 0.05),
            Cold::DeepArchive => (12, 0.02, 0.10),
            Cold::ArchiveAccess => (5, 0.0, 0.0),
            Cold::DeepArchiveAccess => (12, 0.0, 0.0),
        };
        Self {
            hours,
            per_gib,
            per_1000_requests,
        }
    }

    /// Returns the price of restoring a file for so many days.
    #[expect(clippy::cast_precision_loss, reason = "a price to some digits")]
    fn usd(self, cold: Cold, bytes: u64, days: u16) -> f64 {
        let gib = bytes as f64 / GIB;
        let copy = if cold.restores_a_copy() { COPY_PER_GIB } else { 0.0 };
        self.per_1000_requests / 1_000.0 + gib * (self.per_gib + copy * f64::from(days) / 30.0)
    }
}

/// The days for which a price is told where nobody named any.
const A_WEEK: u16 = 7;

/// Asks S3 to restore what lies in cold storage, once the audit says so, and reports each file to `tell`; or says what
/// that takes.
pub(in crate::ops) async fn restore(
    accessor: &Accessor<'_>,
    wanted: &[Wanted],
    days: Option<u16>,
    mut tell: impl FnMut(Restoring),
) -> Result<(), Error> {
    let all = wanted.iter().flat_map(|wanted| &wanted.files);
    let unasked: Vec<_> = all.filter_map(cold).collect();
    let days = match days {
        None if !unasked.is_empty() => return Err(lies_cold(&unasked)),
        days => days.unwrap_or(A_WEEK),
    };
    for Wanted { recording, files } in wanted {
        let asked: Vec<_> = files.iter().filter(|file| cold(file).is_some()).collect();
        if !asked.is_empty() {
            accessor
                .record(*recording, &asked, Access::RestoreRequested)
                .await?;
        }
        for file in files {
            let (cold, restore) = match file.shelf {
                Shelf::Ready => continue,
                Shelf::Restoring(cold) => (cold, Restore::InProgress),
                Shelf::Cold(cold) => {
                    accessor.session.go_on()?;
                    let place = &file.stored.archive_key;
                    let asking = accessor.storage.restore(place, file.version_id(), cold, days);
                    (cold, accessor.session.unless_interrupted(asking).await?)
                }
            };
            tell(Restoring {
                recording_id: recording.recording_key(),
                archive_key: file.stored.archive_key.to_string(),
                size_bytes: file.stored.size_bytes,
                cold: cold.as_str(),
                restore: match restore {
                    Restore::Requested => "requested",
                    Restore::InProgress => "in_progress",
                },
                hours: Retrieval::of(cold).hours,
            });
        }
    }
    Ok(())
}

/// Says why a file cannot be read now, and what it takes; `None`: it can be read.
pub(in crate::ops) fn wait(file: &WantedFile, shelf: Shelf) -> Option<String> {
    match shelf {
        Shelf::Ready => None,
        Shelf::Cold(cold) => Some(lies_cold(&[(cold, file.stored.size_bytes)]).to_string()),
        Shelf::Restoring(cold) => Some(format!(
            "being restored from cold storage ({}): typically within {} hours of the request",
            cold.as_str(),
            Retrieval::of(cold).hours
        )),
    }
}

/// Returns where a file lies that nobody restores yet, and its length.
fn cold(file: &WantedFile) -> Option<(Cold, u64)> {
    match file.shelf {
        Shelf::Cold(cold) => Some((cold, file.stored.size_bytes)),
        Shelf::Ready | Shelf::Restoring(_) => None,
    }
}

/// Makes the error of files in cold storage, with what a restore takes.
fn lies_cold(files: &[(Cold, u64)]) -> Error {
    let (count, mut hours, mut usd) = (files.len(), 0, 0.0);
    let mut classes: Vec<&str> = Vec::new();
    for &(cold, bytes) in files {
        let retrieval = Retrieval::of(cold);
        hours = hours.max(retrieval.hours);
        usd += retrieval.usd(cold, bytes, A_WEEK);
        if !classes.contains(&cold.as_str()) {
            classes.push(cold.as_str());
        }
    }
    let files = if count == 1 { "file lies" } else { "files lie" };
    let message = format!(
        "{count} {files} in cold storage ({}), so nothing was read; a restore typically takes up to {hours} hours, and \
         costs about USD {usd:.4} with a copy for {A_WEEK} days (list price of us-east-1, May 2026: \
         https://aws.amazon.com/s3/pricing/)",
        classes.join(", ")
    );
    Error::new(Kind::Usage, message)
        .remedy("add --restore to ask for it, and come back with the same command")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_costs_requests_bytes_and_the_copy_but_for_intelligent_tiering() {
        let usd = |cold, days| {
            let usd = Retrieval::of(cold).usd(cold, 1 << 30, days);
            format!("{usd:.5}")
        };
        assert_eq!(usd(Cold::Glacier, 30), "0.03305");
        assert_eq!(usd(Cold::DeepArchive, 15), "0.03160");
        assert_eq!(usd(Cold::ArchiveAccess, 30), "0.00000");
    }
}
