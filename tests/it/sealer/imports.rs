//! What the stream did not bring is sealed by a scan.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use recording_archiver::seal::batch::Via;
use recording_archiver::sim::AUDIT_TABLE;
use recording_archiver::sim::wire::Service;
use recording_archiver::trigger::sealing::SealingHandler;
use serde_json::{Value, json};

use super::{deliver, sign};
use crate::support::{Bench, invoke, job};

/// Invokes the sealer for an import with this many seconds left.
async fn import(sealer: &SealingHandler, from: Option<&Value>, seconds: u64) -> Value {
    let payload = match from {
        Some(from) => json!({"import": {"from": from}}),
        None => json!({"import": {}}),
    };
    sealer
        .handle(&payload, Duration::from_secs(seconds))
        .await
        .unwrap()
}

#[tokio::test]
async fn events_older_than_the_log_are_imported_once() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let events = bench.event_hashes().await.len();
    bench.clock.advance(Duration::from_secs(3_600));
    let sealer = bench.sealer(&[]);
    sign(&sealer).await.unwrap();
    let answer = import(&sealer, None, 900).await;
    assert_eq!(
        answer,
        json!({"seen": events, "imported": events, "sealedLate": 0, "refused": 0})
    );
    bench.assert_sealed("imported").await;
    for sealer in [&sealer, &bench.sealer(&[])] {
        let again = import(sealer, None, 900).await;
        assert_eq!(
            again,
            json!({"seen": events, "imported": 0, "sealedLate": 0, "refused": 0})
        );
    }
    // The stream brings them as well.
    deliver(&sealer, &bench.streamed().await).await.unwrap();
    deliver(&bench.sealer(&[]), &bench.streamed().await)
        .await
        .unwrap();
    bench.assert_sealed("imported, then streamed").await;
    let vias: Vec<Via> = bench.batches().await.iter().map(|batch| batch.via).collect();
    assert_eq!(vias, [Via::Genesis, Via::Imported]);
}

#[tokio::test]
async fn events_that_the_stream_lost_in_a_longer_gap_are_sealed_late() {
    let bench = Bench::with_a_call().await;
    let sealer = bench.sealer(&[]);
    sign(&sealer).await.unwrap();
    bench.archive().await;
    let lost = bench.event_hashes().await.len();
    bench.clock.advance(Duration::from_secs(72 * 3_600));
    let cold = bench.sealer(&[]);
    let answer = import(&cold, None, 900).await;
    assert_eq!(
        (&answer["sealedLate"], &answer["imported"]),
        (&lost.into(), &0.into())
    );
    bench.assert_sealed("after a gap").await;
    assert_eq!(bench.batches().await.last().unwrap().via, Via::SealedLate);
    bench.clock.advance(Duration::from_secs(72 * 3_600));
    assert_eq!(import(&cold, None, 900).await["sealedLate"], 0);
}

#[tokio::test]
async fn an_import_goes_on_where_its_time_ended() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let events = bench.event_hashes().await.len() as u64;
    // DynamoDB ends a page after 1 MiB.
    for number in 0..12 {
        let put = bench.world.aws.dynamodb().put_item().table_name(AUDIT_TABLE);
        let put = put.item("interactionId", AttributeValue::S(format!("large-{number}")));
        let put = put.item("eventId", AttributeValue::S("1".to_owned()));
        put.item("filler", AttributeValue::S("x".repeat(350_000)))
            .send()
            .await
            .unwrap();
    }
    bench.clock.advance(Duration::from_secs(3_600));
    let (mut next, mut sealed, mut seen, mut runs) = (None, 0, 0, 0);
    loop {
        // Less than a minute: one page.
        let answer = import(&bench.sealer(&[]), next.as_ref(), 30).await;
        sealed += answer["imported"].as_u64().unwrap();
        seen += answer["seen"].as_u64().unwrap();
        runs += 1;
        match answer.get("next") {
            Some(from) => next = Some(from.clone()),
            None => break,
        }
    }
    assert!(runs > 3, "{runs} runs");
    assert_eq!((sealed, seen), (events, events + 12));
    assert_eq!(bench.leaves().await.len() as u64, 1 + events);
}

#[tokio::test]
async fn an_item_whose_hash_is_wrong_is_not_sealed_by_an_import() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let events = bench.event_hashes().await.len();
    let put = bench.world.aws.dynamodb().put_item().table_name(AUDIT_TABLE);
    let put = put.item("interactionId", AttributeValue::S("planted".to_owned()));
    let put = put.item("eventId", AttributeValue::S("1".to_owned()));
    put.item("eventHash", AttributeValue::S("0".repeat(64)))
        .send()
        .await
        .unwrap();
    let answer = import(&bench.sealer(&[]), None, 900).await;
    assert_eq!(
        answer,
        json!({"seen": events + 1, "imported": events, "sealedLate": 0, "refused": 1})
    );
}

#[tokio::test]
async fn a_place_that_no_import_gave_is_refused_by_name() {
    let bench = Bench::new().await;
    let payload = json!({"import": {"from": "somewhere"}});
    let error = bench
        .sealer(&[])
        .handle(&payload, Duration::from_secs(900))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("`from` is not the `next`"), "{error}");
    assert_eq!(bench.world.wire.count(Service::DynamoDb, "Scan"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_beside_the_stream_seals_each_event_once() {
    let bench = Bench::with_a_call().await;
    let function = bench.handler(&[]);
    invoke(&function, job()).await.unwrap();
    let records = bench.streamed().await;
    let (streaming, importing) = (bench.sealer(&[]), bench.sealer(&[]));
    let stream = async {
        for record in &records {
            deliver(&streaming, std::slice::from_ref(record)).await.unwrap();
        }
    };
    tokio::join!(stream, import(&importing, None, 900));
    sign(&importing).await.unwrap();
    bench.assert_sealed("side by side").await;
}
