//! The acts of tampering, each on an archive of its own.

use std::collections::HashMap;
use std::pin::Pin;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{
    BucketVersioningStatus, ObjectLockLegalHold, ObjectLockLegalHoldStatus, ObjectLockRetention,
    ObjectLockRetentionMode, ServerSideEncryption, StorageClass, Tag, Tagging, VersioningConfiguration,
};
use jiff::{SignedDuration, Timestamp};
use recording_archiver::aws::ledger::from_item;
use recording_archiver::domain::audit::Shard;
use recording_archiver::domain::days::day_of;
use recording_archiver::sim::{AUDIT_TABLE, BUCKET, LEDGER_TABLE};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::super::{Item, put};
use super::{SPLIT, SPLIT_RECORDING};
use crate::support::{Bench, CONVERSATION, KEY, RECORDING, call_bytes, invoke, sha256};

/// An act of tampering.
pub(in super::super) type Act =
    Box<dyn for<'a> Fn(&'a Bench) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>>;

pub(in super::super) const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Makes an act of an async block over a bench.
macro_rules! act {
    (|$bench:ident| $body:expr) => {
        Box::new(move |$bench: &Bench| Box::pin(async move { $body }))
    };
}

fn s3(bench: &Bench) -> aws_sdk_s3::Client {
    bench.world.aws.s3()
}

/// Lets the bucket keep versions.
pub(in super::super) async fn keep_versions(bench: &Bench) {
    let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled);
    let put = s3(bench).put_bucket_versioning().bucket(BUCKET);
    put.versioning_configuration(on.build()).send().await.unwrap();
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// Returns the ledger's record of a recording.
async fn record(bench: &Bench, conversation: &str, recording: &str) -> Item {
    let get = bench.world.aws.dynamodb().get_item().table_name(LEDGER_TABLE);
    let get = get.key("interactionId", text(conversation));
    let got = get.key("recordingId", text(recording)).send().await.unwrap();
    got.item.unwrap_or_else(|| {
        // A former act deleted it.
        HashMap::from([
            ("interactionId".to_owned(), text(conversation)),
            ("recordingId".to_owned(), text(recording)),
        ])
    })
}

/// Leaves a call that Genesys does not know, whose events are of this time and in the audit's index by days.
pub(in super::super) async fn older_call(bench: &Bench, id: &str, at: Timestamp) {
    invoke(&bench.handler(&[]), json!({"conversationId": id}))
        .await
        .unwrap();
    let head = rewrite(bench, [id, "-"], |event| {
        let (time, seq) = (
            at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
            event["seq"].as_u64().unwrap(),
        );
        event.insert("eventId".to_owned(), format!("{time}#-#{seq:06}").into());
        event.insert("timestamp".to_owned(), time.into());
        event.insert("day".to_owned(), Shard::of(id).on(day_of(at)).into());
    })
    .await;
    let mut record = record(bench, id, "-").await;
    record.insert("chainHead".to_owned(), text(&head));
    put(bench, LEDGER_TABLE, record).await;
}

/// Changes attributes of the record of the first call.
async fn edit(bench: &Bench, changes: &[(&str, AttributeValue)]) {
    let mut record = record(bench, CONVERSATION, RECORDING).await;
    for (name, value) in changes {
        record.insert((*name).to_owned(), value.clone());
    }
    put(bench, LEDGER_TABLE, record).await;
}

/// Deletes every version of an object, with the right to bypass its lock.
pub(in super::super) async fn purge(bench: &Bench, key: &str) {
    let versions = s3(bench).list_object_versions().bucket(BUCKET).prefix(key);
    let versions = versions.send().await.unwrap();
    let ids = versions.versions().iter().map(|version| version.version_id());
    for id in ids.chain(versions.delete_markers().iter().map(|marker| marker.version_id())) {
        let delete = s3(bench).delete_object().bucket(BUCKET).key(key);
        let delete = delete.set_version_id(id.map(str::to_owned));
        delete.bypass_governance_retention(true).send().await.unwrap();
    }
}

