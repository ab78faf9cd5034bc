//! What Genesys says of recordings without being asked for a conversation: which it keeps and until when, which are
//! orphans, which could not be uploaded.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;

use super::bounded::Bounded;
use super::listing::SignedUrl;
use super::orphans::{self, Named};
use super::{Error, ErrorKind, Genesys};
use crate::clock::Deadline;
use crate::domain::recording::{ConversationId, RecordingId};

/// Recordings on a page of the retention query.
const PAGE: &str = "500";

/// Longest report about uploads that is read.
const LONGEST_REPORT: usize = 8 * 1024 * 1024;

/// Longest time that a report about uploads is waited for.
const REPORT: Duration = Duration::from_secs(60);

/// A recording that Genesys keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRecording {
    /// Its conversation.
    pub conversation: ConversationId,
    /// The recording.
    pub recording: RecordingId,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When Genesys deletes it.
    pub deletes: Option<Timestamp>,
}

/// A page of the recordings that Genesys keeps.
#[derive(Debug, Default)]
pub struct KeptPage {
    /// Those with ids that can be read.
    pub recordings: Vec<KeptRecording>,
    /// Entries without.
    pub unreadable: u64,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<String>,
}

impl Genesys {
    /// Returns the orphan recordings that Genesys lists, and whether it lists more than are read.
    pub async fn orphan_recordings(&self, deadline: &Deadline) -> Result<(Vec<Named>, bool), Error> {
        orphans::all(&self.api, deadline).await
    }

    /// Returns a page of all recordings that Genesys keeps, from `cursor` on. That the query answers a threshold of 0
    /// days, and with all recordings then, is not verified.
    pub async fn kept(&self, cursor: Option<&str>, deadline: &Deadline) -> Result<KeptPage, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer {
            entities: Option<Bounded<Vec<Entry>>>,
            next_uri: Option<String>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Entry {
            conversation_id: Option<String>,
            recording_id: Option<String>,
            creation_time: Option<String>,
            delete_date: Option<String>,
        }
        let mut query = vec![("retentionThresholdDays", "0"), ("pageSize", PAGE)];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let (path, what) = (
            "/api/v2/recordings/retention/query",
            "the recordings that are kept",
        );
        let answer: Answer = self.api.get(path, &query, what, deadline).await?.json(what)?;
        let moment = |text: Option<String>| text.and_then(|text| text.parse().ok());
        let mut page = KeptPage::default();
        for entry in answer.entities.unwrap_or_default().0 {
            let ids = entry.conversation_id.zip(entry.recording_id);
            let ids = ids.and_then(|(conversation, recording)| {
                Some((
                    ConversationId::parse(&conversation).ok()?,
                    RecordingId::parse(&recording).ok()?,
                ))
            });
            let Some((conversation, recording)) = ids else {
                page.unreadable += 1;
                continue;
            };
            page.recordings.push(KeptRecording {
                conversation,
                recording,
                created: moment(entry.creation_time),
                deletes: moment(entry.delete_date),
            });
        }
        page.next = answer.next_uri.as_deref().and_then(next_cursor);
        Ok(page)
    }

    /// Returns the ids in Genesys' report of the uploads that failed since then. The form of the report is not
    /// documented, so every UUID in it is taken, whatever it is the id of.
    pub async fn failed_uploads(
        &self,
        since: Timestamp,
        deadline: &Deadline,
    ) -> Result<Vec<uuid::Uuid>, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Report {
            id: Option<String>,
            state: Option<String>,
            signed_url: Option<String>,
        }
        const REPORTS: &str = "/api/v2/recording/uploads/reports";
        let what = "the report of failed uploads";
        let deadline = &deadline.within(REPORT);
        let body = json!({"dateSince": since.to_string(), "uploadStatus": "Failure"});
        let mut report: Report = self.api.post(REPORTS, &body, what, deadline).await?.json(what)?;
        let mut wait = Duration::from_secs(1);
        loop {
            match report.state.as_deref() {
                Some("Completed") => break,
                Some("Failed") => {
                    return Err(Error::transient(
                        "Genesys could not make the report of failed uploads",
                    ));
                }
                // InProgress, and any other state takes time.
                _ => {}
            }
            // The id goes into a path.
            let id = report.id.as_deref().and_then(|id| uuid::Uuid::try_parse(id).ok());
            let id = id.ok_or_else(|| Error::transient("Genesys' report of failed uploads has no id"))?;
            tokio::select! {
                () = tokio::time::sleep(wait) => wait *= 2,
                () = deadline.work_ends() => {
                    let message = "Genesys' report of failed uploads takes too long";
                    return Err(Error::new(ErrorKind::DeadlineNear, message));
                }
            }
            report = self
                .api
                .get(&format!("{REPORTS}/{id}"), &[], what, deadline)
                .await?
                .json(what)?;
        }
        // Without an upload that failed there may be nothing to be read.
        let Some(url) = report.signed_url else {
            return Ok(Vec::new());
        };
        let document = self
            .media
            .document(&SignedUrl::new(url), LONGEST_REPORT, deadline)
            .await?;
        Ok(ids_in(&document))
    }
}

/// Returns the cursor of a link to the next page.
fn next_cursor(uri: &str) -> Option<String> {
    let url = Url::parse("https://genesys.invalid").ok()?.join(uri).ok()?;
    let cursor = url.query_pairs().find(|(name, _)| name == "cursor");
    cursor.map(|(_, cursor)| cursor.into_owned())
}

/// Returns every UUID in a text of any form, each once.
fn ids_in(document: &[u8]) -> Vec<uuid::Uuid> {
    const LENGTH: usize = 36;
    let part_of_id = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
    let words = document
        .split(|byte| !part_of_id(byte))
        .filter(|word| word.len() == LENGTH);
    let mut ids: Vec<_> = words
        .filter_map(|word| uuid::Uuid::try_parse_ascii(word).ok())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_reports_of_any_form() {
        let one = "c0000000-0000-4000-8000-000000000001";
        let ids = [uuid::Uuid::try_parse(one).unwrap()];
        for text in [
            format!("[{{\"conversationId\":\"{one}\"}}]"),
            format!("id,status\r\n{one},Failure\r\n{one},Failure\r\n"),
            format!("<row id='{}'/>", one.to_uppercase()),
        ] {
            assert_eq!(ids_in(text.as_bytes()), ids, "{text}");
        }
        assert!(ids_in(b"nothing, or \xff and 0000").is_empty());
    }

    #[test]
    fn the_cursor_of_the_next_page_is_read_from_its_link() {
        let uri = "/api/v2/recordings/retention/query?retentionThresholdDays=0&pageSize=500&cursor=a%2Bb%3D";
        assert_eq!(next_cursor(uri).as_deref(), Some("a+b="));
        assert_eq!(next_cursor("/api/v2/recordings/retention/query"), None);
    }
}
