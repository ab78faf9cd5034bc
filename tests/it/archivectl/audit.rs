//! `archivectl audit`: the chain of custody of a conversation.

use aws_sdk_dynamodb::types::AttributeValue;
use recording_archiver::domain::audit::{self, AuditEvent};
use recording_archiver::sim::wire::{Fault, Service};
use recording_archiver::sim::{AUDIT_TABLE, BUCKET};
use serde_json::{Value, json};

use super::{Folder, archivectl};
use crate::support::{Bench, CONVERSATION, KEY, RECORDING, call_bytes, invoke, sha256};

/// Returns a conversation whose first run failed, and whose second archived it.
async fn with_a_history() -> Bench {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[("MAX_ATTEMPTS", "1")]);
    let job = json!({"conversationId": CONVERSATION, "requestedBy": "<b>Ann</b> & Bob"});
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Media, "media", 1, Fault::status(500));
    let _ = invoke(&handler, job.clone()).await;
    let summary = invoke(&handler, job).await.unwrap();
    assert_eq!(summary["results"][0]["outcome"], "archived", "{summary}");
    bench
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_timeline_tells_who_asked_what_failed_what_was_stored_and_who_was_told() {
    let bench = with_a_history().await;
    let ran = archivectl(&bench, &["audit", CONVERSATION]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let mut rest = ran.stdout.as_str();
    for expected in [
        &format!("recording {RECORDING}: notified"),
        "download.initiated",
        "direct, by <b>Ann</b> & Bob",
        "request request-1, version 7",
        "download.failed",
        "error",
        "download.initiated",
        "download.completed",
        &sha256(&call_bytes()),
        "archive.stored",
        &format!("s3://calls/{KEY}"),
        "webhook.delivered",
        "whole: no event was changed, removed or added",
    ] {
        let Some(at) = rest.find(expected) else {
            panic!("{expected} is not there, or not in its place: {}", ran.stdout)
        };
        rest = &rest[at + expected.len()..];
    }
    let ran = archivectl(&bench, &["audit", CONVERSATION, "--json"]).await;
    let events: Vec<AuditEvent> = ran
        .items()
        .into_iter()
        .map(|event| serde_json::from_value(event).unwrap())
        .collect();
    let end = audit::verify(&events).expect("the events are given as the table holds them");
    let told = &ran.summary()["recordings"][0];
    assert_eq!(
        (&told["chainHead"], &told["state"]),
        (&json!(end.head), &json!("notified"))
    );
    assert_eq!(told["files"][0]["sha256"], sha256(&call_bytes()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_one_file_that_loads_nothing_and_runs_nothing() {
    let bench = with_a_history().await;
    let folder = Folder::new();
    let path = folder.file("custody.html");
    let ran = archivectl(&bench, &["audit", CONVERSATION, "--html", &path]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let page = std::fs::read_to_string(&path).unwrap();
    let hash = bench.audit(CONVERSATION, RECORDING).await[0]["eventHash"]
        .as_str()
        .unwrap()
        .to_owned();
    for expected in [
        CONVERSATION,
        "The chain of custody is whole",
        "download.failed",
        "archive.stored",
        &sha256(&call_bytes()),
        "&lt;b&gt;Ann&lt;/b&gt; &amp; Bob",
        "1 file read back: as archived",
        "Content-Security-Policy",
        "prevEventHash",
        &hash,
    ] {
        assert!(page.contains(expected), "{expected}");
    }
    for foreign in ["<script", "<link", "<img", "src=", "url(", "@import", "<b>Ann"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    let nowhere = folder.file("no/such/folder.html");
    let ran = archivectl(&bench, &["audit", CONVERSATION, "--html", &nowhere]).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("folder.html cannot be written"),
        "{}",
        ran.stderr
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_is_not_whole_is_told_wherever_it_is_shown() {
    let bench = with_a_history().await;
    let events = bench.audit(CONVERSATION, RECORDING).await;
    let key = |name: &str| AttributeValue::S(events[1][name].as_str().unwrap().to_owned());
    let delete = bench.world.aws.dynamodb().delete_item().table_name(AUDIT_TABLE);
    let delete = delete
        .key("interactionId", key("interactionId"))
        .key("eventId", key("eventId"));
    delete.send().await.unwrap();
    let folder = Folder::new();
    let path = folder.file("custody.html");
    let ran = archivectl(&bench, &["audit", CONVERSATION, "--html", &path]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert!(ran.stdout.contains("audit_broken"), "{}", ran.stdout);
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.contains("event 2 is missing") && !page.contains("is whole"));
    let ran = archivectl(&bench, &["audit", CONVERSATION, "--json"]).await;
    let summary = ran.summary();
    assert_eq!(summary["findings"][0]["code"], "audit_broken");
    assert_eq!(summary["recordings"][0]["whole"], false);
    let marked = page.split("missing: event 2").count() - 1;
    assert_eq!(marked, 1, "the place of the event is marked");
    let unknown = "c0000000-0000-4000-8000-0000000000ff";
    let ran = archivectl(&bench, &["audit", unknown, "--json"]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let codes: Vec<Value> = vec!["unknown_conversation".into()];
    let found = ran.summary()["findings"].as_array().unwrap().clone();
    assert_eq!(found.iter().map(|f| f["code"].clone()).collect::<Vec<_>>(), codes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_read_back_or_the_verdict_says_that_they_were_not() {
    let bench = with_a_history().await;
    let folder = Folder::new();
    let path = folder.file("custody.html");
    let page = || std::fs::read_to_string(&path).unwrap();
    let ran = archivectl(&bench, &["audit", CONVERSATION, "--no-read", "--html", &path]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let whole = ran.stdout.lines().find(|line| line.starts_with("whole")).unwrap();
    assert!(whole.contains("no file was read back"), "{whole}");
    assert!(page().contains("no file was read back") && !page().contains("verdict good"));
    let object = bench.world.aws.object_path(BUCKET, KEY);
    let mut bytes = std::fs::read(&object).unwrap();
    bytes[1_000] ^= 1;
    std::fs::write(&object, bytes).unwrap();
    let ran = archivectl(&bench, &["audit", CONVERSATION, "--html", &path]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert!(ran.stdout.contains("object_changed"), "{}", ran.stdout);
    assert!(page().contains("object_changed") && !page().contains("verdict good"));
    assert!(!page().contains("as archived</span>") || page().contains("not as archived</span>"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_was_never_archived_is_red_and_proves_nothing() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[("MAX_ATTEMPTS", "1")]);
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Media, "media", 1, Fault::status(500));
    let _ = invoke(&handler, json!({"conversationId": CONVERSATION})).await;
    let folder = Folder::new();
    let path = folder.file("custody.html");
    let ran = archivectl(&bench, &["audit", CONVERSATION, "--html", &path]).await;
    assert_eq!(ran.code(), Some(3), "{ran:?}");
    assert!(ran.stdout.contains("not archived"), "{}", ran.stdout);
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.contains("verdict bad\">Not archived") && !page.contains("verdict good"));
}
