//! Metrics in CloudWatch's embedded format: names and units in one place, lines made of outcomes. Pure.
//!
//! Written here and not with a recorder crate: those keep their counts in one global place, while here the figures of
//! an invocation are a value that only its own outcomes made. Format:
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::domain::outcome::{A_DAY, AN_HOUR, Outcome, RecordingResult};
use crate::telemetry::Counters;

const NAMESPACE: &str = "RecordingArchiver";

/// A metric. Its values are added by this name, so that none can land under another's.
#[derive(Debug, Clone, Copy)]
enum Metric {
    // Of each outcome, with the dimension `Outcome`.
    Recordings,
    BytesArchived,
    DownloadLatency,
    ArchiveLatency,
    ArchiveAge,
    LiveAge,
    // Of the invocation, without a dimension.
    RecordingsArchived,
    LiveRecordings,
    LiveWithinHour,
    LiveWithinDay,
    GenesysRequests,
    GenesysThrottled,
    WebhookFailures,
    AbortFailures,
    Deferrals,
    EventsIgnored,
    BatchItemFailures,
    // Of the sealer.
    LeavesSealed,
    CheckpointsSigned,
    AuditTampering,
    // Of the completeness statement.
    StatementsIssued,
    StatementGaps,
    DaysWithoutArchive,
    DeletionsAhead,
    OldDeadLetters,
}

impl Metric {
    /// Returns the name in CloudWatch.
    fn name(self) -> &'static str {
        match self {
            Self::Recordings => "Recordings",
            Self::BytesArchived => "BytesArchived",
            Self::DownloadLatency => "DownloadLatency",
            Self::ArchiveLatency => "ArchiveLatency",
            Self::ArchiveAge => "ArchiveAge",
            Self::LiveAge => "LiveAge",
            Self::RecordingsArchived => "RecordingsArchived",
            Self::LiveRecordings => "LiveRecordings",
            Self::LiveWithinHour => "LiveWithinHour",
            Self::LiveWithinDay => "LiveWithinDay",
            Self::GenesysRequests => "GenesysRequests",
            Self::GenesysThrottled => "GenesysThrottled",
            Self::WebhookFailures => "WebhookFailures",
            Self::AbortFailures => "AbortFailures",
            Self::Deferrals => "Deferrals",
            Self::EventsIgnored => "EventsIgnored",
            Self::BatchItemFailures => "BatchItemFailures",
            Self::LeavesSealed => "LeavesSealed",
            Self::CheckpointsSigned => "CheckpointsSigned",
            Self::AuditTampering => "AuditTampering",
            Self::StatementsIssued => "StatementsIssued",
            Self::StatementGaps => "StatementGaps",
            Self::DaysWithoutArchive => "DaysWithoutArchive",
            Self::DeletionsAhead => "DeletionsAhead",
            Self::OldDeadLetters => "OldDeadLetters",
        }
    }

    /// Returns the unit in CloudWatch.
    fn unit(self) -> &'static str {
        match self {
            Self::BytesArchived => "Bytes",
            Self::DownloadLatency | Self::ArchiveLatency => "Milliseconds",
            Self::ArchiveAge | Self::LiveAge => "Seconds",
            Self::Recordings
            | Self::RecordingsArchived
            | Self::LiveRecordings
            | Self::LiveWithinHour
            | Self::LiveWithinDay
            | Self::GenesysRequests
            | Self::GenesysThrottled
            | Self::WebhookFailures
            | Self::AbortFailures
            | Self::Deferrals
            | Self::EventsIgnored
            | Self::BatchItemFailures
            | Self::LeavesSealed
            | Self::CheckpointsSigned
            | Self::AuditTampering
            | Self::StatementsIssued
            | Self::StatementGaps
            | Self::DaysWithoutArchive
            | Self::DeletionsAhead
            | Self::OldDeadLetters => "Count",
        }
    }
}

/// The format takes at most 100 values a metric and line.
const MOST_VALUES: usize = 100;

/// The figures of an invocation.
#[derive(Debug, Default)]
pub struct Tally {
    outcomes: BTreeMap<Outcome, Vec<Figure>>,
    deferrals: u64,
    archived: u64,
    served: Served,
    /// Events that asked for nothing.
    pub ignored: u64,
    /// Messages that SQS is to redeliver.
    pub item_failures: u64,
}

