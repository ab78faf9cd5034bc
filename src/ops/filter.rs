//! Filters over the conversations that Genesys lists.

use crate::config::Config;
use crate::genesys::analytics::Conversation;
use jiff::SignedDuration;

/// Filters over conversations. Each is applied here, to what Genesys lists, and never left to Genesys.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only conversations with a session of one of these types, such as `voice`.
    pub media: Vec<String>,
    /// Only `inbound` or only `outbound` ones.
    pub direction: Option<String>,
    /// Only those that went through one of these queues.
    pub queue: Vec<uuid::Uuid>,
    /// Only those of one of these divisions.
    pub division: Vec<uuid::Uuid>,
    /// Only those that lasted at least this long.
    pub min_duration: Option<SignedDuration>,
    /// Only those that lasted at most this long.
    pub max_duration: Option<SignedDuration>,
}

/// The place of a conversation among those that a command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// The conversation may have wanted recordings.
    Wanted,
    /// No recording of a wanted kind was started.
    Unrecorded,
    /// The filters leave it out.
    Filtered,
    /// The conversation is not over.
    Ongoing,
}

impl Filter {
    /// Returns whether a conversation is wanted, given the kinds of recordings that `config` wants, or why not.
    pub fn select(&self, conversation: &Conversation, config: &Config) -> Selection {
        if !config
            .recording
            .media
            .iter()
            .any(|kind| conversation.may_have(*kind))
        {
            return Selection::Unrecorded;
        }
        let any = |wanted: &[String], has: &[String]| {
            let same = |one: &String| has.iter().any(|other| one.eq_ignore_ascii_case(other));
            wanted.is_empty() || wanted.iter().any(same)
        };
        let ids = |wanted: &[uuid::Uuid]| wanted.iter().map(ToString::to_string).collect::<Vec<_>>();
        let kept = any(&self.media, &conversation.media_types)
            && any(self.direction.as_slice(), &conversation.directions)
            && any(&ids(&self.queue), &conversation.queues)
            && any(&ids(&self.division), &conversation.divisions);
        let Some(end) = conversation.end else {
            return if kept {
                Selection::Ongoing
            } else {
                Selection::Filtered
            };
        };
        let duration = end.duration_since(conversation.start);
        let long = self.min_duration.is_none_or(|least| duration >= least);
        let short = self.max_duration.is_none_or(|most| duration <= most);
        if kept && long && short {
            Selection::Wanted
        } else {
            Selection::Filtered
        }
    }

    /// Describes the filters, the same filters always in the same words: a checkpoint compares them to find out whether
    /// it is continued.
    pub fn describe(&self) -> String {
        let Self {
            media,
            direction,
            queue,
            division,
            min_duration,
            max_duration,
        } = self;
        let mut parts = Vec::new();
        parts.extend(media.iter().map(|media| format!(" --media {media}")));
        parts.extend(
            direction
                .iter()
                .map(|direction| format!(" --direction {direction}")),
        );
        parts.extend(queue.iter().map(|id| format!(" --queue {id}")));
        parts.extend(division.iter().map(|id| format!(" --division {id}")));
        parts.extend(
            min_duration
                .iter()
                .map(|time| format!(" --min-duration {}s", time.as_secs())),
        );
        parts.extend(
            max_duration
                .iter()
                .map(|time| format!(" --max-duration {}s", time.as_secs())),
        );
        parts.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::recording::ConversationId;

    fn selected(filter: &Filter, change: impl FnOnce(&mut Conversation)) -> Selection {
        let config = Config::from_lookup(|name| match name {
            "GENESYS_SECRET_ID" | "S3_BUCKET_NAME" | "AUDIT_TABLE_NAME" | "LEDGER_TABLE_NAME" => {
                Some(name.to_lowercase().replace('_', "-"))
            }
            _ => None,
        });
        let mut conversation = Conversation {
            id: ConversationId::parse("c0000000-0000-4000-8000-000000000001").unwrap(),
            start: "2026-01-15T10:00:00Z".parse().unwrap(),
            end: Some("2026-01-15T10:05:00Z".parse().unwrap()),
            media_types: vec!["voice".to_owned()],
            directions: vec!["inbound".to_owned()],
            queues: vec!["a0000000-0000-4000-8000-000000000001".to_owned()],
            divisions: vec!["d0000000-0000-4000-8000-000000000001".to_owned()],
            recorded: true,
            screen_recorded: false,
            snippet_recorded: false,
            started: Vec::new(),
            open: Vec::new(),
            given: None,
        };
        change(&mut conversation);
        filter.select(&conversation, &config.unwrap())
    }

    #[test]
    fn every_filter_keeps_what_it_names_and_leaves_out_the_rest() {
        let media = |names: &[&str]| Filter {
            media: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Filter::default()
        };
        let direction = |name: &str| Filter {
            direction: Some(name.to_owned()),
            ..Filter::default()
        };
        let queue = |id: &str| Filter {
            queue: vec![id.parse().unwrap()],
            ..Filter::default()
        };
        let division = |id: &str| Filter {
            division: vec![id.parse().unwrap()],
            ..Filter::default()
        };
        let seconds = |least: Option<i64>, most: Option<i64>| Filter {
            min_duration: least.map(SignedDuration::from_secs),
            max_duration: most.map(SignedDuration::from_secs),
            ..Filter::default()
        };
        for (kept, left_out) in [
            (media(&["voice"]), media(&["chat"])),
            (media(&["chat", "VOICE"]), media(&["chat", "email"])),
            (direction("inbound"), direction("outbound")),
            (
                queue("A0000000-0000-4000-8000-000000000001"),
                queue("a0000000-0000-4000-8000-000000000002"),
            ),
            (
                division("d0000000-0000-4000-8000-000000000001"),
                division("d0000000-0000-4000-8000-000000000002"),
            ),
            (seconds(Some(300), None), seconds(Some(301), None)),
            (seconds(None, Some(300)), seconds(None, Some(299))),
        ] {
            assert_eq!(selected(&kept, |_| {}), Selection::Wanted, "{kept:?}");
            assert_eq!(selected(&left_out, |_| {}), Selection::Filtered, "{left_out:?}");
        }
    }

    #[test]
    fn what_was_not_recorded_or_is_not_over_is_told_apart() {
        assert_eq!(
            selected(&Filter::default(), |c| c.recorded = false),
            Selection::Unrecorded
        );
        let snippet_only = |c: &mut Conversation| (c.recorded, c.snippet_recorded) = (false, true);
        assert_eq!(selected(&Filter::default(), snippet_only), Selection::Wanted);
        assert_eq!(selected(&Filter::default(), |c| c.end = None), Selection::Ongoing);
        let chat = Filter {
            media: vec!["chat".to_owned()],
            ..Filter::default()
        };
        assert_eq!(selected(&chat, |c| c.end = None), Selection::Filtered);
    }
}
