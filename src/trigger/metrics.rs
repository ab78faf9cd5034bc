//! Metrics in CloudWatch's embedded format: names and units in one table, lines made of outcomes. Pure.
//!
//! Written here and not with a recorder crate: those keep their counts in one global place, while here the figures
//! of an invocation are a value that only its own outcomes made.
//! Format: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::domain::outcome::{Outcome, RecordingResult};
use crate::telemetry::Counters;

const NAMESPACE: &str = "RecordingArchiver";

/// Metrics of each outcome, with the dimension `Outcome`.
const BY_OUTCOME: [(&str, &str); 5] = [
    ("Recordings", "Count"),
    ("BytesArchived", "Bytes"),
    ("DownloadLatency", "Milliseconds"),
    ("ArchiveLatency", "Milliseconds"),
    ("ArchiveAge", "Seconds"),
];

/// Metrics of the invocation, without a dimension.
const OF_INVOCATION: [(&str, &str); 7] = [
    ("GenesysRequests", "Count"),
    ("GenesysThrottled", "Count"),
    ("WebhookFailures", "Count"),
    ("AbortFailures", "Count"),
    ("Deferrals", "Count"),
    ("EventsIgnored", "Count"),
    ("BatchItemFailures", "Count"),
];

/// The format takes at most 100 values a metric and line.
const MOST_VALUES: usize = 100;

/// What an invocation came to.
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
        let archived = result.figures.archive.is_some();
        let bytes = if archived {
            result.files.iter().map(|file| file.size_bytes).sum()
        } else {
            0
        };
        let figures = result.figures;
        self.outcomes.entry(result.outcome).or_default().push(Figure {
            bytes,
            download: figures.download,
            archive: figures.archive,
            age: figures.age,
        });
        self.deferrals += u64::from(result.outcome == Outcome::Deferred);
    }

    /// Counts something that failed before it could be said what it is about.
    pub fn count_unreadable(&mut self, outcome: Outcome) {
        let nothing = Figure {
            bytes: 0,
            download: None,
            archive: None,
            age: None,
        };
        self.outcomes.entry(outcome).or_default().push(nothing);
    }

    /// The lines to print: one, and one more for each further outcome, as a line has room for one value of a dimension.
    pub fn lines(&self, counters: &Counters, timestamp_ms: i64) -> Vec<Value> {
        let values = [
            counters.genesys_requests.take(),
            counters.genesys_throttled.take(),
            counters.webhook_failures.take(),
            counters.abort_failures.take(),
            self.deferrals,
            self.ignored,
            self.item_failures,
        ];
        let mut invocation = Line::default();
        invocation.add(
            &[],
            OF_INVOCATION
                .iter()
                .zip(values)
                .map(|(metric, value)| (*metric, json!(value))),
        );
        let mut lines = Vec::new();
        for (outcome, figures) in &self.outcomes {
            for figures in figures.chunks(MOST_VALUES) {
                let mut line = std::mem::take(&mut invocation);
                line.fields.insert("Outcome".to_owned(), outcome.as_str().into());
                line.add(&["Outcome"], by_outcome(figures));
                lines.push(line.finish(timestamp_ms));
            }
        }
        if lines.is_empty() {
            lines.push(invocation.finish(timestamp_ms));
        }
        lines
    }
}

fn by_outcome(figures: &[Figure]) -> impl Iterator<Item = ((&'static str, &'static str), Value)> {
    let list = |values: Vec<u64>| (!values.is_empty()).then(|| json!(values));
    let millis = |pick: fn(&Figure) -> Option<Duration>| {
        list(
            figures
                .iter()
                .filter_map(pick)
                .filter_map(|took| u64::try_from(took.as_millis()).ok())
                .collect(),
        )
    };
    let archived: Vec<u64> = figures
        .iter()
        .filter(|f| f.archive.is_some())
        .map(|f| f.bytes)
        .collect();
    let values = [
        Some(json!(figures.len())),
        list(archived),
        millis(|figure| figure.download),
        millis(|figure| figure.archive),
        list(
            figures
                .iter()
                .filter_map(|figure| figure.age)
                .map(|age| age.as_secs())
                .collect(),
        ),
    ];
    BY_OUTCOME
        .into_iter()
        .zip(values)
        .filter_map(|(metric, value)| Some((metric, value?)))
}

#[derive(Debug, Default)]
struct Line {
    directives: Vec<Value>,
    fields: Map<String, Value>,
}

impl Line {
    fn add(
        &mut self,
        dimensions: &[&str],
        metrics: impl Iterator<Item = ((&'static str, &'static str), Value)>,
    ) {
        let mut names = Vec::new();
        for ((name, unit), value) in metrics {
            names.push(json!({"Name": name, "Unit": unit}));
            self.fields.insert(name.to_owned(), value);
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
    use crate::domain::outcome::Figures;
    use crate::domain::recording::{ConversationId, RecordingRef};
    use crate::error::Error;

    fn result(outcome: Outcome, figures: Figures) -> RecordingResult {
        let conversation = ConversationId::parse("c0000000-0000-4000-8000-000000000001").unwrap();
        let of = RecordingRef {
            conversation,
            recording: None,
            segment: None,
        };
        RecordingResult {
            figures,
            ..RecordingResult::ended(of, outcome, Error::transient("x"))
        }
    }

    #[test]
    fn one_outcome_makes_one_line_with_everything() {
        let mut tally = Tally::default();
        let second = Duration::from_secs(1);
        let figures = Figures {
            download: Some(second),
            archive: Some(2 * second),
            age: Some(90 * second),
        };
        tally.count(&result(Outcome::Archived, figures));
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
            tally.count(&result(outcome, Figures::default()));
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
