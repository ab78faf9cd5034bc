//! Batch downloads: up to 100 recordings submitted in one request, and all that came of them read in another.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, json};

use super::api::{Answer, Api};
use super::bounded::Bounded;
use super::listing::{Availability, Listed, Location, SignedUrl, Source};
use crate::clock::Deadline;
use crate::domain::bulk::{Entry, LANE, is_batch_id};
use crate::domain::format::MediaKind;
use crate::domain::recording::{ConversationId, RecordingId};
use crate::error::Error;

const BATCHES: &str = "/api/v2/recording/batchrequests";

/// What came of a batch download so far.
#[derive(Debug)]
pub struct Batched {
    /// Genesys is done with it.
    pub complete: bool,
    /// Its results that name no conversation or recording: each may be a recording of any entry.
    pub unreadable: usize,
    /// Its results by conversation.
    given: BTreeMap<ConversationId, OfConversation>,
}

/// The results of one conversation.
#[derive(Debug, Default)]
struct OfConversation {
    recordings: BTreeMap<RecordingId, Result<Files, Lack>>,
    /// Why the conversation as a whole has no result.
    error: Option<Lack>,
}

/// The reason why a batch download did not give an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// In words.
    pub why: String,
    /// Another batch download may give it.
    pub again: bool,
}

impl Lack {
    /// Makes the reason of what failed, perhaps in passing.
    fn failed(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            again: true,
        }
    }

    /// Makes the reason of what no batch download gives.
    fn lasting(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            again: false,
        }
    }
}

/// The files of a recording.
#[derive(Debug)]
struct Files {
    media: MediaKind,
    /// In no order.
    urls: Vec<SignedUrl>,
}

/// `BatchDownloadJobSubmissionResult`.
#[derive(Deserialize)]
struct Submitted {
    id: Option<String>,
}

/// `BatchDownloadJobStatusResult`. The number of expected results changes as long as recordings are being discovered,
/// so only the status says that there are no more.
#[derive(Deserialize)]
struct Status {
    status: Option<String>,
    results: Option<Bounded<Vec<Option<Entity>>>>,
}

/// `BatchDownloadJobResult`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entity {
    conversation_id: Option<String>,
    recording_id: Option<String>,
    result_url: Option<String>,
    content_type: Option<String>,
    error_msg: Option<String>,
}

/// Submits a batch download. Returns its id, which only the client that submitted it can ask about.
pub(super) async fn submit(api: &Api, entries: &[Entry], deadline: &Deadline) -> Result<String, Error> {
    let what = format!("a batch download of {} entries", entries.len());
    let items = entries.iter().map(|entry| match entry.recording {
        Some(id) => {
            json!({"conversationId": entry.conversation.to_string(), "recordingId": id.to_string()})
        }
        None => json!({"conversationId": entry.conversation.to_string()}),
    });
    let body = json!({"batchDownloadRequestList": items.collect::<Vec<_>>()});
    let answer = api.post(BATCHES, &body, &what, deadline).await?;
    let id = answer.json::<Submitted>(&what)?.id;
    id.filter(|id| is_batch_id(id))
        .ok_or_else(|| Error::transient(format!("Genesys' answer about {what} has no id")))
}

/// Asks what came of a batch download.
pub(super) async fn poll(api: &Api, id: &str, deadline: &Deadline) -> Result<Batched, Error> {
    let what = format!("the batch download {id}");
    let path = format!("{BATCHES}/{id}");
    let answer = api.get(&path, &[], &what, deadline).await?;
    read(&answer, &what)
}

fn read(answer: &Answer, what: &str) -> Result<Batched, Error> {
    let status: Status = answer.json(what)?;
    let mut batched = Batched {
        complete: status.status.as_deref() == Some("Completed"),
        unreadable: 0,
        given: BTreeMap::new(),
    };
    let Bounded(results) = status.results.unwrap_or_default();
    for result in results {
        if result.and_then(|result| batched.add(result)).is_none() {
            batched.unreadable += 1;
        }
    }
    Ok(batched)
}

