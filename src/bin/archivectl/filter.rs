//! Which of the conversations that Genesys lists are meant.

use jiff::SignedDuration;
use recording_archiver::config::Config;
use recording_archiver::genesys::analytics::Conversation;

/// Filters over conversations. Each is applied here, to what Genesys lists, and never left to Genesys.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct Filter {
    /// Only conversations with a session of this type, such as voice, callback, chat, email or message; repeatable.
    #[arg(long, value_name = "TYPE")]
    media: Vec<String>,
    /// Only inbound or only outbound ones.
    #[arg(long, value_name = "DIRECTION", value_parser = ["inbound", "outbound"])]
    direction: Option<String>,
    /// Only those that went through the queue of this id; repeatable.
    #[arg(long, value_name = "ID")]
    queue: Vec<uuid::Uuid>,
    /// Only those of the division of this id; repeatable.
    #[arg(long, value_name = "ID")]
    division: Vec<uuid::Uuid>,
    /// Only those that lasted so long at least: 30s, 5m, 1h.
    #[arg(long, value_name = "TIME", value_parser = span)]
    min_duration: Option<SignedDuration>,
    /// Only those that lasted so long at most.
    #[arg(long, value_name = "TIME", value_parser = span)]
    max_duration: Option<SignedDuration>,
}

/// What becomes of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It may have wanted recordings.
    Wanted,
    /// No recording of a wanted kind was started.
    Unrecorded,
    /// The filters leave it out.
    Filtered,
    /// It is not over.
    Ongoing,
}

impl Filter {
    /// What becomes of this conversation, with the kinds that `config` wants.
    pub(crate) fn fate(&self, conversation: &Conversation, config: &Config) -> Fate {
        if !config
            .recording
            .media
            .iter()
            .any(|kind| conversation.may_have(*kind))
        {
            return Fate::Unrecorded;
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
            return if kept { Fate::Ongoing } else { Fate::Filtered };
        };
        let duration = end.duration_since(conversation.start);
        let long = self.min_duration.is_none_or(|least| duration >= least);
        let short = self.max_duration.is_none_or(|most| duration <= most);
        if kept && long && short {
            Fate::Wanted
        } else {
            Fate::Filtered
        }
    }

    /// The same for the same filters: a checkpoint knows by it whether it is continued.
    pub(crate) fn describe(&self) -> String {
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

/// Reads a length of time: a whole number and its unit.
pub(crate) fn span(text: &str) -> Result<SignedDuration, String> {
    let unit = |letter: &str| match letter {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(86_400),
        _ => None,
    };
    let last = text.char_indices().next_back();
    let parsed = last.and_then(|(at, _)| Some((text[..at].parse::<i64>().ok()?, unit(&text[at..])?)));
    match parsed {
        Some((count, unit)) if count > 0 => count
            .checked_mul(unit)
            .map(SignedDuration::from_secs)
            .ok_or_else(|| "is too long".to_owned()),
        _ => Err("accepted: a whole number and s, m, h or d, such as 30s, 90m, 12h or 2d".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use recording_archiver::archive::recording::ConversationId;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        filter: Filter,
    }

    fn fate(arguments: &str, change: impl FnOnce(&mut Conversation)) -> Fate {
        let filter = Line::try_parse_from(format!("x {arguments}").split_whitespace())
            .unwrap()
            .filter;
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
            open: Vec::new(),
        };
        change(&mut conversation);
        filter.fate(&conversation, &config.unwrap())
    }

    #[test]
    fn every_filter_keeps_what_it_names_and_leaves_out_the_rest() {
        for (kept, left_out) in [
            ("--media voice", "--media chat"),
            ("--direction inbound", "--direction outbound"),
            (
                "--queue A0000000-0000-4000-8000-000000000001",
                "--queue a0000000-0000-4000-8000-000000000002",
            ),
            (
                "--division d0000000-0000-4000-8000-000000000001",
                "--division d0000000-0000-4000-8000-000000000002",
            ),
            ("--min-duration 300s", "--min-duration 301s"),
            ("--max-duration 5m", "--max-duration 299s"),
            ("--media chat --media VOICE", "--media voice --direction outbound"),
        ] {
            assert_eq!(fate(kept, |_| {}), Fate::Wanted, "{kept}");
            assert_eq!(fate(left_out, |_| {}), Fate::Filtered, "{left_out}");
        }
    }

    #[test]
    fn what_was_not_recorded_or_is_not_over_is_told_apart() {
        assert_eq!(fate("", |c| c.recorded = false), Fate::Unrecorded);
        assert_eq!(fate("", |c| c.end = None), Fate::Ongoing);
        assert_eq!(fate("--media chat", |c| c.end = None), Fate::Filtered);
    }

    #[test]
    fn spans_have_a_unit() {
        assert_eq!(span("90m").unwrap(), SignedDuration::from_mins(90));
        assert_eq!(span("2d").unwrap(), SignedDuration::from_hours(48));
        for bad in ["", "d", "2", "-1h", "2w", "1.5h", "99999999999999999d", "é"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }
}
