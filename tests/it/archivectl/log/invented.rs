//! What remains: a history that somebody invents as a whole, with the rights of those who write, is what it says.

use std::collections::HashMap;

use recording_archiver::aws::ledger::from_item;
use recording_archiver::domain::audit::Shard;
use recording_archiver::sim::{AUDIT_TABLE, BUCKET, LEDGER_TABLE};
use serde_json::{Map, Value, json};

use super::super::{archivectl, put};
use super::rewritten::all;
use crate::support::{Bench, CONVERSATION, KEY, sha256};

/// A call that never was.
const INVENTED: &str = "c0000000-0000-4000-8000-0000000000aa";

/// Invents a call after the model of the archived one: object, chain and record, all new and all fitting, and somebody
/// else as the caller of each step.
async fn invent(bench: &Bench) {
    let object = bench.object(KEY).await.unwrap();
    let metadata = object.head.metadata().cloned().unwrap_or_default().into_iter();
    let metadata = metadata.map(|(name, value)| (name, value.replace(CONVERSATION, INVENTED)));
    let put_object = bench.world.aws.s3().put_object().bucket(BUCKET);
    put_object
        .key(KEY.replace(CONVERSATION, INVENTED))
        .set_metadata(Some(metadata.collect()))
        .set_content_type(object.head.content_type().map(str::to_owned))
        .tagging(format!("compliance=archive&sha256={}", sha256(&object.bytes)))
        .body(object.bytes.into())
        .send()
        .await
        .unwrap();
    let invented = |value: Value| -> Map<String, Value> {
        serde_json::from_str(&value.to_string().replace(CONVERSATION, INVENTED)).unwrap()
    };
    let mut events: Vec<_> = all(bench, AUDIT_TABLE).await;
    events.sort_by_key(|item| item["eventId"].as_s().unwrap().clone());
    let mut heads: HashMap<Value, Value> = HashMap::new();
    let day = Shard::of(INVENTED).on(recording_archiver::domain::days::day_of(bench.clock.now()));
    for item in events {
        let mut event = invented(from_item(item).unwrap());
        let head = heads.entry(event["recordingId"].clone());
        let head = head.or_insert_with(|| json!("0".repeat(64)));
        event.insert("day".to_owned(), json!(day));
        event["actor"]["identity"] = json!("arn:aws:iam::123456789012:user/somebody-else");
        event.insert("prevEventHash".to_owned(), head.clone());
        event.remove("eventHash");
        *head = json!(sha256(Value::Object(event.clone()).to_string().as_bytes()));
        event.insert("eventHash".to_owned(), head.clone());
        let item = serde_dynamo::aws_sdk_dynamodb_1::to_item(&event).unwrap();
        put(bench, AUDIT_TABLE, item).await;
    }
    for item in all(bench, LEDGER_TABLE).await {
        let mut record = invented(from_item(item).unwrap());
        record.insert("chainHead".to_owned(), heads[&record["recordingId"]].clone());
        let item = serde_dynamo::aws_sdk_dynamodb_1::to_item(&record).unwrap();
        put(bench, LEDGER_TABLE, item).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_history_that_a_writer_invents_is_proven_to_be_what_it_says() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    bench.seal_all().await;
    invent(&bench).await;
    bench.seal_all().await;
    let ran = archivectl(&bench, &["verify", "--json"]).await;
    let summary = ran.summary();
    assert_eq!((ran.code(), &summary["proven"]), (Some(0), &json!(2)), "{ran:?}");
    assert_eq!(summary["log"]["sealed"], summary["events"]);
    let ran = archivectl(&bench, &["audit", INVENTED]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert!(ran.stdout.contains("user/somebody-else"), "{ran:?}");
}
