//! A conversation in Genesys' analytics: whether it is over, whether a recording was started, what is open.
//!
//! One model for the function, which looks at a conversation, and for `archivectl`, which lists days.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::OnceCell;

use super::api::{Answer, Api, LONGEST_DETAILS};
use super::bounded::Bounded;
use super::names::Ids;
use super::refusal::is_refusal;
use crate::clock::Deadline;
use crate::domain::call::{CallRecord, Extent};
use crate::domain::format::MediaKind;
use crate::domain::recording::ConversationId;
use crate::error::{Error, ErrorKind};

const DETAILS: &str = "/api/v2/analytics/conversations";

/// Ids in one request, which make a URL of 4,000 characters. The maximum is not documented: where it is less, there are
/// [`FEWER_IDS`] in one.
const MOST_IDS: usize = 100;

/// Ids in one request, where Genesys refuses more. They keep the URL below 2,000 characters.
const FEWER_IDS: usize = 40;

/// Ids that Genesys refuses together and that are asked for by halves. Of fewer each is asked for alone.
const HALVED_IDS: usize = 10;

/// Parts of a conversation that are named as open, at most.
const MOST_OPEN: usize = 5;

/// The parts of a conversation that decide whether and how it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// When it began.
    pub start: Timestamp,
    /// When it ended; `None`: it goes on.
    pub end: Option<Timestamp>,
    /// `mediaType` of its sessions, such as `voice`.
    pub media_types: Vec<String>,
    /// `originatingDirection` and `direction` of its sessions: `inbound`, `outbound`.
    pub directions: Vec<String>,
    /// Queues that it went through.
    pub queues: Vec<String>,
    /// Its divisions.
    pub divisions: Vec<String>,
    /// An audio recording was started.
    pub recorded: bool,
    /// A screen recording was started.
    pub screen_recorded: bool,
    /// An agent recorded a snippet. Genesys reports these apart from recordings of the whole call.
    pub snippet_recorded: bool,
    /// The kind of each recording that was started: audio of each connection, at whichever of its ends, and of each
    /// snippet; a screen of each participant.
    pub started: Vec<MediaKind>,
    /// Segments without an end, in words: `wrapup of agent since 2026-01-15T10:20:30Z`.
    pub open: Vec<String>,
    /// The JSON of its details as Genesys gave it; `None` in lists of days, which do not keep it.
    pub given: Option<Box<str>>,
}

impl Conversation {
    /// Says whether there may be a recording of this kind. A started recording may be missing in the end, but one that
    /// was not started cannot exist.
    pub fn may_have(&self, kind: MediaKind) -> bool {
        let of_type = |name: &str| self.media_types.iter().any(|media| media.ends_with(name));
        match kind {
            MediaKind::Audio => self.recorded || self.snippet_recorded,
            MediaKind::Screen => self.screen_recorded,
            MediaKind::Chat => of_type("chat"),
            MediaKind::Email => of_type("email"),
            MediaKind::Message => of_type("message"),
        }
    }
}

/// The answer to a request for the details of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// This.
    Known(Box<Conversation>),
    /// Analytics do not know it, or not yet.
    Unknown,
    /// The OAuth client may not ask.
    Denied,
    /// They are longer than what is read.
    TooLong,
}

/// The details of the conversations that one batch looks at: one request for all of them, made when the first of them
/// needs it.
#[derive(Debug, Default)]
pub struct Details {
    due: HashSet<ConversationId>,
    /// Analytics had time for all of them: one that the answer lacks they do not know.
    history: bool,
    bulk: OnceCell<Bulk>,
    /// The names of all that the answer names were asked for.
    pub(super) named: OnceCell<()>,
}

/// The answer to the request for all of a batch. A conversation that it says nothing of is asked for alone.
#[derive(Debug)]
enum Bulk {
    Told {
        known: HashMap<ConversationId, Conversation>,
        /// Those that analytics do not know.
        unknown: HashSet<ConversationId>,
    },
    Denied,
    /// There was none, for this reason.
    Failed(String),
}

