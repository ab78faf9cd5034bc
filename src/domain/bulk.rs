//! A bulk job: recordings to archive by one batch download, and how far that got.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::audit::Origin;
use super::format::{Format, MediaKind};
use super::job::{Job, LONGEST_REQUESTER, is_plain};
use super::recording::{ConversationId, RecordingId};
use crate::error::{Error, ErrorKind};

/// Most entries of a job: those that a batch download takes.
pub const MOST_ENTRIES: usize = 100;

/// Most kinds of an entry: one for each recording that was started.
pub const MOST_KINDS: usize = 16;

/// A conversation that ended longer ago than this is settled without a look. Genesys' own exports see a recording
/// within that time.
const OVER_FOR: SignedDuration = SignedDuration::from_hours(48);

/// The lane in the metadata of an object that a batch download gave.
pub const LANE: &str = "bulk";

/// A request to archive up to 100 recordings or conversations, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkJob {
    /// Its entries, each once.
    pub entries: Vec<Entry>,
    /// The job says itself that the recordings come as they were recorded.
    pub original: bool,
    /// The person or system that asked, in its own words.
    pub requested_by: Option<String>,
    /// The batch download that was submitted for it.
    pub batch: Option<Batch>,
    /// Number of batch downloads before this one, which Genesys lost or which did not give the entries.
    pub deferrals: u32,
    /// Number of times in a row that it waited for a limit of Genesys.
    pub waits: u32,
    /// Who asked first, as the job says.
    pub origin: Option<Box<Origin>>,
}

/// One recording, or all of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The conversation.
    pub conversation: ConversationId,
    /// The recording; `None` for all of the conversation.
    pub recording: Option<RecordingId>,
    /// When the conversation began.
    pub start: Option<Timestamp>,
    /// When the conversation ended.
    pub end: Option<Timestamp>,
    /// The kind of each recording that was started, as far as the sender knows.
    pub kinds: Vec<MediaKind>,
    /// Who asked for it, where that is not who asked for the job.
    pub asked: Option<Asked>,
}

/// Who asked for an entry of a job that gathers those of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Asked {
    /// The person or system that asked, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// Who asked first.
    pub origin: Box<Origin>,
}

/// A batch download at Genesys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Its id.
    pub id: String,
    /// Number of times that it was asked for.
    #[serde(default)]
    pub polls: u32,
}

/// The job as users and queues write it: docs/interface.md, "Bulk job".
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    bulk: Vec<WireEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<Batch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deferrals: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waits: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Box<Origin>>,
}

/// An entry as users and queues write it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireEntry {
    conversation_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    recording_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_end: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    kinds: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<Asked>,
}

impl BulkJob {
    /// Reads a job. The error names the field, its value and the accepted values.
    pub fn parse(value: &serde_json::Value) -> Result<Self, Error> {
        let malformed = |message: String| Error::new(ErrorKind::MalformedJob, message);
        let wire = Wire::deserialize(value).map_err(|error| {
            let why = crate::redact::people(&error.to_string());
            malformed(format!("the bulk job is malformed: {why}"))
        })?;
        wire.read()
            .map_err(|what| malformed(format!("the bulk job's {what}")))
    }

    /// Returns the job as a queue message.
    pub fn to_json(&self) -> serde_json::Value {
        let wire = Wire {
            bulk: self.entries.iter().map(WireEntry::of).collect(),
            format: self.original.then(|| Format::Original.as_str().to_owned()),
            requested_by: self.requested_by.clone(),
            batch: self.batch.clone(),
            deferrals: (self.deferrals > 0).then_some(self.deferrals),
            waits: (self.waits > 0).then_some(self.waits),
            origin: self.origin.clone(),
        };
        // A struct of strings and numbers always serialises.
        serde_json::to_value(wire).unwrap_or_default()
    }

    /// Returns the job of the live lane that asks for the same as an entry. Its bytes are those of a batch download.
    pub fn live(&self, entry: &Entry) -> Job {
        let (requested_by, origin) = match &entry.asked {
            Some(asked) => (&asked.requested_by, Some(asked.origin.clone())),
            None => (&self.requested_by, self.origin.clone()),
        };
        Job {
            recording: entry.recording,
            format: Some(Format::Original),
            requested_by: requested_by.clone(),
            origin,
            ..Job::new(entry.conversation)
        }
    }

