//! Orphan recordings: what the Edge kept because no policy could decide about it, mostly as after-call work never
//! ended.

use serde::Deserialize;

use super::api::{Api, LONGEST_DETAILS};
use super::bounded::Bounded;
use crate::clock::Deadline;
use crate::domain::recording::ConversationId;
use crate::error::ErrorKind;

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
    recording: Option<Recording>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recording {
    conversation_id: Option<String>,
}

/// Describes the orphan recording that Genesys holds for a conversation, in a sentence. Never fails: a failed request
/// makes a sentence as well.
pub(super) async fn of(api: &Api, conversation: ConversationId, deadline: &Deadline) -> String {
    let what = "the orphan recordings";
    let id = conversation.to_string();
    for number in 1..=MOST_PAGES {
        let number = number.to_string();
        let query = [
            ("hasConversation", "true"),
            ("pageSize", "100"),
            ("pageNumber", &number),
        ];
        let answer = api
            .get_within(
                LONGEST_DETAILS,
                "/api/v2/orphanrecordings",
                &query,
                what,
                deadline,
            )
            .await;
        let page = match answer.and_then(|answer| answer.json::<Page>(what)) {
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
        let last = page.page_count.is_none_or(|count| count.to_string() == number);
        if last || entities.is_empty() {
            return "Genesys lists no orphan recording for it".to_owned();
        }
    }
    format!("Genesys lists no orphan recording for it among the first {MOST_PAGES}00")
}

impl Orphan {
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
