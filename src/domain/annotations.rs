//! Pauses and holds of a recording: its silent parts, with the reasons. They are archived with it, so that a listener
//! need not ask Genesys later.
//!
//! Genesys gives holds another id in each answer and all pauses of a recording the same id. Ids are therefore left
//! out and the rest is sorted: the same recording always gives the same annotations.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// A pause or a hold. All times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Annotation {
    /// Offset in the file; negative where a hold began before the recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<i64>,
    /// Its duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// `Pause` or `Hold`, as Genesys writes it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The reason of a pause: `Hold`, `SecurePause`, `FlowOrQueue` or `Pause`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Offset without the pauses before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute_location: Option<i64>,
    /// Duration without the pauses in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute_duration_ms: Option<i64>,
    /// Offset after restrictions of access cut the recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording_location: Option<i64>,
    /// Duration after restrictions of access cut the recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording_duration_ms: Option<i64>,
    /// Offset in the call as it was held, pauses included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realtime_location: Option<i64>,
    /// Overlapping pauses that Genesys merged into this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Self>,
}

/// The pauses and holds of one recording, as far as they are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations {
    /// Those that are kept, in order.
    pub kept: Vec<Annotation>,
    /// Number of those that did not fit into [`MOST_BYTES`].
    pub omitted: usize,
}

/// Most bytes that are kept of one recording, as JSON: an item of the ledger has room for 400 KiB.
pub const MOST_BYTES: usize = 64 * 1024;

/// Most pauses and holds that are read before those that fit are chosen.
const MOST_READ: usize = 10_000;

impl<'de> Deserialize<'de> for Annotations {
    /// Reads the `annotations` of a recording as Genesys gives them. Leaves out all but pauses and holds, as a
    /// bookmark holds text that a person wrote. No fault in them keeps a recording from being archived.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = Box::<RawValue>::deserialize(deserializer)?;
        let mut list = serde_json::Deserializer::from_str(given.get());
        let (read, unread) = list.deserialize_seq(Entries).unwrap_or_default();
        Ok(Self::fitting(read, unread))
    }
}

impl Annotations {
    /// Keeps the first of `all` that fit.
    fn fitting(mut all: Vec<Annotation>, unread: usize) -> Self {
        all.sort();
        let mut bytes = 2;
        let fitting = all.iter().take_while(|annotation| {
            let length = serde_json::to_vec(annotation).map_or(usize::MAX, |json| json.len());
            bytes = length.saturating_add(1).saturating_add(bytes);
            bytes <= MOST_BYTES
        });
        let fitting = fitting.count();
        let omitted = all.len() - fitting + unread;
        all.truncate(fitting);
        Self { kept: all, omitted }
    }
}

/// Reads a list entry by entry, as a parsed entry takes many times its length, and counts the entries that are not
/// read.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = (Vec<Annotation>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let (mut read, mut unread) = (Vec::new(), 0);
        while let Some(entry) = array.next_element::<Box<RawValue>>()? {
            let text = entry.get();
            if read.len() == MOST_READ || text.len() > MOST_BYTES {
                unread += 1;
            } else if let Ok(given) = serde_json::from_str(text) {
                read.extend(one(&given));
            }
        }
        Ok((read, unread))
    }
}

fn nested(given: &Value) -> Vec<Annotation> {
    let entries = given.as_array().into_iter().flatten();
    let mut annotations: Vec<_> = entries.filter_map(one).collect();
    annotations.sort();
    annotations
}

fn one(given: &Value) -> Option<Annotation> {
    let word = |name: &str| {
        let word = given.get(name)?.as_str().filter(|word| !word.is_empty())?;
        Some(crate::redact::clip(word))
    };
    let number = |name: &str| given.get(name)?.as_i64();
    let kind = word("type")?;
    let pause = ["pause", "hold"]
        .iter()
        .any(|known| kind.eq_ignore_ascii_case(known));
    pause.then(|| Annotation {
        location: number("location"),
        duration_ms: number("durationMs"),
        kind,
        reason: word("reason"),
        absolute_location: number("absoluteLocation"),
        absolute_duration_ms: number("absoluteDurationMs"),
        recording_location: number("recordingLocation"),
        recording_duration_ms: number("recordingDurationMs"),
        realtime_location: number("realtimeLocation"),
        annotations: given.get("annotations").map(nested).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(given: Value) -> Annotations {
        serde_json::from_value(given).unwrap()
    }

    fn pause(location: i64) -> Value {
        json!({"id": format!("{location}"), "type": "Pause", "reason": "SecurePause", "location": location, "durationMs": 10})
    }

    #[test]
    fn ids_and_the_order_of_an_answer_do_not_matter() {
        let hold = |id: &str| json!({"id": id, "type": "Hold", "location": -224_572, "durationMs": 9, "description": ""});
        let merged = |parts: [i64; 2]| {
            json!({"id": "1", "type": "Pause", "reason": "Pause", "location": 5, "durationMs": 30,
                   "annotations": parts.map(pause)})
        };
        let one = read(json!([merged([5, 25]), hold("a")]));
        let other = read(json!([hold("b"), merged([25, 5])]));
        assert_eq!(one, other);
        let kept = serde_json::to_value(&one.kept).unwrap();
        assert_eq!(
            kept,
            json!([
                {"type": "Hold", "location": -224_572, "durationMs": 9},
                {"type": "Pause", "reason": "Pause", "location": 5, "durationMs": 30, "annotations": [
                    {"type": "Pause", "reason": "SecurePause", "location": 5, "durationMs": 10},
                    {"type": "Pause", "reason": "SecurePause", "location": 25, "durationMs": 10},
                ]},
            ])
        );
    }

    #[test]
    fn what_is_neither_pause_nor_hold_is_left_out() {
        let bookmark = json!({"type": "Bookmark", "description": "she gave her number", "location": 3});
        let odd = json!([bookmark, null, 7, {"location": 3}, {"type": 5}, pause(3)]);
        assert_eq!((read(odd.clone()).kept.len(), read(odd).omitted), (1, 0));
        for nothing in [json!(null), json!(7), json!({"a": 1}), json!([])] {
            assert_eq!(read(nothing), Annotations::default());
        }
        assert!(
            serde_json::from_str::<Annotations>("[{").is_err(),
            "that is no JSON"
        );
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let many: Vec<_> = (0..2_000).map(pause).collect();
        let read = read(many.into());
        let bytes = serde_json::to_vec(&read.kept).unwrap().len();
        assert!(bytes <= MOST_BYTES && bytes > MOST_BYTES - 200, "{bytes}");
        assert_eq!(read.kept.len() + read.omitted, 2_000);
        assert_eq!(read.kept[0].location, Some(0), "the first ones are kept");
    }

    #[test]
    fn one_that_is_longer_than_all_that_is_kept_is_not_even_read() {
        let mut long = pause(1);
        long["annotations"] = (0..2_000).map(pause).collect();
        let read = read(json!([long, pause(3)]));
        assert_eq!((read.kept.len(), read.omitted), (1, 1));
    }
}