    /// Says whether it waits for a second batch download, which may be that of other jobs as well.
    pub fn is_second(&self) -> bool {
        self.batch.is_none() && self.deferrals > 0
    }

    /// Takes over the entries of another job that waits for a second batch download, each with who asked for it.
    /// Returns whether one batch download gives all of them.
    pub fn gather(&mut self, other: &Self) -> bool {
        let fits = self.entries.len() + other.entries.len() <= MOST_ENTRIES;
        let Some(origin) = other
            .origin
            .as_ref()
            .filter(|_| fits && self.original == other.original)
        else {
            return false;
        };
        let entries = other.entries.iter().cloned().map(|entry| Entry {
            asked: entry.asked.or_else(|| {
                Some(Asked {
                    requested_by: other.requested_by.clone(),
                    origin: origin.clone(),
                })
            }),
            ..entry
        });
        self.entries.extend(entries);
        self.entries = distinct(std::mem::take(&mut self.entries));
        self.deferrals = self.deferrals.max(other.deferrals);
        self.waits = self.waits.max(other.waits);
        true
    }
}

impl Entry {
    /// Checks whether the conversation has been over for so long that no more can come of it.
    pub fn is_over(&self, now: Timestamp) -> bool {
        is_over(self.end, now)
    }
}

/// Checks whether a conversation with this end has been over for so long that no more can come of it.
pub fn is_over(end: Option<Timestamp>, now: Timestamp) -> bool {
    end.is_some_and(|end| now.duration_since(end) > OVER_FOR)
}

impl Wire {
    /// Reads each field. The error begins with the field's name.
    fn read(self) -> Result<BulkJob, String> {
        let original = match self.format.as_deref() {
            None => false,
            Some(text) if Format::parse(text) == Some(Format::Original) => true,
            Some(other) => {
                let found = crate::redact::quote(other);
                return Err(format!(
                    "format is {found}; accepted: original, as a batch download transcodes nothing, or none"
                ));
            }
        };
        let count = self.bulk.len();
        if count == 0 || count > MOST_ENTRIES {
            return Err(format!("bulk has {count} entries; accepted: 1 to {MOST_ENTRIES}"));
        }
        people(self.requested_by.as_deref(), self.origin.as_deref())?;
        for asked in self.bulk.iter().filter_map(|entry| entry.asked.as_ref()) {
            people(asked.requested_by.as_deref(), Some(&asked.origin))?;
        }
        if let Some(batch) = self.batch.as_ref().filter(|batch| !is_batch_id(&batch.id)) {
            let found = crate::redact::quote(&batch.id);
            return Err(format!(
                "batch must have an id as Genesys gave it, but has {found}"
            ));
        }
        let entries = (0..).zip(self.bulk).map(|(place, entry)| entry.read(place));
        Ok(BulkJob {
            entries: distinct(entries.collect::<Result<_, _>>()?),
            original,
            requested_by: self.requested_by,
            batch: self.batch,
            deferrals: self.deferrals.unwrap_or(0),
            waits: self.waits.unwrap_or(0),
            origin: self.origin,
        })
    }
}

/// Checks the texts that say who asked.
fn people(requested_by: Option<&str>, origin: Option<&Origin>) -> Result<(), String> {
    if let Some(who) = requested_by.filter(|who| !is_plain(who)) {
        return Err(format!(
            "requestedBy must be up to {LONGEST_REQUESTER} characters without control characters, line ends and \
             marks that turn the direction of writing, but is {}",
            crate::redact::quote(who)
        ));
    }
    if let Some(text) = origin.and_then(|origin| origin.texts().find(|text| !is_plain(text))) {
        return Err(format!(
            "origin must have texts of up to {LONGEST_REQUESTER} characters, as requestedBy, but has {}",
            crate::redact::quote(text)
        ));
    }
    Ok(())
}

impl WireEntry {
    fn of(entry: &Entry) -> Self {
        Self {
            conversation_id: entry.conversation.to_string(),
            recording_id: entry.recording.map(|id| id.to_string()),
            conversation_start: entry.start.map(|time| time.to_string()),
            conversation_end: entry.end.map(|time| time.to_string()),
            kinds: entry.kinds.iter().map(ToString::to_string).collect(),
            asked: entry.asked.clone(),
        }
    }

