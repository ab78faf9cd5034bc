//! What `verify` and `audit` conclude of what they see, and what it costs them.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::SignedDuration;
use recording_archiver::sim::genesys::{Conversation, Recording};
use recording_archiver::sim::wire::{Fault, Service};
use recording_archiver::sim::{BUCKET, LEDGER_TABLE};
use serde_json::json;

use super::tampering::acts::{HOUR, keep_versions, purge, retime, rewrite};
use super::{Folder, archivectl, command, end, items, put, signal};
use crate::support::{Bench, CONVERSATION, KEY, RECORDING, call, invoke};

/// Returns an archived call with a file for each of two channels.
async fn split() -> Bench {
    let recording = Recording::audio(RECORDING, [call(), call()]);
    let bench = Bench::with(Conversation::new(CONVERSATION).recording(recording)).await;
    keep_versions(&bench).await;
    let handler = bench.handler(&[("RECORDING_CHANNELS", "split")]);
    invoke(&handler, json!({"conversationId": CONVERSATION}))
        .await
        .unwrap();
    bench.world.wire.forget();
    bench
}

/// Names the end of its chain in the record of the call.
async fn continue_at(bench: &Bench, head: &str, more: &[(&str, String)]) {
    let mut record = items(bench, LEDGER_TABLE).await.swap_remove(0);
    record.insert("chainHead".to_owned(), AttributeValue::S(head.to_owned()));
    for (name, value) in more {
        record.insert((*name).to_owned(), AttributeValue::S(value.clone()));
    }
    put(bench, LEDGER_TABLE, record).await;
}

