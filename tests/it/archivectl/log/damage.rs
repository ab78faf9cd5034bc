//! Each kind of damage to the objects of a log.

use jiff::SignedDuration;

use super::made::{Made, entry};
use super::{BUCKET, codes, only};
use crate::support::Bench;

/// Makes a log with full and partial tiles on two levels: checkpoints of 1, 401 and 701 leaves, an hour apart.
async fn log(bench: &Bench, bucket: &str) -> Made {
    let mut log = Made::new(bench, bucket, 1).await;
    let now = bench.clock.now();
    for (hours, entries) in [(2, 1..1), (1, 1..401), (0, 401..701)] {
        if !entries.is_empty() {
            log.seal(&entries.map(entry).collect::<Vec<_>>()).await;
        }
        let at: jiff::Timestamp = format!("{:.3}", now - SignedDuration::from_hours(hours))
            .parse()
            .unwrap();
        log.checkpoint_at(at).await;
    }
    log
}

async fn found(log: &Made, bench: &Bench) -> std::collections::BTreeSet<String> {
    codes(&log.archivectl(bench, &["log", "verify", "--json"]).await)
}

fn flipped(mut bytes: Vec<u8>) -> Vec<u8> {
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_changed_removed_deleted_or_written_again_is_found() {
    let bench = Bench::new().await;
    let clean = log(&bench, BUCKET).await;
    assert_eq!(found(&clean, &bench).await, only(&[]));
    let keys = clean.keys().await;
    assert!(keys.iter().any(|key| key == "tile/0/001") && keys.iter().any(|key| key == "tile/1/000.p/2"));
    let mut missed = Vec::new();
    for key in &keys {
        let bytes = clean.object(key).await;
        let (checkpoint, record) = (key.starts_with("checkpoints/"), key.starts_with("records/"));
        for act in ["changed", "removed", "deleted", "written again"] {
            match act {
                "changed" => clean.change(key, flipped(bytes.clone())).await,
                "removed" => clean.purge(key).await,
                "deleted" => clean.delete(key).await,
                _ => clean.again(key, bytes.clone()).await,
            }
            let found = found(&clean, &bench).await;
            let expected = match act {
                // What is gone without a trace: a checkpoint, of which later ones prove more, and a record, which
                // `verify` misses for its leaf.
                "removed" if checkpoint || record => found.is_empty(),
                "changed" if checkpoint => found.contains("checkpoint_invalid"),
                _ => found.contains("log_inconsistent"),
            };
            if !expected {
                missed.push(format!("{key} {act}: {found:?}"));
            }
            clean.change(key, bytes.clone()).await;
            clean.unmark(key).await;
        }
    }
    assert_eq!(missed, Vec::<String>::new(), "{missed:#?}");
    assert_eq!(found(&clean, &bench).await, only(&[]), "all is as it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_that_the_sealer_does_not_put_are_found() {
    let bench = Bench::new().await;
    let log = log(&bench, BUCKET).await;
    let batch = log.object("batches/00000000000000000001").await;
    for (key, bytes) in [
        ("notes.txt", b"mine".to_vec()),
        ("tile/99/000", vec![0; 32]),
        ("tile/0/000.p/0", Vec::new()),
        ("tile/0/900", vec![0; 8_192]),
        ("tile/0/002.p/1", vec![0; 32]),
        ("batches/00000000000000000100", batch),
        ("batches/1", b"mine".to_vec()),
        ("records/mine.json", b"{}".to_vec()),
        ("checkpoints/today", b"mine".to_vec()),
    ] {
        log.again(key, bytes).await;
        assert!(found(&log, &bench).await.contains("log_inconsistent"), "{key}");
        log.purge(key).await;
    }
    assert_eq!(found(&log, &bench).await, only(&[]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_is_not_the_beginning_of_the_newest_is_found() {
    let bench = Bench::new().await;
    let log = log(&bench, BUCKET).await;
    let other = Made::new(&bench, "another-log", 2).await;
    let now: jiff::Timestamp = format!("{:.3}", bench.clock.now()).parse().unwrap();
    let early = now - SignedDuration::from_mins(90);
    let late = now + SignedDuration::from_mins(20);
    let key = recording_archiver::seal::layout::checkpoint;
    for (key, note, expected) in [
        // By another key; by the log's, over another tree; over a smaller one, later.
        (
            key(early, 401),
            other.note(401, [7; 32], early),
            "checkpoint_invalid",
        ),
        (key(early, 401), log.note(401, [7; 32], early), "log_inconsistent"),
        (key(early, 701), log.note(701, [7; 32], early), "log_inconsistent"),
        (
            key(early, 9_000),
            other.note(9_000, [7; 32], early),
            "checkpoint_invalid",
        ),
        (
            key(early, 9_000),
            log.note(9_000, [7; 32], early),
            "log_inconsistent",
        ),
        (key(late, 401), log.note(401, [7; 32], late), "log_inconsistent"),
        (key(late, 500), log.note(501, [7; 32], late), "checkpoint_invalid"),
        (
            key(late, u64::MAX),
            log.note(u64::MAX, [7; 32], late),
            "checkpoint_invalid",
        ),
        (key(late, 0), log.note(0, [7; 32], late), "checkpoint_invalid"),
    ] {
        log.again(&key, note).await;
        assert!(found(&log, &bench).await.contains(expected), "{key}");
        log.purge(&key).await;
    }
    assert_eq!(found(&log, &bench).await, only(&[]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_lost_its_end_or_all_of_it_is_found_by_a_kept_checkpoint_alone() {
    let bench = Bench::new().await;
    let log = log(&bench, BUCKET).await;
    let kept = log.files.file("kept.checkpoint");
    let keys = log.keys().await;
    let newest = keys.iter().rfind(|key| key.starts_with("checkpoints/")).unwrap();
    std::fs::write(&kept, log.object(newest).await).unwrap();
    let run = async |arguments: &[&str]| {
        let arguments = [&["log", "verify", "--json"], arguments].concat();
        log.archivectl(&bench, &arguments).await
    };
    assert_eq!(run(&["--checkpoint", &kept]).await.code(), Some(0));
    // What the last checkpoint brought: its batch, its tiles, itself.
    for key in log.keys().await {
        let of_the_end = [
            "-00000000000000000701",
            "batches/00000000000000000401",
            "tile/0/001",
            "tile/entries/001",
        ];
        let edges = ["tile/0/002.p/189", "tile/entries/002.p/189", "tile/1/000.p/2"];
        if of_the_end.iter().any(|end| key.ends_with(end)) || edges.contains(&key.as_str()) {
            log.purge(&key).await;
        }
    }
    assert_eq!(
        codes(&run(&[]).await),
        only(&[]),
        "nothing in the bucket remembers"
    );
    assert_eq!(
        codes(&run(&["--checkpoint", &kept]).await),
        only(&["log_inconsistent"])
    );
    for key in log.keys().await {
        log.purge(&key).await;
    }
    assert_eq!(run(&[]).await.code(), Some(3));
    assert_eq!(
        codes(&run(&["--checkpoint", &kept]).await),
        only(&["log_inconsistent"])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hours_without_a_checkpoint_are_listed() {
    let bench = Bench::new().await;
    let log = log(&bench, BUCKET).await;
    let middle = log
        .keys()
        .await
        .into_iter()
        .find(|key| key.ends_with("-00000000000000000401"));
    log.purge(&middle.unwrap()).await;
    let ran = log.archivectl(&bench, &["log", "verify"]).await;
    assert!(
        ran.stdout.contains("no checkpoint for more than an hour"),
        "{ran:?}"
    );
}
