//! The figures of a report, gathered recording by recording. What they take in memory does not grow with the archive.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use recording_archiver::archive::audit::{Action, AuditItem};
use recording_archiver::aws::ledger::{Record, State};
use serde_json::{Value, json};

use crate::custody::{Custody, noted, started, text};
use crate::days::Range;

/// What a day brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Day {
    /// Recordings archived.
    pub(super) recordings: u64,
    /// Bytes of their files.
    pub(super) bytes: u64,
}

/// A recording that is not archived, and will be deleted at Genesys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Deadline {
    pub(super) at: Timestamp,
    pub(super) conversation: String,
    pub(super) recording: String,
    pub(super) state: &'static str,
}

/// All figures of a report.
#[derive(Debug)]
pub(super) struct Tally {
    range: Range,
    now: Timestamp,
    /// Every day of the range, also those that brought nothing.
    pub(super) days: BTreeMap<Date, Day>,
    /// Recordings by how far they got.
    pub(super) outcomes: BTreeMap<&'static str, u64>,
    /// From the claim to the verified object, in milliseconds.
    pub(super) latency: Histogram,
    /// From the start of a recording to its archive, in milliseconds.
    pub(super) age: Histogram,
    /// Failed runs and deliveries by reason.
    pub(super) failures: BTreeMap<String, u64>,
    /// How often a job was put off because Genesys was not ready.
    pub(super) deferrals: u64,
    /// The next ones.
    pub(super) deadlines: Vec<Deadline>,
    /// How many there are, of which [`Self::deadlines`] holds the next ones.
    pub(super) deadlines_near: u64,
    /// Audit chains that were checked.
    pub(super) chains: u64,
    /// Those that are not whole.
    pub(super) broken_chains: u64,
}

/// What a report calls the states, in the order in which it shows them.
pub(super) const OUTCOMES: [&str; 7] = [
    "archived",
    "waiting",
    "in progress",
    "failed",
    "expired",
    "skipped",
    "no recording",
];

/// So far ahead a deletion at Genesys is told.
pub(super) const NEAR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How many deadlines, and how many reasons, a report lists.
pub(super) const LISTED: usize = 25;

/// Letters of a reason.
const LONGEST_REASON: usize = 160;

/// Reasons beyond these count as one.
const REASONS: usize = 200;
pub(super) const OTHER: &str = "other reasons";

impl Tally {
    pub(super) fn new(range: Range, now: Timestamp) -> Self {
        Self {
            range,
            now,
            days: range.days().map(|date| (date, Day::default())).collect(),
            outcomes: OUTCOMES.into_iter().map(|outcome| (outcome, 0)).collect(),
            latency: Histogram::default(),
            age: Histogram::default(),
            failures: BTreeMap::new(),
            deferrals: 0,
            deadlines: Vec::new(),
            deadlines_near: 0,
            chains: 0,
            broken_chains: 0,
        }
    }

    /// Adds one recording.
    pub(super) fn add(&mut self, custody: &Custody) {
        self.chains += 1;
        self.broken_chains += u64::from(!custody.findings.is_empty());
        for event in &custody.events {
            if moment(event).is_some_and(|at| self.range.holds(at)) {
                self.add_event(event);
            }
        }
        let Some(record) = &custody.record else { return };
        if custody.overtaken || !is_meant(record, self.range) {
            return;
        }
        *self.outcomes.entry(outcome(record.state)).or_default() += 1;
        let Some(archived) = record.archived_at else {
            self.add_deadline(record, &custody.events);
            return;
        };
        let date = archived.to_zoned_datetime(TimeZone::UTC).date();
        let day = self.days.entry(date).or_default();
        day.recordings += 1;
        day.bytes += record.files.iter().map(|file| file.size_bytes).sum::<u64>();
        if let Some(start) = started(&custody.events) {
            self.age.add(millis(archived.duration_since(start)));
        }
    }

    fn add_event(&mut self, event: &AuditItem) {
        let action = text(event, "action");
        let is = |other: Action| action == other.as_str();
        if is(Action::DownloadDeferred) {
            self.deferrals += 1;
        } else if is(Action::DownloadFailed) || is(Action::WebhookFailed) {
            let reason = reason(&text(event, "error"));
            let room = self.failures.len() < REASONS || self.failures.contains_key(&reason);
            let reason = if room { reason } else { OTHER.to_owned() };
            *self.failures.entry(reason).or_default() += 1;
        } else if is(Action::ArchiveStored)
            && let Some(latency) = event.get("latencyMs").and_then(Value::as_u64)
        {
            self.latency.add(latency);
        }
    }

    fn add_deadline(&mut self, record: &Record, events: &[AuditItem]) {
        let gone = matches!(record.state, State::Expired | State::Skipped);
        let Some(at) = noted(events, "deleteDate").filter(|at| !gone && *at <= self.now + NEAR) else {
            return;
        };
        self.deadlines_near += 1;
        self.deadlines.push(Deadline {
            at,
            conversation: record.interaction_id.clone(),
            recording: record.recording_id.clone(),
            state: outcome(record.state),
        });
        self.deadlines.sort();
        self.deadlines.truncate(LISTED);
    }