fn count(bench: &Bench, operation: &str) -> usize {
    let asked = bench.world.wire.exchanges();
    asked.iter().filter(|one| one.operation == operation).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_an_event_names_is_read_once_and_asked_about_no_further() {
    let bench = split().await;
    let ran = archivectl(&bench, &["verify", "--json"]).await;
    assert_eq!(
        (ran.code(), &ran.summary()["objects"]),
        (Some(0), &json!(2)),
        "{ran:?}"
    );
    let asked = [
        "Query",
        "GetObject",
        "GetObjectTagging",
        "ListObjectVersions",
        "HeadObject",
    ];
    assert_eq!(asked.map(|operation| count(&bench, operation)), [2, 2, 2, 2, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_of_other_days_is_checked_once_however_many_objects_lead_to_it() {
    let bench = split().await;
    // The bucket says today, and the events a day before, as around midnight.
    let head = retime(&bench, [CONVERSATION, RECORDING], |at, _| at - HOUR * 24).await;
    let before = (bench.clock.now() - HOUR * 24).to_string();
    let times = [("archivedAt", before.clone()), ("updatedAt", before)];
    continue_at(&bench, &head, &times).await;
    bench.world.wire.forget();
    let today = bench.clock.now().strftime("%Y-%m-%d").to_string();
    let ran = archivectl(&bench, &["verify", "--json", "--from", &today, "--to", &today]).await;
    assert_eq!(ran.summary()["conversations"], 1, "{ran:?}");
    assert_eq!(
        ["HeadObject", "GetObject"].map(|operation| count(&bench, operation)),
        [2, 2]
    );
}

/// Returns an archived call whose lock, as its audit tells, ended, or ends, so far from now.
async fn locked(left: SignedDuration) -> Bench {
    let bench = Bench::with_a_call().await;
    keep_versions(&bench).await;
    bench.archive().await;
    let until = bench.clock.now() + left;
    let until = until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let head = rewrite(&bench, [CONVERSATION, RECORDING], |event| {
        if event["action"] == "archive.stored" {
            event.insert("lockMode".to_owned(), json!("GOVERNANCE"));
            event.insert("retainUntil".to_owned(), json!(until));
        }
    });
    continue_at(&bench, &head.await, &[]).await;
    bench
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_after_its_lock_had_ended_has_expired_and_before_that_is_missing() {
    for (left, code, found) in [(-HOUR, 3, 0), (HOUR, 1, 2)] {
        let bench = locked(left).await;
        let delete = bench.world.aws.s3().delete_object().bucket(BUCKET).key(KEY);
        delete.send().await.unwrap();
        let ran = archivectl(&bench, &["verify", "--json"]).await;
        assert_eq!(ran.code(), Some(code), "{ran:?}");
        let items = ran.items();
        let findings = items.iter().filter(|item| item["code"].is_string());
        assert_eq!(findings.count(), found, "{items:?}");
        let expired = items.iter().filter(|item| item["ending"] == "expired").count();
        let figures = ran.summary();
        assert_eq!(
            (expired == 1, &figures["gone"], &figures["untraced"]),
            (code == 3, &json!(expired), &json!(0)),
            "{items:?}"
        );
        let folder = Folder::new();
        let page = folder.file("custody.html");
        let ran = archivectl(&bench, &["audit", CONVERSATION, "--html", &page]).await;
        let page = std::fs::read_to_string(&page).unwrap();
        assert!(!page.contains("verdict good"), "nothing was read: {ran:?}");
        assert_eq!(page.contains("1 file has expired"), code == 3, "{page}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_says_of_what_left_no_version_when_it_was_deleted() {
    for (left, marker, code) in [(-HOUR, false, 3), (-HOUR, true, 3), (HOUR, false, 1)] {
        let bench = locked(left).await;
        purge(&bench, KEY).await;
        if marker {
            let delete = bench.world.aws.s3().delete_object().bucket(BUCKET).key(KEY);
            delete.send().await.unwrap();
        }
        let ran = archivectl(&bench, &["verify", "--json"]).await;
        assert_eq!(ran.code(), Some(code), "{ran:?}");
        let (items, figures) = (ran.items(), ran.summary());
        if code == 1 {
            assert_eq!(items[0]["code"], "object_missing", "{items:?}");
            continue;
        }
        assert_eq!([&figures["gone"], &figures["untraced"]], [1, 1], "{figures}");
        assert_eq!(items[0]["ending"], "untraced", "{items:?}");
        let detail = items[0]["detail"].as_str().unwrap();
        assert!(!detail.contains("deleted at"), "{detail}");
        let ran = archivectl(&bench, &["verify"]).await;
        assert!(
            ran.stdout.contains("1 of them without a trace of when"),
            "{ran:?}"
        );
        let ran = archivectl(&bench, &["audit", CONVERSATION, "--html", "-"]).await;
        let page = ran.stdout;
        assert!(
            !page.contains("verdict good") && !page.contains("expired"),
            "{page}"
        );
        assert!(page.contains("1 file is gone without a trace of when"), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_that_the_ledger_swaps_are_a_finding() {
    let bench = split().await;
    let mut record = items(&bench, LEDGER_TABLE).await.swap_remove(0);
    let AttributeValue::L(files) = record.get_mut("files").unwrap() else {
        panic!("no files")
    };
    for (file, channel) in files.iter_mut().zip(["1", "0"]) {
        let AttributeValue::M(file) = file else {
            panic!("no file")
        };
        file.insert("channel".to_owned(), AttributeValue::N(channel.to_owned()));
    }
    put(&bench, LEDGER_TABLE, record).await;
    let ran = archivectl(&bench, &["verify", "--json"]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert_eq!(ran.summary()["findings"], json!({"ledger_differs": 2}), "{ran:?}");
    let detail = ran.items()[0]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("channel is"), "{detail}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_is_not_archived_is_red_beside_one_that_is() {
    let other = "e0000000-0000-4000-8000-000000000102";
    let two = [RECORDING, other].map(|id| Recording::audio(id, [call()]));
    let two = two
        .into_iter()
        .fold(Conversation::new(CONVERSATION), Conversation::recording);
    let bench = Bench::with(two).await;
    let handler = bench.handler(&[("MAX_ATTEMPTS", "1"), ("RECORD_CONCURRENCY", "1")]);
    bench
        .world
        .wire
        .disturb_next(Service::Media, "media", 1, Fault::status(500));
    let _ = invoke(&handler, json!({"conversationId": CONVERSATION})).await;
    let folder = Folder::new();
    let page = folder.file("custody.html");
    let ran = archivectl(&bench, &["audit", CONVERSATION, "--html", &page]).await;
    assert_eq!(ran.code(), Some(0), "its audit is whole: {ran:?}");
    assert!(ran.stdout.contains("is not archived: "), "{ran:?}");
    let page = std::fs::read_to_string(&page).unwrap();
    assert!(
        page.contains("verdict good") && page.contains("is not archived: "),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_ends_it_while_aws_does_not_say_who_the_caller_is() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Sts, "GetCallerIdentity", 9, Fault::Hang);
    let child = command(&bench, &["verify", "--json"]).spawn().unwrap();
    wire.wait_until(|all| all.iter().any(|one| one.service == Service::Sts))
        .await;
    signal(&child, "INT").await;
    let ran = end(child).await;
    assert_eq!(ran.code(), Some(130), "{ran:?}");
    assert_eq!(wire.count(Service::S3, "GetObject"), 0);
}
