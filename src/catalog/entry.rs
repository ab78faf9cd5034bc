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
    /// Users: the sort keys of their names in the directory, or just their ids.
    #[serde(default)]
    pub agents: Vec<String>,
    /// Queues, in the same way.
    #[serde(default)]
    pub queues: Vec<String>,
    /// Wrap-up codes, in the same way.
    #[serde(default)]
    pub wrapups: Vec<String>,
    /// Divisions, in the same way.
    #[serde(default)]
    pub divisions: Vec<String>,
    /// HMACs of numbers.
    #[serde(default)]
    pub numbers: Vec<String>,
    /// A list has more values than stand here; those have items all the same.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cut: bool,
    /// Number of values by which this recording is not found: the call has too many of them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
    /// This recording does not have an item for each value of the call: it has too many, or Genesys gave no details.
    #[serde(default, skip_serializing_if = "is_false")]
    pub partial: bool,
    /// Number of numbers by which this recording is not found: they are in national form, and no country is known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub national: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(value: &usize) -> bool {
    *value == 0
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
}

/// Partition key and sort key of an item.
pub(super) type Key = (String, String);

impl Named {
    /// Returns the key of the item.
    pub(super) fn key(&self) -> Key {
        (self.facet.clone(), self.at.clone())
    }
}

/// Values of a list that each item carries.
pub const MOST_CARRIED: usize = 40;
/// Items by value that a call has. Beyond it, its further recordings are found by the hour alone, and are counted among
/// those that a search may have missed ([`Facet::Partial`]).
const MOST_ITEMS: usize = 10_000;
/// Longest name in the directory, in characters.
const LONGEST_NAME: usize = 1_024;

impl Entry {
    /// Returns the key of the item.
    pub(super) fn key(&self) -> Key {
        (self.facet.clone(), self.at.clone())
    }

    /// Returns the keys of all items that the call has by the values that this one carries.
    #[cfg(feature = "cli")]
    pub(super) fn keys(&self) -> Vec<Key> {
        let facets = [
            Facet::Agent,
            Facet::Queue,
            Facet::Wrapup,
            Facet::Division,
            Facet::Number,
        ];
        let by_value = facets
            .into_iter()
            .flat_map(|facet| self.values(facet).iter().map(move |value| (facet, id(value))));
        by_value
            .chain([(Facet::Hour, "")])
            .chain(self.missed_by().map(|facet| (facet, "")))
            .map(|(facet, value)| (partition(facet, value, self.start), self.at.clone()))
            .collect()
    }

    /// Returns the facets in which the recording is counted, as a search may miss it.
    fn missed_by(&self) -> impl Iterator<Item = Facet> + use<> {
        let partial = self.partial.then_some(Facet::Partial);
        let national = (self.national > 0).then_some(Facet::National);
        partial.into_iter().chain(national)
    }

    /// Returns whether it carries a value of a facet.
    #[cfg(feature = "cli")]
    pub(super) fn has(&self, facet: Facet, value: &str) -> bool {
        self.values(facet).iter().any(|carried| id(carried) == value)
    }

    /// Returns the values of a facet that it carries.
    pub fn values(&self, facet: Facet) -> &[String] {
        match facet {
            Facet::Hour | Facet::Partial | Facet::National => &[],
            Facet::Agent => &self.agents,
            Facet::Queue => &self.queues,
            Facet::Wrapup => &self.wrapups,
            Facet::Division => &self.divisions,
            Facet::Number => &self.numbers,
        }
    }
}

/// Returns the partition key of a value, with the calls that began in the month of `start` (by hour in its hour, and of
/// those that a search may miss in its year).
pub(super) fn partition(facet: Facet, value: &str, start: Timestamp) -> String {
    match facet {
        Facet::Hour => format!("{facet}#{}", start.strftime("%Y-%m-%dT%H")),
        Facet::Partial | Facet::National => format!("{facet}#{}", start.strftime("%Y")),
        _ => format!("{facet}#{value}#{}", start.strftime("%Y-%m")),
    }
}

#[cfg(feature = "cli")]
/// Checks whether a text is a mark after which a search can go on: the sort key of an item.
pub fn is_mark(text: &str) -> bool {
    use crate::domain::recording::ConversationId;

    let mut parts = text.splitn(3, '#');
    let mut part = || parts.next().unwrap_or_default();
    let (at, conversation, recording) = (part(), part(), part());
    let spelled = at.parse().is_ok_and(|parsed| moment(parsed) == at);
    spelled && ConversationId::parse(conversation).is_ok() && !recording.is_empty()
}

/// Returns how sort keys spell a moment.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Returns the id that a value of an item begins with.
#[cfg(feature = "cli")]
pub fn id(value: &str) -> &str {
    value.split_once('#').map_or(value, |(id, _)| id)
}

/// Returns the partition key of a facet's names.
pub(super) fn directory(facet: Facet) -> String {
    format!("names#{facet}")
}

