//! Batches of messages, and the figures of an invocation.

use std::time::Duration;

use recording_archiver::sim::wire::Service;
use serde_json::json;

use crate::support::{Bench, CONVERSATION, KEY, RECORDING, invoke, job, outcomes, results, sqs};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_a_batch_settle_by_themselves() {
    let bench = Bench::with_a_call().await;
    let event = recording_archiver::sim::genesys::event(
        recording_archiver::sim::genesys::Topic::CustomerEnd,
        CONVERSATION,
        jiff::Timestamp::now(),
    );
    let unknown = "c0000000-0000-4000-8000-00000000ffff";
    let bodies = [
        event.to_string(),
        "nonsense".to_owned(),
        json!({"conversationId": unknown}).to_string(),
    ];
    let answer = bench.invoke(sqs(bodies)).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    assert!(bench.object(KEY).await.is_some());
    let mut codes: Vec<_> = bench
        .exceptions()
        .iter()
        .map(|exception| exception["code"].clone())
        .collect();
    codes.sort_by_key(ToString::to_string);
    assert_eq!(codes, ["malformed_job", "unknown_conversation"]);
    let actor = bench.audit(CONVERSATION, RECORDING).await[0]["actor"].clone();
    assert_eq!(
        (actor["source"].as_str(), actor["messageId"].as_str()),
        (Some("sqs"), Some("m-0"))
    );
    assert_eq!(actor["eventId"], event["id"]);
}

#[tokio::test]
async fn without_an_exception_queue_what_failed_stays_in_the_work_queue() {
    let bench = Bench::new().await;
    let handler = bench.handler(&[("EXCEPTION_QUEUE_URL", "")]);
    let answer = invoke(&handler, sqs([job().to_string(), "nonsense".to_owned()]))
        .await
        .unwrap();
    assert_eq!(
        answer,
        json!({"batchItemFailures": [{"itemIdentifier": "m-0"}, {"itemIdentifier": "m-1"}]})
    );
    assert_eq!(
        outcomes(&invoke(&handler, job()).await.unwrap()),
        ["failed"],
        "a direct call is told in its summary"
    );
}

#[tokio::test]
async fn metrics_tell_what_an_invocation_cost() {
    let bench = Bench::with_a_call().await;
    let ended = jiff::Timestamp::now()
        .checked_sub(jiff::SignedDuration::from_mins(5))
        .unwrap();
    let event = recording_archiver::sim::genesys::event(
        recording_archiver::sim::genesys::Topic::CustomerEnd,
        CONVERSATION,
        ended,
    );
    let summary = bench.invoke(event).await.unwrap();
    assert_eq!(outcomes(&summary), ["archived"]);
    let metrics = bench.metrics();
    assert_eq!(metrics.len(), 1, "one line");
    let line = &metrics[0];
    assert_eq!(
        (&line["Outcome"], &line["Recordings"], &line["BytesArchived"]),
        (&json!("archived"), &json!(1), &json!([144_044]))
    );
    assert_eq!(
        (&line["GenesysRequests"], &line["GenesysThrottled"]),
        (&json!(3), &json!(0)),
        "the list, and the recording twice: the first request for it starts the transcoding"
    );
    assert!(
        line["DownloadLatency"][0].is_u64()
            && line["ArchiveLatency"][0].is_u64()
            && line["ArchiveAge"][0].is_u64()
    );
    assert!(
        bench.clock.now().duration_since(ended)
            > jiff::SignedDuration::try_from(Duration::from_secs(299)).unwrap()
    );
}

#[tokio::test]
async fn a_warm_archive_needs_one_s3_request_and_four_writes() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[]);
    assert_eq!(
        results(invoke(&handler, job()).await.unwrap())[0]["outcome"],
        "archived"
    );
    let exchanges = bench.world.wire.exchanges();
    let count = |service| {
        exchanges
            .iter()
            .filter(|exchange| exchange.service == service)
            .count()
    };
    assert_eq!(
        (
            count(Service::S3),
            count(Service::DynamoDb),
            count(Service::Genesys)
        ),
        (1, 4, 3)
    );
}
