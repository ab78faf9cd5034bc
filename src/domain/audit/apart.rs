//! Chains apart: events that are not about archiving. The ledger counts none of them.

use std::fmt;

use jiff::civil::Date;

use super::Action;
use crate::domain::recording::{ConversationId, RecordingRef};

/// Ends the `recordingId` of a chain of accesses. An id of Genesys is a UUID, so none ends like this.
const ACCESS: &str = "!access";

/// Begins the `interactionId` of the statement of a day. The id of a conversation is a UUID, so none begins like this.
const STATEMENT: &str = "statement#";

/// The `recordingId` of a statement: the day as a whole.
const WHOLE: &str = "-";

/// The subject of a partition of the audit: the attribute `interactionId`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A conversation.
    Conversation(ConversationId),
    /// The statement of a UTC day.
    Statement(Date),
}

impl Subject {
    /// Reads an `interactionId`; `None` for a text that is not spelt as [`fmt::Display`] writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let subject = match text.strip_prefix(STATEMENT) {
            Some(day) => Self::Statement(day.parse().ok()?),
            None => Self::Conversation(ConversationId::parse(text).ok()?),
        };
        (subject.to_string() == text).then_some(subject)
    }

    /// Returns the conversation, if it is one.
    pub fn conversation(self) -> Option<ConversationId> {
        match self {
            Self::Conversation(id) => Some(id),
            Self::Statement(_) => None,
        }
    }
}

impl From<ConversationId> for Subject {
    fn from(id: ConversationId) -> Self {
        Self::Conversation(id)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conversation(id) => id.fmt(f),
            Self::Statement(day) => write!(f, "{STATEMENT}{day}"),
        }
    }
}

/// A chain of events that are not about archiving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Apart {
    /// The accesses to a recording, or to a segment of one; not to a conversation as a whole.
    Access(RecordingRef),
    /// The statement of a UTC day.
    Statement(Date),
}

impl Apart {
    /// Reads the names of a chain; `None` for those of a chain about archiving.
    pub fn parse(subject: Subject, recording: &str) -> Option<Self> {
        match subject {
            Subject::Conversation(id) => {
                let recording = RecordingRef::of_key(id, recording.strip_suffix(ACCESS)?)?;
                recording.recording.map(|_| Self::Access(recording))
            }
            Subject::Statement(day) => (recording == WHOLE).then_some(Self::Statement(day)),
        }
    }

    /// Returns whether an `eventId` is one of a chain of accesses.
    pub fn is_access(event_id: &str) -> bool {
        event_id
            .rsplit_once('#')
            .is_some_and(|(chain, _)| chain.ends_with(ACCESS))
    }

    /// Returns the partition that the chain lies in.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Access(recording) => recording.conversation.into(),
            Self::Statement(day) => Subject::Statement(*day),
        }
    }

    /// Returns the `recordingId` of its events.
    pub fn recording_key(&self) -> String {
        match self {
            Self::Access(recording) => format!("{}{ACCESS}", recording.recording_key()),
            Self::Statement(_) => WHOLE.to_owned(),
        }
    }

    /// Returns the beginning of the `eventId` of its events, and of no others: those about archiving begin with a time.
    pub fn event_prefix(&self) -> String {
        match self {
            Self::Access(_) => format!("{}#", self.recording_key()),
            Self::Statement(_) => format!("{}#", self.subject()),
        }
    }

    /// Returns the `eventId` of an event. It is made of the place in the chain alone, so that of two writers who
    /// continue the same end one is refused.
    pub(super) fn event_id(&self, seq: u64) -> String {
        // As wide as seq can get, since the end of the chain is found by the order of these texts.
        format!("{}{seq:020}", self.event_prefix())
    }
}

impl fmt::Display for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Access(recording) => write!(f, "accesses to {recording}"),
            Self::Statement(day) => write!(f, "statement of {day}"),
        }
    }
}

