//! What a call is found by: who took part, where it went through, how it ended, its numbers.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use super::CallRecord;
use crate::domain::number::{Country, NotANumber, Number};

/// A property that calls are found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Facet {
    /// The hour of its start.
    Hour,
    /// A user who took part.
    Agent,
    /// A queue that it went through.
    Queue,
    /// A wrap-up code that it ended with.
    Wrapup,
    /// A division that it belongs to.
    Division,
    /// A number of a party.
    Number,
    /// The year of its start, of a recording that is not found by each of its other properties.
    Partial,
    /// The year of its start, of a recording that is not found by each of its numbers, as no country is known.
    National,
}

impl Facet {
    /// Returns its name, as keys of the catalog begin with it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Agent => "agent",
            Self::Queue => "queue",
            Self::Wrapup => "wrapup",
            Self::Division => "division",
            Self::Number => "number",
            Self::Partial => "partial",
            Self::National => "national",
        }
    }
}

impl fmt::Display for Facet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The properties of a call by which it is found. Each list is sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// When it began: by its details, or else the first of its recordings.
    pub start: Timestamp,
    /// When it ended, if that is known.
    pub end: Option<Timestamp>,
    /// `inbound` or `outbound`, by who began it.
    pub direction: Option<String>,
    /// Kinds of its sessions, such as `voice`.
    pub media: BTreeSet<String>,
    /// Ids of users.
    pub agents: BTreeSet<String>,
    /// Ids of queues.
    pub queues: BTreeSet<String>,
    /// Ids of wrap-up codes.
    pub wrapups: BTreeSet<String>,
    /// Ids of divisions.
    pub divisions: BTreeSet<String>,
    /// Numbers of parties.
    pub numbers: BTreeSet<Number>,
    /// Number of addresses in national form that are left out, as no country is known.
    pub national: usize,
    /// Number of values of these lists that are left out, as there are more than `MOST_VALUES`.
    pub left_out: usize,
}

/// Longest id that is indexed: those of Genesys are UUIDs, but for built-in wrap-up codes.
const LONGEST_ID: usize = 128;
/// Most values of each list. A conference has 500 participants, with a number or two each.
const MOST_VALUES: usize = 1_000;

impl CallRecord {
    /// Returns the facts of the call. Numbers in national form are those of `country`.
    pub fn facts(&self, country: Option<Country>) -> Facts {
        let starts = self
            .recordings
            .iter()
            .filter_map(|recording| recording.start.or(recording.end));
        let archived = self
            .recordings
            .iter()
            .filter_map(|recording| recording.archived_at);
        let start = starts.min().or_else(|| archived.min());
        let mut facts = Facts::empty(start.unwrap_or(Timestamp::UNIX_EPOCH));
        if let Some(details) = &self.details {
            facts.read(details, country);
            facts.bound();
        }
        facts
    }
}

impl Facts {
    fn empty(start: Timestamp) -> Self {
        Self {
            start,
            end: None,
            direction: None,
            media: BTreeSet::new(),
            agents: BTreeSet::new(),
            queues: BTreeSet::new(),
            wrapups: BTreeSet::new(),
            divisions: BTreeSet::new(),
            numbers: BTreeSet::new(),
            national: 0,
            left_out: 0,
        }
    }

    /// Leaves out what no list has room for. The details that it was read from are bounded by themselves.
    fn bound(&mut self) {
        let lists = [
            &mut self.agents,
            &mut self.queues,
            &mut self.wrapups,
            &mut self.divisions,
        ];
        self.left_out = lists.into_iter().map(cut).sum::<usize>() + cut(&mut self.numbers);
        cut(&mut self.media);
    }

    fn read(&mut self, details: &Value, country: Option<Country>) {
        let moment = |name: &str| text(details, name)?.parse().ok();
        self.start = moment("conversationStart").unwrap_or(self.start);
        self.end = moment("conversationEnd");
        self.direction = text(details, "originatingDirection")
            .filter(|word| may_be_id(word))
            .map(str::to_owned);
        for division in list(details, "divisionIds").iter().filter_map(Value::as_str) {
            add(&mut self.divisions, Some(division));
        }
        let mut national = BTreeSet::new();
        for participant in list(details, "participants") {
            add(&mut self.agents, text(participant, "userId"));
            for session in list(participant, "sessions") {
                self.session(session, country, &mut national);
            }
        }
        self.national = national.len();
    }

    fn session<'a>(
        &mut self,
        session: &'a Value,
        country: Option<Country>,
        national: &mut BTreeSet<&'a str>,
    ) {
        add(&mut self.media, text(session, "mediaType"));
        for address in ["ani", "dnis", "sessionDnis"]
            .iter()
            .filter_map(|name| text(session, name))
        {
            match Number::in_address(address, country) {
                Ok(number) => self.numbers.extend([number]),
                Err(NotANumber::National) => national.extend([address]),
                Err(NotANumber::Other) => {}
            }
        }
        for segment in list(session, "segments") {
            add(&mut self.queues, text(segment, "queueId"));
            add(&mut self.wrapups, text(segment, "wrapUpCode"));
        }
    }
}

fn add(values: &mut BTreeSet<String>, value: Option<&str>) {
    values.extend(value.filter(|value| may_be_id(value)).map(str::to_owned));
}

/// Leaves the last values of a list out, and returns how many.
fn cut<T: Ord>(values: &mut BTreeSet<T>) -> usize {
    let too_many = values.len().saturating_sub(MOST_VALUES);
    for _ in 0..too_many {
        values.pop_last();
    }
    too_many
}

/// Checks whether a text may be an id of Genesys.
pub fn may_be_id(text: &str) -> bool {
    (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