/// Returns a request that puts the bytes again with all that the archived object says of itself.
async fn again(bench: &Bench, bytes: Vec<u8>) -> PutObjectFluentBuilder {
    let Ok(head) = s3(bench).head_object().bucket(BUCKET).key(KEY).send().await else {
        // A former act deleted it.
        return s3(bench).put_object().bucket(BUCKET).key(KEY).body(bytes.into());
    };
    let tags = format!("compliance=archive&sha256={}", sha256(&call_bytes()));
    let put = s3(bench).put_object().bucket(BUCKET).key(KEY).tagging(tags);
    let put = put.set_metadata(head.metadata().cloned());
    let put = put.set_content_type(head.content_type().map(str::to_owned));
    let locked = put.set_object_lock_mode(head.object_lock_mode().cloned());
    locked
        .set_object_lock_retain_until_date(head.object_lock_retain_until_date().copied())
        .body(bytes.into())
}

fn other_bytes() -> Vec<u8> {
    let mut bytes = call_bytes();
    bytes[1_000] ^= 1;
    bytes
}

/// Deletes every version, and puts something in the place.
async fn replace(bench: &Bench, bytes: Vec<u8>) {
    let put = again(bench, bytes).await;
    purge(bench, KEY).await;
    put.send().await.unwrap();
}

/// Deletes the object, and the record with it or its state.
pub(in super::super) fn gone(state: Option<&'static str>) -> Act {
    act!(|bench| {
        purge(bench, KEY).await;
        if let Some(state) = state {
            let none = AttributeValue::L(Vec::new());
            edit(bench, &[("state", text(state)), ("files", none)]).await;
            return;
        }
        let delete = bench.world.aws.dynamodb().delete_item().table_name(LEDGER_TABLE);
        let delete = delete.key("interactionId", text(CONVERSATION));
        delete.key("recordingId", text(RECORDING)).send().await.unwrap();
    })
}

pub(in super::super) fn failed_and_replaced() -> Act {
    act!(|bench| {
        replace(bench, other_bytes()).await;
        edit(bench, &[("state", text("failed"))]).await;
    })
}

pub(super) fn moved_and_replaced() -> Act {
    act!(|bench| {
        replace(bench, other_bytes()).await;
        let other = text("2020-01-01T00:00:00Z");
        edit(bench, &[("archivedAt", other.clone()), ("updatedAt", other)]).await;
    })
}

pub(super) fn metadata() -> Act {
    act!(|bench| {
        let put = again(bench, call_bytes()).await;
        purge(bench, KEY).await;
        put.metadata("archived-at", "2020-01-01T00:00:00Z")
            .send()
            .await
            .unwrap();
    })
}

pub(super) fn more_metadata() -> Act {
    act!(|bench| {
        let put = again(bench, call_bytes()).await;
        purge(bench, KEY).await;
        put.metadata("case", "closed").send().await.unwrap();
    })
}

pub(super) fn content_type() -> Act {
    act!(|bench| {
        let put = again(bench, call_bytes()).await;
        purge(bench, KEY).await;
        put.content_type("text/plain").send().await.unwrap();
    })
}

async fn retag(bench: &Bench, tags: &[(&str, &str)]) {
    let tags = tags
        .iter()
        .map(|(key, value)| Tag::builder().key(*key).value(*value).build().unwrap());
    let tagging = Tagging::builder()
        .set_tag_set(Some(tags.collect()))
        .build()
        .unwrap();
    let put = s3(bench).put_object_tagging().bucket(BUCKET).key(KEY);
    // A former act may have deleted the object.
    let _ = put.tagging(tagging).send().await;
}

pub(super) fn compliance_tag() -> Act {
    act!(|bench| retag(
        bench,
        &[("compliance", "none"), ("sha256", &sha256(&call_bytes()))]
    )
    .await)
}

pub(super) fn more_tags() -> Act {
    act!(|bench| {
        let hash = sha256(&call_bytes());
        let tags = [
            ("compliance", "archive"),
            ("sha256", &hash),
            ("expire", "tomorrow"),
        ];
        retag(bench, &tags).await;
    })
}

