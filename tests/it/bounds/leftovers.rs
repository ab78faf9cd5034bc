//! The kept parts of a message that could not be read: nothing that could be somebody's.

use jiff::Timestamp;
use recording_archiver::sim::genesys::{Topic, event};

use super::*;

/// A national number, a name and an address, as no pattern finds them.
const PARTY: [&str; 4] = ["030 1234567", "0301234567", "Anna Schmidt", "Hauptstr"];

fn telling_event() -> Value {
    let mut event = event(Topic::CustomerEnd, CONVERSATION, Timestamp::now());
    let body = &mut event["detail"]["eventBody"];
    body["ani"] = json!("030 1234567");
    body["dnis"] = json!(301_234_567);
    body["participantName"] = json!("Anna Schmidt");
    body["addressFrom"] = json!({"street": "Hauptstr. 1", "numbers": ["0301234567"]});
    body["Anna Schmidt"] = json!("0301234567");
    event["detail"]["metadata"] = json!({"0301234567": true});
    event
}

/// Returns the only case that there is, after a search of all that was let out.
fn the_case(bench: &Bench) -> Value {
    let mut cases = bench.exceptions();
    assert_eq!(cases.len(), 1);
    let lines = serde_json::to_string(&*bench.lines.lock().unwrap()).unwrap();
    for secret in PARTY {
        assert!(!cases[0].to_string().contains(secret), "{}", cases[0]);
        assert!(!lines.contains(secret), "{lines}");
    }
    cases.remove(0)
}

#[tokio::test]
async fn a_malformed_event_is_handed_over_without_numbers_and_names() {
    let bench = Bench::new().await;
    let mut event = telling_event();
    event["detail"]["eventBody"]["conversationId"] = json!("Anna Schmidt, 030 1234567");
    let time = event["detail"]["eventBody"]["eventTime"].clone();
    bench.invoke(sqs([event.to_string()])).await.unwrap();
    let case = the_case(&bench);
    let kept: Value = serde_json::from_str(case["body"].as_str().unwrap()).unwrap();
    let body = &event["detail"]["eventBody"];
    let expected = json!({"id": event["id"], "detail-type": event["detail-type"], "time": event["time"],
        "detail": {"topicName": event["detail"]["topicName"], "eventBody": {"participantId": body["participantId"],
        "sessionId": body["sessionId"], "eventTime": time, "mediaType": "VOICE"}}});
    assert_eq!(kept, expected);
    assert!(case["dropped"].as_u64().unwrap() > 10, "{case}");
    assert_eq!(
        (&case["messageId"], &case["eventId"]),
        (&json!("m-0"), &event["id"])
    );
    assert_eq!(case["code"], "malformed_job");
    assert!(
        case["error"].as_str().unwrap().contains("conversationId"),
        "{case}"
    );
}

#[tokio::test]
async fn allowed_fields_are_kept_only_where_they_hold_what_they_should() {
    for (name, value) in [
        ("mediaType", json!("Anna Schmidt")),
        ("mediaType", json!({"name": "Anna Schmidt"})),
        ("sessionId", json!("0301234567")),
        ("participantId", json!(["Anna Schmidt"])),
        ("eventTime", json!("Anna Schmidt")),
        ("eventTime", json!("030 1234567")),
    ] {
        let bench = Bench::new().await;
        let mut event = telling_event();
        event["detail"]["eventBody"]["conversationId"] = Value::Null;
        event["detail"]["topicName"] = json!("v2.Anna Schmidt");
        event["time"] = json!("Hauptstr");
        event["id"] = json!("0301234567");
        event["detail"]["eventBody"][name] = value;
        bench.invoke(sqs([event.to_string()])).await.unwrap();
        let case = the_case(&bench);
        let kept: Value = serde_json::from_str(case["body"].as_str().unwrap()).unwrap();
        assert_eq!(kept["detail"]["eventBody"].get(name), None, "{case}");
    }
}

#[tokio::test]
async fn a_malformed_job_is_handed_over_with_the_fields_of_a_job_alone() {
    let bench = Bench::new().await;
    let job = json!({"conversationId": CONVERSATION, "recordingId": "Anna Schmidt", "requestedBy": "auditor@archive.example",
                     "deferrals": 2, "firstSeen": "2026-01-15T10:20:30Z", "format": "WAV", "ani": "030 1234567",
                     "Anna Schmidt": 1});
    bench.invoke(sqs([job.to_string()])).await.unwrap();
    let case = the_case(&bench);
    let kept: Value = serde_json::from_str(case["body"].as_str().unwrap()).unwrap();
    let expected = json!({"conversationId": CONVERSATION, "requestedBy": "auditor@archive.example", "deferrals": 2,
                          "firstSeen": "2026-01-15T10:20:30Z", "format": "WAV"});
    assert_eq!((kept, &case["dropped"]), (expected, &json!(3)));
}

#[tokio::test]
async fn of_a_body_that_is_not_json_only_length_and_hash_are_kept() {
    for text in [
        "Anna Schmidt, 030 1234567",
        "[\"Anna Schmidt\"]",
        "\"030 1234567\"",
        "",
    ] {
        let bench = Bench::new().await;
        bench.invoke(sqs([text.to_owned()])).await.unwrap();
        let case = the_case(&bench);
        assert_eq!(
            case["body"],
            json!({"bytes": text.len(), "sha256": sha256(text.as_bytes())})
        );
        assert_eq!(case["messageId"], "m-0");
    }
}

#[tokio::test]
async fn an_error_about_a_direct_event_names_no_party_either() {
    let bench = Bench::new().await;
    let mut event = telling_event();
    event["detail"]["eventBody"]["conversationId"] = json!("Anna Schmidt");
    let error = bench.invoke(event.clone()).await.unwrap_err().to_string();
    assert!(
        error.contains("conversationId") && !error.contains("Anna"),
        "{error}"
    );
    event["detail-type"] = json!("Anna Schmidt");
    assert_eq!(
        bench.invoke(event).await.unwrap(),
        json!({"results": []}),
        "nobody asked for this"
    );
}

#[tokio::test]
async fn a_requester_is_one_line_of_plain_text() {
    let bench = Bench::with_a_call().await;
    for who in [
        "anna\u{1b}[2J",
        "anna\nforged line",
        "anna\u{202e}gnp",
        "anna\u{2066}",
        "anna\u{7f}",
        "a\u{85}b",
    ] {
        let job = json!({"conversationId": CONVERSATION, "requestedBy": who});
        let error = bench.invoke(job).await.unwrap_err();
        assert_eq!(error.kind().code(), "malformed_job");
        let text = error.to_string();
        assert!(text.contains("requestedBy") && !text.contains(who), "{text:?}");
    }
    let job = json!({"conversationId": CONVERSATION, "requestedBy": "Zoë Ångström (審計) <auditor@archive.example>"});
    assert_eq!(outcomes(&bench.invoke(job).await.unwrap()), ["archived"]);
}
