//! The public API: `recordingmetadata` for what there is, `recordings/{id}` for where the media lies.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::api::Api;
use super::bounded::Bounded;
use super::media::SignedUrl;
use super::{Availability, Listed, Listing, Location, Opened, Opening, Source};
use crate::archive::format::{Format, MediaKind};
use crate::archive::recording::{ConversationId, RecordingId};
use crate::clock::Deadline;
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
    media_uris: Option<Bounded<BTreeMap<String, Option<MediaResult>>>>,
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
    let answer = api.get_list(&path, &what, deadline).await?;
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
    })
}

fn availability(id: RecordingId, recording: &Recording) -> Availability {
    let not = |kind, text: &str| Availability::Not(kind, format!("recording {id} {text}"));
    match recording.file_state.as_deref().unwrap_or("AVAILABLE") {
        "AVAILABLE" | "RESTORED" => Availability::Ready,
        "DELETED" => not(ErrorKind::Expired, "is DELETED at Genesys"),
        "ARCHIVED" => not(
            ErrorKind::ArchivedAtSource,
            "is ARCHIVED at Genesys: restore it there (set a later archiveDate; takes hours), then send the job again",
        ),
        "ERROR" => {
            let why = recording
                .recording_error_status
                .as_deref()
                .map(crate::redact::clip)
                .unwrap_or_default();
            not(
                ErrorKind::BrokenAtSource,
                format!("is in state ERROR at Genesys {why}").trim_end(),
            )
        }
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

/// What the audit notes as Genesys tells it.
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
        ("mediaSubtype", &recording.media_subtype),
        ("sessionId", &recording.session_id),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), Value::from(crate::redact::clip(value.as_ref()?)))))
    .collect()
}

pub(super) async fn open(
    api: &Api,
    conversation: ConversationId,
    listed: &Listed,
    format: Format,
    split_channels: bool,
    deadline: &Deadline,
) -> Result<Opening, Error> {
    let what = format!("recording {} of conversation {conversation}", listed.id);
    let path = format!("/api/v2/conversations/{conversation}/recordings/{}", listed.id);
    let mut query: Vec<(&str, &str)> = match listed.media {
        MediaKind::Audio => vec![("formatId", format_id(format))],
        MediaKind::Screen => Vec::new(),
        MediaKind::Chat => vec![("chatFormatId", "ZIP")],
        MediaKind::Email => vec![("emailFormatId", "EML")],
        MediaKind::Message => vec![("messageFormatId", "ZIP")],
    };
    if !split_channels {
        query.push(("download", "true"));
    }
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
    let files = recording.media_uris.iter().flat_map(|Bounded(files)| files);
    let uris: Option<Vec<(String, String)>> = files
        .map(|(name, result)| {
            let uri = result.as_ref()?.media_uri.clone().filter(|uri| !uri.is_empty())?;
            Some((name.clone(), uri))
        })
        .collect();
    // One channel without a URL is half a call: better to come again than to call that archived.
    let Some(uris) = uris.filter(|uris| !uris.is_empty()) else {
        return Err(not_ready("has no media yet, or not all of it"));
    };
    let format = (listed.media == MediaKind::Audio && format != Format::Original).then_some(format);
    let single = uris.len() == 1;
    let channels = channels(&uris);
    let sources = uris.into_iter().zip(channels).map(|((_, uri), channel)| Source {
        channel: (!single).then_some(channel),
        format,
        media: listed.media,
        location: Location::Signed(SignedUrl::new(uri)),
    });
    let sources = sources.collect();
    Ok(Opening::Ready(Opened {
        sources,
        start: recording.start(),
        notes: notes(&recording),
    }))
}

/// Names are channel numbers ("0", "1") or "S" for one merged file. Where any is something else the files count by
/// position, so that no two ever share a key.
fn channels(files: &[(String, String)]) -> Vec<u32> {
    let numbers: Vec<u32> = files.iter().filter_map(|(name, _)| name.parse().ok()).collect();
    let distinct: HashSet<_> = numbers.iter().collect();
    if distinct.len() == files.len() {
        numbers
    } else {
        (0..).take(files.len()).collect()
    }
}

/// The values of `formatId`. FLAC is not among them; the configuration refuses it.
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
