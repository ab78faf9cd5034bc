//! The public API: `recordingmetadata` for what there is, `recordings/{id}` for where the media lies.

use std::collections::HashSet;

use jiff::Timestamp;
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::api::{Api, LONGEST_LIST};
use super::bounded::{Bounded, InOrder};
use super::listing::{Availability, Listed, Listing, Location, Opened, Opening, SignedUrl, Source};
use crate::clock::Deadline;
use crate::domain::annotations::Annotations;
use crate::domain::format::{Channels, Format, MediaKind};
use crate::domain::recording::{ConversationId, RecordingId};
use crate::error::{Error, ErrorKind};

/// `RecordingMetadata` and `Recording`, as far as an archiver needs them. Every field may be missing or null, and
/// a date that cannot be read is as good as none.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recording {
    id: Option<String>,
    media: Option<String>,
    media_subtype: Option<String>,
    file_state: Option<String>,
    start_time: Option<String>,
    end_time: Option<String>,
    creation_time: Option<String>,
    original_recording_start_time: Option<String>,
    delete_date: Option<String>,
    archive_date: Option<String>,
    region: Option<String>,
    session_id: Option<String>,
    recording_error_status: Option<String>,
    media_uris: Option<Bounded<InOrder<Option<MediaResult>>>>,
    annotations: Option<Annotations>,
}

impl Recording {
    fn start(&self) -> Option<Timestamp> {
        self.start_time
            .as_deref()
            .or(self.creation_time.as_deref())?
            .parse()
            .ok()
    }

    fn end(&self) -> Option<Timestamp> {
        self.end_time
            .as_deref()
            .or(self.creation_time.as_deref())?
            .parse()
            .ok()
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MediaResult {
    media_uri: Option<String>,
    /// Thousands of numbers that nobody needs here.
    #[serde(rename = "waveformData")]
    _waveform: Option<IgnoredAny>,
}

pub(super) async fn list(
    api: &Api,
    conversation: ConversationId,
    deadline: &Deadline,
) -> Result<Listing, Error> {
    let what = format!("the recordings of conversation {conversation}");
    let path = format!("/api/v2/conversations/{conversation}/recordingmetadata");
    let answer = api.get_within(LONGEST_LIST, &path, &[], &what, deadline).await?;
    if answer.is_blank() {
        return Ok(Listing::default());
    }
    let Bounded(entries) = answer.json::<Bounded<Vec<Option<Recording>>>>(&what)?;
    let mut recordings = Vec::new();
    let mut faults = Vec::new();
    for entry in entries {
        match entry.ok_or_else(|| "it is null".to_owned()).and_then(listed) {
            Ok(listed) => recordings.push(listed),
            Err(fault) => faults.push(fault),
        }
    }
    let unreadable = faults.first().map(|first| {
        let count = match faults.len() {
            1 => "1 entry".to_owned(),
            count => format!("{count} entries"),
        };
        let message = format!("{count} unreadable in Genesys' answer about {what}; of the first, {first}");
        Error::new(ErrorKind::Rejected, message)
    });
    Ok(Listing {
        recordings,
        unreadable,
    })
}

fn listed(recording: Recording) -> Result<Listed, String> {
    let id = recording.id.as_deref().unwrap_or_default();
    let id = RecordingId::parse(id).map_err(|error| format!("the id {error}"))?;
    // A kind that is not known yet is a reason to look at the recording, not to lose it.
    let media = recording
        .media
        .as_deref()
        .and_then(MediaKind::parse)
        .unwrap_or(MediaKind::Audio);
    Ok(Listed {
        id,
        media,
        availability: availability(id, &recording),
        start: recording.start(),
        end: recording.end(),
        notes: notes(&recording),
        given: None,
    })
}

fn availability(id: RecordingId, recording: &Recording) -> Availability {
    let not = |kind, text: &str| Availability::Not(kind, format!("recording {id} {text}"));
    let state = recording.file_state.as_deref().unwrap_or("AVAILABLE");
    if state != "DELETED"
        && let Some(why) = error_status(recording)
    {
        let state = crate::redact::clip(state);
        let text = format!("is in state {state} at Genesys, which cannot give it: {why}");
        return not(ErrorKind::BrokenAtSource, &text);
    }
    match state {
        "AVAILABLE" | "RESTORED" => Availability::Ready,
        "DELETED" => not(ErrorKind::Expired, "is DELETED at Genesys"),
        "ARCHIVED" => not(
            ErrorKind::ArchivedAtSource,
            "is ARCHIVED at Genesys: restore it there (set a later archiveDate; takes hours), then send the job again",
        ),
        "ERROR" => not(ErrorKind::BrokenAtSource, "is in state ERROR at Genesys"),
        // UPLOADING, RESTORING, and states that are not known yet: patience loses nothing.
        state => {
            let state = crate::redact::clip(state);
            not(
                ErrorKind::NotReady { after: None },
                &format!("is {state} at Genesys"),
            )
        }
    }
}

/// Returns the reason why Genesys cannot return the recording, which may stand beside any state.
/// `EMAIL_TRANSCRIPT_TOO_LARGE` is a known one.
fn error_status(recording: &Recording) -> Option<String> {
    let status = recording.recording_error_status.as_deref()?;
    (!status.is_empty()).then(|| crate::redact::clip(status))
}

/// Says whether the download is shorter than the recording, as far as Genesys shows: it names another start where
/// restrictions of access cut the beginning. Silenced parts do not show.
fn redacted(recording: &Recording) -> &'static str {
    let moment = |text: &Option<String>| text.as_deref()?.parse::<Timestamp>().ok();
    let original = moment(&recording.original_recording_start_time);
    let cut = original
        .zip(moment(&recording.start_time))
        .is_some_and(|(original, start)| original != start);
    if cut { "start_cut" } else { "not_told" }
}

/// Returns what the audit notes of the metadata.
fn notes(recording: &Recording) -> Map<String, Value> {
    [
        ("region", &recording.region),
        ("deleteDate", &recording.delete_date),
        ("archiveDate", &recording.archive_date),
        (
            "originalRecordingStartTime",
            &recording.original_recording_start_time,
        ),
        ("startTime", &recording.start_time),
        ("endTime", &recording.end_time),
        ("mediaSubtype", &recording.media_subtype),
        ("sessionId", &recording.session_id),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), Value::from(crate::redact::clip(value.as_ref()?)))))
    .collect()
}

