//! `archivectl verify`: an archive that is as it was, and everything that can be done to one.

use std::collections::HashMap;
use std::path::PathBuf;

use aws_sdk_dynamodb::types::AttributeValue;
use recording_archiver::sim::genesys::{Conversation, Media, Recording};
use recording_archiver::sim::wire::{Fault, Service};
use recording_archiver::sim::{AUDIT_TABLE, BUCKET, LEDGER_TABLE};
use serde_json::{Value, json};

use super::{Item, Ran, archivectl, items, put, remove};
use crate::support::{Bench, CONVERSATION, KEY, PART, RECORDING, call, call_bytes, invoke, sha256};

const LONG_CONVERSATION: &str = "c0000000-0000-4000-8000-000000000002";
const LONG_RECORDING: &str = "e0000000-0000-4000-8000-000000000201";
const LONG_KEY: &str =
    "recordings/c0000000-0000-4000-8000-000000000002/e0000000-0000-4000-8000-000000000201.wav";

/// Returns an archive of a short recording, and of one that was sent in parts.
async fn archive() -> Bench {
    let bench = Bench::with_a_call().await;
    let long = Recording::audio(LONG_RECORDING, [Media::generated_wav(PART + 100_000, 7)]);
    bench
        .world
        .genesys
        .add(Conversation::new(LONG_CONVERSATION).recording(long));
    let handler = bench.handler(&[]);
    for conversation in [CONVERSATION, LONG_CONVERSATION] {
        let summary = invoke(&handler, json!({"conversationId": conversation}))
            .await
            .unwrap();
        assert_eq!(summary["results"][0]["outcome"], "archived", "{summary}");
    }
    bench
}

/// Returns the file that is this object.
fn file(bench: &Bench, key: &str) -> PathBuf {
    bench.world.aws.object_path(BUCKET, key)
}

/// Returns the audit events of [`CONVERSATION`] as they lie in the table.
async fn events(bench: &Bench) -> Vec<Item> {
    items(bench, AUDIT_TABLE).await
}

/// Returns the ledger's record of [`RECORDING`].
async fn record(bench: &Bench) -> Item {
    let get = bench.world.aws.dynamodb().get_item().table_name(LEDGER_TABLE);
    let get = get.key("interactionId", AttributeValue::S(CONVERSATION.to_owned()));
    let get = get.key("recordingId", AttributeValue::S(RECORDING.to_owned()));
    get.send().await.unwrap().item.unwrap()
}

/// Returns code and key, or recording, of each finding, and checks that the summary agrees with them.
fn findings(ran: &Ran) -> Vec<(String, String)> {
    let mut findings: Vec<_> = ran
        .items()
        .iter()
        .filter(|item| item["code"].is_string())
        .map(|item| {
            let about = item["archiveKey"].as_str().or(item["recordingId"].as_str());
            (
                item["code"].as_str().unwrap().to_owned(),
                about.unwrap_or("-").to_owned(),
            )
        })
        .collect();
    findings.sort();
    let counted: u64 = ran.summary()["findings"]
        .as_object()
        .unwrap()
        .values()
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(counted, findings.len() as u64, "{ran:?}");
    let summary = ran.summary();
    let code = match (findings.len(), summary["files"].as_u64()) {
        (0, Some(0)) => 3,
        (0, _) => 0,
        _ => 1,
    };
    assert_eq!(ran.code(), Some(code), "{ran:?}");
    findings
}

