//! What `verify` looks at, and what its proof says of itself.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use recording_archiver::sim::genesys::{Conversation, Recording};
use recording_archiver::sim::wire::{Fault, Service};
use recording_archiver::sim::{ACCOUNT, AUDIT_TABLE, BUCKET, LEDGER_TABLE};
use serde_json::{Value, json};

use super::{archivectl, items, put, remove};
use crate::support::{Bench, CONVERSATION, KEY, RECORDING, call, call_bytes, invoke, sha256};

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// Returns the archive of a call of 60 days ago that was archived today, and both days.
async fn of_long_ago() -> (Bench, String, String) {
    let now = Timestamp::now();
    let long_ago = now - SignedDuration::from_hours(60 * 24);
    let mut recording = Recording::audio(RECORDING, [call()]);
    recording.start = long_ago;
    let bench = Bench::with_recording(recording).await;
    bench.archive().await;
    (bench, day(long_ago), day(now))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_are_those_of_the_call_or_of_its_archiving_and_the_result_says_which() {
    let (bench, called, archived) = of_long_ago().await;
    for (by, on, files) in [
        ("archived", &archived, 1),
        ("archived", &called, 0),
        ("call", &called, 1),
        ("call", &archived, 0),
    ] {
        let days = ["verify", "--json", "--by", by, "--from", on, "--to", on];
        let ran = archivectl(&bench, &days).await;
        assert_eq!(ran.code(), Some(if files == 1 { 0 } else { 3 }), "{ran:?}");
        let summary = ran.summary();
        assert_eq!(summary["files"], files, "{by} {on}: {summary}");
        let scope = &summary["scope"];
        assert_eq!(
            (&scope["by"], &scope["from"], &scope["to"]),
            (&json!(by), &json!(on), &json!(on))
        );
    }
    let ran = archivectl(
        &bench,
        &["verify", "--by", "call", "--from", &called, "--to", &called],
    )
    .await;
    assert!(ran.stdout.contains("--by call"), "{}", ran.stdout);
    let ran = archivectl(&bench, &["verify", "--from", &archived, "--to", &archived]).await;
    assert!(ran.stdout.contains("--by archived"), "{}", ran.stdout);
    let ran = archivectl(&bench, &["verify", "--by", "call"]).await;
    assert_eq!(ran.code(), Some(2), "days of what? {ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_record_that_no_event_names_is_a_finding_over_all_of_the_archive() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let number = || AttributeValue::N("0".to_owned());
    let planted = "c0000000-0000-4000-8000-0000000000ee";
    let record = HashMap::from([
        ("interactionId".to_owned(), text(planted)),
        ("recordingId".to_owned(), text(RECORDING)),
        ("state".to_owned(), text("claimed")),
        (
            "leaseOwner".to_owned(),
            text("a0000000-0000-4000-8000-000000000001"),
        ),
        ("leaseExpiresAt".to_owned(), number()),
        ("attempts".to_owned(), number()),
        ("chainHead".to_owned(), text(&"0".repeat(64))),
        ("seq".to_owned(), number()),
        ("format".to_owned(), text("wav")),
        ("updatedAt".to_owned(), text(&bench.clock.now().to_string())),
    ]);
    put(&bench, LEDGER_TABLE, record).await;
    for arguments in [&["verify", "--json"][..], &["verify", "--json", "--all"]] {
        let ran = archivectl(&bench, arguments).await;
        assert_eq!(ran.code(), Some(1), "{ran:?}");
        let found: Vec<_> = ran
            .items()
            .into_iter()
            .filter(|item| item["code"].is_string())
            .collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (&found[0]["code"], &found[0]["interactionId"]),
            (&json!("audit_missing"), &json!(planted))
        );
    }
    let today = bench.clock.now().strftime("%Y-%m-%d").to_string();
    let ran = archivectl(&bench, &["verify", "--from", &today, "--to", &today]).await;
    let told = "ledger records that no event names were not looked for (--all does)";
    assert_eq!(
        (ran.code(), ran.stdout.contains(told)),
        (Some(0), true),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_is_of_a_word_that_nobody_knows_before_and_everybody_after() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let mut seeds = Vec::new();
    for _ in 0..2 {
        let ran = archivectl(&bench, &["verify", "--json", "--sample", "100%"]).await;
        let seed = ran.summary()["sample"]["seed"].as_str().unwrap().to_owned();
        assert!(
            seed.len() >= 32 && !seed.contains(&day(Timestamp::now())),
            "{seed}"
        );
        seeds.push(seed);
    }
    assert_ne!(seeds[0], seeds[1]);
    let ran = archivectl(&bench, &["verify", "--sample", "100%"]).await;
    assert!(ran.stdout.contains("--seed "), "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_grows_while_it_is_verified_is_clean() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let id = |kind: &str, number: usize| format!("{kind}0000000-0000-4000-8000-{number:012x}");
    for number in 2..42 {
        let recordings = (0..2).map(|at| Recording::audio(id("e", number * 16 + at), [call()]));
        let conversation = recordings.fold(Conversation::new(id("c", number)), Conversation::recording);
        bench.world.genesys.add(conversation);
    }
    let handler = bench.handler(&[]);
    let archiving = stream::iter(2..42).for_each_concurrent(4, |number| {
        let (handler, job) = (&handler, json!({"conversationId": id("c", number)}));
        async move { drop(invoke(handler, job).await.unwrap()) }
    });
    let verifying = async {
        let mut ran = Vec::new();
        for _ in 0..4 {
            ran.push(archivectl(&bench, &["verify", "--json"]).await);
        }
        ran
    };
    let ((), ran) = tokio::join!(archiving, verifying);
    for ran in ran {
        assert_eq!(ran.code(), Some(0), "{ran:?}");
    }
    let ran = archivectl(&bench, &["verify", "--json"]).await;
    assert_eq!((ran.code(), &ran.summary()["proven"]), (Some(0), &json!(81)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proof_says_what_it_is_of_by_whom_and_how_each_object_was_proven() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let ran = archivectl(&bench, &["verify", "--json"]).await;
    let [object] = &ran.items()[..] else {
        panic!("{ran:?}")
    };
    let expected = json!({
        "archiveKey": format!("s3://{BUCKET}/{KEY}"), "interactionId": CONVERSATION, "recordingId": RECORDING,
        "sha256": sha256(&call_bytes()), "sizeBytes": call_bytes().len(), "versionId": null, "proof": "read",
        "notes": [],
    });
    assert_eq!(*object, expected);
    let mut scope = ran.summary()["scope"].clone();
    let moment = |value: Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
    let (began, ended) = (moment(scope["began"].take()), moment(scope["ended"].take()));
    assert!(began < ended);
    let tool = scope["tool"].take();
    assert!(tool.as_str().unwrap().starts_with("archivectl 0."), "{tool}");
    let expected = json!({
        "by": null, "from": null, "to": null, "conversations": null, "account": ACCOUNT,
        "caller": format!("arn:aws:iam::{ACCOUNT}:user/simulated"), "region": "us-east-1", "bucket": BUCKET,
        "auditTable": AUDIT_TABLE, "ledgerTable": LEDGER_TABLE, "tool": null, "began": null, "ended": null,
    });
    assert_eq!(scope, expected);
    // The proof does not depend on it.
    bench
        .world
        .wire
        .disturb_next(Service::Sts, "GetCallerIdentity", 9, Fault::status(403));
    let ran = archivectl(&bench, &["verify", "--json"]).await;
    assert_eq!(
        (ran.code(), &ran.summary()["scope"]["caller"]),
        (Some(0), &Value::Null),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_read_is_not_counted_as_read_back() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let wire = &bench.world.wire;
    wire.disturb_next(Service::S3, "GetObject", 9, Fault::status(403));
    let ran = archivectl(&bench, &["verify", "--json"]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let summary = ran.summary();
    assert_eq!(
        (&summary["files"], &summary["proven"], &summary["bytes"]),
        (&json!(0), &json!(0), &json!(0))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_older_events_did_not_record_is_a_note() {
    as_an_older_version_wrote_it(Bench::with_a_call().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_event_names_no_version_and_a_second_one_is_a_finding() {
    let bench = Bench::with_a_call().await;
    super::tampering::acts::keep_versions(&bench).await;
    let bench = as_an_older_version_wrote_it(bench).await;
    let put = bench.world.aws.s3().put_object().bucket(BUCKET).key(KEY);
    put.body(call_bytes().into()).send().await.unwrap();
    let ran = archivectl(&bench, &["verify", "--json"]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert_eq!(ran.summary()["findings"]["object_replaced"], 1, "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_chain_is_found_by_each_span_that_leads_to_it() {
    let (bench, called, archived) = of_long_ago().await;
    let events = items(&bench, AUDIT_TABLE).await;
    let mut event = events
        .into_iter()
        .find(|event| event.contains_key("latencyMs"))
        .unwrap();
    event.insert("latencyMs".to_owned(), AttributeValue::N("86400000".to_owned()));
    put(&bench, AUDIT_TABLE, event).await;
    for (by, on) in [("call", &called), ("archived", &archived)] {
        let days = ["verify", "--json", "--by", by, "--from", on, "--to", on];
        let ran = archivectl(&bench, &days).await;
        assert_eq!(ran.code(), Some(1), "{by}: {ran:?}");
        assert_eq!(ran.summary()["findings"]["audit_broken"], 1, "{by}: {ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_out_of_the_audit_is_found_in_its_days_unless_no_event_of_it_is_left() {
    for (cut, in_its_days) in [("", 3), ("archive.stored", 1)] {
        let (bench, _, archived) = of_long_ago().await;
        let mut events = items(&bench, AUDIT_TABLE).await;
        events.retain(|event| event["recordingId"].as_s().unwrap() == RECORDING);
        let from = events
            .iter()
            .position(|event| event["action"].as_s().unwrap() == cut);
        for event in events.split_off(from.unwrap_or_default()) {
            remove(&bench, &event).await;
        }
        let delete = bench.world.aws.s3().delete_object().bucket(BUCKET).key(KEY);
        delete.send().await.unwrap();
        let days = ["verify", "--json", "--from", &archived, "--to", &archived];
        let ran = archivectl(&bench, &days).await;
        assert_eq!(ran.code(), Some(in_its_days), "{cut}: {ran:?}");
        let ran = match in_its_days {
            // Nothing but the ledger tells of it, and that is read to its end only without days.
            3 => archivectl(&bench, &["verify", "--json", "--all"]).await,
            _ => ran,
        };
        assert!(
            ran.summary()["findings"]["audit_missing"].as_u64() > Some(0),
            "{cut}: {ran:?}"
        );
    }
}

/// Archives a call, and makes its events those of a version that did not record how an object was stored: they are a
/// note, and no finding.
async fn as_an_older_version_wrote_it(bench: Bench) -> Bench {
    bench.archive().await;
    let recorded = ["archivedAt", "contentType", "storageClass", "encryption"];
    let events = items(&bench, AUDIT_TABLE).await;
    let stored = events
        .iter()
        .find(|event| event["action"].as_s().unwrap() == "archive.stored")
        .unwrap();
    assert!(
        recorded.iter().all(|name| stored.contains_key(*name)),
        "{stored:?}"
    );
    for mut event in events {
        for name in recorded {
            event.remove(name);
        }
        event.remove("versionId");
        put(&bench, AUDIT_TABLE, event).await;
    }
    // As an older version wrote them: the chain hashed over what there is.
    let head = super::tampering::acts::retime(&bench, [CONVERSATION, RECORDING], |at, _| at).await;
    let update = bench.world.aws.dynamodb().update_item().table_name(LEDGER_TABLE);
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let update = update
        .key("interactionId", text(CONVERSATION))
        .key("recordingId", text(RECORDING));
    let update = update.update_expression("SET chainHead = :head");
    update
        .expression_attribute_values(":head", text(&head))
        .send()
        .await
        .unwrap();
    let ran = archivectl(&bench, &["verify", "--json"]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let notes = ran.items()[0]["notes"].to_string();
    assert!(notes.contains("not recorded then"), "{notes}");
    assert_eq!(ran.summary()["noted"], 1);
    bench
}
