//! Which leaves and checkpoints there are.

use std::collections::BTreeMap;
use std::time::Duration;

use recording_archiver::domain::audit::{Action, Actor, AuditEvent, Chain};
use recording_archiver::domain::recording::{ConversationId, RecordingRef};
use recording_archiver::domain::state::State;
use recording_archiver::seal::batch::Via;
use recording_archiver::sim::wire::Service;
use serde_json::{Value, json};

use super::{added, deliver, sign};
use crate::support::{Bench, CONVERSATION};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Returns records of so many events, which are in no table.
fn events(count: usize) -> Vec<Value> {
    let of = RecordingRef {
        conversation: ConversationId::parse(CONVERSATION).unwrap(),
        recording: None,
        segment: None,
    };
    let mut chain = Chain::default();
    let mut records = Vec::new();
    for number in 0..count {
        let event = AuditEvent::new(Action::ConversationListed, State::Settling, "wav");
        let now = "2026-11-27T15:44:36Z".parse().unwrap();
        let (event, next) = chain.append(&of, event, &Actor::default(), now);
        chain = next;
        let image: serde_dynamo::Item = serde_dynamo::to_item(event).unwrap();
        let mut record = added(number, &BTreeMap::new());
        record["dynamodb"]["NewImage"] = serde_json::to_value(image).unwrap();
        records.push(record);
    }
    records
}

/// Returns the hashes of those events, sorted.
fn hashes(records: &[Value]) -> Vec<String> {
    let hash = |record: &Value| {
        let hash = record["dynamodb"]["NewImage"]["eventHash"]["S"].as_str();
        hash.unwrap().to_owned()
    };
    let mut hashes: Vec<String> = records.iter().map(hash).collect();
    hashes.sort_unstable();
    hashes
}

/// Asserts that the log holds each of these events once, and nothing else behind its beginning.
async fn assert_holds(bench: &Bench, records: &[Value]) {
    let leaves = bench.leaves().await;
    let mut leaves: Vec<String> = leaves[1..].iter().map(ToString::to_string).collect();
    leaves.sort_unstable();
    assert_eq!(leaves, hashes(records));
}

#[tokio::test]
async fn every_event_of_a_call_is_a_leaf_and_a_checkpoint_signs_them() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let records = bench.streamed().await;
    let answer = deliver(&bench.sealer(&[]), &records).await.unwrap();
    assert_eq!(answer, json!({"sealed": records.len()}));
    bench.assert_sealed("archived").await;
    let genesis = bench.sealer(&[]).sealer().genesis().await.unwrap();
    assert_eq!(genesis.key, bench.log_key().await.verifier_key());
    assert_eq!(genesis.table.as_deref(), Some("recording-audit"));
    let lines = bench.metrics();
    let line = lines.last().unwrap();
    assert_eq!(line["LeavesSealed"], records.len());
    assert_eq!(
        (&line["CheckpointsSigned"], &line["AuditTampering"]),
        (&json!(1), &json!(0))
    );
}