impl Action {
    /// Returns whether its events lie in chains apart.
    pub fn is_apart(self) -> bool {
        match self {
            Self::RecordingAccessed | Self::StatementIssued => true,
            Self::DownloadInitiated
            | Self::DownloadCompleted
            | Self::DownloadFailed
            | Self::DownloadDeferred
            | Self::DownloadExpired
            | Self::DownloadSkipped
            | Self::ArchiveStored
            | Self::WebhookDelivered
            | Self::WebhookFailed
            | Self::ConversationListed
            | Self::ConversationSettled
            | Self::ConversationUnrecorded
            | Self::CallDescribed
            | Self::ObjectErased => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::recording::RecordingId;

    const CONVERSATION: &str = "c0000000-0000-4000-8000-000000000001";
    const RECORDING: &str = "e0000000-0000-4000-8000-000000000101";

    fn conversation() -> Subject {
        Subject::parse(CONVERSATION).unwrap()
    }

    #[test]
    fn a_chain_apart_is_read_as_it_is_named() {
        for (subject, recording) in [
            (CONVERSATION, format!("{RECORDING}!access")),
            (CONVERSATION, format!("{RECORDING}#1000-3000!access")),
            ("statement#2026-01-15", "-".to_owned()),
        ] {
            let parsed = Subject::parse(subject).unwrap();
            let apart = Apart::parse(parsed, &recording).unwrap();
            assert_eq!(
                (apart.subject().to_string(), apart.recording_key()),
                (subject.to_owned(), recording)
            );
        }
    }

    #[test]
    fn what_is_spelt_otherwise_is_no_chain_apart() {
        for recording in [
            RECORDING.to_owned(),
            "-".to_owned(),
            "!access".to_owned(),
            "-!access".to_owned(),
            format!("{RECORDING}!ACCESS"),
            format!("{RECORDING} !access"),
            format!("{RECORDING}!access!access"),
            format!("{RECORDING}!access#1-2"),
            format!("{}!access", RECORDING.to_uppercase()),
        ] {
            assert_eq!(Apart::parse(conversation(), &recording), None, "{recording}");
        }
        let statement = Subject::parse("statement#2026-01-15").unwrap();
        assert_eq!(Apart::parse(statement, RECORDING), None);
        for subject in [
            "statement#20260115",
            "statement#2026-01-15T00:00",
            "statement#2026-02-30",
            "Statement#2026-01-15",
            "statement#",
            "",
            &CONVERSATION.to_uppercase(),
        ] {
            assert_eq!(Subject::parse(subject), None, "{subject}");
        }
    }

    #[test]
    fn the_ends_of_chains_are_in_the_order_of_their_event_ids() {
        let apart = Apart::parse(conversation(), &format!("{RECORDING}!access")).unwrap();
        let ids = [1, 9, 10, 999_999, 1_000_000, u64::MAX].map(|seq| apart.event_id(seq));
        assert!(ids.is_sorted(), "{ids:?}");
        assert_eq!(ids[0], format!("{RECORDING}!access#00000000000000000001"));
        let statement = Apart::Statement("2026-01-15".parse().unwrap());
        assert_eq!(statement.event_id(2), "statement#2026-01-15#00000000000000000002");
    }

    proptest! {
        /// No text that Genesys could send as an id is read as an id of a recording or of a conversation, and names a
        /// chain apart at the same time.
        #[test]
        fn no_id_of_genesys_names_a_chain_apart(text in "(.{0,40})|(statement#[0-9-]{0,12})|([0-9a-f-]{0,40}!access)") {
            if let Ok(id) = RecordingId::parse(&text) {
                prop_assert_eq!(Apart::parse(conversation(), &id.to_string()), None);
            }
            if let Ok(id) = ConversationId::parse(&text) {
                prop_assert!(matches!(Subject::parse(&id.to_string()), Some(Subject::Conversation(_))));
            }
        }

        /// No chain about archiving has the name of a chain apart.
        #[test]
        fn no_chain_about_archiving_names_a_chain_apart(id in any::<u128>(), cut in any::<Option<(u64, u64)>>()) {
            let recording = RecordingId::parse(&uuid::Uuid::from_u128(id).to_string()).unwrap();
            let segment = cut.map(|(start, end)| crate::domain::recording::Segment { start, end });
            let conversation = conversation().conversation().unwrap();
            let named = RecordingRef { conversation, recording: Some(recording), segment };
            prop_assert_eq!(Apart::parse(conversation.into(), &named.recording_key()), None);
            let access = Apart::Access(named);
            prop_assert_eq!(Apart::parse(conversation.into(), &access.recording_key()), Some(access));
        }
    }
}
