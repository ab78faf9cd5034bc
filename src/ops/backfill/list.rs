//! Lists of ids: CSV or JSON Lines, read line by line, so that an invalid line does not stop the rest.

use std::io::{BufRead, Read as _};

use serde_json::{Value, json};

use super::BadLine;
use crate::domain::format::RecordingApi;
use crate::domain::job::Job;

/// The columns that are read. Without a heading they have this order.
const COLUMNS: [&str; 3] = ["conversationId", "recordingId", "expectedSha256"];

/// Longest line that is read, in bytes: far more than a job may hold.
const LONGEST_LINE: u64 = 64 * 1024;

/// Why a job cannot be an entry of a bulk job.
const NO_ENTRY: &str =
    "a batch download takes conversationId and recordingId alone: give this line in a list without --bulk";

/// Says whether an entry of a bulk job asks for all that a job asks for.
fn is_entry(job: &Job) -> bool {
    let entry = Job {
        recording: job.recording,
        ..Job::new(job.conversation)
    };
    *job == entry
}

/// A list, being read.
pub(super) struct List<R> {
    lines: R,
    api: RecordingApi,
    number: u64,
    /// The position of each of [`COLUMNS`].
    columns: [Option<usize>; 3],
    /// The number of columns.
    width: usize,
    /// The jobs become entries of bulk jobs.
    bulk: bool,
}

impl<R: BufRead> List<R> {
    pub(super) fn new(lines: R, api: RecordingApi, bulk: bool) -> Self {
        Self {
            lines,
            api,
            number: 0,
            columns: [Some(0), Some(1), Some(2)],
            width: COLUMNS.len(),
            bulk,
        }
    }

    /// Returns the next job or invalid line; `None` at the end.
    pub(super) fn next(&mut self) -> std::io::Result<Option<Result<Job, BadLine>>> {
        loop {
            let mut bytes = Vec::new();
            if self
                .lines
                .by_ref()
                .take(LONGEST_LINE)
                .read_until(b'\n', &mut bytes)?
                == 0
            {
                return Ok(None);
            }
            self.number += 1;
            let complete = bytes.ends_with(b"\n") || (bytes.len() as u64) < LONGEST_LINE;
            if !complete {
                skip_line(&mut self.lines)?;
            }
            let line = self.number;
            let bad = |error: String| Ok(Some(Err(BadLine { line, error })));
            if !complete {
                return bad(format!("the line is longer than {LONGEST_LINE} bytes"));
            }
            let Ok(text) = std::str::from_utf8(&bytes) else {
                return bad("the line is not UTF-8".to_owned());
            };
            let text = text.trim_start_matches('\u{feff}').trim();
            if text.is_empty() || (self.number == 1 && self.is_heading(text)) {
                continue;
            }
            return match self.job(text) {
                Ok(job) if self.bulk && !is_entry(&job) => bad(NO_ENTRY.to_owned()),
                Ok(job) => Ok(Some(Ok(job))),
                Err(error) => bad(error),
            };
        }
    }

    /// Returns whether the line names columns. If so, columns are read by these names from then on.
    fn is_heading(&mut self, text: &str) -> bool {
        let names: Vec<_> = fields(text).collect();
        let column = |name: &str| names.iter().position(|other| other.eq_ignore_ascii_case(name));
        let Some(conversation) = column(COLUMNS[0]).or_else(|| column("interactionId")) else {
            return false;
        };
        self.columns = [Some(conversation), column(COLUMNS[1]), column(COLUMNS[2])];
        self.width = names.len();
        true
    }

    fn job(&self, text: &str) -> Result<Job, String> {
        let value = if text.starts_with('{') {
            serde_json::from_str(text).map_err(|error| format!("the line is not JSON: {error}"))?
        } else {
            let fields: Vec<_> = fields(text).collect();
            // A value that is ignored might be the recording that is meant.
            if fields.iter().skip(self.width).any(|field| !field.is_empty()) {
                return Err(format!(
                    "the line has {} values, and the list {} {}; name them all in its first line",
                    fields.len(),
                    self.width,
                    if self.width == 1 { "column" } else { "columns" }
                ));
            }
            let mut job = json!({});
            for (name, column) in COLUMNS.into_iter().zip(self.columns) {
                let field = column
                    .and_then(|column| fields.get(column))
                    .filter(|field| !field.is_empty());
                if let Some(field) = field {
                    job[name] = Value::from(*field);
                }
            }
            job
        };
        Job::parse(&value, self.api).map_err(|error| error.to_string())
    }
}

