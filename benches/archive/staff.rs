//! The people, queues and wrap-up codes of an organisation, so that details hold ids whose names have to be asked for.

use recording_archiver::sim::genesys::{Genesys, Thing};
use serde_json::{Value, json};

/// How many there are of each kind, and the first letter of their ids.
const KINDS: [(Thing, u64, char); 3] = [
    (Thing::User, 30, 'a'),
    (Thing::Queue, 10, 'b'),
    (Thing::WrapUpCode, 5, 'f'),
];

/// Gives all of them their names.
pub(crate) fn hire(genesys: &Genesys) {
    for kind in KINDS {
        for number in 0..kind.1 {
            genesys.name(kind.0, &id(kind, number), &name(kind, number), "active");
        }
    }
}

/// Returns `participants` of the details of this conversation: one agent, queue and wrap-up code, in turns.
pub(crate) fn participants(number: u64) -> Value {
    let [user, queue, code] = KINDS.map(|kind| id(kind, number));
    let end = "2026-01-15T10:21:00Z";
    let talk = json!({"segmentType": "interact", "segmentEnd": end, "queueId": queue});
    let work = json!({"segmentType": "wrapup", "segmentEnd": end, "wrapUpCode": code});
    let session = json!({"mediaType": "voice", "direction": "inbound", "recording": true,
                         "ani": "tel:+15555550100", "segments": [talk, work]});
    json!([{"purpose": "agent", "userId": user, "sessions": [session]}])
}

/// Returns `names` of this conversation's call record, without its division.
pub(crate) fn names(number: u64) -> Value {
    let [users, queues, codes] = KINDS.map(|kind| json!({ (id(kind, number)): name(kind, number) }));
    json!({"users": users, "queues": queues, "wrapUpCodes": codes})
}

fn id((_, count, letter): (Thing, u64, char), number: u64) -> String {
    format!("{letter}0000000-0000-4000-8000-{:012}", number % count)
}

fn name((thing, count, _): (Thing, u64, char), number: u64) -> String {
    format!("{thing:?} {}", number % count)
}
