//! Erasing on purpose: the event first, then every version, and evidence that stays whole.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::types::{ObjectLockLegalHold, ObjectLockLegalHoldStatus};
use recording_archiver::sim::wire::{Fault, Service};
use recording_archiver::sim::{BUCKET, LEDGER_TABLE};
use serde_json::json;

use super::tampering::acts::keep_versions;
use super::{Ran, archivectl, items, put};
use crate::support::{Bench, CONVERSATION, KEY, RECORDING, SETTLING, invoke, job, outcomes};

/// Returns the archive of a call under a lock of this mode, in a bucket that keeps versions.
async fn locked(mode: &str) -> Bench {
    let bench = Bench::with_a_call().await;
    keep_versions(&bench).await;
    let handler = bench.handler(&[("S3_OBJECT_LOCK_MODE", mode), ("S3_OBJECT_LOCK_DAYS", "30")]);
    assert_eq!(outcomes(&invoke(&handler, job()).await.unwrap()), ["archived"]);
    bench
}

async fn erase(bench: &Bench, more: &[&str]) -> Ran {
    let arguments = ["erase", CONVERSATION, "--reason", "request 4711", "--json"];
    archivectl(bench, &[&arguments[..], more].concat()).await
}

/// Returns the number of versions and delete markers below the key of the call.
async fn versions(bench: &Bench) -> usize {
    let listed = bench
        .world
        .aws
        .s3()
        .list_object_versions()
        .bucket(BUCKET)
        .prefix(KEY);
    let listed = listed.send().await.unwrap();
    listed.versions().len() + listed.delete_markers().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_erased_is_gone_in_all_versions_and_the_evidence_stays_whole() {
    let bench = locked("GOVERNANCE").await;
    // Somebody hid it behind a delete marker before.
    let hide = bench.world.aws.s3().delete_object().bucket(BUCKET).key(KEY);
    hide.send().await.unwrap();
    assert_eq!(versions(&bench).await, 2);
    let ran = erase(&bench, &["--yes"]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let summary = ran.summary();
    assert_eq!(
        (&summary["recordings"], &summary["objects"], &summary["versions"]),
        (&json!(1), &json!(1), &json!(2))
    );
    assert_eq!(versions(&bench).await, 0);
    let events = bench.audit(CONVERSATION, RECORDING).await;
    let last = events.last().unwrap();
    assert_eq!(
        (last["action"].as_str(), last["status"].as_str()),
        (Some("object.erased"), Some("erased"))
    );
    assert_eq!(last["reason"], "request 4711");
    assert!(
        last["actor"]["identity"]
            .as_str()
            .unwrap()
            .starts_with("arn:aws:"),
        "{last:?}"
    );
    let stored = events
        .iter()
        .find(|event| event["action"] == "archive.stored")
        .unwrap();
    assert_eq!(
        (&last["archiveKey"], &last["hash"]),
        (&stored["archiveKey"], &stored["hash"])
    );
    let verified = archivectl(&bench, &["verify", "--json"]).await;
    assert_eq!(verified.code(), Some(3), "nothing is left to read: {verified:?}");
    assert_eq!(verified.summary()["erased"], 1);
    assert_eq!(verified.summary()["findings"], json!({}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_an_erased_conversation_is_archived_again() {
    for settings in [&[][..], &[SETTLING]] {
        let bench = locked("GOVERNANCE").await;
        assert_eq!(erase(&bench, &["--yes"]).await.code(), Some(0));
        let handler = bench.handler(settings);
        for job in [job(), json!({"conversationId": CONVERSATION, "recheck": true})] {
            let summary = invoke(&handler, job).await.unwrap();
            assert_eq!(outcomes(&summary), ["erased"], "{summary}");
        }
        assert_eq!(versions(&bench).await, 0);
        assert_eq!(
            bench.record(CONVERSATION, "-").await.unwrap().state.as_str(),
            "erased"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_was_cut_off_is_found_and_finished_by_the_next_one() {
    let bench = locked("GOVERNANCE").await;
    bench.world.wire.disturb(|exchange| {
        let cut = exchange.service == Service::S3 && exchange.operation == "DeleteObject";
        cut.then(|| Fault::status(403))
    });
    let ran = erase(&bench, &["--yes"]).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    bench.world.wire.calm();
    let verified = archivectl(&bench, &["verify", "--json"]).await;
    assert_eq!(
        verified.summary()["findings"],
        json!({"erased_object_present": 1}),
        "{verified:?}"
    );
    let before = bench.actions(CONVERSATION, RECORDING).await;
    assert_eq!(erase(&bench, &["--yes"]).await.code(), Some(0));
    assert_eq!(
        bench.actions(CONVERSATION, RECORDING).await,
        before,
        "no second event"
    );
    assert_eq!(versions(&bench).await, 0);
    let again = erase(&bench, &["--yes"]).await;
    assert_eq!((again.code(), &again.summary()["versions"]), (Some(0), &json!(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_legal_hold_or_compliance_lock_keeps_everything_as_it_is() {
    for (mode, why) in [("COMPLIANCE", "COMPLIANCE until"), ("GOVERNANCE", "a legal hold")] {
        let bench = locked(mode).await;
        if mode == "GOVERNANCE" {
            let on = ObjectLockLegalHold::builder().status(ObjectLockLegalHoldStatus::On);
            let hold = bench
                .world
                .aws
                .s3()
                .put_object_legal_hold()
                .bucket(BUCKET)
                .key(KEY);
            hold.legal_hold(on.build()).send().await.unwrap();
        }
        let before = bench.actions(CONVERSATION, RECORDING).await;
        let ran = erase(&bench, &["--yes"]).await;
        assert_eq!(ran.code(), Some(2), "{ran:?}");
        assert!(
            ran.stderr.contains(why) && ran.stderr.contains(KEY),
            "{}",
            ran.stderr
        );
        assert_eq!(bench.actions(CONVERSATION, RECORDING).await, before);
        assert_eq!(versions(&bench).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_erased_without_a_reason_a_yes_or_whole_evidence() {
    let bench = locked("GOVERNANCE").await;
    for (arguments, told) in [
        (&["erase", CONVERSATION][..], "--reason"),
        (&["erase", CONVERSATION, "--reason", " "], "accepted: a text"),
        (&["erase", CONVERSATION, "--reason", "r"], "add --yes"),
        (
            &[
                "erase",
                "c0000000-0000-4000-8000-0000000000ee",
                "--reason",
                "r",
                "--yes",
            ],
            "neither the ledger nor the audit",
        ),
    ] {
        let ran = archivectl(&bench, arguments).await;
        assert_eq!(ran.code(), Some(2), "{ran:?}");
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
    let dry = erase(&bench, &["--dry-run"]).await;
    assert_eq!((dry.code(), &dry.summary()["versions"]), (Some(0), &json!(1)));
    assert_eq!(versions(&bench).await, 1);
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let delete = bench.world.aws.dynamodb().delete_item().table_name(LEDGER_TABLE);
    let delete = delete
        .key("interactionId", text(CONVERSATION))
        .key("recordingId", text(RECORDING));
    delete.send().await.unwrap();
    let ran = erase(&bench, &["--yes"]).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    assert!(ran.stderr.contains("nothing was erased"), "{}", ran.stderr);
    assert_eq!(versions(&bench).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_a_run_works_on_is_not_erased_under_its_hands() {
    let bench = locked("GOVERNANCE").await;
    for mut record in items(&bench, LEDGER_TABLE).await {
        let later = bench.clock.now_ms() + 600_000;
        record.insert("leaseExpiresAt".to_owned(), AttributeValue::N(later.to_string()));
        put(&bench, LEDGER_TABLE, record).await;
    }
    let before = bench.actions(CONVERSATION, RECORDING).await;
    let ran = erase(&bench, &["--yes"]).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    assert!(ran.stderr.contains("a run works on recording"), "{}", ran.stderr);
    assert_eq!(bench.actions(CONVERSATION, RECORDING).await, before);
    assert_eq!(versions(&bench).await, 1);
}
