//! Orphan recordings: what the Edge kept because no policy could decide about it, mostly as after-call work never
//! ended.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::api::{Api, LONGEST_DETAILS};
use super::bounded::Bounded;
use crate::clock::Deadline;
use crate::domain::recording::ConversationId;
use crate::error::{Error, ErrorKind};

/// Pages of 100 that are looked through for one conversation.
const MOST_PAGES: u32 = 10;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    entities: Option<Bounded<Vec<Orphan>>>,
    page_count: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Orphan {
    id: Option<String>,
    orphan_status: Option<String>,
    created_time: Option<String>,
    recording: Option<Recording>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recording {
    conversation_id: Option<String>,
}

/// An orphan recording as it is named to people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    /// Its id.
    pub orphan_id: String,
    /// The conversation that it belongs to, where Genesys knows that.
    pub interaction_id: Option<String>,
    /// `orphanStatus`.
    pub status: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
}

/// Returns the orphan recordings that Genesys lists, and whether it lists more. Those without a conversation are listed
/// among the first 500 only.
pub(super) async fn all(api: &Api, deadline: &Deadline) -> Result<(Vec<Named>, bool), Error> {
    let mut named = BTreeSet::new();
    let mut more = false;
    for with_conversation in ["true", "false"] {
        for number in 1.. {
            let page = page(api, with_conversation, number, deadline).await?;
            let Bounded(entities) = page.entities.unwrap_or_default();
            let last = entities.is_empty() || page.page_count.is_none_or(|count| count <= number);
            named.extend(entities.iter().map(Orphan::named));
            if last || number == MOST_PAGES {
                more |= !last;
                break;
            }
        }
    }
    Ok((named.into_iter().collect(), more))
}

async fn page(api: &Api, with_conversation: &str, number: u32, deadline: &Deadline) -> Result<Page, Error> {
    let number = number.to_string();
    let query = [
        ("hasConversation", with_conversation),
        ("pageSize", "100"),
        ("pageNumber", &number),
    ];
    let (path, what) = ("/api/v2/orphanrecordings", "the orphan recordings");
    let answer = api.get_within(LONGEST_DETAILS, path, &query, what, deadline);
    answer.await?.json(what)
}

/// Describes the orphan recording that Genesys holds for a conversation, in a sentence. Never fails: a failed request
/// makes a sentence as well.
pub(super) async fn of(api: &Api, conversation: ConversationId, deadline: &Deadline) -> String {
    let id = conversation.to_string();
    for number in 1..=MOST_PAGES {
        let page = match page(api, "true", number, deadline).await {
            Ok(page) => page,
            Err(error) if error.kind() == ErrorKind::Forbidden => {
                return "whether Genesys holds an orphan recording for it is unknown: grant the OAuth client's role \
                        recording:orphan:view to find out"
                    .to_owned();
            }
            Err(error) => {
                return format!("whether Genesys holds an orphan recording for it is unknown: {error}");
            }
        };
        let Bounded(entities) = page.entities.unwrap_or_default();
        if let Some(orphan) = entities.iter().find(|orphan| orphan.is_of(&id)) {
            return orphan.sentence();
        }
        let last = page.page_count.is_none_or(|count| count == number);
        if last || entities.is_empty() {
            return "Genesys lists no orphan recording for it".to_owned();
        }
    }
    format!("Genesys lists no orphan recording for it among the first {MOST_PAGES}00")
}

impl Orphan {
    fn named(&self) -> Named {
        let clip = |text: &Option<String>| crate::redact::clip(text.as_deref().unwrap_or("unknown"));
        let conversation = self.recording.as_ref();
        let conversation = conversation.and_then(|recording| recording.conversation_id.as_deref());
        Named {
            orphan_id: clip(&self.id),
            interaction_id: conversation.and_then(|id| Some(ConversationId::parse(id).ok()?.to_string())),
            status: clip(&self.orphan_status),
            created_at: self.created_time.as_deref().and_then(|time| time.parse().ok()),
        }
    }

    fn is_of(&self, conversation: &str) -> bool {
        let known = self
            .recording
            .as_ref()
            .and_then(|recording| recording.conversation_id.as_deref());
        known.is_some_and(|known| known.eq_ignore_ascii_case(conversation))
    }

    fn sentence(&self) -> String {
        let clip = |text: &Option<String>| crate::redact::clip(text.as_deref().unwrap_or("unknown"));
        let (id, status) = (clip(&self.id), clip(&self.orphan_status));
        format!(
            "Genesys holds orphan recording {id} for it, {status}: close its after-call work, or attach the orphan to it"
        )
    }
}