/// What became of recordings that an end event asked for, once nothing more follows by itself.
#[derive(Debug, Default)]
struct Served {
    ended: u64,
    within_hour: u64,
    within_day: u64,
}

impl Served {
    /// Counts a result. One that was archived by an earlier run was counted by that run.
    fn count(&mut self, result: &RecordingResult) {
        let age = match result.outcome {
            Outcome::Failed | Outcome::Expired => None,
            _ => match result.timings.age {
                Some(age) => Some(age),
                None => return,
            },
        };
        self.ended += 1;
        self.within_hour += u64::from(age.is_some_and(|age| age <= AN_HOUR));
        self.within_day += u64::from(age.is_some_and(|age| age <= A_DAY));
    }
}

#[derive(Debug)]
struct Figure {
    bytes: u64,
    download: Option<Duration>,
    archive: Option<Duration>,
    age: Option<Duration>,
    live: bool,
}

impl Tally {
    /// Counts one result.
    pub fn count(&mut self, result: &RecordingResult) {
        let archived = result.timings.archive.is_some();
        let bytes = if archived {
            result.files.iter().map(|file| file.size_bytes).sum()
        } else {
            0
        };
        let timings = result.timings;
        self.outcomes.entry(result.outcome).or_default().push(Figure {
            bytes,
            download: timings.download,
            archive: timings.archive,
            age: timings.age,
            live: result.live,
        });
        self.archived += u64::from(archived);
        if result.live {
            self.served.count(result);
        }
        self.deferrals += u64::from(result.outcome == Outcome::Deferred);
    }

    /// Counts a failure without a result, such as an invalid message.
    pub fn count_unreadable(&mut self, outcome: Outcome) {
        let nothing = Figure {
            bytes: 0,
            download: None,
            archive: None,
            age: None,
            live: false,
        };
        self.outcomes.entry(outcome).or_default().push(nothing);
    }

    /// Returns the lines to print: one, and one more for each further outcome, as a line has room for one value of a
    /// dimension. Resets `counters`.
    pub fn lines(&self, counters: &Counters, timestamp_ms: i64) -> Vec<Value> {
        let mut invocation = Line::default();
        invocation.add(&[], &self.of_invocation(counters));
        let mut lines = Vec::new();
        for (outcome, figures) in &self.outcomes {
            for figures in figures.chunks(MOST_VALUES) {
                let mut line = std::mem::take(&mut invocation);
                line.fields.insert("Outcome".to_owned(), outcome.as_str().into());
                line.add(&["Outcome"], &by_outcome(figures));
                lines.push(line.finish(timestamp_ms));
            }
        }
        if lines.is_empty() {
            lines.push(invocation.finish(timestamp_ms));
        }
        lines
    }

    fn of_invocation(&self, counters: &Counters) -> Vec<(Metric, Value)> {
        vec![
            (Metric::RecordingsArchived, self.archived.into()),
            (Metric::LiveRecordings, self.served.ended.into()),
            (Metric::LiveWithinHour, self.served.within_hour.into()),
            (Metric::LiveWithinDay, self.served.within_day.into()),
            (Metric::GenesysRequests, counters.genesys_requests.take().into()),
            (Metric::GenesysThrottled, counters.genesys_throttled.take().into()),
            (Metric::WebhookFailures, counters.webhook_failures.take().into()),
            (Metric::AbortFailures, counters.abort_failures.take().into()),
            (Metric::Deferrals, self.deferrals.into()),
            (Metric::EventsIgnored, self.ignored.into()),
            (Metric::BatchItemFailures, self.item_failures.into()),
        ]
    }
}

/// What an invocation of the sealer did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sealing {
    /// Leaves that the log gained.
    pub sealed: u64,
    /// Checkpoints that were signed.
    pub checkpoints: u64,
    /// Changes of the audit table that no archiver makes.
    pub tampering: u64,
}

impl Sealing {
    /// Returns the line to print.
    pub fn line(&self, timestamp_ms: i64) -> Value {
        let mut line = Line::default();
        let metrics = [
            (Metric::LeavesSealed, self.sealed.into()),
            (Metric::CheckpointsSigned, self.checkpoints.into()),
            (Metric::AuditTampering, self.tampering.into()),
        ];
        line.add(&[], &metrics);
        line.finish(timestamp_ms)
    }
}

