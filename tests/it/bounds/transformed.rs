//! The rule's target lets through what asks for an archive, and no party: what is left of an event still asks for it.

use jiff::Timestamp;
use recording_archiver::config::Config;
use recording_archiver::sim::genesys::{Topic, event};
use recording_archiver::trigger::event::{Request, Wanted, from_body};

use super::*;
use crate::cloudformation::{Template, text};

/// The values that EventBridge may put in the place of a missing field. Its documentation leaves that open.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Absent {
    Nothing,
    Null,
    TheVariable,
    NoField,
}

const WAYS: [Absent; 4] = [
    Absent::Nothing,
    Absent::Null,
    Absent::TheVariable,
    Absent::NoField,
];

/// Returns the event as the target's transformer sends it on:
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html>.
fn transformed(event: &Value, absent: Absent) -> Value {
    let template = Template::read();
    let transformer = &template.resource("ConversationEndRule")["Targets"][0]["InputTransformer"];
    let mut output = text(&transformer["InputTemplate"]);
    for (name, path) in transformer["InputPathsMap"].as_object().unwrap() {
        let path = text(path);
        let found = path
            .strip_prefix("$.")
            .unwrap()
            .split('.')
            .try_fold(event, |value, field| value.get(field));
        let filled = match (found, absent) {
            (Some(value), _) => text(value),
            (None, Absent::Null) => "null".to_owned(),
            (None, Absent::TheVariable) => format!("<{name}>"),
            (None, _) => String::new(),
        };
        output = output.replace(&format!("<{name}>"), &filled);
    }
    let mut output: Value = serde_json::from_str(&output).unwrap();
    if absent == Absent::NoField {
        for pointer in ["", "/detail", "/detail/eventBody"] {
            let fields = output.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
            fields.retain(|_, value| *value != "");
        }
    }
    output
}

fn an_event() -> Value {
    event(Topic::CustomerEnd, CONVERSATION, Timestamp::now())
}

#[tokio::test]
async fn a_transformed_event_archives_its_call() {
    let bench = Bench::with_a_call().await;
    let event = transformed(&an_event(), Absent::Nothing);
    bench.invoke(sqs([event.to_string()])).await.unwrap();
    assert_eq!(bench.keys().await, [KEY]);
    let stored = bench.audit(CONVERSATION, RECORDING).await.pop().unwrap();
    assert_eq!(
        stored["actor"]["eventId"], event["id"],
        "the audit leads to the event"
    );
    let bench = Bench::with_a_call().await;
    assert_eq!(
        outcomes(&bench.invoke(event).await.unwrap()),
        ["archived"],
        "straight to the function as well"
    );
}

#[test]
fn nothing_of_a_party_is_let_through() {
    let mut event = an_event();
    event["detail"]["eventBody"]["participantName"] = json!("Anna Schmidt");
    let through = transformed(&event, Absent::Nothing).to_string();
    for party in ["15555550100", "15555550199", "Anna"] {
        assert!(
            event.to_string().contains(party) && !through.contains(party),
            "{through}"
        );
    }
}

#[test]
fn whatever_stands_for_an_absent_field_the_event_means_the_same() {
    let bench = |name: &str| {
        let names = [
            "GENESYS_SECRET_ID",
            "S3_BUCKET_NAME",
            "AUDIT_TABLE_NAME",
            "LEDGER_TABLE_NAME",
        ];
        names
            .contains(&name)
            .then(|| name.to_lowercase().replace('_', "-"))
    };
    let config = Config::from_lookup(bench).unwrap();
    let job = |event: &Value| match from_body(&event.to_string(), &Wanted::of(&config)) {
        Ok(Request::Archive { job, event_id }) => (job, event_id),
        other => panic!("{event}: {other:?}"),
    };
    for pointer in [
        "/detail/eventBody/participantId",
        "/detail/eventBody/sessionId",
        "/detail/eventBody/eventTime",
        "/detail/eventBody/conversationId",
        "/detail/eventBody/mediaType",
        "/detail/topicName",
        "/detail/timestamp",
        "/time",
        "/id",
    ] {
        for absent in WAYS {
            let mut event = an_event();
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            event
                .pointer_mut(parent)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove(field);
            let mut by_bus = event.clone();
            // Not among what is let through.
            by_bus["detail"].as_object_mut().unwrap().remove("timestamp");
            let through = transformed(&event, absent);
            assert_eq!(job(&through), job(&by_bus), "{pointer} {absent:?}: {through}");
            // A bus that does not quote.
            let mut unquoted = through;
            if let Some(time) = event["detail"]["eventBody"]["eventTime"].as_i64() {
                unquoted["detail"]["eventBody"]["eventTime"] = json!(time);
            }
            assert_eq!(job(&unquoted), job(&by_bus), "{pointer} {absent:?}: {unquoted}");
        }
    }
}