/// The media that [`open`] asks for.
pub(super) struct Asked<'a> {
    pub(super) conversation: ConversationId,
    pub(super) listed: &'a Listed,
    pub(super) format: Format,
    pub(super) channels: Channels,
}

pub(super) async fn open(api: &Api, asked: &Asked<'_>, deadline: &Deadline) -> Result<Opening, Error> {
    let (listed, conversation) = (asked.listed, asked.conversation);
    let what = format!("recording {} of conversation {conversation}", listed.id);
    let path = format!("/api/v2/conversations/{conversation}/recordings/{}", listed.id);
    let query = query(listed.media, asked.format, asked.channels);
    let answer = api.get(&path, &query, &what, deadline).await?;
    let not_ready = |text: &str| {
        Error::new(
            ErrorKind::NotReady {
                after: answer.retry_after,
            },
            format!("{what} {text}"),
        )
    };
    // The body of a 202 is declared as a recording, and often missing.
    if answer.status == StatusCode::ACCEPTED {
        let stub = answer.json::<Recording>(&what);
        if let Ok(stub) = stub
            && error_status(&stub).is_some()
            && let Availability::Not(kind, text) = availability(listed.id, &stub)
        {
            return Err(Error::new(kind, text));
        }
        return Ok(Opening::Transcoding {
            after: answer.retry_after,
        });
    }
    if answer.is_blank() {
        return Err(not_ready("has an empty answer"));
    }
    let recording: Recording = answer.json(&what)?;
    let answered = recording.id.as_deref().map(RecordingId::parse);
    if answered.is_some_and(|id| id.ok() != Some(listed.id)) {
        let message = format!("Genesys' answer about {what} is about another recording");
        return Err(Error::transient(message));
    }
    if let Availability::Not(kind, text) = availability(listed.id, &recording) {
        return Err(Error::new(kind, text));
    }
    // One channel without a URL is half a call: a later run gets the whole one.
    let opened = opened(recording, listed.media, asked.format);
    let opened = opened.ok_or_else(|| not_ready("has no media yet, or not all of it"))?;
    Ok(Opening::Ready(opened))
}

/// Returns the parameters of a request for media. Only audio comes in formats.
fn query(media: MediaKind, format: Format, channels: Channels) -> Vec<(&'static str, &'static str)> {
    const WHOLE: (&str, &str) = ("download", "true");
    match (media, channels) {
        (MediaKind::Audio, Channels::Merged) => vec![("formatId", format_id(format)), WHOLE],
        (MediaKind::Audio, Channels::Split) => vec![("formatId", format_id(format))],
        (MediaKind::Screen, _) => vec![WHOLE],
        // Without `download` a chat, an e-mail or a message stands in the answer itself, and there is no file.
        (MediaKind::Chat, _) => vec![("chatFormatId", "ZIP"), WHOLE],
        (MediaKind::Email, _) => vec![("emailFormatId", "EML"), WHOLE],
        (MediaKind::Message, _) => vec![("messageFormatId", "ZIP"), WHOLE],
    }
}

