//! The call record: what Genesys knew of a conversation when it settled.

mod crash;
mod names;

use std::collections::BTreeSet;

use recording_archiver::domain::record::State;
use recording_archiver::sim::CATALOG_TABLE;
use recording_archiver::sim::genesys::Recording;
use recording_archiver::sim::wire::{Fault, Service};
use recording_archiver::trigger::handler::Handler;
use serde_json::{Value, json};

use crate::support::{Bench, CONVERSATION, RECORDING, SETTLING, call, invoke, job, outcomes, sha256};
use crate::work::Work;

/// Turns settling and call records on, as they are by default.
pub(crate) const DESCRIBING: [(&str, &str); 2] = [SETTLING, ("CALL_RECORD", "standard")];
/// The key of the first call record with the default template.
pub(crate) const CALL: &str = "recordings/c0000000-0000-4000-8000-000000000001/call.json";
const SECOND: &str = "recordings/c0000000-0000-4000-8000-000000000001/call-2.json";
const LATER: &str = "e0000000-0000-4000-8000-000000000102";

/// Archives [`CONVERSATION`] and works off all that follows from it.
async fn settle_with(bench: &Bench, changes: &[(&str, &str)]) -> Handler {
    let handler = bench.handler(&[changes, &DESCRIBING].concat());
    invoke(&handler, job()).await.unwrap();
    Work::of(bench).run_dry(&handler).await;
    let whole = bench.record(CONVERSATION, "-").await.unwrap();
    assert_eq!(whole.state, State::Settled);
    handler
}

async fn read(bench: &Bench, key: &str) -> Value {
    serde_json::from_slice(&bench.object(key).await.unwrap().bytes).unwrap()
}

#[tokio::test]
async fn a_settled_call_has_its_record_beside_its_recordings() {
    let bench = Bench::with_a_call().await;
    let changes = [
        ("S3_STORAGE_CLASS", "STANDARD_IA"),
        ("S3_OBJECT_LOCK_MODE", "GOVERNANCE"),
        ("S3_OBJECT_LOCK_DAYS", "10"),
    ];
    settle_with(&bench, &changes).await;
    let object = bench.object(CALL).await.unwrap();
    let call: Value = serde_json::from_slice(&object.bytes).unwrap();
    assert_eq!(call["schema"], "genesys-recording-archiver/call");
    assert_eq!(call["version"], 1);
    assert_eq!(call["interactionId"], CONVERSATION);
    assert_eq!(call["settledBy"], "details");
    assert_eq!(call["details"]["conversationId"], CONVERSATION);
    assert_eq!(call["details"]["participants"][1]["participantName"], "Agent One");
    let record = bench.record(CONVERSATION, RECORDING).await.unwrap();
    let file = &call["recordings"][0]["files"][0];
    assert_eq!(call["recordings"][0]["recordingId"], RECORDING);
    assert_eq!(call["recordings"][0]["annotations"], json!([]));
    assert_eq!(file["sha256"], record.files[0].sha256);
    assert_eq!(file["archiveKey"], record.files[0].archive_key.to_string());
    // A recording goes to colder storage; its description does not.
    assert_eq!(object.head.storage_class(), None);
    assert!(object.head.object_lock_retain_until_date().is_some());
    let hash = sha256(&object.bytes);
    let tags = [("compliance", "call-record"), ("sha256", &hash)];
    let tags = tags.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(object.tags, tags);
    assert_eq!(object.head.metadata().unwrap()["recording-id"], "-");
    let actions = bench.actions(CONVERSATION, "-").await;
    let expected = ["conversation.listed", "call.described", "conversation.settled"];
    assert_eq!(actions, expected);
    let event = &bench.audit(CONVERSATION, "-").await[1];
    assert_eq!(event["hash"], hash);
    assert_eq!(event["storageClass"], "STANDARD");
    let whole = bench.record(CONVERSATION, "-").await.unwrap();
    assert_eq!(whole.files[0].sha256, hash);
    assert!(whole.describing.is_empty());
}

#[tokio::test]
async fn no_request_is_made_for_the_details_that_settling_did_not_make_anyway() {
    let requests = async |configuration: &[(&str, &str)]| {
        let bench = Bench::with_a_call().await;
        let handler = bench.handler(configuration);
        invoke(&handler, job()).await.unwrap();
        Work::of(&bench).run_dry(&handler).await;
        let names = ["users", "queues", "wrapupcodes", "divisions"];
        let names: usize = names
            .iter()
            .map(|name| bench.world.wire.count(Service::Genesys, name))
            .sum();
        (bench.genesys_requests() - names, names)
    };
    let (without, none) = requests(&[SETTLING]).await;
    let (with, names) = requests(&DESCRIBING).await;
    assert_eq!((with, none, names), (without, 0, 3));
}