/// Returns the beginning of the sort keys of a call that began at `start`.
pub(super) fn of_call(start: Timestamp, conversation: &str) -> String {
    format!("{}#{conversation}#", moment(start))
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
    // As the call was named then.
    let carried = |values: &BTreeSet<String>, names: &BTreeMap<String, String>| {
        let values = values.iter().take(MOST_CARRIED);
        let named = values.map(|id| match names.get(id) {
            Some(name) => name_key(id, name, hashing),
            None => id.clone(),
        });
        named.collect::<Vec<_>>()
    };
    let values: usize = lists.iter().map(|(_, values)| values.len()).sum();
    let by_value = (MOST_ITEMS / values.max(1)).max(1);
    let mut entries = Vec::new();
    for (position, recording) in call.archived().enumerate() {
        let id = &recording.recording_id;
        let media = facts.media.iter().take(MOST_CARRIED).chain(&recording.media);
        let left_out = match position < by_value {
            true => facts.left_out,
            false => facts.left_out + values,
        };
        let common = Entry {
            facet: partition(Facet::Hour, "", facts.start),
            at: format!("{}{id}", of_call(facts.start, &call.interaction_id)),
            interaction_id: call.interaction_id.clone(),
            recording_id: id.clone(),
            start: facts.start,
            end: facts.end,
            direction: facts.direction.clone(),
            media: media.cloned().collect(),
            agents: carried(&facts.agents, &call.names.users),
            queues: carried(&facts.queues, &call.names.queues),
            wrapups: carried(&facts.wrapups, &call.names.wrap_up_codes),
            divisions: carried(&facts.divisions, &call.names.divisions),
            numbers: carried(&numbers, &BTreeMap::new()),
            cut: lists.iter().any(|(_, values)| values.len() > MOST_CARRIED),
            left_out,
            partial: left_out > 0 || call.details.is_none(),
            national: facts.national,
        };
        let lists = lists.iter().filter(|_| position < by_value);
        for (facet, values) in lists {
            entries.extend(values.iter().map(|value| Entry {
                facet: partition(*facet, value, facts.start),
                ..common.clone()
            }));
        }
        entries.extend(common.missed_by().map(|facet| Entry {
            facet: partition(facet, "", facts.start),
            ..common.clone()
        }));
        entries.push(common);
    }
    entries
}

/// Returns the sort key of a name in the directory.
fn name_key(id: &str, name: &str, hashing: &Hashing) -> String {
    format!("{id}#{}", hashing.name(name))
}

