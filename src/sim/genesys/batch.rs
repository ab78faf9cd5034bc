//! Batch downloads: up to 100 items in, results as they are found (docs/genesys.md, "Batch download").

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::conversation::Conversation;
use super::format::Format;
use super::model::{FileState, Kind};
use super::permissions::Permissions;
use super::recording::{MERGED, Recording};
use super::signing::{Address, Signer};
use crate::sim::hmac::hmac_sha256;

/// The treatment of one recording by batch downloads, where it is not the ordinary one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InBatch {
    /// Its result is an error with this text.
    Fails(String),
    /// The same in the next batch download alone.
    FailsOnce(String),
    /// It has no result, as if it were sensitive and the client may not see such recordings.
    LeftOut,
    /// It has one result for each of its channels.
    PerChannel,
}

/// All batch downloads, and how the next ones go.
#[derive(Debug)]
pub(super) struct Batches {
    /// Number of polls that find a job in progress.
    pub(super) polls: usize,
    /// Number of the next jobs that never complete.
    pub(super) stuck: usize,
    /// By recording.
    pub(super) treated: BTreeMap<String, InBatch>,
    pub(super) jobs: BTreeMap<String, Job>,
}

/// A job as it was submitted, and what its polls have shown.
#[derive(Debug)]
pub(super) struct Job {
    /// The client that submitted it, and the only one that may read it.
    pub(super) client: String,
    found: Vec<Found>,
    /// Polls that find it in progress; `None`: all of them.
    unfinished: Option<usize>,
    polls: usize,
    /// The results so far. A URL is signed once, when its result shows: later polls repeat it, as nothing says that
    /// they would renew it.
    shown: Vec<Value>,
}

/// One item of a request.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) conversation: String,
    /// `None`: all recordings of the conversation.
    pub(super) recording: Option<String>,
}

#[derive(Debug)]
enum Found {
    File {
        address: Address,
        content_type: &'static str,
    },
    Error(Value),
}

/// The means to give out signed URLs.
pub(super) struct Signing<'a> {
    pub(super) signer: &'a Signer,
    pub(super) media_url: &'a str,
    pub(super) now: Duration,
}

impl Default for Batches {
    fn default() -> Self {
        Self {
            polls: 2,
            stuck: 0,
            treated: BTreeMap::new(),
            jobs: BTreeMap::new(),
        }
    }
}

impl Batches {
    /// Takes a job of a client. Returns its id.
    pub(super) fn submit(
        &mut self,
        client: &str,
        items: &[Item],
        conversations: &mut BTreeMap<String, Conversation>,
        permissions: &Permissions,
    ) -> String {
        let name = format!("batch {}", self.jobs.len());
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string();
        let mut found: Vec<Found> = Vec::new();
        for item in items {
            let conversation = conversations.get_mut(&item.conversation);
            found.extend(self.found(item, conversation, permissions));
        }
        // In the order of nothing that a client knows.
        found.sort_by_key(|found| hmac_sha256(id.as_bytes(), format!("{found:?}").as_bytes()));
        let stuck = self.stuck > 0;
        self.stuck = self.stuck.saturating_sub(1);
        let job = Job {
            client: client.to_owned(),
            found,
            unfinished: (!stuck).then_some(self.polls),
            polls: 0,
            shown: Vec::new(),
        };
        self.jobs.insert(id.clone(), job);
        id
    }

    /// Returns what comes of one item. The texts of errors are not known, only that there are some.
    fn found(
        &mut self,
        item: &Item,
        conversation: Option<&mut Conversation>,
        permissions: &Permissions,
    ) -> Vec<Found> {
        let wanted = item.recording.as_deref();
        let Some(conversation) = conversation.filter(|conversation| conversation.denied.is_none()) else {
            return vec![error(&item.conversation, wanted, "Conversation not found")];
        };
        let recordings = conversation
            .visible()
            .filter(|recording| wanted.is_none_or(|id| recording.id == id));
        let recordings: Vec<&Recording> = recordings.map(|recording| &*recording).collect();
        if let (Some(id), []) = (wanted, recordings.as_slice()) {
            return vec![error(&item.conversation, Some(id), "Recording not found")];
        }
        let shown = recordings
            .into_iter()
            .filter(|recording| permissions.show(recording));
        let mut found = Vec::new();
        for recording in shown {
            found.extend(self.results(&item.conversation, recording));
        }
        found
    }

