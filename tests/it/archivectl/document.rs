//! `verify --proof`: the proof as a document of its own.

use std::sync::LazyLock;

use recording_archiver::sim::wire::{Fault, Service};
use recording_archiver::sim::{ACCOUNT, BUCKET};
use serde_json::{Value, json};

use super::tampering::acts;
use super::{Folder, Ran, archivectl, command, end, signal};
use crate::support::{Bench, CONVERSATION, KEY, RECORDING, call_bytes, sha256};

static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema = serde_json::from_str(include_str!("../../../docs/proof.schema.json")).unwrap();
    jsonschema::validator_for(&schema).unwrap()
});

/// Returns the document, which is what the page promises, and whose hash the command told.
fn document(ran: &Ran, file: &str) -> Value {
    let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let told = format!("SHA-256 {}", sha256(&bytes));
    assert!(ran.stderr.contains(&told), "{told}: {ran:?}");
    let document = serde_json::from_slice(&bytes).unwrap();
    let faults: Vec<_> = SCHEMA
        .iter_errors(&document)
        .map(|fault| fault.to_string())
        .collect();
    assert_eq!(faults, Vec::<String>::new(), "{document:#}");
    document
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_holds_the_checkpoint_against_which_its_events_were_held() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    bench.seal_all().await;
    let folder = Folder::new();
    let file = folder.file("proof.json");
    let ran = archivectl(&bench, &["verify", "--json", "--proof", &file]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let proof = document(&ran, &file);
    assert_eq!(proof["checkpoint"], ran.summary()["log"]);
    let note = proof["checkpoint"]["checkpoint"].as_str().unwrap();
    let key = bench.log_key().await;
    let signed = key.open(note.as_bytes()).unwrap();
    assert_eq!(proof["checkpoint"]["size"], signed.size);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_stands_for_itself() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let folder = Folder::new();
    let file = folder.file("proof.json");
    let ran = archivectl(&bench, &["verify", "--json", "--proof", &file, CONVERSATION]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let proof = document(&ran, &file);
    assert_eq!(proof["verdict"], "clean");
    assert_eq!(proof["findings"], json!([]));
    assert_eq!(proof["checkpoint"], Value::Null);
    let object = json!({
        "archiveKey": format!("s3://{BUCKET}/{KEY}"), "interactionId": CONVERSATION, "recordingId": RECORDING,
        "sha256": sha256(&call_bytes()), "sizeBytes": call_bytes().len(), "versionId": null, "proof": "read",
        "notes": [],
    });
    assert_eq!(proof["objects"], json!([object]));
    let scope = &proof["scope"];
    let named = ["account", "bucket", "conversations"].map(|name| scope[name].clone());
    assert_eq!(
        named,
        [json!(ACCOUNT), json!(BUCKET), json!([CONVERSATION])],
        "{scope}"
    );
    // The lines say the same.
    let mut summary = ran.summary();
    assert_eq!(summary["scope"].take(), *scope);
    assert_eq!(summary["bytes"], proof["summary"]["bytes"]);
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing beside it"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_with_findings_holds_them_and_one_of_nothing_says_so() {
    let bench = Bench::with_a_call().await;
    let folder = Folder::new();
    let nothing = folder.file("nothing.json");
    let ran = archivectl(&bench, &["verify", "--proof", &nothing]).await;
    assert_eq!(ran.code(), Some(3), "{ran:?}");
    assert_eq!(document(&ran, &nothing)["verdict"], "nothing");
    bench.archive().await;
    acts::gone(None)(&bench).await;
    let file = folder.file("found.json");
    let ran = archivectl(&bench, &["verify", "--json", "--proof", &file]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let proof = document(&ran, &file);
    assert_eq!(
        (&proof["verdict"], &proof["objects"]),
        (&json!("findings"), &json!([]))
    );
    assert_eq!(proof["findings"], Value::Array(ran.items()));
    assert_eq!(proof["findings"].as_array().unwrap().len(), 2, "{proof:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_replaces_nothing_and_where_there_is_none_nothing_stays() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let folder = Folder::new();
    let file = folder.file("proof.json");
    std::fs::write(&file, "an earlier proof").unwrap();
    bench.world.wire.forget();
    let ran = archivectl(&bench, &["verify", "--proof", &file]).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    assert!(ran.stderr.contains("give another name"), "{ran:?}");
    assert_eq!(std::fs::read(&file).unwrap(), b"an earlier proof");
    assert_eq!(
        bench.world.wire.count(Service::S3, "GetObject"),
        0,
        "told before the work"
    );
    std::fs::remove_file(&file).unwrap();

    bench
        .world
        .wire
        .disturb_next(Service::S3, "GetObject", 1, Fault::Hang);
    let child = command(&bench, &["verify", "--proof", &file]).spawn().unwrap();
    let reading = |all: &[recording_archiver::sim::wire::Exchange]| {
        all.iter().any(|asked| asked.operation == "GetObject")
    };
    bench.world.wire.wait_until(reading).await;
    signal(&child, "INT").await;
    let ran = end(child).await;
    assert_eq!(ran.code(), Some(130), "{ran:?}");
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "an unfinished proof is none"
    );
}
