//! The items of the catalog, made of a call. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::hashing::Hashing;
use crate::domain::call::{CallRecord, Facet, Facts};

/// An item that finds a recording by one value of a facet. It carries the other values too, so that a search for
/// several facets reads one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Partition key: facet, value, and the month (of hours: the hour).
    pub facet: String,
    /// Sort key: start of the call, conversation, recording.
    pub at: String,
    /// The conversation.
    pub interaction_id: String,
    /// The recording.
    pub recording_id: String,
    /// When the call began.
    pub start: Timestamp,
    /// When it ended, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// `inbound` or `outbound`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// Kinds of the call's sessions, such as `voice`, and the kind of the recording, such as `audio`.
    #[serde(default)]
    pub media: Vec<String>,
    /// Ids of users.
    #[serde(default)]
    pub agents: Vec<String>,
    /// Ids of queues.
    #[serde(default)]
    pub queues: Vec<String>,
    /// Ids of wrap-up codes.
    #[serde(default)]
    pub wrapups: Vec<String>,
    /// Ids of divisions.
    #[serde(default)]
    pub divisions: Vec<String>,
    /// HMACs of numbers.
    #[serde(default)]
    pub numbers: Vec<String>,
    /// A list has more values than stand here; those have items all the same.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cut: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// An item of the directory: the name of an id, as it was in some call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    /// Partition key: `names#` and the facet.
    pub facet: String,
    /// Sort key: the id, and a hash that tells its names apart.
    pub at: String,
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// Start of the call in which it had this name.
    pub since: Timestamp,
}

impl Named {
    /// Returns the key of the item.
    pub fn key(&self) -> (String, String) {
        (self.facet.clone(), self.at.clone())
    }
}

/// Values of a list that each item carries.
const MOST_CARRIED: usize = 40;
/// Longest name in the directory, in characters.
const LONGEST_NAME: usize = 1_024;

impl Entry {
    /// Returns the values of a facet that it carries.
    pub fn values(&self, facet: Facet) -> &[String] {
        match facet {
            Facet::Hour => &[],
            Facet::Agent => &self.agents,
            Facet::Queue => &self.queues,
            Facet::Wrapup => &self.wrapups,
            Facet::Division => &self.divisions,
            Facet::Number => &self.numbers,
        }
    }
}

/// Returns the partition key of a value, with the calls that began in the month of `start`.
pub(super) fn partition(facet: Facet, value: &str, start: Timestamp) -> String {
    match facet {
        Facet::Hour => format!("{facet}#{}", start.strftime("%Y-%m-%dT%H")),
        _ => format!("{facet}#{value}#{}", start.strftime("%Y-%m")),
    }
}

/// Returns how sort keys spell a moment.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Returns the partition key of a facet's names.
pub(super) fn directory(facet: Facet) -> String {
    format!("names#{facet}")
}

/// Returns the items of a call: one for each archived recording and value.
pub(super) fn of(call: &CallRecord, facts: &Facts, hashing: &Hashing) -> Vec<Entry> {
    let numbers: BTreeSet<_> = facts
        .numbers
        .iter()
        .map(|number| hashing.number(number))
        .collect();
    let lists = [
        (Facet::Agent, &facts.agents),
        (Facet::Queue, &facts.queues),
        (Facet::Wrapup, &facts.wrapups),
        (Facet::Division, &facts.divisions),
        (Facet::Number, &numbers),
    ];
    let carried = |values: &BTreeSet<String>| values.iter().take(MOST_CARRIED).cloned().collect();
    let mut entries = Vec::new();
    for recording in call.archived() {
        let id = &recording.recording_id;
        let common = Entry {
            facet: partition(Facet::Hour, "", facts.start),
            at: format!("{}#{}#{id}", moment(facts.start), call.interaction_id),
            interaction_id: call.interaction_id.clone(),
            recording_id: id.clone(),
            start: facts.start,
            end: facts.end,
            direction: facts.direction.clone(),
            media: facts.media.iter().chain(&recording.media).cloned().collect(),
            agents: carried(&facts.agents),
            queues: carried(&facts.queues),
            wrapups: carried(&facts.wrapups),
            divisions: carried(&facts.divisions),
            numbers: carried(&numbers),
            cut: lists.iter().any(|(_, values)| values.len() > MOST_CARRIED),
        };
        for (facet, values) in lists {
            entries.extend(values.iter().map(|value| Entry {
                facet: partition(facet, value, facts.start),
                ..common.clone()
            }));
        }
        entries.push(common);
    }
    entries
}

/// Returns the directory's items of a call.
pub(super) fn names(call: &CallRecord, facts: &Facts, hashing: &Hashing) -> Vec<Named> {
    let kinds: [(Facet, &BTreeMap<String, String>); 4] = [
        (Facet::Agent, &call.names.users),
        (Facet::Queue, &call.names.queues),
        (Facet::Wrapup, &call.names.wrap_up_codes),
        (Facet::Division, &call.names.divisions),
    ];
    let mut named = Vec::new();
    for (facet, names) in kinds {
        named.extend(names.iter().map(|(id, name)| Named {
            facet: directory(facet),
            at: format!("{id}#{}", hashing.name(name)),
            id: id.clone(),
            name: name.chars().take(LONGEST_NAME).collect(),
            since: facts.start,
        }));
    }
    named
}