#[tokio::test]
async fn a_record_that_comes_again_is_no_second_leaf_in_any_container() {
    let bench = Bench::new().await;
    let records = events(40);
    let warm = bench.sealer(&[]);
    deliver(&warm, &records[..20]).await.unwrap();
    deliver(&warm, &records[10..30]).await.unwrap();
    deliver(&warm, &[&records[30..35], &records[30..35]].concat())
        .await
        .unwrap();
    let cold = bench.sealer(&[]);
    deliver(&cold, &records).await.unwrap();
    assert_eq!(deliver(&warm, &records).await.unwrap(), json!({"sealed": 0}));
    assert_holds(&bench, &records).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealers_side_by_side_make_one_leaf_of_each_event() {
    let bench = Bench::new().await;
    let records = events(120);
    let mut backwards = records.clone();
    backwards.reverse();
    let sealers: Vec<_> = (0..4).map(|_| bench.sealer(&[])).collect();
    let runs = sealers.iter().enumerate().map(|(number, sealer)| {
        let records = if number % 2 == 0 { &records } else { &backwards };
        async move {
            for batch in records.chunks(7 + number) {
                deliver(sealer, batch).await.unwrap();
            }
        }
    });
    futures_util::future::join_all(runs).await;
    assert_holds(&bench, &records).await;
    let begun = bench.batches().await;
    let begun = begun.iter().filter(|batch| batch.via == Via::Genesis);
    assert_eq!(begun.count(), 1, "the log begins once");
    sign(&sealers[0]).await.unwrap();
    assert_eq!(bench.checkpoints().await.last().unwrap().size, 121);
}

#[tokio::test]
async fn a_sealer_that_signs_over_batches_of_others_still_learns_what_they_hold() {
    let bench = Bench::new().await;
    let records = events(30);
    let seldom = [("CHECKPOINT_SECONDS", "900")];
    let behind = bench.sealer(&seldom);
    deliver(&behind, &records[..10]).await.unwrap();
    deliver(&bench.sealer(&[]), &records[10..20]).await.unwrap();
    deliver(&bench.sealer(&seldom), &records[20..]).await.unwrap();
    // Begins at the checkpoint of the second, and adds the batch of the third.
    sign(&behind).await.unwrap();
    assert_eq!(deliver(&behind, &records).await.unwrap(), json!({"sealed": 0}));
    assert_holds(&bench, &records).await;
}

#[tokio::test]
async fn a_record_that_comes_again_a_day_later_is_no_second_leaf() {
    let bench = Bench::new().await;
    let records = events(60);
    let warm = bench.sealer(&[]);
    deliver(&warm, &records[..20]).await.unwrap();
    bench.clock.advance(DAY / 2);
    deliver(&warm, &records[20..40]).await.unwrap();
    bench.clock.advance(DAY / 2);
    deliver(&warm, &records[..60]).await.unwrap();
    // The stream repeats nothing for longer; what is older is not read again.
    bench.clock.advance(2 * DAY);
    let cold = bench.sealer(&[]);
    assert_eq!(deliver(&cold, &[]).await.unwrap(), json!({"sealed": 0}));
    assert_holds(&bench, &records).await;
}

#[tokio::test]
async fn a_cold_start_reads_the_batches_of_a_day_and_not_the_whole_log() {
    let bench = Bench::new().await;
    let records = events(60);
    let warm = bench.sealer(&[]);
    for batch in records[..50].chunks(10) {
        deliver(&warm, batch).await.unwrap();
        bench.clock.advance(2 * DAY);
    }
    bench.world.wire.forget();
    deliver(&bench.sealer(&[]), &records[50..]).await.unwrap();
    let requests = bench.world.wire.exchanges();
    let read = requests
        .iter()
        .filter(|call| call.method == "GET" && call.target.contains("/batches/"));
    let read: Vec<_> = read.map(|call| &call.target[..]).collect();
    assert_eq!(read.len(), 1, "{read:?}");
    assert!(
        read[0].contains("/batches/00000000000000000051"),
        "only the new one, for the tree: {read:?}"
    );
    assert_holds(&bench, &records).await;
}

#[tokio::test]
async fn five_thousand_events_are_sealed_in_whole_tiles() {
    let bench = Bench::new().await;
    let records = events(5_000);
    let sealer = bench.sealer(&[("CHECKPOINT_SECONDS", "900")]);
    for batch in records.chunks(1_000) {
        deliver(&sealer, batch).await.unwrap();
    }
    sign(&sealer).await.unwrap();
    assert_holds(&bench, &records).await;
    let leaves = bench.leaves().await;
    let last = bench.checkpoints().await.pop().unwrap();
    assert_eq!((last.size, last.root.to_string()), (5_001, super::root(&leaves)));
    let tiles = bench.log().keys("tile/0/", None).await.unwrap();
    let full = tiles.iter().filter(|key| !key.contains(".p/"));
    assert_eq!(full.count(), 5_001 / 256);
}

#[tokio::test]
async fn a_checkpoint_is_signed_when_it_is_due_and_by_the_schedule_in_any_case() {
    let bench = Bench::new().await;
    let records = events(30);
    let sealer = bench.sealer(&[("CHECKPOINT_SECONDS", "900")]);
    deliver(&sealer, &records[..10]).await.unwrap();
    deliver(&sealer, &records[10..20]).await.unwrap();
    assert_eq!(bench.checkpoints().await.len(), 1, "the second is not due");
    bench.clock.advance(Duration::from_secs(900));
    let other = bench.sealer(&[("CHECKPOINT_SECONDS", "900")]);
    deliver(&other, &records[20..]).await.unwrap();
    deliver(&sealer, &records[20..]).await.unwrap();
    assert_eq!(
        bench.checkpoints().await.len(),
        2,
        "the other container signed it"
    );
    sign(&sealer).await.unwrap();
    sign(&sealer).await.unwrap();
    let sizes: Vec<u64> = bench.checkpoints().await.iter().map(|c| c.size).collect();
    assert_eq!(sizes, [11, 31, 31, 31], "a log in which nothing happened says so");
}

#[tokio::test]
async fn sealing_sends_few_requests() {
    let bench = Bench::new().await;
    let records = events(20);
    let sealer = bench.sealer(&[("CHECKPOINT_SECONDS", "900")]);
    deliver(&sealer, &records[..10]).await.unwrap();
    bench.world.wire.forget();
    deliver(&sealer, &records[10..]).await.unwrap();
    let requests = bench.world.wire.exchanges();
    assert_eq!(requests.len(), 1, "the batch itself: {requests:?}");
    bench.world.wire.forget();
    sign(&sealer).await.unwrap();
    let count = |operation| bench.world.wire.count(Service::S3, operation);
    // The batches since the checkpoint before; its note, tile and bundle; the new tile, bundle and checkpoint.
    assert_eq!(
        (count("ListObjectsV2"), count("GetObject"), count("PutObject")),
        (3, 4, 3)
    );
    assert_eq!(bench.world.wire.count(Service::Kms, "Sign"), 1);
}
