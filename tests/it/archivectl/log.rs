//! `archivectl log`, and what `verify` and `audit` hold against the log.

mod damage;
mod foreign;
mod invented;
pub(super) mod made;
mod records;
pub(super) mod rewritten;

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use recording_archiver::aws::ledger::from_item;
use recording_archiver::domain::audit::AuditEvent;
use recording_archiver::seal::Entry;
use recording_archiver::sim::AUDIT_TABLE;
use recording_archiver::sim::wire::Service;
use serde_json::{Map, Value, json};
use tlog_tiles::tlog::{Hash, check_record, record_hash};

use super::tampering::acts::{HOUR, retime};
use super::{Ran, archivectl, command, end, items, put, remove};
use crate::support::{Bench, CONVERSATION, RECORDING};
use made::{Made, ORIGIN, entry};

const BUCKET: &str = "archive-log";

/// Returns an archive of one call, and its log up to a checkpoint.
async fn sealed() -> (Bench, Made) {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let mut log = Made::new(&bench, BUCKET, 1).await;
    log.seal_all(&bench).await;
    log.checkpoint().await;
    (bench, log)
}

/// Returns the codes that a command found, which ended with the code for that.
fn codes(ran: &Ran) -> BTreeSet<String> {
    let items = ran.items();
    let codes = items.iter().filter_map(|item| item["code"].as_str());
    let codes: BTreeSet<_> = codes.map(str::to_owned).collect();
    assert_eq!(ran.code(), Some(if codes.is_empty() { 0 } else { 1 }), "{ran:?}");
    codes
}