impl Batched {
    /// Returns the recordings that came of an entry, with the times of its conversation. The error says what is
    /// missing.
    pub fn of(&self, entry: &Entry) -> Result<Vec<Listed>, Lack> {
        let Some(given) = self.given.get(&entry.conversation) else {
            return Err(Lack::lasting("has no result"));
        };
        let wanted = |id: &RecordingId| entry.recording.is_none_or(|wanted| wanted == *id);
        let mut listed = Vec::new();
        for (id, files) in given.recordings.iter().filter(|(id, _)| wanted(id)) {
            let files = files.as_ref().map_err(|lack| Lack {
                why: format!("{} for recording {id}", lack.why),
                ..lack.clone()
            })?;
            let file = files
                .only()
                .ok_or_else(|| Lack::lasting(format!("has several files for recording {id}")))?;
            listed.push(files.listed(*id, file, (entry.start, entry.end)));
        }
        let error = given
            .error
            .as_ref()
            .filter(|_| entry.recording.is_none() || listed.is_empty());
        match error {
            Some(lack) => Err(lack.clone()),
            None if listed.is_empty() => Err(Lack::lasting("has no result")),
            None => Ok(listed),
        }
    }

    /// Adds a result; `None` if it does not say what it is about.
    fn add(&mut self, result: Entity) -> Option<()> {
        let conversation = ConversationId::parse(result.conversation_id.as_deref()?).ok()?;
        let recording = match result.recording_id.as_deref() {
            None => None,
            Some(id) => Some(RecordingId::parse(id).ok()?),
        };
        let file = result.file();
        let of = self.given.entry(conversation).or_default();
        match (recording, file) {
            (None, file) => {
                let unnamed = || Lack::lasting("has a result without a recording");
                of.error = Some(file.err().unwrap_or_else(unnamed));
            }
            (Some(id), Err(why)) => {
                of.recordings.insert(id, Err(why));
            }
            (Some(id), Ok((media, url))) => {
                let empty = || {
                    Ok(Files {
                        media,
                        urls: Vec::new(),
                    })
                };
                if let Ok(files) = of.recordings.entry(id).or_insert_with(empty) {
                    files.urls.push(url);
                }
            }
        }
        Some(())
    }
}

impl Entity {
    /// Returns kind and URL of the file. The error says why the live lane has to get it.
    fn file(&self) -> Result<(MediaKind, SignedUrl), Lack> {
        if let Some(text) = self.error_msg.as_deref().filter(|text| !text.is_empty()) {
            return Err(Lack::failed(format!(
                "has the error {}",
                crate::redact::quote(text)
            )));
        }
        let url = self.result_url.clone().filter(|url| !url.is_empty());
        let Some(url) = url else {
            return Err(Lack::failed("has a result without a URL"));
        };
        let content_type = self
            .content_type
            .as_deref()
            .unwrap_or_default()
            .to_ascii_lowercase();
        // Chats, e-mails and messages come as transcripts; the live lane gets all of them, with their attachments.
        if content_type.contains("json") || content_type.starts_with("text/") {
            return Err(Lack::lasting("has a transcript"));
        }
        let screen = content_type.starts_with("video/") || content_type.contains("screen");
        let media = if screen {
            MediaKind::Screen
        } else {
            MediaKind::Audio
        };
        Ok((media, SignedUrl::new(url)))
    }
}

impl Files {
    /// Returns the one file; `None` where there are several. Which of these is which channel or part is not told, nor
    /// that it is the same in another batch, so they are the live lane's.
    fn only(&self) -> Option<SignedUrl> {
        // Results may be told twice, with URLs that were signed anew.
        let path = |url: &SignedUrl| url.expose().split(['?', '#']).next().map(str::to_owned);
        let paths: BTreeSet<_> = self.urls.iter().map(path).collect();
        let url = self.urls.first().filter(|_| paths.len() == 1)?;
        Some(SignedUrl::new(url.expose().to_owned()))
    }

