//! What the log's records tell of removed and changed items, whatever a command looks at.

use recording_archiver::sim::genesys::{Conversation, Recording};
use recording_archiver::sim::wire::Service;
use recording_archiver::sim::{AUDIT_TABLE, SEAL_BUCKET};
use serde_json::{Value, json};

use super::super::{archivectl, items};
use super::rewritten;
use crate::support::{Bench, CONVERSATION, call, invoke};

/// A call that nobody touches.
const OTHER: &str = "c0000000-0000-4000-8000-000000000002";

/// Returns two archived and sealed calls. All of the first was removed and archived again, under new `eventId`s, so
/// that bucket and tables agree; the number of its events that were removed is given, too.
async fn archived_again() -> (Bench, usize) {
    let bench = Bench::with_a_call().await;
    let recording = Recording::audio("e0000000-0000-4000-8000-000000000201", [call()]);
    bench
        .world
        .genesys
        .add(Conversation::new(OTHER).recording(recording));
    bench.archive().await;
    invoke(&bench.handler(&[]), json!({"conversationId": OTHER}))
        .await
        .unwrap();
    bench.seal_all().await;
    let removed = items(&bench, AUDIT_TABLE).await.len();
    rewritten::remove(&bench).await;
    assert_eq!(bench.archive().await[0]["outcome"], "archived");
    bench.seal_all().await;
    (bench, removed)
}

/// Returns the conversations of the items that a command says were modified, an entry for each item.
async fn modified(bench: &Bench, arguments: &[&str]) -> Vec<Value> {
    let ran = archivectl(bench, &[arguments, &["--json"]].concat()).await;
    let findings = match ran.summary()["findings"].as_array() {
        Some(findings) => findings.clone(),
        None => ran.items(),
    };
    let modified = findings.iter().filter(|item| item["code"] == "audit_modified");
    let modified: Vec<_> = modified.map(|item| item["interactionId"].clone()).collect();
    assert_eq!(ran.code(), Some(i32::from(!modified.is_empty())), "{ran:?}");
    modified
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_was_removed_and_archived_again_is_found_by_whatever_looks_at_it_and_by_nothing_else() {
    let (bench, removed) = archived_again().await;
    let expected = vec![json!(CONVERSATION); removed];
    let today = bench.clock.now().strftime("%Y-%m-%d").to_string();
    for arguments in [
        &["verify"][..],
        &["verify", "--from", &today, "--to", &today],
        &["verify", CONVERSATION],
        &["audit", CONVERSATION],
        &["verify", "--from", "2020-01-01", "--to", &today, "--by", "call"],
        &["verify", "--sample", "100%"],
    ] {
        assert_eq!(modified(&bench, arguments).await, expected, "{arguments:?}");
    }
    for arguments in [
        &["verify", OTHER][..],
        &["audit", OTHER],
        &[
            "verify",
            "--from",
            "2020-01-01",
            "--to",
            "2020-01-02",
            "--by",
            "call",
        ],
    ] {
        let ran = archivectl(&bench, &[arguments, &["--json"]].concat()).await;
        assert!(!ran.stdout.contains("audit_modified"), "{arguments:?} {ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_looks_for_records_of_its_calls_that_are_gone() {
    let (bench, removed) = archived_again().await;
    rewritten::remove(&bench).await;
    bench.seal_all().await;
    let found = modified(&bench, &["verify", "--sample", "100%"]).await;
    assert_eq!(found, vec![json!(CONVERSATION); 2 * removed]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_read_whatever_page_of_the_listing_it_stands_on_and_without_any_it_costs_one() {
    let (bench, removed) = archived_again().await;
    // Before all records, by their names: a page of objects that are none.
    for number in 0..1_000 {
        let path = bench
            .world
            .aws
            .object_path(SEAL_BUCKET, &format!("records/-{number:04}"));
        std::fs::write(path, b"").unwrap();
    }
    assert_eq!(modified(&bench, &["verify", CONVERSATION]).await.len(), removed);

    let bench = Bench::with_a_call().await;
    bench.archive().await;
    bench.seal_all().await;
    bench.world.wire.forget();
    assert_eq!(
        modified(&bench, &["verify", CONVERSATION]).await,
        [json!(null); 0]
    );
    let asked = bench.world.wire.exchanges();
    let lists = asked.iter().filter(|one| {
        one.service == Service::S3
            && one.operation == "ListObjectsV2"
            && one.target.contains("prefix=records")
    });
    assert_eq!(lists.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_with_other_bytes_is_found_as_such() {
    let (bench, removed) = archived_again().await;
    let records = bench.log().keys("records/", None).await.unwrap();
    // The beginning of the log, and one for each removed item.
    assert_eq!(records.len(), 1 + removed);
    for key in records {
        std::fs::write(bench.world.aws.object_path(SEAL_BUCKET, &key), b"{}").unwrap();
    }
    for arguments in [["verify", CONVERSATION], ["audit", CONVERSATION]] {
        let ran = archivectl(&bench, &[&arguments[..], &["--json"]].concat()).await;
        assert_eq!(ran.code(), Some(1), "{ran:?}");
        assert!(ran.stdout.contains("log_inconsistent"), "{ran:?}");
    }
}
