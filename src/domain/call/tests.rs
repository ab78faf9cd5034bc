use serde_json::json;

use super::*;

const ID: &str = "c0000000-0000-4000-8000-000000000001";

fn record(details: &Value, extent: Extent) -> CallRecord {
    CallRecord::new(ConversationId::parse(ID).unwrap(), "details").with_details(&details.to_string(), extent)
}

fn details() -> Value {
    json!({"conversationId": ID, "conversationStart": "2026-01-15T10:14:20.014Z", "originatingDirection": "inbound",
        "divisionIds": ["d1"], "participants": [
        {"purpose": "customer", "attributes": {"iban": "x"},
         "sessions": [{"mediaType": "voice", "ani": "tel:+15555550100", "dnis": "tel:+15555550199", "segments": []}]},
        {"purpose": "agent", "userId": "u1", "sessions": [{"mediaType": "voice", "ani": "sip:anonymous@x",
         "segments": [{"queueId": "q1"}, {"queueId": "q1", "wrapUpCode": "w1"}]}]}]})
}

#[test]
fn the_same_call_gives_the_same_bytes_whatever_the_order_of_fields() {
    let one = record(&details(), Extent::Standard);
    let bytes = one.bytes().unwrap();
    assert!(bytes.starts_with(br#"{"details":{"conversationId""#));
    assert_eq!(CallRecord::read(&bytes).unwrap(), one);
}

#[test]
fn attributes_of_participants_are_left_out_unless_all_is_kept() {
    let has = |extent| {
        let bytes = record(&details(), extent).bytes().unwrap();
        String::from_utf8(bytes).unwrap().contains("iban")
    };
    assert!(!has(Extent::Standard));
    assert!(has(Extent::Full));
}

#[test]
fn a_call_is_found_by_who_and_where_and_how() {
    let facts = record(&details(), Extent::Standard).facts(None);
    let sole = |values: &std::collections::BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>();
    assert_eq!(facts.start.to_string(), "2026-01-15T10:14:20.014Z");
    assert_eq!(sole(&facts.agents), ["u1"]);
    assert_eq!(sole(&facts.queues), ["q1"]);
    assert_eq!(sole(&facts.wrapups), ["w1"]);
    assert_eq!(sole(&facts.divisions), ["d1"]);
    let numbers: Vec<_> = facts.numbers.iter().map(|number| number.as_str()).collect();
    assert_eq!(numbers, ["+15555550100", "+15555550199"]);
}

#[test]
fn a_record_of_another_schema_is_refused_by_name() {
    let mut other = record(&details(), Extent::Standard);
    other.version = 2;
    let refused = CallRecord::read(&other.bytes().unwrap()).unwrap_err();
    assert!(refused.contains("version 2; known"), "{refused}");
    assert!(CallRecord::read(b"{").unwrap_err().contains("line 1"));
}

#[test]
fn five_hundred_participants_and_ten_thousand_segments_are_kept_whole() {
    let segment = |n: usize| json!({"segmentType": "interact", "queueId": format!("q{n}")});
    let participant = |n: usize| {
        let segments: Vec<_> = (0..20).map(segment).collect();
        json!({"userId": format!("u{n}"), "sessions": [{"mediaType": "voice", "segments": segments}]})
    };
    let details = json!({"participants": (0..500).map(participant).collect::<Vec<_>>()});
    let kept = record(&details, Extent::Standard);
    let read = CallRecord::read(&kept.bytes().unwrap()).unwrap();
    assert_eq!(read.details, Some(details));
    assert_eq!(read.facts(None).agents.len(), 500);
}

#[test]
fn the_key_lies_beside_the_recordings() {
    let id = ConversationId::parse(ID).unwrap();
    assert_eq!(key("recordings/", id, 1), format!("recordings/{ID}/call.json"));
    assert_eq!(key("", id, 2), format!("{ID}/call-2.json"));
}