/// Asserts that `verify` finds this about this key or recording, and nothing else.
async fn assert_found(bench: &Bench, code: &str, about: &str, what: &str) {
    let ran = archivectl(bench, &["verify", "--json"]).await;
    assert_eq!(
        findings(&ran),
        [(code.to_owned(), about.to_owned())],
        "{what}: {ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_is_as_it_was_is_read_back_whole_and_clean() {
    let bench = archive().await;
    bench.world.wire.forget();
    let ran = archivectl(&bench, &["verify", "--json"]).await;
    assert_eq!(findings(&ran), [], "{ran:?}");
    let summary = ran.summary();
    let bytes = call_bytes().len() as u64 + bench.object(LONG_KEY).await.unwrap().bytes.len() as u64;
    for (name, expected) in [
        ("conversations", 2),
        ("recordings", 2),
        ("files", 2),
        ("bytes", bytes),
        ("events", 8),
        ("objects", 2),
    ] {
        assert_eq!(summary[name], expected, "{name}: {summary}");
    }
    assert_eq!(summary["finished"], true);
    let aws = [Service::S3, Service::DynamoDb, Service::Sts, Service::Kms];
    let exchanges = bench.world.wire.exchanges();
    assert!(
        exchanges.iter().all(|exchange| aws.contains(&exchange.service)),
        "nobody but the archive is asked: {exchanges:?}"
    );
    let ran = archivectl(&bench, &["verify"]).await;
    for expected in [
        "2 files of 2 recordings in 2 conversations, 8 audit events",
        "2 files are as archived, to the byte",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_to_an_object_is_found() {
    let key = |key: &str| format!("s3://{BUCKET}/{key}");
    let bench = archive().await;
    for at in [KEY, LONG_KEY] {
        let path = file(&bench, at);
        let whole = std::fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        assert_found(&bench, "object_changed", &key(at), "a flipped bit").await;
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_found(&bench, "size_differs", &key(at), "a truncated object").await;
        std::fs::remove_file(&path).unwrap();
        assert_found(&bench, "object_missing", &key(at), "a deleted object").await;
        std::fs::write(&path, &whole).unwrap();
    }
    let tag = |value: String| {
        let tag = |key: &str, value: &str| {
            let tag = aws_sdk_s3::types::Tag::builder().key(key).value(value);
            tag.build().unwrap()
        };
        let tagging = aws_sdk_s3::types::Tagging::builder()
            .tag_set(tag("sha256", &value))
            .tag_set(tag("compliance", "archive"))
            .build()
            .unwrap();
        let put = bench.world.aws.s3().put_object_tagging().bucket(BUCKET).key(KEY);
        put.tagging(tagging).send()
    };
    tag("0".repeat(64)).await.unwrap();
    assert_found(&bench, "tag_differs", &key(KEY), "a changed tag").await;
    tag(sha256(&call_bytes())).await.unwrap();
    let stray = "recordings/notes.txt";
    let put = bench.world.aws.s3().put_object().bucket(BUCKET).key(stray);
    put.body(b"milk".to_vec().into()).send().await.unwrap();
    assert_found(&bench, "object_unrecorded", &key(stray), "an object of nobody's").await;
    let delete = bench.world.aws.s3().delete_object().bucket(BUCKET).key(stray);
    delete.send().await.unwrap();
    // The same bytes, written by somebody else.
    let put = bench.world.aws.s3().put_object().bucket(BUCKET).key(KEY);
    let put = put.body(call_bytes().into()).metadata("attempt-id", "mine");
    let put = put.tagging(format!("sha256={}", sha256(&call_bytes())));
    put.send().await.unwrap();
    let ran = archivectl(&bench, &["verify", CONVERSATION, "--json"]).await;
    let found = findings(&ran);
    let about = |code: &str| found.iter().filter(|(found, _)| found == code).count();
    assert_eq!(
        about("object_foreign"),
        6,
        "none of what it should say of itself: {ran:?}"
    );
    assert_eq!(
        (about("tag_differs"), about("object_attributes")),
        (1, 1),
        "{ran:?}"
    );
    assert_eq!(found.len(), 8, "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_to_the_audit_is_found() {
    let bench = archive().await;
    let whole = events(&bench).await;
    assert_eq!(whole.len(), 4);
    for (at, event) in whole.iter().enumerate() {
        remove(&bench, event).await;
        let code = if at == 3 { "audit_missing" } else { "audit_broken" };
        if at == 2 {
            // Nothing else names the object as stored.
            let ran = archivectl(&bench, &["verify", "--json"]).await;
            let codes: Vec<_> = findings(&ran).into_iter().map(|(code, _)| code).collect();
            assert_eq!(codes, ["audit_broken", "audit_missing"]);
        } else {
            assert_found(&bench, code, RECORDING, &format!("event {at} removed")).await;
        }
        for attribute in ["latencyMs", "status", "hash", "actor", "format"] {
            let mut edited = event.clone();
            match edited.get_mut(attribute) {
                Some(AttributeValue::N(number)) => number.push('1'),
                Some(AttributeValue::S(text)) => text.push('x'),
                Some(value) => *value = AttributeValue::M(HashMap::new()),
                None => continue,
            }
            put(&bench, AUDIT_TABLE, edited).await;
            // An edited hash contradicts the object as well.
            let ran = archivectl(&bench, &["verify", "--json"]).await;
            let broken = ("audit_broken".to_owned(), RECORDING.to_owned());
            assert!(
                findings(&ran).contains(&broken),
                "{attribute} of event {at} edited: {ran:?}"
            );
        }
        put(&bench, AUDIT_TABLE, event.clone()).await;
    }
    // Two events change places, each with the other's time and number.
    let (mut second, mut third) = (whole[1].clone(), whole[2].clone());
    for name in ["eventId", "timestamp", "seq"] {
        second.insert(name.to_owned(), whole[2][name].clone());
        third.insert(name.to_owned(), whole[1][name].clone());
    }
    put(&bench, AUDIT_TABLE, second).await;
    put(&bench, AUDIT_TABLE, third).await;
    assert_found(&bench, "audit_broken", RECORDING, "a reordered chain").await;
    for event in &whole[1..3] {
        put(&bench, AUDIT_TABLE, event.clone()).await;
    }
    for event in &whole {
        remove(&bench, event).await;
    }
    let ran = archivectl(&bench, &["verify", "--json"]).await;
    let missing = |about: String| ("audit_missing".to_owned(), about);
    assert_eq!(
        findings(&ran),
        [
            missing(RECORDING.to_owned()),
            missing(format!("s3://{BUCKET}/{KEY}")),
            ("object_unrecorded".to_owned(), format!("s3://{BUCKET}/{KEY}"))
        ],
        "the whole chain removed"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_to_the_ledger_is_found() {
    let bench = archive().await;
    let whole = record(&bench).await;
    let key = format!("s3://{BUCKET}/{KEY}");
    for (name, value, code) in [
        ("chainHead", AttributeValue::S("0".repeat(64)), "ledger_differs"),
        ("seq", AttributeValue::N("3".to_owned()), "ledger_differs"),
        ("seq", AttributeValue::N("5".to_owned()), "audit_missing"),
    ] {
        let mut edited = whole.clone();
        edited.insert(name.to_owned(), value);
        put(&bench, LEDGER_TABLE, edited).await;
        assert_found(&bench, code, RECORDING, name).await;
    }
    // A hash that fits changed bytes: the audit knows the true one.
    let mut edited = whole.clone();
    let Some(AttributeValue::L(files)) = edited.get_mut("files") else {
        panic!("{edited:?}")
    };
    let Some(AttributeValue::M(first)) = files.first_mut() else {
        panic!("{files:?}")
    };
    first.insert("sha256".to_owned(), AttributeValue::S("f".repeat(64)));
    put(&bench, LEDGER_TABLE, edited).await;
    let ran = archivectl(&bench, &["verify", CONVERSATION, "--json"]).await;
    let found = |code: &str| (code.to_owned(), key.clone());
    assert_eq!(findings(&ran), [found("ledger_differs")], "{ran:?}");
    let mut nowhere = whole.clone();
    let Some(AttributeValue::L(files)) = nowhere.get_mut("files") else {
        panic!("{nowhere:?}")
    };
    let Some(AttributeValue::M(first)) = files.first_mut() else {
        panic!("{files:?}")
    };
    first.insert("archiveKey".to_owned(), AttributeValue::S("calls/key".to_owned()));
    put(&bench, LEDGER_TABLE, nowhere).await;
    let ran = archivectl(&bench, &["verify", "--json"]).await;
    let codes: Vec<_> = findings(&ran).into_iter().map(|(code, _)| code).collect();
    assert_eq!(
        codes,
        ["ledger_unreadable"],
        "the place of a file is no place: {ran:?}"
    );
    let mut torn = whole.clone();
    torn.remove("leaseOwner");
    put(&bench, LEDGER_TABLE, torn).await;
    let ran = archivectl(&bench, &["verify", "--json"]).await;
    assert!(
        findings(&ran).iter().any(|(code, _)| code == "ledger_unreadable"),
        "{ran:?}"
    );
    let delete = bench.world.aws.dynamodb().delete_item().table_name(LEDGER_TABLE);
    let delete = delete.key("interactionId", whole["interactionId"].clone());
    delete
        .key("recordingId", whole["recordingId"].clone())
        .send()
        .await
        .unwrap();
    assert_found(&bench, "ledger_differs", RECORDING, "a deleted record").await;
    let ran = archivectl(&bench, &["verify", CONVERSATION, "--json"]).await;
    assert_eq!(
        findings(&ran),
        [("ledger_differs".to_owned(), RECORDING.to_owned())]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_samples_and_names_choose_what_is_looked_at() {
    let bench = archive().await;
    std::fs::remove_file(file(&bench, KEY)).unwrap();
    let today = bench.clock.now().strftime("%Y-%m-%d").to_string();
    for (arguments, conversations, found) in [
        (&["--from", &today, "--to", &today][..], 2, 1),
        (&["--from", "2020-01-01", "--to", "2020-01-31"], 0, 0),
        (&["--sample", "100%"], 2, 1),
        (&["--sample", "0.000001%", "--seed", "none of them"], 0, 0),
        (&[LONG_CONVERSATION], 1, 0),
        (&[CONVERSATION], 1, 1),
    ] {
        let ran = archivectl(&bench, &[&["verify", "--json"], arguments].concat()).await;
        assert_eq!(findings(&ran).len(), found, "{arguments:?}: {ran:?}");
        assert_eq!(ran.summary()["conversations"], conversations, "{arguments:?}");
    }
    let ran = archivectl(&bench, &["verify", "--sample", "0.000001%"]).await;
    assert!(
        ran.stdout.contains("2 conversations were left out"),
        "{}",
        ran.stdout
    );
    let unknown = "c0000000-0000-4000-8000-0000000000ff";
    let ran = archivectl(&bench, &["verify", unknown, "--json"]).await;
    assert_eq!(
        findings(&ran),
        [("unknown_conversation".to_owned(), "-".to_owned())]
    );
    for (arguments, expected) in [
        (&["c1"][..], "must be a UUID"),
        (&["--sample", "101%"], "more than 0% and at most 100%"),
        (&["--from", "2026-02-02", "--to", "2026-02-01"], "is after"),
    ] {
        let ran = archivectl(&bench, &[&["verify"], arguments].concat()).await;
        assert_eq!(ran.code(), Some(2), "{ran:?}");
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_cannot_be_read_is_not_proven_and_one_that_broke_off_is_read_again() {
    let bench = archive().await;
    let wire = &bench.world.wire;
    let broken_off = Fault::Respond {
        status: 200,
        headers: vec![("content-length".to_owned(), "5000".to_owned())],
        body: vec![0; 1_000],
    };
    wire.disturb_next(Service::S3, "GetObject", 1, broken_off);
    let ran = archivectl(&bench, &["verify", CONVERSATION, "--json"]).await;
    assert_eq!(findings(&ran), [], "{ran:?}");
    wire.disturb_next(Service::S3, "GetObject", 3, Fault::status(403));
    let ran = archivectl(&bench, &["verify", CONVERSATION]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    for expected in ["object_unreadable", "grant s3:GetObject"] {
        assert!(ran.stdout.contains(expected), "{}", ran.stdout);
    }
    let call = Recording::audio("e0000000-0000-4000-8000-000000000301", [call()]);
    let id = "c0000000-0000-4000-8000-000000000003";
    bench.world.genesys.add(Conversation::new(id).recording(call));
    bench
        .world
        .genesys
        .conversation(id, |conversation| {
            conversation.denied = Some("recording:recording:view".to_owned());
        })
        .unwrap();
    bench.invoke(json!({"conversationId": id})).await.unwrap();
    let ran = archivectl(&bench, &["verify", id, "--json"]).await;
    assert_eq!(findings(&ran), [], "what failed is no fault of the archive");
    assert_eq!((ran.code(), &ran.summary()["unarchived"]), (Some(3), &json!(1)));
    let ran = archivectl(&bench, &["verify", id]).await;
    assert!(
        ran.stdout.contains("there was nothing to verify"),
        "{}",
        ran.stdout
    );
}