    fn read(self, place: usize) -> Result<Entry, String> {
        let time = |name: &str, text: Option<String>| {
            let Some(text) = text else { return Ok(None) };
            text.parse().map(Some).map_err(|_| {
                let found = crate::redact::quote(&text);
                format!(
                    "entry {place} has a {name} that must be a time such as 2026-01-15T10:20:30Z (RFC 3339), but is \
                     {found}"
                )
            })
        };
        let kind = |text: &String| {
            MediaKind::parse(text).ok_or_else(|| {
                let (found, accepted) = (crate::redact::quote(text), "audio, screen, chat, email, message");
                format!("entry {place} has the kind {found}; accepted: {accepted}")
            })
        };
        let kinds = self.kinds.iter().map(kind).collect::<Result<Vec<_>, _>>()?;
        if kinds.len() > MOST_KINDS {
            let count = kinds.len();
            return Err(format!(
                "entry {place} has {count} kinds; accepted: up to {MOST_KINDS}"
            ));
        }
        let conversation = ConversationId::parse(&self.conversation_id);
        let recording = self.recording_id.map(|id| RecordingId::parse(&id)).transpose();
        let (start, end) = (
            time("conversationStart", self.conversation_start)?,
            time("conversationEnd", self.conversation_end)?,
        );
        if start.zip(end).is_some_and(|(start, end)| start > end) {
            return Err(format!("entry {place} ends before it starts"));
        }
        Ok(Entry {
            conversation: conversation
                .map_err(|error| format!("entry {place} has a conversationId that {error}"))?,
            recording: recording.map_err(|error| format!("entry {place} has a recordingId that {error}"))?,
            start,
            end,
            kinds,
            asked: self.asked,
        })
    }
}

/// Returns each entry once. One for a recording is a part of one for all of its conversation.
fn distinct(entries: Vec<Entry>) -> Vec<Entry> {
    let whole: HashSet<ConversationId> = entries
        .iter()
        .filter(|entry| entry.recording.is_none())
        .map(|entry| entry.conversation)
        .collect();
    let mut seen = HashSet::new();
    let once = entries.into_iter().filter(|entry| {
        let part = entry.recording.is_some() && whole.contains(&entry.conversation);
        !part && seen.insert((entry.conversation, entry.recording))
    });
    once.collect()
}