impl Details {
    /// Prepares the details of these conversations, once they are needed; any other one is asked for alone.
    pub fn of(due: impl IntoIterator<Item = ConversationId>) -> Self {
        Self {
            due: due.into_iter().collect(),
            ..Self::default()
        }
    }

    /// The same for conversations that ended days ago: one that the answer lacks is not asked for again.
    pub fn of_history(due: impl IntoIterator<Item = ConversationId>) -> Self {
        Self {
            history: true,
            ..Self::of(due)
        }
    }

    /// Returns the ids of things in all that is told so far.
    pub(super) fn ids(&self) -> Ids {
        let known = match self.bulk.get() {
            Some(Bulk::Told { known, .. }) => known.values(),
            _ => return Ids::default(),
        };
        let facts = known.map(|known| {
            let given = known.given.as_deref().unwrap_or_default();
            let call = CallRecord::new(known.id, "").with_details(given, Extent::Standard);
            call.facts(None)
        });
        facts.collect()
    }

    /// Asks what analytics say of a conversation. One of the batch is looked up in the batch's one answer, or fails as
    /// that did; any other one is asked for alone.
    pub(super) async fn ask(
        &self,
        api: &Api,
        id: ConversationId,
        deadline: &Deadline,
    ) -> Result<Told, Error> {
        if self.due.len() > 1 && self.due.contains(&id) {
            let asked = self.bulk.get_or_try_init(|| async {
                match bulk(api, &self.due, deadline).await {
                    Err(error) if error.kind() != ErrorKind::DeadlineNear => {
                        Ok(Bulk::Failed(error.redacted()))
                    }
                    told => told,
                }
            });
            match asked.await? {
                Bulk::Told { known, unknown } => {
                    if let Some(known) = known.get(&id) {
                        return Ok(Told::Known(Box::new(known.clone())));
                    }
                    if self.history && unknown.contains(&id) {
                        return Ok(Told::Unknown);
                    }
                }
                Bulk::Denied => return Ok(Told::Denied),
                Bulk::Failed(why) => return Err(Error::transient(why)),
            }
        }
        let what = format!("the details of conversation {id}");
        let path = format!("{DETAILS}/{id}/details");
        match api.get_within(LONGEST_DETAILS, &path, &[], &what, deadline).await {
            Ok(answer) => {
                let given: Box<RawValue> = answer.json(&what)?;
                let known = keeping(&given).map_err(|error| answer.unreadable(&what, &error))?;
                let known = known.filter(|known| known.id == id);
                Ok(known.map(Box::new).map_or(Told::Unknown, Told::Known))
            }
            Err(error) if error.kind() == ErrorKind::Forbidden => Ok(Told::Denied),
            Err(error) if error.kind().is_not_found() => Ok(Told::Unknown),
            Err(error) if error.is_too_long() => {
                tracing::warn!(interaction_id = %id, "the details of a conversation are too long to be read");
                Ok(Told::TooLong)
            }
            Err(error) => Err(error),
        }
    }
}