    /// Everything but the days.
    pub(super) fn json(&self) -> Value {
        let deadlines = self.deadlines.iter().map(|deadline| {
            json!({"deleteDate": deadline.at, "interactionId": deadline.conversation,
                   "recordingId": deadline.recording, "state": deadline.state})
        });
        let total = self.total();
        json!({"recordings": total.recordings, "bytes": total.bytes, "outcomes": self.outcomes, "latencyMs": self.latency.json(),
               "ageMs": self.age.json(), "failures": self.failures, "deferrals": self.deferrals,
               "deadlinesNear": self.deadlines_near, "deadlines": deadlines.collect::<Vec<_>>(),
               "chains": self.chains, "brokenChains": self.broken_chains})
    }

    /// All days together.
    pub(super) fn total(&self) -> Day {
        self.days.values().fold(Day::default(), |sum, day| Day {
            recordings: sum.recordings + day.recordings,
            bytes: sum.bytes + day.bytes,
        })
    }

    /// The failures, the most frequent first.
    pub(super) fn reasons(&self) -> Vec<(&str, u64)> {
        let mut reasons: Vec<_> = self
            .failures
            .iter()
            .map(|(reason, count)| (reason.as_str(), *count))
            .collect();
        reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), *reason));
        reasons
    }
}

/// Whether a record belongs into a report of these days: it was archived in them, or it is not archived and was written
/// to last in them.
pub(super) fn is_meant(record: &Record, range: Range) -> bool {
    range.holds(record.archived_at.unwrap_or(record.updated_at))
}

fn outcome(state: State) -> &'static str {
    match state {
        State::Archived | State::Notified => "archived",
        State::Deferred | State::Settling => "waiting",
        State::Claimed | State::Storing => "in progress",
        State::Failed => "failed",
        State::Expired => "expired",
        State::Skipped => "skipped",
        // Of a conversation that has no recordings: with any, they stand in the report, and it does not.
        State::Settled | State::Unrecorded => "no recording",
    }
}

fn moment(event: &AuditItem) -> Option<Timestamp> {
    text(event, "timestamp").parse().ok()
}

fn millis(duration: SignedDuration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or_default()
}

/// An error's text without what is different each time: ids, keys, hashes.
fn reason(error: &str) -> String {
    const LONGEST: usize = 20;
    let words = error.split_whitespace().map(|word| {
        let id = word.chars().count() > LONGEST && word.contains(|letter: char| letter.is_ascii_digit());
        if id { "…" } else { word }
    });
    let words = words.collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(LONGEST_REASON) {
        _ if words.is_empty() => "no reason given".to_owned(),
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

/// How often which size of number came, to within 5 %.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// By power of [`STEP`].
    buckets: BTreeMap<u32, u64>,
    count: u64,
    most: u64,
}

/// How much longer each bucket reaches than the one before it.
const STEP: f64 = 1.05;

impl Histogram {
    fn add(&mut self, value: u64) {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "5 % is what it is good for, and the logarithm of a whole number is small and not negative"
        )]
        let bucket = (value.max(1) as f64).log(STEP).ceil() as u32;
        *self.buckets.entry(bucket).or_default() += 1;
        self.count += 1;
        self.most = self.most.max(value);
    }

    /// The value that this share of all does not exceed, to within 5 %; `None` of none.
    pub(super) fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = (self.count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (bucket, count) in &self.buckets {
            seen += count;
            if seen >= rank {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a positive number of milliseconds"
                )]
                let upper = STEP.powf(f64::from(*bucket)) as u64;
                return Some(upper.min(self.most));
            }
        }
        None
    }

    /// The largest.
    pub(super) fn most(&self) -> Option<u64> {
        (self.count > 0).then_some(self.most)
    }

    fn json(&self) -> Value {
        json!({"count": self.count, "p50": self.percentile(50), "p90": self.percentile(90),
               "p99": self.percentile(99), "max": self.most()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_within_five_percent() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(50), None);
        (1..=10_000).for_each(|value| histogram.add(value));
        for percent in [1, 50, 90, 99, 100] {
            let (exact, told) = (percent * 100, histogram.percentile(percent).unwrap());
            assert!(told >= exact && told * 100 <= exact * 105, "{percent}: {told}");
        }
        assert_eq!(histogram.most(), Some(10_000));
        let mut single = Histogram::default();
        single.add(0);
        assert_eq!((single.percentile(99), single.most()), (Some(0), Some(0)));
    }

    #[test]
    fn the_same_failure_of_two_recordings_has_one_reason() {
        let error = |id: &str| format!("recording {id} of conversation {id}: Genesys answered 403");
        let one = reason(&error("e0000000-0000-4000-8000-000000000101"));
        assert_eq!(one, reason(&error("e0000000-0000-4000-8000-000000000102")));
        assert_eq!(one, "recording … of conversation … Genesys answered 403");
    }
}
