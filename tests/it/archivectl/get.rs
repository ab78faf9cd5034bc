//! Recordings out of the archive: the event first, then the bytes, and a file only if they are those that were
//! archived.

use std::collections::BTreeSet;
use std::path::Path;

use recording_archiver::sim::genesys::Recording;
use recording_archiver::sim::wire::{Fault, Gate, Service};
use recording_archiver::sim::{BUCKET, LEDGER_TABLE};
use serde_json::{Value, json};

use super::tampering::acts::keep_versions;
use super::{Folder, Ran, archivectl, command, end, items, remove, signal};
use crate::apart::ACCESSES;
use crate::support::{Bench, CONVERSATION, KEY, RECORDING, call, call_bytes, invoke, job, outcomes, sha256};

const SPLIT: (&str, &str) = ("RECORDING_CHANNELS", "split");

/// Returns the archive of a call with a file for each of these channels.
async fn archive(channels: usize, settings: &[(&str, &str)]) -> Bench {
    let channels: Vec<_> = (0..channels).map(|_| call()).collect();
    let bench = Bench::with_recording(Recording::audio(RECORDING, channels)).await;
    let handler = bench.handler(settings);
    assert_eq!(outcomes(&invoke(&handler, job()).await.unwrap()), ["archived"]);
    bench.world.wire.forget();
    bench
}

async fn get(bench: &Bench, folder: &Folder, more: &[&str]) -> Ran {
    let folder = folder.file("");
    let arguments = [
        "get",
        CONVERSATION,
        "--reason",
        "complaint 4711",
        "--json",
        "--output",
        &folder,
    ];
    archivectl(bench, &[&arguments[..], more].concat()).await
}

/// Returns the names in a folder, hidden ones too.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Returns the operations on S3 and DynamoDB since the archiving.
fn operations(bench: &Bench) -> Vec<String> {
    let exchanges = bench.world.wire.exchanges();
    exchanges.into_iter().map(|call| call.operation).collect()
}

