//! Other implementations take the log for what it is: `aics-tlog`, and openssl with the commands of docs/evidence.md.

use std::path::Path;

use recording_archiver::seal::batch::Batch;
use tokio::process::Command;

use super::made::{Made, entry};
use super::{BUCKET, sealed};
use crate::stack::installed;
use crate::support::{CONVERSATION, RECORDING, project};

/// Writes the log's objects as files.
async fn files(log: &Made, folder: &Path) -> Vec<String> {
    let keys = log.keys().await;
    for key in &keys {
        let path = folder.join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, log.object(key).await).unwrap();
    }
    keys
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_implementation_accepts_checkpoints_tiles_inclusion_and_consistency() {
    let Some(python) = installed("log/bin/python") else {
        return;
    };
    let (bench, mut log) = sealed().await;
    log.seal(&(0..700).map(entry).collect::<Vec<_>>()).await;
    log.checkpoint().await;
    let hash = bench.audit(CONVERSATION, RECORDING).await[1]
        .text("eventHash")
        .unwrap()
        .to_owned();
    let proof = log.files.file("event.tlog-proof");
    let ran = log
        .archivectl(&bench, &["log", "prove", &hash, "--out", &proof])
        .await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let keys = files(&log, log.files.path()).await;
    let mut checkpoints = keys.iter().filter(|key| key.starts_with("checkpoints/"));
    let (older, newest) = (checkpoints.next().unwrap(), checkpoints.next_back().unwrap());
    let output = Command::new(python)
        .arg(project().join("tests/it/archivectl/log/foreign.py"))
        .arg(log.files.path())
        .arg(log.key.verifier_key())
        .args([newest, older, &proof, &hash])
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let mut sealed = Vec::new();
    for key in keys.iter().filter(|key| key.starts_with("batches/")) {
        sealed.extend(Batch::from_bytes(&log.object(key).await).unwrap().entries);
    }
    let sealed: String = sealed.iter().map(|entry| format!("{entry}\n")).collect();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), sealed);
}

/// Returns the commands of docs/evidence.md below a heading.
fn by_hand(heading: &str) -> String {
    let page = std::fs::read_to_string(project().join("docs/evidence.md")).unwrap();
    let (_, section) = page
        .split_once(heading)
        .unwrap_or_else(|| panic!("docs/evidence.md has no {heading}"));
    let (_, block) = section.split_once("```bash\n").unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

/// Runs commands in a folder; returns whether they succeeded.
async fn bash(folder: &Path, commands: &str) -> bool {
    let run = Command::new("bash")
        .args(["-euo", "pipefail", "-c", commands])
        .current_dir(folder)
        .output();
    run.await.unwrap().status.success()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_evidence_page_accept_the_log_and_nothing_else() {
    let (bench, mut log) = sealed().await;
    log.seal(&(0..300).map(entry).collect::<Vec<_>>()).await;
    log.checkpoint().await;
    let folder = log.files.path();
    let der = std::fs::read(log.files.file("der")).unwrap();
    std::fs::write(log.files.file("log.der"), der).unwrap();
    let ran = log.archivectl(&bench, &["log", "show", "--checkpoint"]).await;
    std::fs::write(log.files.file("log.checkpoint"), &ran.stdout).unwrap();
    let signature = by_hand("### A checkpoint's signature");
    assert!(bash(folder, &signature).await);
    std::fs::write(
        log.files.file("log.checkpoint"),
        ran.stdout.replacen("\n305\n", "\n304\n", 1),
    )
    .unwrap();
    assert!(!bash(folder, &signature).await, "another size");
    let inclusion = by_hand("### That the log holds an event");
    let proof = log.files.file("event.tlog-proof");
    for event in bench.audit(CONVERSATION, RECORDING).await {
        let hash = event.text("eventHash").unwrap().to_owned();
        let ran = log
            .archivectl(&bench, &["log", "prove", &hash, "--out", &proof])
            .await;
        assert_eq!(ran.code(), Some(0), "{ran:?}");
        let with = |hash: &str| inclusion.replace("EVENTHASH", hash);
        assert!(bash(folder, &with(&hash)).await);
        assert!(!bash(folder, &with(&"ab".repeat(32))).await, "another event");
    }
    assert_eq!(log.bucket, BUCKET);
}