fn only(codes: &[&str]) -> BTreeSet<String> {
    codes.iter().map(|code| (*code).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_archive_and_its_log_are_whole_while_archiving_goes_on() {
    let (bench, mut log) = sealed().await;
    // Sealed, and in no checkpoint yet; and in no batch yet.
    log.seal(&[entry(1)]).await;
    let ran = log.archivectl(&bench, &["verify", "--json"]).await;
    assert_eq!(codes(&ran), only(&[]), "{ran:?}");
    let summary = ran.summary();
    let events =
        bench.audit(CONVERSATION, RECORDING).await.len() + bench.audit(CONVERSATION, "-").await.len();
    assert_eq!(summary["log"]["sealed"], events);
    assert_eq!(summary["log"]["leaves"], events + 1);
    assert_eq!(summary["log"]["records"], 1, "the beginning of the log");
    let ran = log.archivectl(&bench, &["log", "verify", "--json"]).await;
    assert_eq!(codes(&ran), only(&[]), "{ran:?}");
    let summary = ran.summary();
    assert_eq!(
        (&summary["size"], &summary["waiting"]),
        (&(events + 1).into(), &1.into())
    );
    let ran = log.archivectl(&bench, &["verify", "--quiet"]).await;
    assert!(
        ran.stdout
            .contains(&format!("{events} audit events are held by the log {ORIGIN}")),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_the_last_hour_may_wait_and_an_older_one_may_not() {
    let bench = Bench::with_a_call().await;
    let mut log = Made::new(&bench, BUCKET, 1).await;
    log.checkpoint().await;
    bench.archive().await;
    let ran = log.archivectl(&bench, &["verify", "--json"]).await;
    assert_eq!(codes(&ran), only(&[]));
    let young = ran.summary()["log"]["young"].as_u64().unwrap();
    assert!(young > 2, "{ran:?}");
    retime(&bench, [CONVERSATION, RECORDING], |at, _| at - HOUR * 2).await;
    let ran = log.archivectl(&bench, &["verify", "--json"]).await;
    let items = ran.items();
    let unsealed = items.iter().filter(|item| item["code"] == "event_not_sealed");
    assert_eq!(unsealed.count() as u64, young, "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verification_of_days_a_sample_or_a_conversation_holds_its_events_against_the_log() {
    let (bench, log) = sealed().await;
    let today = bench.clock.now().strftime("%Y-%m-%d").to_string();
    for (arguments, leaves) in [
        (vec!["--from", &today, "--to", &today], true),
        (
            vec!["--from", "2020-01-01", "--to", &today, "--by", "call"],
            false,
        ),
        (vec!["--sample", "100%"], false),
        (vec![CONVERSATION], false),
    ] {
        let ran = log
            .archivectl(&bench, &[&["verify", "--json"], &arguments[..]].concat())
            .await;
        let summary = ran.summary();
        assert_ne!(summary["log"]["sealed"], 0, "{ran:?}");
        assert_eq!(summary["log"]["leaves"] != 0, leaves, "{arguments:?} {ran:?}");
        assert_eq!(codes(&ran), only(&[]), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_find_a_missing_event_and_know_those_of_other_days() {
    let (bench, mut log) = sealed().await;
    // Events of a year ago that were imported today.
    retime(&bench, [CONVERSATION, RECORDING], |at, _| at - HOUR * 9_000).await;
    let today = bench.clock.now().strftime("%Y-%m-%d").to_string();
    let days = ["verify", "--json", "--from", &today, "--to", &today];
    let found = codes(&log.archivectl(&bench, &days).await);
    assert!(
        found.contains("sealed_event_missing"),
        "the events as they were: {found:?}"
    );
    let mut other = Made::new(&bench, "another-log", 1).await;
    other.seal_all(&bench).await;
    other.checkpoint().await;
    log.bucket = other.bucket;
    let found = codes(&log.archivectl(&bench, &days).await);
    assert!(!found.contains("sealed_event_missing"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_real_sealer_made_is_whole_by_the_key_of_kms_and_it_tells_of_a_changed_item() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    bench.seal_all().await;
    for command in [&["verify", "--json"][..], &["log", "verify", "--json"]] {
        let ran = archivectl(&bench, command).await;
        assert_eq!(codes(&ran), only(&[]), "{ran:?}");
    }
    let ran = archivectl(&bench, &["audit", CONVERSATION]).await;
    assert!(ran.stdout.contains("leaf 1 of the log"), "{ran:?}");
    // Another requester, and nothing else: a PutItem.
    let mut event = items(&bench, AUDIT_TABLE).await.remove(0);
    event.insert("note".to_owned(), AttributeValue::S("mine".to_owned()));
    put(&bench, AUDIT_TABLE, event.clone()).await;
    bench.seal_all().await;
    let ran = archivectl(&bench, &["verify", "--json"]).await;
    assert!(
        codes(&ran).is_superset(&only(&["audit_broken", "audit_modified"])),
        "{ran:?}"
    );
    let found = ran
        .items()
        .into_iter()
        .find(|item| item["code"] == "audit_modified")
        .unwrap();
    let detail = found["detail"].as_str().unwrap();
    assert_eq!(found["interactionId"], CONVERSATION);
    assert!(detail.contains(event["eventId"].as_s().unwrap()), "{detail}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_text_of_an_event_kept_as_a_record_hides_nothing() {
    let (bench, log) = sealed().await;
    for event in items(&bench, AUDIT_TABLE).await {
        remove(&bench, &event).await;
        let mut event: Map<String, Value> = from_item(event).unwrap();
        event.remove("eventHash");
        // Its SHA-256 is the event's hash, so the key fits.
        log.record(Value::Object(event).to_string().as_bytes()).await;
    }
    let found = codes(&log.archivectl(&bench, &["verify", "--json"]).await);
    assert!(found.contains("sealed_event_missing"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_says_which_events_are_sealed() {
    let bench = Bench::with_a_call().await;
    let mut log = Made::new(&bench, BUCKET, 1).await;
    log.checkpoint().await;
    bench.archive().await;
    let ran = log.archivectl(&bench, &["audit", CONVERSATION, "--json"]).await;
    assert_eq!(ran.summary()["sealed"]["leaves"], json!({}));
    let ran = log.archivectl(&bench, &["audit", CONVERSATION]).await;
    assert_eq!(
        (ran.code(), ran.stdout.contains("not yet")),
        (Some(0), true),
        "{ran:?}"
    );
    log.seal_all(&bench).await;
    log.checkpoint().await;
    let ran = log
        .archivectl(&bench, &["audit", CONVERSATION, "--html", "-"])
        .await;
    assert!(
        ran.stdout.contains(&format!("leaf 1 of the log {ORIGIN}")),
        "{ran:?}"
    );
    retime(&bench, [CONVERSATION, RECORDING], |at, _| at - HOUR * 2).await;
    let ran = log.archivectl(&bench, &["audit", CONVERSATION, "--json"]).await;
    let findings = ran.summary()["findings"].to_string();
    assert_eq!(
        (ran.code(), findings.contains("event_not_sealed")),
        (Some(1), true),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_holds_the_log_against_a_checkpoint_that_was_kept() {
    let (bench, log) = sealed().await;
    let mut other = Made::new(&bench, "another-log", 1).await;
    other.seal(&[entry(1)]).await;
    let (other, kept) = (other.checkpoint().await, log.files.file("kept"));
    let newest = log
        .keys()
        .await
        .into_iter()
        .rfind(|key| key.starts_with("checkpoints/"));
    std::fs::write(&kept, log.object(&newest.unwrap()).await).unwrap();
    for (checkpoint, code) in [(&kept, 0), (&other, 1)] {
        let arguments = ["audit", CONVERSATION, "--json", "--checkpoint", checkpoint];
        let ran = log.archivectl(&bench, &arguments).await;
        assert_eq!(ran.code(), Some(code), "{ran:?}");
        let summary = ran.summary();
        assert_eq!(summary["sealed"]["kept"], true);
        let inconsistent = summary["findings"].to_string().contains("log_inconsistent");
        assert_eq!(inconsistent, code == 1, "{ran:?}");
    }
    let arguments = ["audit", CONVERSATION, "--html", "-", "--checkpoint", &kept];
    let page = log.archivectl(&bench, &arguments).await.stdout;
    assert!(
        page.contains("goes on from the checkpoint that was given"),
        "{page}"
    );
    let ran = log.archivectl(&bench, &["audit", CONVERSATION, "--json"]).await;
    assert_eq!(ran.summary()["sealed"]["kept"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_log_verify_says_so_and_a_checkpoint_cannot_be_given() {
    let (bench, mut log) = sealed().await;
    let kept = log.checkpoint().await;
    let without = async |arguments: &[&str]| {
        let mut command = command(&bench, arguments);
        end(command.env_remove("SEAL_BUCKET_NAME").spawn().unwrap()).await
    };
    let ran = without(&["verify"]).await;
    assert!(
        ran.stdout
            .contains("no log is configured: nothing was held against a log"),
        "{ran:?}"
    );
    for command in [&["verify"][..], &["audit", CONVERSATION]] {
        let ran = without(&[command, &["--checkpoint", &kept]].concat()).await;
        assert_eq!(ran.code(), Some(2), "{ran:?}");
        assert!(
            ran.stderr.contains("no log to hold the checkpoint against"),
            "{ran:?}"
        );
    }
    let ran = without(&["log", "show"]).await;
    assert!(ran.stderr.contains("SEAL_BUCKET_NAME is not set"), "{ran:?}");
    let ran = without(&["audit", CONVERSATION, "--json"]).await;
    assert_eq!(ran.summary()["sealed"], Value::Null);
    let ran = without(&["audit", CONVERSATION]).await;
    assert!(ran.stdout.contains("no log is configured"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn show_says_what_the_log_is_and_prints_a_checkpoint_to_keep() {
    let (bench, mut log) = sealed().await;
    log.seal(&[entry(1)]).await;
    let ran = log.archivectl(&bench, &["log", "show", "--json"]).await;
    let shown = ran.summary();
    assert_eq!(shown["origin"], ORIGIN);
    assert_eq!(shown["verifierKey"], log.key.verifier_key());
    assert_eq!(
        (&shown["size"], &shown["waiting"]),
        (&log.size().into(), &1.into())
    );
    let printed = log.archivectl(&bench, &["log", "show", "--checkpoint"]).await;
    assert_eq!(printed.stdout, shown["checkpoint"].as_str().unwrap());
    let kept = log.files.file("printed");
    std::fs::write(&kept, printed.stdout).unwrap();
    let ran = log
        .archivectl(&bench, &["log", "verify", "--checkpoint", &kept])
        .await;
    assert!(
        ran.stdout.contains("goes on from the checkpoint that was given"),
        "{ran:?}"
    );
    let empty = Made::new(&bench, "empty-log", 1).await;
    for command in [["log", "show"], ["log", "verify"]] {
        let ran = empty.archivectl(&bench, &command).await;
        assert_eq!(ran.code(), Some(3), "{ran:?}");
        assert!(ran.stdout.contains("no checkpoint yet"), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_may_be_a_verifier_key_pem_or_der_and_another_one_is_refused() {
    let (bench, log) = sealed().await;
    let der = std::fs::read(log.files.file("der")).unwrap();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        BASE64_STANDARD.encode(&der)
    );
    let other = Made::new(&bench, "another-log", 2).await;
    for (key, code) in [
        (log.key.verifier_key().into_bytes(), 0),
        (pem.into_bytes(), 0),
        (der, 0),
        (other.key.verifier_key().into_bytes(), 1),
        (b"no key".to_vec(), 2),
    ] {
        std::fs::write(log.files.file("key"), key).unwrap();
        let ran = log.archivectl(&bench, &["log", "verify", "--json"]).await;
        assert_eq!(ran.code(), Some(code), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proof_of_an_event_holds_by_its_place_and_by_its_hash() {
    let (bench, log) = sealed().await;
    let events = bench.audit(CONVERSATION, RECORDING).await;
    let text = |event: &AuditEvent, name| event.text(name).unwrap().to_owned();
    let (hash, id) = (text(&events[1], "eventHash"), text(&events[1], "eventId"));
    let scans = bench.world.wire.count(Service::DynamoDb, "Scan");
    let path = log.files.file("event.tlog-proof");
    for event in [&[&*hash][..], &[CONVERSATION, RECORDING, "2"]] {
        let ran = log
            .archivectl(&bench, &[&["log", "prove", "--out", &path], event].concat())
            .await;
        assert_eq!(ran.code(), Some(0), "{ran:?}");
        let proof = std::fs::read_to_string(&path).unwrap();
        let printed = log.archivectl(&bench, &[&["log", "prove"], event].concat()).await;
        assert_eq!(printed.stdout, proof, "the same without a file");
        let (head, note) = proof.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        assert_eq!(lines.next(), Some("c2sp.org/tlog-proof@v1"));
        let leaf = lines
            .next()
            .unwrap()
            .strip_prefix("index ")
            .unwrap()
            .parse()
            .unwrap();
        let hashes = lines.map(|line| Hash::parse_hash(line).unwrap()).collect();
        let checkpoint = log.key.open(note.as_bytes()).unwrap();
        let entry: Entry = hash.parse().unwrap();
        check_record(
            &hashes,
            checkpoint.size,
            checkpoint.root,
            leaf,
            record_hash(&entry.0),
        )
        .unwrap();
    }
    let absent = sha256_of_nothing();
    let ran = log.archivectl(&bench, &["log", "prove", &absent, "--json"]).await;
    assert_eq!(
        (ran.code(), ran.stdout.contains("event_not_sealed")),
        (Some(1), true),
        "{ran:?}"
    );
    assert_eq!(bench.world.wire.count(Service::DynamoDb, "Scan"), scans);
    for (event, why) in [
        (&[&*id][..], "is no eventHash"),
        (
            &[CONVERSATION, RECORDING],
            "by conversation, recording and number",
        ),
        (&["no-id", RECORDING, "2"], "no-id"),
        (&[CONVERSATION, RECORDING, "two"], "two is no number"),
        (&[CONVERSATION, RECORDING, "99"], "the audit has no event 99"),
        (&[CONVERSATION, "-", "1"], "recording -"),
    ] {
        let ran = log.archivectl(&bench, &[&["log", "prove"], event].concat()).await;
        assert_eq!((ran.code(), ran.stderr.contains(why)), (Some(2), true), "{ran:?}");
    }
}

fn sha256_of_nothing() -> String {
    crate::support::sha256(b"")
}