/// Returns the recording with all of its files; `None` if one of them has no URL, or there is none.
fn opened(recording: Recording, media: MediaKind, format: Format) -> Option<Opened> {
    let mut notes = notes(&recording);
    notes.insert("redacted".to_owned(), redacted(&recording).into());
    let start = recording.start();
    let Bounded(InOrder(files)) = recording.media_uris?;
    let files = files.into_iter().map(|(name, result)| {
        let uri = result?.media_uri.filter(|uri| !uri.is_empty())?;
        Some((name, uri))
    });
    let mut files: Vec<(String, String)> = files.collect::<Option<_>>()?;
    let several = files.len() > 1;
    let format = (media == MediaKind::Audio && format != Format::Original).then_some(format);
    let channels = channels(&mut files);
    let source = |(position, ((name, uri), channel)): (u32, ((String, String), u32))| {
        let part = (several && media == MediaKind::Screen).then_some(position);
        let other_name = part.filter(|part| part.to_string() != name);
        Source {
            channel: several.then_some(channel),
            format,
            media,
            part,
            part_name: other_name.map(|_| crate::redact::clip(&name)),
            batch: false,
            location: Location::Signed(SignedUrl::new(uri)),
        }
    };
    let sources: Vec<_> = (0..).zip(files.into_iter().zip(channels)).map(source).collect();
    (!sources.is_empty()).then_some(Opened {
        sources,
        start,
        notes,
        annotations: recording.annotations,
    })
}

/// Returns the channel of each file. Names are channel numbers ("0", "1") or "S" for one merged file. Where any is
/// something else the files count by position, so that no two ever share a key. Numbers are put in order; other names
/// stay in Genesys' order.
fn channels(files: &mut [(String, String)]) -> Vec<u32> {
    let number = |name: &str| name.parse::<u32>().ok();
    let distinct: HashSet<_> = files.iter().filter_map(|(name, _)| number(name)).collect();
    if distinct.len() == files.len() {
        files.sort_by_key(|(name, _)| number(name));
        files.iter().filter_map(|(name, _)| number(name)).collect()
    } else {
        (0..).take(files.len()).collect()
    }
}

/// Returns the value of `formatId`. FLAC has none; the configuration refuses it.
fn format_id(format: Format) -> &'static str {
    match format {
        Format::Wav => "WAV",
        Format::Mp3 => "MP3",
        Format::Webm => "WEBM",
        Format::WavUlaw => "WAV_ULAW",
        Format::OggVorbis => "OGG_VORBIS",
        Format::OggOpus => "OGG_OPUS",
        Format::Original | Format::Flac => "NONE",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn recording(fields: Value) -> Recording {
        serde_json::from_value(fields).unwrap()
    }

    fn files(names: &[&str]) -> Vec<(String, String)> {
        names
            .iter()
            .map(|&name| (name.to_owned(), String::new()))
            .collect()
    }

    #[test]
    fn files_keep_the_order_of_the_answer_unless_they_have_numbers() {
        let text = r#"{"mediaUris": {"b": {"mediaUri": "1"}, "a": {"mediaUri": "2"}}}"#;
        let recording: Recording = serde_json::from_str(text).unwrap();
        let InOrder(named) = recording.media_uris.unwrap().0;
        let names: Vec<_> = named.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["b", "a"]);
        let mut named = files(&names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(channels(&mut named), [0, 1]);
        assert_eq!(named, files(&["b", "a"]));
        let mut numbered = files(&["10", "2", "0"]);
        assert_eq!(channels(&mut numbered), [0, 2, 10]);
        assert_eq!(numbered, files(&["0", "2", "10"]));
    }

    #[test]
    fn an_error_status_is_final_in_every_state_but_deleted() {
        let id = RecordingId::parse("e0000000-0000-4000-8000-000000000101").unwrap();
        for state in [
            "AVAILABLE",
            "UPLOADING",
            "RESTORING",
            "ARCHIVED",
            "ERROR",
            "TOMORROW",
        ] {
            let broken =
                recording(json!({"fileState": state, "recordingErrorStatus": "EMAIL_TRANSCRIPT_TOO_LARGE"}));
            let Availability::Not(kind, text) = availability(id, &broken) else {
                panic!("{state} is ready");
            };
            assert_eq!(kind, ErrorKind::BrokenAtSource);
            assert!(
                text.contains("EMAIL_TRANSCRIPT_TOO_LARGE") && text.contains(state),
                "{text}"
            );
        }
        let gone = recording(json!({"fileState": "DELETED", "recordingErrorStatus": "X"}));
        assert!(matches!(
            availability(id, &gone),
            Availability::Not(ErrorKind::Expired, _)
        ));
    }

    #[test]
    fn a_start_that_was_cut_is_told_and_anything_else_is_not_known() {
        let at = |original: &str| {
            let fields =
                json!({"startTime": "2026-01-15T10:14:20.014Z", "originalRecordingStartTime": original});
            redacted(&recording(fields))
        };
        assert_eq!(at("2026-01-15T10:14:00.000Z"), "start_cut");
        assert_eq!(at("2026-01-15T10:14:20.014Z"), "not_told");
        assert_eq!(at("yesterday"), "not_told");
        assert_eq!(redacted(&recording(json!({}))), "not_told");
    }
}