/// Puts an object of its own making under a key beside the archived one, and names it in the record.
pub(super) fn planted() -> Act {
    act!(|bench| {
        let key = KEY.replace(".wav", "-1.wav");
        let put = s3(bench)
            .put_object()
            .bucket(BUCKET)
            .key(&key)
            .body(other_bytes().into());
        let put = put.metadata("interaction-id", CONVERSATION);
        let put = put.metadata("recording-id", RECORDING);
        let attempt = "a0000000-0000-4000-8000-000000000001";
        put.metadata("attempt-id", attempt).send().await.unwrap();
        let file = [
            ("archiveKey", text(&format!("s3://{BUCKET}/{key}"))),
            ("sha256", text(&sha256(&other_bytes()))),
            ("sizeBytes", AttributeValue::N(other_bytes().len().to_string())),
            ("format", text("wav")),
            ("attemptId", text(attempt)),
        ];
        let file = file.map(|(name, value)| (name.to_owned(), value)).into();
        edit(
            bench,
            &[("formerFiles", AttributeValue::L(vec![AttributeValue::M(file)]))],
        )
        .await;
    })
}

/// Rewrites the chain of the first call with other times, by time and place in the chain.
pub(super) fn retimed(time: fn(Timestamp, i32) -> Timestamp) -> Act {
    act!(|bench| {
        let head = retime(bench, [CONVERSATION, RECORDING], time).await;
        edit(bench, &[("chainHead", text(&head))]).await;
    })
}

/// Rewrites a chain with other times, all hashes right. Returns its end.
pub(in super::super) async fn retime(
    bench: &Bench,
    ids: [&str; 2],
    time: impl Fn(Timestamp, i32) -> Timestamp,
) -> String {
    rewrite(bench, ids, |event| {
        let at: Timestamp = event["timestamp"].as_str().unwrap().parse().unwrap();
        let seq = i32::try_from(event["seq"].as_u64().unwrap()).unwrap();
        let at = time(at, seq).strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        event.insert("eventId".to_owned(), format!("{at}#{}#{seq:06}", ids[1]).into());
        event.insert("timestamp".to_owned(), at.into());
    })
    .await
}

/// Rewrites a chain with other attributes, all hashes right. Returns its end.
pub(in super::super) async fn rewrite(
    bench: &Bench,
    [conversation, recording]: [&str; 2],
    change: impl Fn(&mut Map<String, Value>),
) -> String {
    let query = bench.world.aws.dynamodb().query().table_name(AUDIT_TABLE);
    let query = query
        .key_condition_expression("interactionId = :id")
        .expression_attribute_values(":id", text(conversation));
    let mut events = Vec::new();
    for item in query.send().await.unwrap().items.unwrap() {
        if item["recordingId"].as_s().unwrap() != recording {
            continue;
        }
        let delete = bench.world.aws.dynamodb().delete_item().table_name(AUDIT_TABLE);
        let delete = delete.key("interactionId", item["interactionId"].clone());
        delete
            .key("eventId", item["eventId"].clone())
            .send()
            .await
            .unwrap();
        events.push(from_item::<Map<String, Value>>(item).unwrap());
    }
    events.sort_by_key(|event| event["seq"].as_u64());
    let mut head = "0".repeat(64);
    for mut event in events {
        change(&mut event);
        event.insert("prevEventHash".to_owned(), head.into());
        event.remove("eventHash");
        let canonical = serde_json::to_string(&event).unwrap();
        head = hex::encode(Sha256::digest(canonical));
        event.insert("eventHash".to_owned(), head.clone().into());
        let item = serde_dynamo::aws_sdk_dynamodb_1::to_item(&event).unwrap();
        put(bench, AUDIT_TABLE, item).await;
    }
    head
}

pub(super) fn ledger_in_the_future() -> Act {
    act!(|bench| {
        let ahead = (bench.clock.now() + HOUR * 48).to_string();
        edit(
            bench,
            &[("archivedAt", text(&ahead)), ("updatedAt", text(&ahead))],
        )
        .await;
    })
}

