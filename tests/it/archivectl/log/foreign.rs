//! Other implementations take the log for what it is: `aics-tlog`, and openssl with the commands of docs/evidence.md.

use std::path::Path;

use recording_archiver::seal::batch::Batch;
use recording_archiver::sim::BUCKET as ARCHIVE;
use serde_json::Value;
use tokio::process::Command;

use super::super::{Folder, archivectl};
use super::made::{Made, entry};
use super::{BUCKET, codes, only, sealed};
use crate::stack::installed;
use crate::support::{Bench, CONVERSATION, KEY, RECORDING, project, sha256};

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

/// Runs commands in a folder; returns what they print if they succeeded.
async fn printed(folder: &Path, commands: &str) -> Option<String> {
    let run = Command::new("bash")
        .args(["-euo", "pipefail", "-c", commands])
        .current_dir(folder)
        .output();
    let output = run.await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    output.status.success().then_some(printed)
}

/// Runs commands in a folder; returns whether they succeeded.
async fn bash(folder: &Path, commands: &str) -> bool {
    printed(folder, commands).await.is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_evidence_page_give_the_hashes_of_an_object_and_of_an_event() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let files = Folder::new();
    // In the place of aws: it downloads what lies in the archive.
    let object = bench.world.aws.object_path(ARCHIVE, KEY);
    let aws = format!("aws() {{ if [ $2 = get-object ]; then cp {object:?} ${{!#}}; fi; }}\n");
    let download = aws
        + &by_hand("### An object")
            .replace("BUCKET", ARCHIVE)
            .replace("KEY", KEY);
    let event = by_hand("### An event");
    let ran = archivectl(&bench, &["audit", CONVERSATION, "--json"]).await;
    let told = |printed: Option<String>| printed.unwrap().split_once(' ').unwrap().0.to_owned();
    let mut stored = 0;
    for line in ran.stdout.lines().take(ran.items().len()) {
        std::fs::write(files.file("event.json"), line).unwrap();
        let read: Value = serde_json::from_str(line).unwrap();
        assert_eq!(read["eventHash"], told(printed(files.path(), &event).await));
        if read["action"] == "archive.stored" {
            assert_eq!(read["hash"], told(printed(files.path(), &download).await));
            stored += 1;
        }
        std::fs::write(files.file("event.json"), line.replacen(CONVERSATION, "mine", 1)).unwrap();
        assert_ne!(read["eventHash"], told(printed(files.path(), &event).await));
    }
    assert_eq!(stored, 1);
    std::fs::write(&object, b"other bytes").unwrap();
    assert_eq!(
        told(printed(files.path(), &download).await),
        sha256(b"other bytes")
    );
}

/// Makes a time-stamping authority in a folder: `authority.pem`, its key, and the configuration of its answers.
async fn authority(folder: &Path) {
    std::fs::write(
        folder.join("tsa.cnf"),
        "[req]\ndistinguished_name = dn\nx509_extensions = ext\nprompt = no\n[dn]\nCN = A time-stamping authority\n\
         [ext]\nbasicConstraints = critical, CA:TRUE\nextendedKeyUsage = critical, timeStamping\n\
         [tsa]\ndefault_tsa = one\n[one]\nserial = serial\ndigests = sha256\nsigner_digest = sha256\n\
         default_policy = 1.2.3.4\n",
    )
    .unwrap();
    let made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tsa.key -out authority.pem -days 2 -config tsa.cnf";
    assert!(bash(folder, made).await, "{made}");
}

/// Asks the authority for a time-stamp of a checkpoint, as the sealer does, and keeps it in `log.tsr`.
async fn stamp(folder: &Path, note: &[u8]) -> Vec<u8> {
    std::fs::write(folder.join("log.checkpoint"), note).unwrap();
    let stamped = "openssl ts -query -data log.checkpoint -sha256 -no_nonce -cert -out log.tsq\n\
                   openssl ts -reply -config tsa.cnf -queryfile log.tsq -inkey tsa.key -signer authority.pem -out log.tsr";
    assert!(bash(folder, stamped).await, "{stamped}");
    std::fs::read(folder.join("log.tsr")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_stamp_is_of_its_checkpoint_by_log_verify_and_signed_by_its_authority_by_openssl() {
    let (bench, mut log) = sealed().await;
    let other = std::fs::read(log.checkpoint().await).unwrap();
    let keys = log.keys().await;
    let key = keys.iter().find(|key| key.starts_with("checkpoints/")).unwrap();
    let note = log.object(key).await;
    let place = key.replace("checkpoints/", "timestamps/") + ".tsr";
    let folder = log.files.path();
    authority(folder).await;
    let of_other = stamp(folder, &other).await;
    let answer = stamp(folder, &note).await;
    let commands = by_hand("### A time-stamp");
    assert!(bash(folder, &commands).await);
    let verify = async || log.archivectl(&bench, &["log", "verify", "--json"]).await;
    log.again(&place, answer).await;
    let ran = verify().await;
    assert_eq!(codes(&ran), only(&[]), "{ran:?}");
    assert_eq!(ran.summary()["timestamps"], 1);
    log.purge(&place).await;
    log.again(&place, of_other).await;
    let ran = verify().await;
    assert_eq!(codes(&ran), only(&["log_inconsistent"]));
    assert!(ran.stdout.contains("no time-stamp of its checkpoint"), "{ran:?}");
    // Somebody else's word is refused by the certificate that was kept.
    let kept = std::fs::read(folder.join("authority.pem")).unwrap();
    authority(folder).await;
    stamp(folder, &note).await;
    std::fs::write(folder.join("authority.pem"), kept).unwrap();
    assert!(!bash(folder, &commands).await, "another authority");
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