/// Splits a line of CSV. Ids and hashes hold neither commas nor quotes, so nothing is escaped.
fn fields(line: &str) -> impl Iterator<Item = &str> {
    line.split([',', ';']).map(|field| field.trim().trim_matches('"'))
}

fn skip_line(lines: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let (found, length) = {
            let buffer = lines.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            (
                end.is_some() || buffer.is_empty(),
                end.map_or(buffer.len(), |end| end + 1),
            )
        };
        lines.consume(length);
        if found {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "c0000000-0000-4000-8000-000000000001";
    const TWO: &str = "c0000000-0000-4000-8000-000000000002";
    const RECORDING: &str = "e0000000-0000-4000-8000-000000000101";

    fn read(text: &[u8]) -> Vec<Result<Job, BadLine>> {
        let mut list = List::new(text, RecordingApi::Conversations, false);
        std::iter::from_fn(|| list.next().unwrap()).collect()
    }

    #[test]
    fn ids_come_as_csv_with_or_without_a_heading_or_as_json_lines() {
        let hash = "ab".repeat(32);
        for text in [
            format!("{ONE},{RECORDING},{hash}\n{TWO}"),
            format!(
                "\u{feff}conversationId,recordingId,expectedSha256\r\n{ONE},{RECORDING},{hash}\r\n\r\n{TWO},,\r\n"
            ),
            format!(
                "agent;\"expectedSha256\";\"InteractionId\";\"recordingId\"\nanna;{hash};\"{ONE}\";{RECORDING}\nbert;;{TWO};"
            ),
            format!(
                "{{\"conversationId\":\"{ONE}\",\"recordingId\":\"{RECORDING}\",\"expectedSha256\":\"{hash}\"}}\n{{\"interactionId\":\"{TWO}\"}}\n"
            ),
        ] {
            let jobs: Vec<_> = read(text.as_bytes()).into_iter().map(Result::unwrap).collect();
            assert_eq!(jobs.len(), 2, "{text}");
            assert_eq!(jobs[0].conversation.to_string(), ONE);
            assert_eq!(jobs[0].recording.unwrap().to_string(), RECORDING);
            assert_eq!(jobs[0].expected_sha256.as_deref(), Some(hash.as_str()));
            assert_eq!(
                (jobs[1].conversation.to_string().as_str(), jobs[1].recording),
                (TWO, None)
            );
        }
    }

    #[test]
    fn a_bad_line_is_named_and_the_rest_goes_on() {
        let long = "x".repeat(200_000);
        let text =
            format!("{ONE}\nnonsense\n{{\"conversationId\":\n{long}\n,{RECORDING}\n{ONE},,abc\n{TWO}\n");
        let read = read(text.as_bytes());
        let bad: Vec<_> = read.iter().filter_map(|line| line.as_ref().err()).collect();
        let found: Vec<_> = bad.iter().map(|bad| (bad.line, bad.error.as_str())).collect();
        assert_eq!(
            found.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
            [2, 3, 4, 5, 6]
        );
        for ((_, error), expected) in found.iter().zip([
            "conversationId must be a UUID",
            "not JSON",
            "longer than",
            "conversationId is missing",
            "64 hex digits",
        ]) {
            assert!(error.contains(expected), "{error} lacks {expected}");
        }
        assert_eq!(read.iter().filter(|line| line.is_ok()).count(), 2);
        let beyond = self::read(format!("conversationId\n{ONE},{RECORDING}\n{TWO},\n").as_bytes());
        assert!(
            matches!(&beyond[..], [Err(bad), Ok(_)] if bad.error.contains("2 values, and the list 1 column;"))
        );
        assert!(matches!(&self::read(b"\xff\xfe\n")[..], [Err(bad)] if bad.error.contains("UTF-8")));
    }
}