/// Asks for all of a batch, in as few requests as the ids fit into. A list that Genesys refuses is asked for in shorter
/// ones, and so is what the answer to a long one lacks: nobody documents how many ids it minds.
async fn bulk(api: &Api, due: &HashSet<ConversationId>, deadline: &Deadline) -> Result<Bulk, Error> {
    let what = format!("the details of {} conversations", due.len());
    let path = format!("{DETAILS}/details");
    let mut ids: Vec<_> = due.iter().copied().collect();
    ids.sort();
    let (mut known, mut unknown) = (HashMap::new(), HashSet::new());
    let mut left: Vec<Vec<ConversationId>> = ids.chunks(MOST_IDS).map(<[_]>::to_vec).collect();
    while let Some(ids) = left.pop() {
        let listed: Vec<_> = ids.iter().map(ToString::to_string).collect();
        let answer = api
            .get_within(
                LONGEST_DETAILS,
                &path,
                &[("id", &listed.join(","))],
                &what,
                deadline,
            )
            .await;
        let (told, readable) = match answer {
            Ok(answer) => read(&answer, &what),
            Err(error) if error.kind() == ErrorKind::Forbidden => return Ok(Bulk::Denied),
            Err(error) if is_refusal(&error) || error.is_too_long() => (Vec::new(), false),
            Err(error) => return Err(error),
        };
        known.extend(told.into_iter().map(|known| (known.id, known)));
        let lacking: Vec<_> = ids.into_iter().filter(|id| !known.contains_key(id)).collect();
        let shorter = match listed.len() {
            0..=FEWER_IDS if readable => {
                unknown.extend(lacking);
                continue;
            }
            0..=HALVED_IDS => continue,
            length @ ..=FEWER_IDS => length.div_ceil(2),
            _ => FEWER_IDS,
        };
        left.extend(lacking.chunks(shorter).map(<[_]>::to_vec));
    }
    Ok(Bulk::Told { known, unknown })
}

/// Reads the answer to a list of ids. Returns what can be read, and whether that is all of it.
fn read(answer: &Answer, what: &str) -> (Vec<Conversation>, bool) {
    #[derive(Default, Deserialize)]
    struct Page {
        conversations: Option<Bounded<Vec<Box<RawValue>>>>,
    }
    let page = match answer.is_blank() {
        true => Ok(Page::default()),
        false => answer.json(what),
    };
    let Ok(page) = page else {
        return (Vec::new(), false);
    };
    let Bounded(entries) = page.conversations.unwrap_or_default();
    let told: Vec<_> = entries.iter().filter_map(|given| keeping(given).ok()?).collect();
    let readable = told.len() == entries.len();
    (told, readable)
}

