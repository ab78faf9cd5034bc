//! A sealer that dies at any of its requests, before it was carried out or after: the next one brings the log to the
//! same end, with one leaf for each event.

use std::sync::Arc;
use std::time::Duration;

use recording_archiver::sim::wire::{Fault, Service};
use serde_json::{Value, json};

use super::{deliver, sign};
use crate::kill::{MOMENTS, Moment, kill_run};
use crate::support::Bench;

/// Hands a payload to a sealer in a container of its own, and kills it at the `k`-th exchange. Whether it got that far.
async fn kill(bench: &Arc<Bench>, payload: Value, k: usize, moment: Moment) -> bool {
    let sealing = bench.clone();
    let run = async move {
        let sealer = sealing.sealer(&[]);
        let _ = sealer.handle(&payload, Duration::from_secs(900)).await;
    };
    kill_run(bench, k, moment, run).await
}

/// Kills the sealer at each of its requests with this payload, and lets the next one bring it to an end. `before`
/// says how many records were sealed earlier. Returns at how many requests it died.
async fn at_each_request(before: usize, payload: impl Fn(&[Value]) -> Value) -> usize {
    let bench = Arc::new(Bench::with_a_call().await);
    bench.archive().await;
    let records = bench.streamed().await;
    let mut deaths = 0;
    for moment in MOMENTS {
        for k in 1.. {
            bench.empty_the_log().await;
            if before > 0 {
                deliver(&bench.sealer(&[]), &records[..before]).await.unwrap();
            }
            if !kill(&bench, payload(&records), k, moment).await {
                break;
            }
            deaths += 1;
            let story = format!("died at request {k}, {moment:?}");
            let next = bench.sealer(&[]);
            deliver(&next, &records).await.expect(&story);
            bench.assert_sealed(&story).await;
            sign(&next).await.expect(&story);
            bench.assert_sealed(&story).await;
        }
    }
    deaths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_sealer_may_die_at_any_request() {
    let deaths = at_each_request(0, |records| json!({ "Records": records })).await;
    assert!(deaths >= 20, "{deaths}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_sealer_may_die_at_any_request() {
    let deaths = at_each_request(2, |records| json!({ "Records": records })).await;
    assert!(deaths >= 20, "{deaths}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_may_die_at_any_request() {
    let deaths = at_each_request(1, |_| json!({"import": {}})).await;
    assert!(deaths >= 20, "{deaths}");
}

#[tokio::test]
async fn a_put_whose_answer_is_lost_seals_once() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let records = bench.streamed().await;
    let sealer = bench.sealer(&[]);
    let wire = &bench.world.wire;
    wire.disturb_next(Service::S3, "PutObject", 1, Fault::ApplyThenReset);
    deliver(&sealer, &records[..2]).await.unwrap();
    wire.calm();
    wire.disturb(move |exchange| {
        let batch = exchange.method == "PUT" && exchange.target.contains("/batches/");
        (batch
            && exchange
                .headers
                .get("amz-sdk-request")
                .is_some_and(|n| n.contains("attempt=1")))
        .then_some(Fault::ApplyThenReset)
    });
    let answer = deliver(&sealer, &records[2..]).await.unwrap();
    assert_eq!(answer, json!({"sealed": records.len() - 2}), "counted as sealed");
    bench.assert_sealed("answers were lost").await;
}