/// Returns the directory's items of a call.
pub(super) fn names(call: &CallRecord, hashing: &Hashing) -> Vec<Named> {
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
            at: name_key(id, name, hashing),
            id: id.clone(),
            name: name.chars().take(LONGEST_NAME).collect(),
        }));
    }
    named
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::call::Extent;
    use crate::domain::number::Number;
    use crate::domain::recording::ConversationId;

    const KEY: &str = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk";

    /// Returns call `n` of many: every third is transferred to another queue, every fifth has a consulted agent.
    fn call(n: usize) -> (CallRecord, BTreeSet<String>) {
        let mut agents = vec![n % 97];
        let mut queues = vec![n % 11];
        if n.is_multiple_of(3) {
            agents.push(100 + n % 31);
            queues.push(20 + n % 5);
        }
        if n.is_multiple_of(5) {
            agents.push(200);
        }
        let (wrapup, division, caller) = (n % 7, n % 4, n % 501);
        let start = "2026-01-31T20:00:00Z".parse::<Timestamp>().unwrap();
        let start = start + jiff::SignedDuration::from_mins(i64::try_from(n).unwrap() * 5);
        let segments: Vec<_> = queues
            .iter()
            .map(|n| json!({"queueId": format!("q{n}")}))
            .collect();
        let session = json!({"ani": format!("tel:+4930123{caller:03}"), "segments": segments});
        let mut participants = vec![json!({"purpose": "customer", "sessions": [session]})];
        participants.extend(agents.iter().map(|n| {
            let wrapped = json!({"segments": [{"wrapUpCode": format!("w{wrapup}")}]});
            json!({"purpose": "agent", "userId": format!("a{n}"), "sessions": [wrapped]})
        }));
        let details = json!({"conversationStart": start.to_string(), "divisionIds": [format!("d{division}")],
                             "participants": participants});
        let id = ConversationId::parse(&format!("c0000000-0000-4000-8000-{n:012}")).unwrap();
        let mut call = CallRecord::new(id, "details").with_details(&details.to_string(), Extent::Standard);
        let recording = json!({"recordingId": format!("r{n}"), "state": "archived", "files": []});
        call.recordings.push(serde_json::from_value(recording).unwrap());
        let month = start.strftime("%Y-%m");
        let by = |facet: &str, values: Vec<String>| {
            let keys = values.into_iter().map(|value| format!("{facet}#{value}#{month}"));
            keys.collect::<Vec<_>>()
        };
        let number = Number::parse(&format!("+4930123{caller:03}"), None).unwrap();
        let hash = Hashing::new(KEY).unwrap().number(&number);
        let expected = [
            vec![format!("hour#{}", start.strftime("%Y-%m-%dT%H"))],
            by("agent", agents.iter().map(|n| format!("a{n}")).collect()),
            by("queue", queues.iter().map(|n| format!("q{n}")).collect()),
            by("wrapup", vec![format!("w{wrapup}")]),
            by("division", vec![format!("d{division}")]),
            by("number", vec![hash]),
        ];
        (call, expected.concat().into_iter().collect())
    }

    #[test]
    fn each_of_five_thousand_calls_stands_under_each_of_its_values_and_under_no_other() {
        let hashing = Hashing::new(KEY).unwrap();
        for n in 0..5_000 {
            let (call, expected) = call(n);
            let entries = of(&call, &call.facts(None), &hashing);
            assert_eq!(entries.len(), expected.len(), "call {n}");
            let under: BTreeSet<_> = entries.into_iter().map(|entry| entry.facet).collect();
            assert_eq!(under, expected, "call {n}");
        }
    }

    /// Returns the items of a call with so many agents and recordings.
    fn entries(agents: usize, recordings: usize) -> Vec<Entry> {
        let participants = (0..agents).map(|n| json!({"userId": format!("a{n:05}"), "sessions": []}));
        entries_of(participants.collect(), recordings)
    }

    /// Returns the items of a call with these participants and so many recordings, where no country is known.
    fn entries_of(participants: Vec<Value>, recordings: usize) -> Vec<Entry> {
        let details = json!({"conversationStart": "2026-01-15T10:14:20.014Z", "participants": participants});
        let id = ConversationId::parse("c0000000-0000-4000-8000-000000000001").unwrap();
        let mut call = CallRecord::new(id, "details").with_details(&details.to_string(), Extent::Standard);
        for n in 0..recordings {
            let recording = json!({"recordingId": format!("r{n:03}"), "state": "archived", "files": []});
            call.recordings.push(serde_json::from_value(recording).unwrap());
        }
        let hashing = Hashing::new(KEY).unwrap();
        of(&call, &call.facts(None), &hashing)
    }

    #[test]
    fn an_item_of_before_numbers_were_counted_is_read_as_one_that_leaves_none_out() {
        let entry = entries(1, 1).remove(0);
        let written = serde_json::to_value(&entry).unwrap();
        assert_eq!(written.get("national"), None);
        let read: Entry = serde_json::from_value(written).unwrap();
        assert_eq!((read.national, &read), (0, &entry));
    }

    fn by_agent(entries: &[Entry]) -> usize {
        entries
            .iter()
            .filter(|entry| entry.facet.starts_with("agent#"))
            .count()
    }

    #[test]
    fn an_item_carries_some_values_and_the_others_have_items_of_their_own() {
        let entries = entries(500, 1);
        assert_eq!((entries.len(), by_agent(&entries)), (501, 500));
        assert!(entries.iter().all(|entry| entry.cut && entry.agents.len() == 40));
        assert!(entries.iter().all(|entry| entry.left_out == 0));
    }

    #[test]
    fn values_beyond_the_bound_are_counted() {
        let entries = entries(1_500, 1);
        assert_eq!(by_agent(&entries), 1_000);
        assert!(entries.iter().all(|entry| entry.left_out == 500));
    }

    #[test]
    fn a_call_of_many_agents_and_recordings_has_so_many_items_and_no_more() {
        let entries = entries(500, 100);
        let by_hour = entries.iter().filter(|entry| entry.facet.starts_with("hour#"));
        assert_eq!((by_hour.count(), by_agent(&entries)), (100, 10_000));
        let by_hour_alone = entries
            .iter()
            .filter(|entry| entry.facet == "partial#2026" && entry.left_out == 500);
        assert_eq!(by_hour_alone.count(), 80);
    }

    #[test]
    fn the_keys_of_a_call_are_those_that_each_of_its_items_tells() {
        let detailed = entries(3, 1);
        let id = ConversationId::parse(&detailed[0].interaction_id).unwrap();
        let mut call = CallRecord::new(id, "listing");
        let recording = json!({"recordingId": "r", "state": "archived", "files": []});
        call.recordings.push(serde_json::from_value(recording).unwrap());
        let undetailed = of(&call, &call.facts(None), &Hashing::new(KEY).unwrap());
        assert_eq!(undetailed.len(), 2, "by hour, and as partial");
        let session = json!({"ani": "tel:030123456", "dnis": "tel:0800123456"});
        let national = entries_of(vec![json!({"purpose": "customer", "sessions": [session]})], 1);
        assert_eq!(
            national.len(),
            2,
            "by hour, and as one with numbers that are left out"
        );
        assert!(national.iter().all(|entry| entry.national == 2 && !entry.partial));
        for entries in [detailed, undetailed, national] {
            let keys: BTreeSet<_> = entries.iter().map(Entry::key).collect();
            for entry in &entries {
                assert_eq!(entry.keys().into_iter().collect::<BTreeSet<_>>(), keys);
            }
        }
    }
}
