//! T7 and T10: histories that somebody with every right rewrote consistently, so that bucket and tables agree. Only the
//! log remembers what was; and if that is rewritten too, a checkpoint that was kept outside.

use std::collections::HashMap;

use recording_archiver::aws::ledger::from_item;
use recording_archiver::sim::genesys::{Conversation, Media, Recording};
use recording_archiver::sim::{AUDIT_TABLE, BUCKET, LEDGER_TABLE};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::super::{Item, archivectl, put};
use super::made::Made;
use super::{codes, only, sealed};
use crate::support::{Bench, CONVERSATION, KEY, call_bytes, invoke, sha256};

/// Number of random tries.
const TRIES: u64 = 100;

/// Number of archives over which the tries are spread.
const SIDE_BY_SIDE: u64 = 4;

/// Returns a number that looks like one of dice, the same for the same `seed` and `place`.
fn dice(seed: u64, place: u64) -> usize {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&Sha256::digest([seed.to_be_bytes(), place.to_be_bytes()].concat())[..8]);
    usize::try_from(u64::from_be_bytes(bytes) >> 1).unwrap()
}

pub(super) async fn all(bench: &Bench, table: &str) -> Vec<Item> {
    let scan = bench.world.aws.dynamodb().scan().table_name(table);
    scan.into_paginator().items().send().try_collect().await.unwrap()
}

/// Rewrites the call with PutItem and PutObject alone: other bytes, another requester or other statements of Genesys,
/// and every hash, tag and end of a chain that follows from them.
pub(in super::super) async fn rewrite(bench: &Bench, seed: u64) {
    // A former act may have removed it.
    let Some(object) = bench.object(KEY).await else {
        return;
    };
    let mut bytes = object.bytes;
    let old = sha256(&bytes);
    let at = 44 + dice(seed, 0) % (bytes.len() - 44);
    bytes[at] ^= 1 + (dice(seed, 1) % 255) as u8;
    let new = sha256(&bytes);
    let head = object.head;
    let metadata = head.metadata().cloned().unwrap_or_default().into_iter();
    let metadata = metadata
        .map(|(name, value)| (name, value.replace(&old, &new)))
        .collect();
    let put_object = bench.world.aws.s3().put_object().bucket(BUCKET).key(KEY);
    put_object
        .set_metadata(Some(metadata))
        .set_content_type(head.content_type().map(str::to_owned))
        .tagging(format!("compliance=archive&sha256={new}"))
        .body(bytes.into())
        .send()
        .await
        .unwrap();
    let mut chains: HashMap<String, Vec<Map<String, Value>>> = HashMap::new();
    for item in all(bench, AUDIT_TABLE).await {
        let event: Map<String, Value> = from_item(item).unwrap();
        if event["interactionId"] != CONVERSATION {
            continue;
        }
        let recording = event["recordingId"].as_str().unwrap().to_owned();
        chains.entry(recording).or_default().push(event);
    }
    let (mut heads, which) = (HashMap::new(), dice(seed, 2) % 3);
    for (recording, mut events) in chains {
        events.sort_by_key(|event| event["seq"].as_u64());
        let mut head = "0".repeat(64);
        for event in events {
            let text = Value::Object(event).to_string().replace(&old, &new);
            let mut event: Map<String, Value> = serde_json::from_str(&text).unwrap();
            match which {
                0 => event["actor"]["requestedBy"] = json!(format!("somebody {seed}")),
                1 => drop(event.insert("note".to_owned(), json!(seed))),
                _ => {}
            }
            event.remove("eventHash");
            event.insert("prevEventHash".to_owned(), json!(head));
            head = sha256(Value::Object(event.clone()).to_string().as_bytes());
            event.insert("eventHash".to_owned(), json!(head));
            let item = serde_dynamo::aws_sdk_dynamodb_1::to_item(&event).unwrap();
            put(bench, AUDIT_TABLE, item).await;
        }
        heads.insert(recording, head);
    }
    for item in all(bench, LEDGER_TABLE).await {
        let record: Value = from_item(item).unwrap();
        if record["interactionId"] != CONVERSATION {
            continue;
        }
        let text = record.to_string().replace(&old, &new);
        let mut record: Value = serde_json::from_str(&text).unwrap();
        // A former act may have removed its events.
        let Some(head) = heads.get(record["recordingId"].as_str().unwrap()) else {
            continue;
        };
        record["chainHead"] = json!(head);
        let item = serde_dynamo::aws_sdk_dynamodb_1::to_item(&record).unwrap();
        put(bench, LEDGER_TABLE, item).await;
    }
}