    /// Returns the results of one recording.
    fn results(&mut self, conversation: &str, recording: &Recording) -> Vec<Found> {
        let fails = |text: &str| vec![error(conversation, Some(&recording.id), text)];
        let treated = self.treated.get(&recording.id).cloned();
        match &treated {
            Some(InBatch::LeftOut) => return Vec::new(),
            Some(InBatch::Fails(text)) => return fails(text),
            Some(InBatch::FailsOnce(text)) => {
                self.treated.remove(&recording.id);
                return fails(text);
            }
            Some(InBatch::PerChannel) | None => {}
        }
        match recording.current_state() {
            FileState::Available | FileState::Restored => {}
            FileState::Archived => return fails("Recording is archived"),
            state => return fails(&format!("Recording is in state {}", state.as_str())),
        }
        let keys = match treated {
            Some(InBatch::PerChannel) => (0..recording.channels.len()).map(|key| key.to_string()).collect(),
            _ => recording.keys(true),
        };
        keys.into_iter()
            .filter_map(|key| file(conversation, recording, key))
            .collect()
    }
}

/// Returns one file of a recording, as it was recorded. Chats, e-mails and messages are JSON.
fn file(conversation: &str, recording: &Recording, key: String) -> Option<Found> {
    let media = recording.media(&key)?;
    let (format, content_type) = match recording.kind {
        Kind::Audio => (Format::Original, media.recorded_type()),
        Kind::Screen => (Format::Original, "video/webm"),
        Kind::Chat | Kind::Email | Kind::Message => (Format::Json, Format::Json.content_type()),
    };
    let address = Address {
        conversation: conversation.to_owned(),
        recording: recording.id.clone(),
        key,
        format,
        kind: recording.kind.in_metadata().to_ascii_uppercase(),
    };
    Some(Found::File {
        address,
        content_type,
    })
}

fn error(conversation: &str, recording: Option<&str>, text: &str) -> Found {
    let mut result = json!({ "conversationId": conversation, "errorMsg": text });
    if let Some(id) = recording {
        result["recordingId"] = id.into();
    }
    Found::Error(result)
}

impl Job {
    /// Answers one poll with a `BatchDownloadJobStatusResult`. As long as the job is in progress, recordings are still
    /// being discovered: the number of expected results grows, from 0, and may be the number of results there are.
    pub(super) fn poll(&mut self, id: &str, signing: &Signing<'_>) -> Value {
        self.polls += 1;
        let all = self.found.len();
        let (complete, available) = match self.unfinished {
            Some(polls) if self.polls > polls => (true, all),
            Some(polls) => (false, all * (self.polls - 1) / (polls + 1)),
            // All but one come in the end.
            None if self.polls == 1 => (false, 0),
            None => (false, all.saturating_sub(1)),
        };
        while self.shown.len() < available {
            self.shown.push(show(&self.found[self.shown.len()], signing));
        }
        let mut results = self.shown.clone();
        if self.polls.is_multiple_of(2) {
            results.reverse();
        }
        let errors = results.iter().filter(|result| result.get("errorMsg").is_some());
        json!({
            "id": id,
            "jobId": id,
            "expectedResultCount": available,
            "resultCount": results.len(),
            "errorCount": errors.count(),
            "status": if complete { "Completed" } else { "InProgress" },
            "results": results,
            "selfUri": format!("/api/v2/recording/batchrequests/{id}"),
        })
    }
}

/// Returns a `BatchDownloadJobResult`.
fn show(found: &Found, signing: &Signing<'_>) -> Value {
    let (address, content_type) = match found {
        Found::Error(result) => return result.clone(),
        Found::File {
            address,
            content_type,
        } => (address, content_type),
    };
    let name = (address.key != MERGED).then(|| format!("{}_{}", address.recording, address.key));
    let target = signing.signer.sign(address, name.as_deref(), signing.now);
    json!({
        "conversationId": address.conversation,
        "recordingId": address.recording,
        "resultUrl": format!("{}{target}", signing.media_url),
        "contentType": content_type,
    })
}