    /// Returns the recording as a list of recordings would.
    fn listed(
        &self,
        id: RecordingId,
        file: SignedUrl,
        (start, end): (Option<Timestamp>, Option<Timestamp>),
    ) -> Listed {
        let source = Source {
            channel: None,
            format: None,
            media: self.media,
            part: None,
            part_name: None,
            batch: true,
            location: Location::Signed(file),
        };
        let mut notes = Map::from_iter([("lane".to_owned(), LANE.into())]);
        notes.extend(start.map(|start| ("startTime".to_owned(), start.to_string().into())));
        Listed {
            id,
            media: self.media,
            availability: Availability::Ready,
            start,
            end,
            notes,
            given: Some(vec![source]),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const CONVERSATION: &str = "c0000000-0000-4000-8000-000000000001";
    const RECORDING: &str = "e0000000-0000-4000-8000-000000000101";

    fn batched(results: Value) -> Batched {
        let body = json!({"status": "Completed", "results": results}).to_string();
        read(&Answer::of(body), "a batch").unwrap()
    }

    fn entry(recording: Option<&str>) -> Entry {
        Entry {
            conversation: ConversationId::parse(CONVERSATION).unwrap(),
            recording: recording.map(|id| RecordingId::parse(id).unwrap()),
            start: None,
            end: None,
            kinds: Vec::new(),
            asked: None,
        }
    }

    fn result(fields: Value) -> Value {
        let mut result = json!({"conversationId": CONVERSATION, "recordingId": RECORDING,
            "resultUrl": "https://media.example/a?Signature=LEAKED", "contentType": "audio/ogg"});
        result
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        result
    }

    #[test]
    fn several_files_of_a_recording_are_left_to_the_live_lane_and_one_that_is_told_twice_is_one() {
        let of = |urls: [&str; 2]| {
            let results = urls.map(|url| result(json!({ "resultUrl": url })));
            batched(json!(results)).of(&entry(None))
        };
        let told = of(["https://m/a?s=9", "https://m/b?s=1"]).unwrap_err();
        assert!(told.why.contains("several files") && !told.again, "{told:?}");
        let listed = of(["https://m/a?s=9", "https://m/a?s=1"]).unwrap();
        let sources = listed[0].given.clone().unwrap();
        assert_eq!((sources.len(), sources[0].channel), (1, None));
    }

    #[test]
    fn each_result_that_is_no_file_of_a_known_kind_is_named() {
        for (fields, why, again) in [
            (json!({"errorMsg": "Recording is archived"}), "archived", true),
            (json!({"resultUrl": null}), "without a URL", true),
            (json!({"contentType": "application/json"}), "a transcript", false),
            (json!({"recordingId": null}), "without a recording", false),
            (
                json!({"recordingId": null, "errorMsg": "Not found"}),
                "Not found",
                true,
            ),
        ] {
            let told = batched(json!([result(fields)])).of(&entry(None)).unwrap_err();
            assert!(told.why.contains(why) && !told.why.contains("LEAKED"), "{told:?}");
            assert_eq!(told.again, again, "{told:?}");
        }
        let none = Lack::lasting("has no result");
        assert_eq!(batched(json!([])).of(&entry(None)).unwrap_err(), none);
        let other = "e0000000-0000-4000-8000-000000000102";
        let told = batched(json!([result(json!({}))])).of(&entry(Some(other)));
        assert_eq!(told.unwrap_err(), none);
    }

    #[test]
    fn a_failed_file_fails_its_recording_in_either_order_and_no_other_one() {
        let failing = result(json!({"errorMsg": "x", "resultUrl": null}));
        let whole = result(json!({}));
        for results in [json!([failing, whole]), json!([whole, failing])] {
            assert!(batched(results).of(&entry(Some(RECORDING))).is_err());
        }
        let other = "e0000000-0000-4000-8000-000000000102";
        let results = json!([failing, result(json!({"recordingId": other}))]);
        assert!(batched(results.clone()).of(&entry(Some(other))).is_ok());
        assert!(batched(results).of(&entry(None)).is_err());
    }

    #[test]
    fn results_that_name_nothing_are_counted() {
        let results =
            json!([null, {"errorMsg": "x"}, result(json!({"recordingId": "7"})), result(json!({}))]);
        let batched = batched(results);
        assert_eq!(batched.unreadable, 3);
        assert_eq!(batched.of(&entry(None)).unwrap().len(), 1);
    }

    #[test]
    fn videos_and_screens_are_screens() {
        for (content_type, media) in [
            ("audio/wav", MediaKind::Audio),
            ("video/webm", MediaKind::Screen),
            ("application/screen-x", MediaKind::Screen),
            ("", MediaKind::Audio),
        ] {
            let results = json!([result(json!({ "contentType": content_type }))]);
            assert_eq!(batched(results).of(&entry(None)).unwrap()[0].media, media);
        }
    }
}