/// Says whether a text can be the id of a batch download in the path of a URL.
pub fn is_batch_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ONE: &str = "c0000000-0000-4000-8000-000000000001";
    const RECORDING: &str = "e0000000-0000-4000-8000-000000000101";

    #[track_caller]
    fn refused(job: &Value, mentions: &[&str]) {
        let error = BulkJob::parse(job).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MalformedJob);
        for mention in mentions {
            assert!(error.to_string().contains(mention), "{error} lacks {mention}");
        }
    }

    #[test]
    fn a_job_survives_the_queue() {
        let job = json!({
            "bulk": [
                {"conversationId": ONE, "recordingId": RECORDING, "conversationStart": "2026-01-15T10:14:20Z",
                 "conversationEnd": "2026-01-15T10:20:30Z", "kinds": ["audio", "screen"]},
                {"conversationId": ONE.replace('1', "2"),
                 "asked": {"requestedBy": "ben", "origin": {"source": "sqs", "messageId": "m-2"}}},
            ],
            "format": "original", "requestedBy": "anna@example.com", "batch": {"id": "b-1", "polls": 2}, "deferrals": 1,
            "waits": 3,
        });
        assert_eq!(BulkJob::parse(&job).unwrap().to_json(), job);
    }

    #[test]
    fn a_full_job_fits_into_a_message() {
        let time = "2026-01-15T10:14:20.123456789Z";
        let entry = |n: usize| {
            let id = format!("c0000000-0000-4000-8000-{n:012}");
            json!({"conversationId": id, "recordingId": RECORDING, "conversationStart": time, "conversationEnd": time})
        };
        let job = json!({"bulk": (0..100).map(entry).collect::<Vec<_>>(), "requestedBy": "x".repeat(256)});
        let job = BulkJob::parse(&job).unwrap();
        assert_eq!(job.entries.len(), 100);
        assert!(job.to_json().to_string().len() < 64 * 1024);
    }

    #[test]
    fn each_entry_counts_once_and_a_whole_conversation_holds_its_recordings() {
        let other = ONE.replace('1', "2");
        let job = json!({"bulk": [
            {"conversationId": ONE, "recordingId": RECORDING}, {"conversationId": ONE}, {"conversationId": ONE},
            {"conversationId": other, "recordingId": RECORDING},
            {"conversationId": other, "recordingId": RECORDING},
        ]});
        let entries = BulkJob::parse(&job).unwrap().entries;
        let named: Vec<_> = entries
            .iter()
            .map(|entry| (entry.conversation.to_string(), entry.recording.is_some()))
            .collect();
        assert_eq!(named, [(ONE.to_owned(), false), (other, true)]);
    }

    #[test]
    fn gathered_entries_keep_who_asked_for_each() {
        let job = |n: usize, count: usize| {
            let entry = |k: usize| json!({"conversationId": format!("c0000000-0000-4000-8000-{n:06}{k:06}")});
            let entries: Vec<_> = (0..count).map(entry).collect();
            let job = json!({"bulk": entries, "requestedBy": format!("p{n}"), "deferrals": 1,
                "origin": {"source": "sqs", "messageId": format!("m-{n}")}});
            BulkJob::parse(&job).unwrap()
        };
        let mut one = job(1, 2);
        assert!(one.is_second() && one.gather(&job(2, 2)) && one.gather(&job(1, 2)));
        assert_eq!(one.entries.len(), 4, "each once");
        let asked: Vec<_> = one.entries.iter().map(|entry| one.live(entry)).collect();
        let asked = asked.iter().map(|live| {
            let origin = live.origin.as_ref().unwrap();
            (live.requested_by.as_deref(), origin.message_id.as_deref())
        });
        let [one_asked, other] = [(Some("p1"), Some("m-1")), (Some("p2"), Some("m-2"))];
        assert_eq!(asked.collect::<Vec<_>>(), [one_asked, one_asked, other, other]);
        assert!(!one.gather(&job(3, 97)), "more than a batch download takes");
        let original = BulkJob {
            original: true,
            ..job(3, 1)
        };
        assert!(!one.gather(&original));
        assert_eq!(
            BulkJob::parse(&one.to_json()).unwrap(),
            one,
            "it survives the queue"
        );
    }

    #[test]
    fn every_fault_is_named() {
        let entry = json!({"conversationId": ONE});
        refused(&json!({"bulk": []}), &["bulk has 0 entries", "1 to 100"]);
        refused(
            &json!({"bulk": vec![entry.clone(); 101]}),
            &["bulk has 101 entries"],
        );
        refused(
            &json!({"bulk": [{"recordingId": RECORDING}]}),
            &["conversationId"],
        );
        refused(
            &json!({"bulk": [entry, {"conversationId": "all"}]}),
            &["entry 1", "UUID", "all"],
        );
        refused(
            &json!({"bulk": [{"conversationId": ONE, "recordingId": "1"}]}),
            &["entry 0", "recordingId"],
        );
        refused(
            &json!({"bulk": [{"conversationId": ONE, "conversationEnd": "yesterday"}]}),
            &["conversationEnd", "yesterday"],
        );
        refused(
            &json!({"bulk": [{"conversationId": ONE, "conversationStart": "2026-01-15T10:20:31Z",
                             "conversationEnd": "2026-01-15T10:20:30Z"}]}),
            &["ends before it starts"],
        );
        refused(
            &json!({"bulk": [{"conversationId": ONE, "kinds": ["voice"]}]}),
            &["\"voice\"", "audio, screen"],
        );
        refused(
            &json!({"bulk": [{"conversationId": ONE, "kinds": vec!["audio"; 17]}]}),
            &["17 kinds"],
        );
        let asked = json!({"requestedBy": "a\nb", "origin": {"source": "sqs"}});
        refused(
            &json!({"bulk": [{"conversationId": ONE, "asked": asked}]}),
            &["requestedBy"],
        );
        let whole = json!([{"conversationId": ONE}]);
        refused(&json!({"bulk": whole, "format": "wav"}), &["\"wav\"", "original"]);
        refused(
            &json!({"bulk": whole, "requestedBy": "x".repeat(257)}),
            &["requestedBy"],
        );
        refused(
            &json!({"bulk": whole, "batch": {"id": "../x"}}),
            &["batch", "../x"],
        );
        refused(&json!({"bulk": whole, "look": 2}), &["unknown field `look`"]);
        refused(
            &json!({"bulk": whole, "origin": {"source": "sqs", "senderId": "a\nb"}}),
            &["origin must have texts"],
        );
    }
}