/// Asserts that nothing was read, written down or written.
async fn assert_untouched(bench: &Bench, folder: &Folder) {
    let operations = operations(bench);
    for operation in ["GetObject", "RestoreObject"] {
        assert!(!operations.contains(&operation.to_owned()), "{operations:?}");
    }
    assert_eq!(bench.audit(CONVERSATION, ACCESSES).await, []);
    assert_eq!(names(folder.path()), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_channel_becomes_a_file_with_a_receipt_once_the_audit_says_who_and_why() {
    let bench = archive(2, &[SPLIT]).await;
    let record = items(&bench, LEDGER_TABLE).await;
    let folder = Folder::new();
    let ran = get(&bench, &folder, &[]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert_eq!(
        (&ran.summary()["files"], &ran.summary()["recordings"]),
        (&json!(2), &json!(1))
    );

    let operations = operations(&bench);
    let place = |operation: &str| operations.iter().position(|one| one == operation).unwrap();
    assert!(place("TransactWriteItems") < place("GetObject"), "{operations:?}");
    let events = bench.audit(CONVERSATION, ACCESSES).await;
    let [event] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(
        (&event["action"], &event["access"], &event["reason"]),
        (
            &json!("recording.accessed"),
            &json!("downloaded"),
            &json!("complaint 4711")
        )
    );
    let actor = &event["actor"];
    assert_eq!(actor["source"], "operator");
    assert_eq!(actor["identity"], "arn:aws:iam::123456789012:user/simulated");
    assert_eq!(
        items(&bench, LEDGER_TABLE).await,
        record,
        "the ledger is as it was"
    );

    let expected: BTreeSet<_> = [0, 1]
        .into_iter()
        .flat_map(|channel| ["", ".receipt.json"].map(|end| format!("{RECORDING}-{channel}.wav{end}")))
        .collect();
    assert_eq!(names(folder.path()), expected);
    let stored = bench.audit(CONVERSATION, RECORDING).await;
    let stored: Vec<_> = stored
        .iter()
        .filter(|event| event["action"] == "archive.stored")
        .collect();
    for (channel, stored) in stored.iter().enumerate() {
        let path = folder.file(&format!("{RECORDING}-{channel}.wav"));
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(sha256(&bytes), stored["hash"].as_str().unwrap());
        let receipt = std::fs::read(format!("{path}.receipt.json")).unwrap();
        let receipt: Value = serde_json::from_slice(&receipt).unwrap();
        for (name, value) in [
            ("schema", json!("recording-archiver.receipt/1")),
            ("file", json!(format!("{RECORDING}-{channel}.wav"))),
            ("interactionId", json!(CONVERSATION)),
            ("recordingId", json!(RECORDING)),
            ("channel", json!(channel)),
            ("archiveKey", stored["archiveKey"].clone()),
            ("sha256", stored["hash"].clone()),
            ("sizeBytes", json!(bytes.len())),
            ("versionId", Value::Null),
            ("by", actor["identity"].clone()),
            ("reason", json!("complaint 4711")),
            ("eventId", event["eventId"].clone()),
            ("eventHash", event["eventHash"].clone()),
        ] {
            assert_eq!(receipt[name], value, "{name}: {receipt}");
        }
        assert_eq!(event["files"][channel]["archiveKey"], stored["archiveKey"]);
        assert_eq!(event["files"][channel]["hash"], stored["hash"]);
        assert_eq!(ran.items()[channel]["sha256"], stored["hash"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "nobody else reads it");
        }
    }
    let verified = archivectl(&bench, &["verify", "--json"]).await;
    assert_eq!(verified.code(), Some(0), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_version_that_was_archived_is_read_whatever_lies_above_it() {
    let bench = Bench::with_a_call().await;
    keep_versions(&bench).await;
    bench.archive().await;
    let put = bench.world.aws.s3().put_object().bucket(BUCKET).key(KEY);
    put.body(b"other".to_vec().into()).send().await.unwrap();
    let hide = bench.world.aws.s3().delete_object().bucket(BUCKET).key(KEY);
    hide.send().await.unwrap();
    let folder = Folder::new();
    let file = folder.file("call.wav");
    let arguments = ["get", CONVERSATION, RECORDING, "--reason", "r", "--output", &file];
    let ran = archivectl(&bench, &arguments).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert_eq!(std::fs::read(&file).unwrap(), call_bytes());
    let receipt: Value =
        serde_json::from_slice(&std::fs::read(format!("{file}.receipt.json")).unwrap()).unwrap();
    let stored = bench.audit(CONVERSATION, RECORDING).await;
    let stored = stored
        .iter()
        .find(|event| event["action"] == "archive.stored")
        .unwrap();
    assert!(receipt["versionId"].is_string());
    assert_eq!(receipt["versionId"], stored["versionId"]);
    let event = bench.audit(CONVERSATION, ACCESSES).await.pop().unwrap();
    assert_eq!(event["files"][0]["versionId"], stored["versionId"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_bytes_than_those_of_the_audit_become_no_file() {
    let mut changed = call_bytes();
    changed[1_000] ^= 1;
    for (bytes, code) in [(changed, "object_changed"), (b"short".to_vec(), "size_differs")] {
        let bench = archive(1, &[]).await;
        let put = bench.world.aws.s3().put_object().bucket(BUCKET).key(KEY);
        put.body(bytes.into()).send().await.unwrap();
        let folder = Folder::new();
        let ran = get(&bench, &folder, &[]).await;
        assert_eq!(ran.code(), Some(1), "{ran:?}");
        assert_eq!(ran.summary()["findings"], json!({code: 1}));
        assert_eq!(ran.items()[0]["archiveKey"], format!("s3://{BUCKET}/{KEY}"));
        assert_eq!(names(folder.path()), BTreeSet::new(), "{code}");
        assert_eq!(bench.audit(CONVERSATION, ACCESSES).await.len(), 1, "it was read");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_is_gone_is_a_finding_and_the_other_one_is_written() {
    let bench = archive(2, &[SPLIT]).await;
    let gone = format!("recordings/{CONVERSATION}/{RECORDING}-0.wav");
    let delete = bench.world.aws.s3().delete_object().bucket(BUCKET).key(gone);
    delete.send().await.unwrap();
    let folder = Folder::new();
    let ran = get(&bench, &folder, &[]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert_eq!(ran.summary()["findings"], json!({"object_missing": 1}));
    assert_eq!(names(folder.path()).len(), 2);
    let event = bench.audit(CONVERSATION, ACCESSES).await.pop().unwrap();
    assert_eq!(event["files"].as_array().unwrap().len(), 1, "{event:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_read_that_the_audit_cannot_say_first() {
    for (service, operation) in [
        (Service::Sts, "GetCallerIdentity"),
        (Service::DynamoDb, "TransactWriteItems"),
    ] {
        let bench = archive(1, &[]).await;
        bench
            .world
            .wire
            .disturb_next(service, operation, 100, Fault::status(403));
        let folder = Folder::new();
        let ran = get(&bench, &folder, &[]).await;
        assert_eq!(ran.code(), Some(2), "{operation}: {ran:?}");
        assert_untouched(&bench, &folder).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_there_is_not_replaced_and_nothing_is_read() {
    let bench = archive(1, &[]).await;
    for name in [
        format!("{RECORDING}.wav"),
        format!("{RECORDING}.wav.receipt.json"),
    ] {
        let folder = Folder::new();
        let path = folder.file(&name);
        std::fs::write(&path, "mine").unwrap();
        let ran = get(&bench, &folder, &[]).await;
        assert_eq!(ran.code(), Some(2), "{ran:?}");
        assert!(
            ran.stderr.contains("nothing is replaced") && ran.stderr.contains(&name),
            "{ran:?}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        std::fs::remove_file(&path).unwrap();
        assert_untouched(&bench, &folder).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_got_is_refused_with_the_way_out() {
    let bench = archive(2, &[SPLIT]).await;
    let folder = Folder::new();
    let (file, long) = (folder.file("one.wav"), "x".repeat(257));
    let with = |reason: &'static str| vec!["get", CONVERSATION, "--reason", reason];
    for (arguments, told) in [
        (vec!["get", CONVERSATION], "--reason"),
        (with(" "), "accepted: a text"),
        (with("one\nline"), "accepted: one line"),
        (with("\u{202e}sdrawkcab"), "accepted: one line"),
        (vec!["get", CONVERSATION, "--reason", &long], "256 characters"),
        ([with("r"), vec!["--output", &file]].concat(), "--output DIR/"),
        ([with("r"), vec!["--days", "3"]].concat(), "--restore"),
        (
            vec![
                "get",
                CONVERSATION,
                "e0000000-0000-4000-8000-0000000000ee",
                "--reason",
                "r",
            ],
            RECORDING,
        ),
        (vec!["get", CONVERSATION, "-", "--reason", "r"], RECORDING),
        (vec!["get", CONVERSATION, ACCESSES, "--reason", "r"], RECORDING),
        (
            vec!["get", "c0000000-0000-4000-8000-0000000000ee", "--reason", "r"],
            "the archive knows no recording",
        ),
    ] {
        let ran = archivectl(&bench, &arguments).await;
        assert_eq!(ran.code(), Some(2), "{arguments:?} {ran:?}");
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
    }
    assert_untouched(&bench, &folder).await;
    let erased = archivectl(&bench, &["erase", CONVERSATION, "--reason", "r", "--yes"]).await;
    assert_eq!(erased.code(), Some(0), "{erased:?}");
    let ran = get(&bench, &folder, &[]).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("is not in the archive: erased"),
        "{}",
        ran.stderr
    );
    assert_untouched(&bench, &folder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_whose_audit_is_broken_is_not_handed_out() {
    let bench = archive(1, &[]).await;
    let events = items(&bench, recording_archiver::sim::AUDIT_TABLE).await;
    let first = events
        .iter()
        .find(|event| event["seq"].as_n().unwrap() == "1")
        .unwrap();
    remove(&bench, first).await;
    bench.world.wire.forget();
    let folder = Folder::new();
    let ran = get(&bench, &folder, &[]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert_eq!(ran.summary()["findings"], json!({"audit_broken": 1}));
    assert_untouched(&bench, &folder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_off_is_read_again_and_ctrl_c_leaves_no_part_of_a_file() {
    let bench = archive(1, &[]).await;
    let folder = Folder::new();
    let broken = Fault::Respond {
        status: 200,
        headers: vec![("content-length".to_owned(), "5000".to_owned())],
        body: b"RIFF".to_vec(),
    };
    bench
        .world
        .wire
        .disturb_next(Service::S3, "GetObject", 2, broken.clone());
    let ran = get(&bench, &folder, &[]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert_eq!(
        std::fs::read(folder.file(&format!("{RECORDING}.wav"))).unwrap(),
        call_bytes()
    );

    let folder = Folder::new();
    bench.world.wire.disturb_next(Service::S3, "GetObject", 3, broken);
    let ran = get(&bench, &folder, &[]).await;
    assert_eq!(
        (ran.code(), names(folder.path())),
        (Some(2), BTreeSet::new()),
        "{ran:?}"
    );

    bench.world.wire.forget();
    bench
        .world
        .wire
        .disturb_next(Service::S3, "GetObject", 1, Fault::Hold(Gate::default()));
    let output = folder.file("");
    let child = command(
        &bench,
        &["get", CONVERSATION, "--reason", "r", "--output", &output],
    );
    let child = { child }.spawn().unwrap();
    let wire = &bench.world.wire;
    wire.wait_until(|calls| calls.iter().any(|call| call.operation == "GetObject"))
        .await;
    signal(&child, "INT").await;
    let ran = end(child).await;
    assert_eq!(
        (ran.code(), names(folder.path())),
        (Some(130), BTreeSet::new()),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_cold_storage_a_file_comes_by_the_same_command_once_it_is_restored() {
    for (class, tier, hours, free) in [
        ("GLACIER", None, 5, false),
        ("DEEP_ARCHIVE", None, 12, false),
        ("INTELLIGENT_TIERING", Some("ARCHIVE_ACCESS"), 5, true),
        ("INTELLIGENT_TIERING", Some("DEEP_ARCHIVE_ACCESS"), 12, true),
    ] {
        let name = tier.unwrap_or(class);
        let bench = archive(1, &[]).await;
        let aws = &bench.world.aws;
        assert!(aws.transition(BUCKET, KEY, class));
        assert!(tier.is_none_or(|tier| aws.archive(BUCKET, KEY, tier)));
        let folder = Folder::new();
        let ran = get(&bench, &folder, &[]).await;
        assert_eq!(ran.code(), Some(2), "{ran:?}");
        for text in [
            name,
            &format!("up to {hours} hours"),
            "list price",
            "https://aws.amazon.com/s3/pricing/",
            "--restore",
        ] {
            assert!(ran.stderr.contains(text), "{text}: {}", ran.stderr);
        }
        assert_eq!(ran.stderr.contains("USD 0.0000 "), free, "{}", ran.stderr);
        assert_untouched(&bench, &folder).await;

        for restore in ["requested", "in_progress"] {
            let ran = get(&bench, &folder, &["--restore", "--days", "3"]).await;
            assert_eq!(ran.code(), Some(3), "nothing was written yet: {ran:?}");
            assert_eq!(
                (&ran.summary()["restoring"], &ran.summary()["files"]),
                (&json!(1), &json!(0))
            );
            let item = &ran.items()[0];
            assert_eq!((&item["restore"], &item["cold"]), (&json!(restore), &json!(name)));
            assert_eq!(item["hours"], hours);
        }
        let operations = operations(&bench);
        let place = |operation: &str| operations.iter().position(|one| one == operation).unwrap();
        assert!(
            place("TransactWriteItems") < place("RestoreObject"),
            "{operations:?}"
        );
        assert!(!operations.contains(&"GetObject".to_owned()), "{operations:?}");
        // Without --restore it is as well known that one is under way.
        assert_eq!(get(&bench, &folder, &[]).await.code(), Some(3));

        assert!(aws.finish_restore(BUCKET, KEY));
        let ran = get(&bench, &folder, &["--restore"]).await;
        assert_eq!(ran.code(), Some(0), "{ran:?}");
        assert_eq!(names(folder.path()).len(), 2);
        let events = bench.audit(CONVERSATION, ACCESSES).await;
        let kinds: Vec<_> = events
            .iter()
            .map(|event| event["access"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["restore_requested", "downloaded"], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_read_what_was_written_and_when_to_come_back() {
    let bench = archive(1, &[]).await;
    let folder = Folder::new();
    let output = folder.file("new/");
    let arguments = [
        "get",
        CONVERSATION,
        "--reason",
        "complaint 4711",
        "--output",
        &output,
    ];
    let ran = archivectl(&bench, &arguments).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let path = format!("{output}{RECORDING}.wav");
    for text in [
        format!("written {path} "),
        "as archived".to_owned(),
        "1 file of 1 recording written".to_owned(),
    ] {
        assert!(ran.stdout.contains(&text), "{text}: {}", ran.stdout);
    }
    let shown = archivectl(&bench, &["audit", CONVERSATION, "--no-read"]).await;
    for text in ["complaint 4711", "user/simulated", "downloaded", KEY] {
        assert!(shown.stdout.contains(text), "{text}: {}", shown.stdout);
    }
    assert!(bench.world.aws.transition(BUCKET, KEY, "GLACIER"));
    let ran = archivectl(&bench, &[&arguments[..], &["--restore"]].concat()).await;
    assert!(ran.stdout.contains("typically within 5 hours"), "{ran:?}");
    assert!(ran.stdout.contains("run the same command again"), "{ran:?}");
}