/// Removes the call from bucket and tables.
pub(in super::super) async fn remove(bench: &Bench) {
    for (table, sort) in [(AUDIT_TABLE, "eventId"), (LEDGER_TABLE, "recordingId")] {
        for item in all(bench, table).await {
            if item["interactionId"].as_s().unwrap() != CONVERSATION {
                continue;
            }
            let delete = bench.world.aws.dynamodb().delete_item().table_name(table);
            let delete = delete.key("interactionId", item["interactionId"].clone());
            delete.key(sort, item[sort].clone()).send().await.unwrap();
        }
    }
    let delete = bench.world.aws.s3().delete_object().bucket(BUCKET).key(KEY);
    delete.send().await.unwrap();
}

/// Does `each` for every try, some of them side by side, and returns what they gave.
async fn tries<F: Future<Output = Vec<String>> + Send + 'static>(
    each: fn(std::ops::Range<u64>) -> F,
) -> Vec<String> {
    let share = TRIES / SIDE_BY_SIDE;
    let running = (0..SIDE_BY_SIDE).map(|part| tokio::spawn(each(part * share..(part + 1) * share)));
    let mut missed = Vec::new();
    for part in running.collect::<Vec<_>>() {
        missed.extend(part.await.unwrap());
    }
    missed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t7_a_history_rewritten_consistently_is_found_in_every_one_of_a_hundred_tries() {
    let missed = tries(|seeds| async move {
        let (bench, log) = sealed().await;
        let mut missed = Vec::new();
        rewrite(&bench, seeds.end).await;
        assert_eq!(
            archivectl(&bench, &["verify"]).await.code(),
            Some(0),
            "bucket and tables agree"
        );
        for seed in seeds {
            rewrite(&bench, seed).await;
            let ran = log.archivectl(&bench, &["verify", "--json"]).await;
            if !codes(&ran).contains("sealed_event_missing") {
                missed.push(format!("{seed}: {:?}", codes(&ran)));
            }
        }
        missed
    });
    let missed = missed.await;
    assert_eq!(missed, Vec::<String>::new(), "{missed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t7_with_the_sealers_key_and_the_logs_bucket_a_kept_checkpoint_finds_every_one_of_a_hundred_tries() {
    let missed = tries(|seeds| async move {
        let (bench, mut log) = sealed().await;
        let kept = log.checkpoint().await;
        let kept = std::fs::read(kept).unwrap();
        let mut missed = Vec::new();
        for seed in seeds {
            rewrite(&bench, seed).await;
            log = log.replace(&bench, 1).await;
            let note = log.files.file("kept");
            std::fs::write(&note, &kept).unwrap();
            let ran = log
                .archivectl(&bench, &["verify", "--json", "--checkpoint", &note])
                .await;
            if codes(&ran) != only(&["log_inconsistent"]) {
                missed.push(format!("{seed}: {:?}", codes(&ran)));
            }
        }
        let ran = log.archivectl(&bench, &["verify"]).await;
        assert_eq!(
            ran.code(),
            Some(0),
            "without a checkpoint kept outside nothing remembers: {ran:?}"
        );
        missed
    });
    let missed = missed.await;
    assert_eq!(missed, Vec::<String>::new(), "{missed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t7_with_another_key_the_one_kept_outside_finds_it() {
    let (bench, log) = sealed().await;
    let key = std::fs::read(log.files.file("key")).unwrap();
    rewrite(&bench, 0).await;
    let log = log.replace(&bench, 2).await;
    std::fs::write(log.files.file("key"), key).unwrap();
    let found = codes(&log.archivectl(&bench, &["verify", "--json"]).await);
    assert!(found.contains("checkpoint_invalid"), "{found:?}");
}

/// Archives a second call, and seals it.
async fn another_call(bench: &Bench, log: &mut Made) {
    let id = "c0000000-0000-4000-8000-000000000002";
    let recording = Recording::audio(
        "e0000000-0000-4000-8000-000000000201",
        [Media::bytes(call_bytes())],
    );
    bench
        .world
        .genesys
        .add(Conversation::new(id).recording(recording));
    invoke(&bench.handler(&[]), json!({"conversationId": id}))
        .await
        .unwrap();
    log.seal_all(bench).await;
    log.checkpoint().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_a_conversation_removed_everywhere_is_found() {
    let (bench, mut log) = sealed().await;
    remove(&bench).await;
    another_call(&bench, &mut log).await;
    let without = archivectl(&bench, &["verify"]).await;
    assert_eq!(without.code(), Some(0), "bucket and tables agree: {without:?}");
    let today = bench.clock.now().strftime("%Y-%m-%d").to_string();
    for days in [&[][..], &["--from", &today, "--to", &today]] {
        let ran = log
            .archivectl(&bench, &[&["verify", "--json"], days].concat())
            .await;
        assert_eq!(codes(&ran), only(&["sealed_event_missing"]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_stores_rolled_back_together_are_found_by_the_log_and_with_it_by_a_kept_checkpoint() {
    let bench = Bench::with_a_call().await;
    let mut log = Made::new(&bench, super::BUCKET, 1).await;
    another_call(&bench, &mut log).await;
    let before = (all(&bench, AUDIT_TABLE).await, log.keys().await);
    bench.archive().await;
    log.seal_all(&bench).await;
    let kept = log.checkpoint().await;
    // Rolled back: all that came since is gone from bucket and tables.
    assert!(all(&bench, AUDIT_TABLE).await.len() > before.0.len());
    for (table, sort) in [(AUDIT_TABLE, "eventId"), (LEDGER_TABLE, "recordingId")] {
        for item in all(&bench, table).await {
            if item["interactionId"].as_s().unwrap() == CONVERSATION {
                let delete = bench.world.aws.dynamodb().delete_item().table_name(table);
                let delete = delete.key("interactionId", item["interactionId"].clone());
                delete.key(sort, item[sort].clone()).send().await.unwrap();
            }
        }
    }
    bench
        .world
        .aws
        .s3()
        .delete_object()
        .bucket(BUCKET)
        .key(KEY)
        .send()
        .await
        .unwrap();
    assert_eq!(
        archivectl(&bench, &["verify"]).await.code(),
        Some(0),
        "bucket and tables agree"
    );
    let ran = log.archivectl(&bench, &["verify", "--json"]).await;
    assert_eq!(codes(&ran), only(&["sealed_event_missing"]));
    // The log's bucket, too.
    for key in log.keys().await {
        if !before.1.contains(&key) {
            log.purge(&key).await;
        }
    }
    for command in [&["verify", "--json"][..], &["log", "verify", "--json"]] {
        let ran = log.archivectl(&bench, command).await;
        assert_eq!(
            codes(&ran),
            only(&[]),
            "without a checkpoint kept outside nothing remembers: {ran:?}"
        );
        let ran = log
            .archivectl(&bench, &[command, &["--checkpoint", &kept]].concat())
            .await;
        assert_eq!(codes(&ran), only(&["log_inconsistent"]));
    }
}