/// What a run of the completeness statement found, over all of its days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stating {
    /// Statements that were issued.
    pub issued: u64,
    /// Conversations that are neither archived nor accounted for, and what could not be checked.
    pub gaps: u64,
    /// Days with recorded conversations of which none is archived.
    pub empty_days: u64,
    /// Recordings without an archive that Genesys deletes soon.
    pub deletions: u64,
}

impl Stating {
    /// Returns the line to print.
    pub fn line(&self, timestamp_ms: i64) -> Value {
        let mut line = Line::default();
        let metrics = [
            (Metric::StatementsIssued, self.issued.into()),
            (Metric::StatementGaps, self.gaps.into()),
            (Metric::DaysWithoutArchive, self.empty_days.into()),
            (Metric::DeletionsAhead, self.deletions.into()),
        ];
        line.add(&[], &metrics);
        line.finish(timestamp_ms)
    }
}

/// Returns the line to print of dead letters that nobody sent again for 7 days.
pub fn old_dead_letters(number: u64, timestamp_ms: i64) -> Value {
    let mut line = Line::default();
    line.add(&[], &[(Metric::OldDeadLetters, number.into())]);
    line.finish(timestamp_ms)
}

/// Returns the metrics of the recordings of one outcome. One that none of them has a value for is left out.
fn by_outcome(figures: &[Figure]) -> Vec<(Metric, Value)> {
    let millis = |took: Duration| u64::try_from(took.as_millis()).ok();
    let list = |metric, value: &dyn Fn(&Figure) -> Option<u64>| {
        let values: Vec<u64> = figures.iter().filter_map(value).collect();
        (!values.is_empty()).then(|| (metric, json!(values)))
    };
    let lists = [
        list(Metric::BytesArchived, &|figure| {
            figure.archive.map(|_| figure.bytes)
        }),
        list(Metric::DownloadLatency, &|figure| {
            figure.download.and_then(millis)
        }),
        list(Metric::ArchiveLatency, &|figure| figure.archive.and_then(millis)),
        list(Metric::ArchiveAge, &|figure| figure.age.map(|age| age.as_secs())),
        list(Metric::LiveAge, &|figure| {
            figure.age.filter(|_| figure.live).map(|age| age.as_secs())
        }),
    ];
    let count = (Metric::Recordings, json!(figures.len()));
    std::iter::once(count)
        .chain(lists.into_iter().flatten())
        .collect()
}

#[derive(Debug, Default)]
struct Line {
    directives: Vec<Value>,
    fields: Map<String, Value>,
}

impl Line {
    fn add(&mut self, dimensions: &[&str], metrics: &[(Metric, Value)]) {
        let mut names = Vec::new();
        for (metric, value) in metrics {
            names.push(json!({"Name": metric.name(), "Unit": metric.unit()}));
            self.fields.insert(metric.name().to_owned(), value.clone());
        }
        self.directives
            .push(json!({"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": names}));
    }

