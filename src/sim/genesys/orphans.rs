//! Recordings outside any conversation: among others those whose conversation never
//! ended, as an agent left after-call work open.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::{ApiError, time};
use super::model::{Kind, default_start};
use super::{Shared, lock};

type Answer = Result<Response, ApiError>;

/// A recording without a conversation, or whose conversation is not complete.
#[derive(Debug, Clone)]
pub struct Orphan {
    /// Its UUID.
    pub id: String,
    /// The conversation that it belongs to, where that is known.
    pub conversation: Option<String>,
    /// What was recorded: a call or a screen.
    pub kind: Kind,
    /// `orphanStatus`, such as `CONVERSATION_NOT_COMPLETE`.
    pub status: &'static str,
    /// When it was made.
    pub created: Timestamp,
}

impl Orphan {
    /// The recording of a call whose conversation never ended.
    pub fn of(conversation: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            conversation: Some(conversation.into()),
            kind: Kind::Audio,
            status: "CONVERSATION_NOT_COMPLETE",
            created: default_start(),
        }
    }

    /// The recording of a call that nobody knows of.
    pub fn unknown(id: impl Into<String>) -> Self {
        Self {
            conversation: None,
            status: "NO_CONVERSATION",
            ..Self::of("", id)
        }
    }

    fn body(&self) -> Value {
        let media = match self.kind {
            Kind::Screen => "SCREEN",
            _ => "CALL",
        };
        let mut body = json!({
            "id": self.id,
            "createdTime": time(self.created),
            "recoveredTime": time(self.created),
            "providerType": if self.kind == Kind::Screen { "SCREEN_RECORDING" } else { "EDGE" },
            "mediaSizeBytes": 2_400_123,
            "mediaType": media,
            "mediaSubtype": if self.kind == Kind::Screen { "Screen" } else { "Trunk" },
            "fileState": "AVAILABLE",
            "orphanStatus": self.status,
            "region": "eu-central-1",
            "selfUri": format!("/api/v2/orphanrecordings/{}", self.id),
        });
        if let Some(conversation) = &self.conversation {
            body["recording"] = json!({
                "id": self.id,
                "conversationId": conversation,
                "media": if self.kind == Kind::Screen { "screen" } else { "audio" },
                "selfUri": format!("/api/v2/conversations/{conversation}/recordings/{}", self.id),
            });
        }
        body
    }
}

const PERMISSION: [&str; 1] = ["recording:orphan:view"];
/// Without `hasConversation=true` no more than these are listed.
const MOST_LISTED: usize = 500;
/// `pageSize`; the maximum is not verified.
const LARGEST_PAGE: usize = 100;

/// `GET /orphanrecordings`.
pub(super) async fn list(
    State(shared): State<Shared>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Answer {
    let get = |name: &str| {
        let mut values = parameters.iter().filter(|(key, _)| key == name);
        values.next().map(|(_, value)| value.as_str())
    };
    let number = |name: &str, default: usize, most: usize| {
        let parsed = get(name).map_or(Some(default), |text| text.parse().ok());
        let parsed = parsed.filter(|number| (1..=most).contains(number));
        parsed.ok_or_else(|| ApiError::bad_value(name))
    };
    let size = number("pageSize", 25, LARGEST_PAGE)?;
    let page = number("pageNumber", 1, usize::MAX)?;
    let with_conversation = match get("hasConversation") {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => return Err(ApiError::bad_value(other)),
    };
    let screens = match get("media") {
        None => None,
        Some("Call") => Some(false),
        Some("Screen") => Some(true),
        Some(other) => return Err(ApiError::bad_value(other)),
    };
    let state = lock(&shared);
    state.permissions.any(&PERMISSION)?;
    let matching = state.orphans.values().filter(|orphan| {
        (!with_conversation || orphan.conversation.is_some())
            && screens.is_none_or(|screens| screens == (orphan.kind == Kind::Screen))
    });
    let most = if with_conversation {
        usize::MAX
    } else {
        MOST_LISTED
    };
    let matching: Vec<_> = matching.take(most).collect();
    let begin = (page - 1).saturating_mul(size);
    let entities = matching.iter().skip(begin).take(size);
    let entities: Vec<_> = entities.map(|orphan| orphan.body()).collect();
    let pages = matching.len().div_ceil(size);
    let uri = |number: usize| {
        format!(
            "/api/v2/orphanrecordings?pageSize={size}&pageNumber={number}&hasConversation={with_conversation}"
        )
    };
    let mut answer = json!({
        "entities": entities,
        "pageSize": size,
        "pageNumber": page,
        "total": matching.len(),
        "pageCount": pages,
        "firstUri": uri(1),
        "lastUri": uri(pages.max(1)),
        "selfUri": uri(page),
    });
    if page < pages {
        answer["nextUri"] = uri(page + 1).into();
    }
    if page > 1 {
        answer["previousUri"] = uri(page - 1).into();
    }
    Ok(Json(answer).into_response())
}

/// `GET /orphanrecordings/{id}`.
pub(super) async fn one(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let state = lock(&shared);
    state.permissions.any(&PERMISSION)?;
    let orphan = state.orphans.get(&id);
    let orphan = orphan.ok_or_else(|| ApiError::not_found(&format!("The orphan recording [{id}]")))?;
    Ok(Json(orphan.body()).into_response())
}
