//! Metrics in CloudWatch's embedded format: names and units in one place, lines made of outcomes. Pure.
//!
//! Written here and not with a recorder crate: those keep their counts in one global place, while here the figures of
//! an invocation are a value that only its own outcomes made. Format:
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::domain::outcome::{Outcome, RecordingResult};
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
    // Of the invocation, without a dimension.
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
        }
    }

    /// Returns the unit in CloudWatch.
    fn unit(self) -> &'static str {
        match self {
            Self::BytesArchived => "Bytes",
            Self::DownloadLatency | Self::ArchiveLatency => "Milliseconds",
            Self::ArchiveAge => "Seconds",
            Self::Recordings
            | Self::GenesysRequests
            | Self::GenesysThrottled
            | Self::WebhookFailures
            | Self::AbortFailures
            | Self::Deferrals
            | Self::EventsIgnored
            | Self::BatchItemFailures
            | Self::LeavesSealed
            | Self::CheckpointsSigned
            | Self::AuditTampering => "Count",
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
    /// Events that asked for nothing.
    pub ignored: u64,
    /// Messages that SQS is to redeliver.
    pub item_failures: u64,
}

#[derive(Debug)]
struct Figure {
    bytes: u64,
    download: Option<Duration>,
    archive: Option<Duration>,
    age: Option<Duration>,
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
        });
        self.deferrals += u64::from(result.outcome == Outcome::Deferred);
    }

    /// Counts a failure without a result, such as an invalid message.
    pub fn count_unreadable(&mut self, outcome: Outcome) {
        let nothing = Figure {
            bytes: 0,
            download: None,
            archive: None,
            age: None,
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
        tally.count(&result(Outcome::Archived, timings));
        let counters = Counters::default();
        counters.genesys_requests.add_one();
        let lines = tally.lines(&counters, 1);
        assert_eq!(
            lines,
            [json!({
                "_aws": {"Timestamp": 1, "CloudWatchMetrics": [
                    {"Namespace": "RecordingArchiver", "Dimensions": [[]], "Metrics": [
                        {"Name": "GenesysRequests", "Unit": "Count"}, {"Name": "GenesysThrottled", "Unit": "Count"},
                        {"Name": "WebhookFailures", "Unit": "Count"}, {"Name": "AbortFailures", "Unit": "Count"},
                        {"Name": "Deferrals", "Unit": "Count"}, {"Name": "EventsIgnored", "Unit": "Count"},
                        {"Name": "BatchItemFailures", "Unit": "Count"}]},
                    {"Namespace": "RecordingArchiver", "Dimensions": [["Outcome"]], "Metrics": [
                        {"Name": "Recordings", "Unit": "Count"}, {"Name": "BytesArchived", "Unit": "Bytes"},
                        {"Name": "DownloadLatency", "Unit": "Milliseconds"},
                        {"Name": "ArchiveLatency", "Unit": "Milliseconds"}, {"Name": "ArchiveAge", "Unit": "Seconds"}]}]},
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
    fn an_ignored_event_is_counted() {
        let tally = Tally {
            ignored: 1,
            ..Tally::default()
        };
        assert_eq!(tally.lines(&Counters::default(), 1)[0]["EventsIgnored"], 1);
    }
}