/// Sets the retention to so many days from now, or lifts it.
pub(super) fn lock(days: Option<i64>) -> Act {
    act!(|bench| retain(bench, days).await)
}

async fn retain(bench: &Bench, days: Option<i64>) {
    let mut retention = ObjectLockRetention::builder();
    if let Some(days) = days {
        let until = DateTime::from_secs(bench.clock.now().as_second() + days * 86_400);
        retention = retention
            .mode(ObjectLockRetentionMode::Governance)
            .retain_until_date(until);
    }
    let put = s3(bench).put_object_retention().bucket(BUCKET).key(KEY);
    let put = put.retention(retention.build()).bypass_governance_retention(true);
    // A former act may have deleted the object.
    let _ = put.send().await;
}

pub(super) fn longer_lock() -> Act {
    act!(|bench| retain(bench, Some(36_500)).await)
}

pub(super) fn legal_hold() -> Act {
    act!(|bench| {
        let hold = ObjectLockLegalHold::builder().status(ObjectLockLegalHoldStatus::On);
        let put = s3(bench).put_object_legal_hold().bucket(BUCKET).key(KEY);
        put.legal_hold(hold.build()).send().await.unwrap();
    })
}

/// Does what a rule of the bucket does: another class for the same version.
pub(super) fn lifecycle_transition() -> Act {
    act!(|bench| assert!(bench.world.aws.transition(BUCKET, KEY, "GLACIER_IR")))
}

/// Changes the class as a person does: by a copy onto itself.
pub(super) fn storage_class() -> Act {
    act!(|bench| {
        let put = again(bench, call_bytes()).await;
        put.storage_class(StorageClass::ReducedRedundancy)
            .send()
            .await
            .unwrap();
    })
}

pub(super) fn encryption() -> Act {
    act!(|bench| {
        let put = again(bench, call_bytes()).await;
        let put = put.server_side_encryption(ServerSideEncryption::AwsKms);
        put.ssekms_key_id("alias/mine").send().await.unwrap();
    })
}

pub(super) fn moved() -> Act {
    act!(|bench| {
        let put = again(bench, call_bytes()).await;
        purge(bench, KEY).await;
        put.key(format!("recordings/elsewhere/{RECORDING}.wav"))
            .send()
            .await
            .unwrap();
    })
}

pub(super) fn version_above() -> Act {
    act!(|bench| drop(again(bench, other_bytes()).await.send().await.unwrap()))
}

/// Leaves the archived bytes on top, and puts others below.
pub(super) fn versions_below() -> Act {
    act!(|bench| {
        let (planted, restored) = (
            again(bench, other_bytes()).await,
            again(bench, call_bytes()).await,
        );
        purge(bench, KEY).await;
        planted.send().await.unwrap();
        restored.send().await.unwrap();
    })
}

pub(super) fn delete_marker() -> Act {
    act!(|bench| {
        s3(bench)
            .delete_object()
            .bucket(BUCKET)
            .key(KEY)
            .send()
            .await
            .unwrap();
    })
}

pub(super) fn deleted_and_put() -> Act {
    act!(|bench| {
        let put = again(bench, call_bytes()).await;
        s3(bench)
            .delete_object()
            .bucket(BUCKET)
            .key(KEY)
            .send()
            .await
            .unwrap();
        put.send().await.unwrap();
    })
}

/// Removes the second channel from record and bucket.
pub(super) fn channel_dropped() -> Act {
    act!(|bench| {
        let mut record = record(bench, SPLIT, SPLIT_RECORDING).await;
        for name in ["files", "channels"] {
            if let Some(AttributeValue::L(list)) = record.get_mut(name) {
                list.truncate(1);
            }
        }
        put(bench, LEDGER_TABLE, record).await;
        purge(bench, &format!("recordings/{SPLIT}/{SPLIT_RECORDING}-1.wav")).await;
    })
}
