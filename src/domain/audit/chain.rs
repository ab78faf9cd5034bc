//! The hash chain of one recording's events.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Actor, Apart, AuditEvent, Subject};
use crate::domain::days;
use crate::domain::recording::RecordingRef;

/// A sixteenth of a day in the index of the audit by days, so that no partition of it gets all events of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard(u8);

impl Shard {
    /// Returns all of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..16).map(Self)
    }

    /// Returns that of a conversation: the first hex digit of the SHA-256 of its id.
    pub fn of(conversation: &str) -> Self {
        Self(Sha256::digest(conversation)[0] >> 4)
    }

    /// Returns the attribute `day` of the events that belong to it on a UTC day, such as `2026-01-15#a`.
    pub fn on(self, day: Date) -> String {
        format!("{day}#{:x}", self.0)
    }
}

impl AuditEvent {
    /// Returns the UTC day of an event that the index by days does not hold under that day: its attribute `day` is
    /// missing, or is another one. `None` where the index holds it, and where the event has no time.
    pub fn undated(&self) -> Option<Date> {
        let day = days::day_of(self.timestamp()?);
        let expected = Shard::of(self.text("interactionId").unwrap_or_default()).on(day);
        (self.text("day") != Some(&expected)).then_some(day)
    }
}

/// Returns the attribute `timestamp`: UTC, to the microsecond.
fn time(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Returns the `eventId` of an event about archiving.
fn event_id(recording: &RecordingRef, now: Timestamp, seq: u64) -> String {
    format!("{}#{}#{seq:06}", time(now), recording.recording_key())
}

impl Subject {
    /// Returns whether a text has the form of the `eventId` of an event of this subject.
    pub fn has_event_id(self, text: &str) -> bool {
        self.event_id_like(text).is_some_and(|spelt| spelt == text)
    }

    /// Spells the parts of an `eventId` as the archiver writes them.
    fn event_id_like(self, text: &str) -> Option<String> {
        let (front, number) = text.rsplit_once('#')?;
        let seq = number.parse().ok()?;
        let apart = match self {
            Self::Conversation(_) => Apart::parse(self, front),
            Self::Statement(day) => Some(Apart::Statement(day)),
        };
        if let Some(apart) = apart {
            return Some(apart.event_id(seq));
        }
        let (at, key) = front.split_once('#')?;
        let about = RecordingRef::of_key(self.conversation()?, key)?;
        Some(event_id(&about, at.parse().ok()?, seq))
    }
}

/// The end of a chain, which the next event continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// `eventHash` of the last event; 64 zeros before the first.
    pub head: String,
    /// `seq` of the last event; 0 before the first.
    pub seq: u64,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            head: "0".repeat(64),
            seq: 0,
        }
    }
}

impl Chain {
    /// Continues the chain with an event about `recording`. Returns the event as it is stored, and the chain's new end.
    pub fn append(
        &self,
        recording: &RecordingRef,
        event: AuditEvent,
        actor: &Actor,
        now: Timestamp,
    ) -> (AuditEvent, Self) {
        let event = event
            .with("eventId", event_id(recording, now, self.seq + 1))
            .with("recordingId", recording.recording_key());
        self.link(recording.conversation.into(), event, actor, now)
    }

    /// Continues a chain apart. Returns the event as it is stored, and the chain's new end; `None` where no event can
    /// follow, as somebody wrote one with the highest number.
    pub fn append_apart(
        &self,
        apart: &Apart,
        event: AuditEvent,
        actor: &Actor,
        now: Timestamp,
    ) -> Option<(AuditEvent, Self)> {
        let event = event
            .with("eventId", apart.event_id(self.seq.checked_add(1)?))
            .with("recordingId", apart.recording_key());
        Some(self.link(apart.subject(), event, actor, now))
    }

    /// Gives an event its place behind this end.
    fn link(&self, subject: Subject, event: AuditEvent, actor: &Actor, now: Timestamp) -> (AuditEvent, Self) {
        let (subject, seq) = (subject.to_string(), self.seq + 1);
        let event = event
            .with("day", Shard::of(&subject).on(days::day_of(now)))
            .with("interactionId", subject)
            .with("timestamp", time(now))
            // A struct of strings always serialises.
            .with("actor", serde_json::to_value(actor).unwrap_or_default())
            .with("seq", seq)
            .with("prevEventHash", self.head.as_str());
        let head = event.hash();
        (event.with("eventHash", head.as_str()), Self { head, seq })
    }

    /// Returns the end that this event is, whatever it continues; `None` where it names no place and no hash.
    pub fn at(event: &AuditEvent) -> Option<Self> {
        Some(Self {
            head: event.text("eventHash")?.to_owned(),
            seq: event.seq()?,
        })
    }

    /// Checks that `event` continues the chain and was not changed. Returns the chain's new end.
    fn follow(&self, event: &AuditEvent) -> Result<Self, ChainBreak> {
        let seq = self.seq + 1;
        if event.seq() != Some(seq) || event.text("prevEventHash") != Some(self.head.as_str()) {
            return Err(ChainBreak::Gap { seq });
        }
        let head = event.hash();
        if event.text("eventHash") != Some(head.as_str()) {
            return Err(ChainBreak::Changed { seq });
        }
        Ok(Self { head, seq })
    }
}

impl AuditEvent {
    /// Returns `eventHash` if it is the hash of the event, in 64 lower-case hex digits; `None` for a missing or wrong
    /// one.
    pub fn intact_hash(&self) -> Option<String> {
        let hash = self.hash();
        (self.text("eventHash") == Some(hash.as_str())).then_some(hash)
    }

    /// Returns the SHA-256 over the canonical JSON of all attributes but `eventHash`, in hex.
    ///
    /// Canonical: keys sorted, no spaces, as `serde_json` writes a map; numbers are whole, so they have one spelling.
    fn hash(&self) -> String {
        let hashed = self.0.iter().filter(|(name, _)| *name != "eventHash");
        let hashed: Map<_, _> = hashed
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        hex::encode(Sha256::digest(Value::Object(hashed).to_string()))
    }
}

/// The first fault of a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainBreak {
    /// An event's content does not match its own hash.
    #[error("event {seq} was changed after it was written")]
    Changed {
        /// Its `seq`.
        seq: u64,
    },
    /// An event is missing, stands twice, or does not continue the one before it.
    #[error("event {seq} is missing or does not continue the one before it")]
    Gap {
        /// The `seq` that was expected.
        seq: u64,
    },
}

/// Checks all events of one recording, in order of `seq`. Returns the end of the chain, which must be the ledger's.
pub fn verify(events: &[AuditEvent]) -> Result<Chain, ChainBreak> {
    let mut events = events.iter();
    events.try_fold(Chain::default(), |chain, event| chain.follow(event))
}