/// `AnalyticsConversation` and `AnalyticsConversationWithoutAttributes`. Every field may be missing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    conversation_id: Option<String>,
    conversation_start: Option<String>,
    conversation_end: Option<String>,
    originating_direction: Option<String>,
    division_ids: Option<Bounded<Vec<String>>>,
    participants: Option<Bounded<Vec<Participant>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Participant {
    purpose: Option<String>,
    screen_recording: Option<bool>,
    sessions: Option<Bounded<Vec<Session>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    session_id: Option<String>,
    /// The session at the other end of its connection.
    peer_id: Option<String>,
    media_type: Option<String>,
    direction: Option<String>,
    recording: Option<bool>,
    snippet_recording: Option<bool>,
    segments: Option<Bounded<Vec<Segment>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Segment {
    segment_type: Option<String>,
    segment_start: Option<String>,
    segment_end: Option<String>,
    queue_id: Option<String>,
}

impl Segment {
    /// Says what is open, if anything is.
    fn open(&self, purpose: Option<&str>) -> Option<String> {
        if self.segment_end.is_some() {
            return None;
        }
        let clip = |text: Option<&str>, default: &str| crate::redact::clip(text.unwrap_or(default));
        let kind = clip(self.segment_type.as_deref(), "a segment");
        let purpose = clip(purpose, "a participant");
        let since = clip(self.segment_start.as_deref(), "an unknown time");
        Some(format!("{kind} of {purpose} since {since}"))
    }
}

/// Reads an entry, and keeps it as it was given.
fn keeping(given: &RawValue) -> Result<Option<Conversation>, serde_json::Error> {
    let known = conversation(serde_json::from_str(given.get())?);
    Ok(known.map(|known| Conversation {
        given: Some(given.get().into()),
        ..known
    }))
}

/// Reads an entry; `None` without an id and a start that can be read.
pub(super) fn conversation(entry: Entry) -> Option<Conversation> {
    let mut conversation = Conversation {
        id: ConversationId::parse(&entry.conversation_id?).ok()?,
        start: entry.conversation_start?.parse().ok()?,
        end: None,
        media_types: Vec::new(),
        directions: Vec::from_iter(entry.originating_direction),
        queues: Vec::new(),
        divisions: entry.division_ids.unwrap_or_default().0,
        recorded: false,
        screen_recorded: false,
        snippet_recorded: false,
        started: Vec::new(),
        open: Vec::new(),
        given: None,
    };
    // An end that cannot be read is an end.
    conversation.end = entry
        .conversation_end
        .map(|end| end.parse().unwrap_or(conversation.start));
    let mut ends = HashSet::new();
    for participant in entry.participants.unwrap_or_default().0 {
        let purpose = participant.purpose.as_deref();
        if participant.screen_recording == Some(true) {
            conversation.screen_recorded = true;
            conversation.started.push(MediaKind::Screen);
        }
        for session in participant.sessions.unwrap_or_default().0 {
            if session.snippet_recording == Some(true) {
                conversation.snippet_recorded = true;
                conversation.started.push(MediaKind::Audio);
            }
            if session.recording == Some(true) {
                conversation.recorded = true;
                let known = [session.session_id, session.peer_id].into_iter().flatten();
                // Both are noted, whichever end comes first.
                let met = known.fold(false, |met, id| !ends.insert(id) | met);
                conversation.started.extend((!met).then_some(MediaKind::Audio));
            }
            conversation.media_types.extend(session.media_type);
            conversation.directions.extend(session.direction);
            for segment in session.segments.unwrap_or_default().0 {
                let room = MOST_OPEN.saturating_sub(conversation.open.len());
                conversation
                    .open
                    .extend(segment.open(purpose).into_iter().take(room));
                conversation.queues.extend(segment.queue_id);
            }
        }
    }
    Some(conversation)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Option<Conversation> {
        conversation(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn what_is_open_is_named_with_whom_and_since_when() {
        let conversation = read(json!({
            "conversationId": "c0000000-0000-4000-8000-000000000001", "conversationStart": "2026-01-15T10:14:20.014Z",
            "participants": [{"purpose": "agent", "sessions": [{"snippetRecording": true, "segments": [
                {"segmentType": "interact", "segmentStart": "2026-01-15T10:14:20Z", "segmentEnd": "2026-01-15T10:20:30Z"},
                {"segmentType": "wrapup", "segmentStart": "2026-01-15T10:20:30Z"}]}]}]}))
        .unwrap();
        assert_eq!(conversation.open, ["wrapup of agent since 2026-01-15T10:20:30Z"]);
        assert_eq!(conversation.end, None);
        assert!(
            conversation.may_have(MediaKind::Audio),
            "a snippet is a recording"
        );
    }

    #[test]
    fn each_connection_that_was_recorded_counts_once_whichever_end_says_so() {
        let session = |id: &str, peer: &str| json!({"sessionId": id, "peerId": peer, "recording": true});
        let of = |sessions: serde_json::Value| {
            let call = json!({"conversationId": "c0000000-0000-4000-8000-000000000001",
                "conversationStart": "2026-01-15T10:14:20Z", "participants": [{"sessions": sessions}]});
            read(call).unwrap().started.len()
        };
        let [caller, agent, other] = [session("a", "b"), session("b", "a"), session("c", "a")];
        assert_eq!(of(json!([caller])), 1);
        assert_eq!(of(json!([caller, agent, other])), 1, "transferred");
        assert_eq!(of(json!([other, agent, caller])), 1);
        let consult = [session("d", "e"), session("e", "d")];
        assert_eq!(of(json!([agent, consult[0], caller, consult[1]])), 2);
        assert_eq!(of(json!([{"recording": true}, {"recording": true}])), 2, "no ids");
        assert_eq!(of(json!([{"sessionId": "a", "recording": false}])), 0);
    }

    #[test]
    fn an_entry_without_an_id_or_a_start_is_none() {
        assert_eq!(read(json!({"conversationStart": "2026-01-15T10:14:20Z"})), None);
        assert_eq!(
            read(json!({"conversationId": "c0000000-0000-4000-8000-000000000001"})),
            None
        );
    }
}