/// Genesys gives them to neither request for the details, so there is nothing of them to keep yet.
#[tokio::test]
async fn no_extent_asks_for_attributes_of_participants() {
    for extent in ["standard", "full"] {
        let bench = Bench::with_a_call().await;
        bench.world.genesys.conversation(CONVERSATION, |conversation| {
            let customer =
                json!({"purpose": "customer", "attributes": {"contract": "4711-LEAKED"}, "sessions": []});
            conversation.participants = Some(json!([customer]));
        });
        settle_with(&bench, &[("CALL_RECORD", extent)]).await;
        let call = read(&bench, CALL).await;
        assert_eq!(
            call["details"]["participants"][0]["purpose"], "customer",
            "{call}"
        );
        assert!(!call.to_string().contains("4711-LEAKED"), "{extent}");
    }
}

#[tokio::test]
async fn without_permission_for_details_the_record_says_so() {
    let bench = Bench::with_a_call().await;
    bench.world.genesys.deny_analytics(true);
    settle_with(&bench, &[]).await;
    let call = read(&bench, CALL).await;
    assert_eq!(call["detailsMissing"], "denied");
    assert_eq!(call["details"], Value::Null);
    assert_eq!(call["recordings"][0]["recordingId"], RECORDING);
}

#[tokio::test]
async fn a_later_look_that_finds_more_writes_a_second_record_and_one_that_does_not_writes_none() {
    let bench = Bench::with_a_call().await;
    let handler = settle_with(&bench, &[]).await;
    let again = json!({"conversationId": CONVERSATION, "recheck": true});
    invoke(&handler, again.clone()).await.unwrap();
    Work::of(&bench).run_dry(&handler).await;
    assert!(bench.object(SECOND).await.is_none(), "nothing more was found");
    let first = bench.object(CALL).await.unwrap().bytes;
    bench.world.genesys.conversation(CONVERSATION, |conversation| {
        conversation.recordings.push(Recording::audio(LATER, [call()]));
    });
    invoke(&handler, again).await.unwrap();
    Work::of(&bench).run_dry(&handler).await;
    let second = read(&bench, SECOND).await;
    assert_eq!(second["number"], 2);
    assert_eq!(second["recordings"][1]["recordingId"], LATER);
    assert_eq!(bench.object(CALL).await.unwrap().bytes, first);
    let actions = bench.actions(CONVERSATION, "-").await;
    let described = actions.iter().filter(|action| *action == "call.described");
    assert_eq!(described.count(), 2);
}

/// Returns the sort keys of the catalog's items of calls.
async fn sort_keys(bench: &Bench) -> BTreeSet<String> {
    let scan = bench.world.aws.dynamodb().scan().table_name(CATALOG_TABLE);
    let items = scan.send().await.unwrap().items.unwrap_or_default();
    let of_calls = items.iter().filter(|item| item.contains_key("interactionId"));
    of_calls.map(|item| item["at"].as_s().unwrap().clone()).collect()
}

#[tokio::test]
async fn a_later_call_record_takes_the_place_of_the_earlier_one_in_the_catalog() {
    let bench = Bench::with_a_call().await;
    let genesys = &bench.world.genesys;
    // By its details the call began before its recording.
    genesys.conversation(CONVERSATION, |conversation| {
        conversation.start -= jiff::SignedDuration::from_mins(3);
    });
    genesys.deny_analytics(true);
    let handler = settle_with(&bench, &[]).await;
    let by_listing = sort_keys(&bench).await;
    assert_eq!(by_listing.len(), 1);
    genesys.deny_analytics(false);
    let again = json!({"conversationId": CONVERSATION, "recheck": true});
    let later = bench.handler(&DESCRIBING);
    invoke(&later, again).await.unwrap();
    drop(handler);
    Work::of(&bench).run_dry(&later).await;
    assert!(bench.object(SECOND).await.is_some());
    let by_details = sort_keys(&bench).await;
    assert_eq!(by_details.len(), 1);
    assert!(by_details.is_disjoint(&by_listing), "{by_listing:?}");
}

#[tokio::test]
async fn a_conversation_without_an_archived_recording_is_not_described() {
    let bench = Bench::with_a_call().await;
    let screens = [("RECORDING_MEDIA", "screen")];
    settle_with(&bench, &screens).await;
    assert!(bench.keys().await.is_empty());
}

#[tokio::test]
async fn an_object_that_somebody_else_put_under_the_key_is_kept_and_told() {
    let bench = Bench::with_a_call().await;
    let put = bench.world.aws.s3().put_object();
    let put = put.bucket(recording_archiver::sim::BUCKET).key(CALL);
    put.body(b"{}".to_vec().into()).send().await.unwrap();
    let handler = bench.handler(&DESCRIBING);
    invoke(&handler, job()).await.unwrap();
    Work::of(&bench).run_dry(&handler).await;
    assert_eq!(bench.codes(), ["foreign_object"]);
    assert_eq!(bench.object(CALL).await.unwrap().bytes, b"{}");
}

#[tokio::test]
async fn a_record_whose_answer_was_lost_is_adopted() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&DESCRIBING);
    let summary = invoke(&handler, job()).await.unwrap();
    assert_eq!(outcomes(&summary), ["archived"]);
    let wire = &bench.world.wire;
    wire.disturb_next(Service::S3, "PutObject", 3, Fault::ApplyThenReset);
    Work::of(&bench).run_dry(&handler).await;
    let actions = bench.actions(CONVERSATION, "-").await;
    assert_eq!(actions[1..], ["call.described", "conversation.settled"]);
}