    fn finish(self, timestamp_ms: i64) -> Value {
        let mut fields = self.fields;
        fields.insert(
            "_aws".to_owned(),
            json!({"Timestamp": timestamp_ms, "CloudWatchMetrics": self.directives}),
        );
        Value::Object(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::Timings;
    use crate::domain::recording::{ConversationId, RecordingRef};
    use crate::error::Error;

    fn result(outcome: Outcome, timings: Timings) -> RecordingResult {
        let conversation = ConversationId::parse("c0000000-0000-4000-8000-000000000001").unwrap();
        let of = RecordingRef {
            conversation,
            recording: None,
            segment: None,
        };
        RecordingResult {
            timings,
            ..RecordingResult::ended(of, outcome, Error::transient("x"))
        }
    }

    #[test]
    fn one_outcome_makes_one_line_with_everything() {
        let mut tally = Tally::default();
        let second = Duration::from_secs(1);
        let timings = Timings {
            download: Some(second),
            archive: Some(2 * second),
            age: Some(90 * second),
        };
        let live = RecordingResult {
            live: true,
            ..result(Outcome::Archived, timings)
        };
        tally.count(&live);
        let counters = Counters::default();
        counters.genesys_requests.add_one();
        let lines = tally.lines(&counters, 1);
        assert_eq!(
            lines,
            [json!({
                "_aws": {"Timestamp": 1, "CloudWatchMetrics": [
                    {"Namespace": "RecordingArchiver", "Dimensions": [[]], "Metrics": [
                        {"Name": "RecordingsArchived", "Unit": "Count"}, {"Name": "LiveRecordings", "Unit": "Count"},
                        {"Name": "LiveWithinHour", "Unit": "Count"}, {"Name": "LiveWithinDay", "Unit": "Count"},
                        {"Name": "GenesysRequests", "Unit": "Count"}, {"Name": "GenesysThrottled", "Unit": "Count"},
                        {"Name": "WebhookFailures", "Unit": "Count"}, {"Name": "AbortFailures", "Unit": "Count"},
                        {"Name": "Deferrals", "Unit": "Count"}, {"Name": "EventsIgnored", "Unit": "Count"},
                        {"Name": "BatchItemFailures", "Unit": "Count"}]},
                    {"Namespace": "RecordingArchiver", "Dimensions": [["Outcome"]], "Metrics": [
                        {"Name": "Recordings", "Unit": "Count"}, {"Name": "BytesArchived", "Unit": "Bytes"},
                        {"Name": "DownloadLatency", "Unit": "Milliseconds"},
                        {"Name": "ArchiveLatency", "Unit": "Milliseconds"}, {"Name": "ArchiveAge", "Unit": "Seconds"},
                        {"Name": "LiveAge", "Unit": "Seconds"}]}]},
                "RecordingsArchived": 1, "LiveRecordings": 1, "LiveWithinHour": 1, "LiveWithinDay": 1, "LiveAge": [90],
                "Outcome": "archived", "Recordings": 1, "BytesArchived": [0], "DownloadLatency": [1000],
                "ArchiveLatency": [2000], "ArchiveAge": [90], "GenesysRequests": 1, "GenesysThrottled": 0,
                "WebhookFailures": 0, "AbortFailures": 0, "Deferrals": 0, "EventsIgnored": 0, "BatchItemFailures": 0
            })]
        );
        assert_eq!(counters.genesys_requests.take(), 0, "counted once");
    }

    #[test]
    fn further_outcomes_add_lines_that_repeat_nothing() {
        let mut tally = Tally::default();
        for outcome in [Outcome::Deferred, Outcome::Failed, Outcome::Deferred] {
            tally.count(&result(outcome, Timings::default()));
        }
        let lines = tally.lines(&Counters::default(), 1);
        assert_eq!(lines.len(), 2);
        assert_eq!(
            (&lines[0]["Recordings"], &lines[0]["Deferrals"]),
            (&json!(2), &json!(2))
        );
        assert_eq!(
            (&lines[1]["Recordings"], &lines[1]["Deferrals"]),
            (&json!(1), &Value::Null)
        );
    }

    #[test]
    fn service_levels_count_what_an_end_event_asked_for_and_what_ended_for_good() {
        let archived = |hours: u64, live| {
            let timings = Timings {
                archive: Some(Duration::from_secs(1)),
                age: Some(Duration::from_secs(hours * 3_600)),
                ..Timings::default()
            };
            RecordingResult {
                live,
                ..result(Outcome::Archived, timings)
            }
        };
        let other = |outcome| RecordingResult {
            live: true,
            ..result(outcome, Timings::default())
        };
        let mut tally = Tally::default();
        for result in [
            archived(1, true),
            archived(2, true),
            archived(24, true),
            archived(25, true),
            archived(50_000, false),
            other(Outcome::Failed),
            other(Outcome::Expired),
            other(Outcome::AlreadyArchived),
            other(Outcome::Deferred),
            other(Outcome::Retry),
            other(Outcome::Skipped),
            other(Outcome::Settled),
        ] {
            tally.count(&result);
        }
        let lines = tally.lines(&Counters::default(), 1);
        let figures = [
            "RecordingsArchived",
            "LiveRecordings",
            "LiveWithinHour",
            "LiveWithinDay",
        ]
        .map(|name| lines[0][name].as_u64().unwrap());
        assert_eq!(figures, [5, 6, 1, 3]);
        assert_eq!(lines[0]["LiveAge"], json!([3_600, 7_200, 86_400, 90_000]));
    }

    #[test]
    fn an_ignored_event_is_counted() {
        let tally = Tally {
            ignored: 1,
            ..Tally::default()
        };
        assert_eq!(tally.lines(&Counters::default(), 1)[0]["EventsIgnored"], 1);
    }
}
