//! Whatever comes in: a clear answer, nothing archived half, nothing lost, and no panic.

use proptest::prelude::*;
use recording_archiver::sim::wire::Service;
use serde_json::{Value, json};

use crate::support::{Bench, invoke, job, sqs};

#[tokio::test]
async fn ids_that_are_no_uuids_never_reach_genesys_or_s3() {
    let bench = Bench::with_a_call().await;
    let long = "a".repeat(10_000);
    for id in [
        "",
        " ",
        "../../etc/passwd",
        "%2e%2e%2fx",
        "c0000000-0000-4000-8000-00000000000g",
        "сall",
        "a/b",
        &long,
    ] {
        for job in [
            json!({"conversationId": id}),
            json!({"conversationId": "c0000000-0000-4000-8000-000000000001", "recordingId": id}),
        ] {
            let error = bench.invoke(job.clone()).await.unwrap_err();
            assert_eq!(error.kind().code(), "malformed_job");
            assert!(error.to_string().contains("Id must be a UUID"), "{error}");
            assert!(error.to_string().len() < 600);
            let answer = bench.invoke(sqs([job.to_string()])).await.unwrap();
            assert_eq!(answer, json!({"batchItemFailures": []}), "handed over to people");
        }
    }
    assert_eq!(bench.exceptions().len(), 16);
    let asked: Vec<_> = bench
        .world
        .wire
        .exchanges()
        .into_iter()
        .map(|exchange| exchange.service)
        .collect();
    assert!(asked.iter().all(|service| *service == Service::Sqs), "{asked:?}");
}

#[tokio::test]
async fn payloads_that_are_no_trigger_are_refused_with_a_way_out() {
    let bench = Bench::new().await;
    for (payload, mentions) in [
        (json!(null), "a job is a JSON object"),
        (json!("text"), "a string"),
        (json!([]), "an array"),
        (json!({}), "conversationId is missing"),
        (json!({"Records": {}}), "Records is not an array"),
        (
            json!({"Records": [{"eventSource": "aws:s3"}]}),
            "accepted: aws:sqs",
        ),
        (json!({"detail-type": 7}), "EventBridge event is malformed"),
        (
            json!({"detail-type": "v2.detail.events.conversation.{id}.customer.end"}),
            "missing field",
        ),
        (
            json!({"detail-type": "v2.detail.events.conversation.{id}.customer.end", "source": "s", "detail": null}),
            "eventBody.conversationId",
        ),
    ] {
        let error = bench.invoke(payload.clone()).await.unwrap_err();
        assert_eq!(error.kind().code(), "malformed_job", "{payload}");
        assert!(error.to_string().contains(mentions), "{payload}: {error}");
    }
    assert!(bench.world.wire.exchanges().is_empty());
}

#[tokio::test]
async fn an_empty_batch_is_an_empty_answer() {
    let bench = Bench::new().await;
    assert_eq!(
        bench.invoke(json!({"Records": []})).await.unwrap(),
        json!({"batchItemFailures": []})
    );
}

#[tokio::test]
async fn odd_records_do_not_take_their_neighbours_down() {
    let bench = Bench::with_a_call().await;
    let mut event = sqs([job().to_string()]);
    let records = event["Records"].as_array_mut().unwrap();
    records.push(json!(7));
    records.push(json!({"messageId": "no-body"}));
    let answer = bench.invoke(event).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    assert_eq!((bench.keys().await.len(), bench.exceptions().len()), (1, 2));
}

#[tokio::test]
async fn a_handed_over_body_can_be_replayed_but_names_no_party() {
    let bench = Bench::new().await;
    let body = json!({"detail-type": "v2.detail.events.conversation.{id}.customer.end", "source": "s",
        "detail": {"eventBody": {"mediaType": "VOICE", "ani": "tel:+15555550100", "addressFrom": "bob@example.com"}}});
    bench.invoke(sqs([body.to_string()])).await.unwrap();
    let exception = bench.exceptions().remove(0);
    let text = exception.to_string();
    assert!(!text.contains("5555550100") && !text.contains("bob@"), "{text}");
    let replay: Value = serde_json::from_str(exception["body"].as_str().unwrap()).unwrap();
    assert_eq!(replay["detail"]["eventBody"], json!({"mediaType": "VOICE"}));
    for field in ["reason", "code", "error", "timestamp", "requestId"] {
        assert!(exception[field].is_string(), "{field}: {exception}");
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_used_is_described_and_not_shown() {
    let bench = Bench::with_a_call().await;
    for (secret, mentions) in [
        ("hunter2", "not valid JSON"),
        ("{}", "no clientId"),
        (
            r#"{"clientId":"x","clientSecret":"hunter2"}"#,
            "refuses the OAuth client",
        ),
    ] {
        bench
            .world
            .aws
            .put_secret("genesys/archiver", secret)
            .await
            .unwrap();
        let error = bench.invoke(job()).await.unwrap_err().to_string();
        assert!(error.contains(mentions) && error.contains("secret"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let handler = bench.handler(&[("GENESYS_SECRET_ID", "no/such/secret")]);
    let error = invoke(&handler, job()).await.unwrap_err().to_string();
    assert!(
        error.contains("no/such/secret") && error.contains("GENESYS_SECRET_ID"),
        "{error}"
    );
    assert!(bench.keys().await.is_empty());
}

/// Returns JSON in the shapes that triggers have, with anything in their fields.
fn nearly_a_trigger() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("c0000000-0000-4000-8000-000000000001")),
        Just(json!("v2.detail.events.conversation.{id}.user.end")),
    ];
    let names = [
        "conversationId",
        "interactionId",
        "recordingId",
        "format",
        "startTime",
        "expectedSha256",
        "firstSeen",
        "detail-type",
        "source",
        "detail",
        "eventBody",
        "mediaType",
        "eventTime",
    ];
    leaf.prop_recursive(3, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(prop::sample::select(names.to_vec()), inner, 0..5).prop_map(
                |fields| fields
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), v))
                    .collect::<Value>()
            ),
        ]
    })
}

/// The handler itself, over sockets, on anything at all. Each payload is tried bare and as an SQS body.
#[test]
fn no_payload_makes_the_handler_panic_or_lose_a_message() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (bench, handler) = runtime.block_on(async {
        let bench = Bench::new().await;
        let handler = bench.handler(&[]);
        (bench, handler)
    });
    let config = ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(payload in nearly_a_trigger())| {
        let before = bench.exceptions().len() + bench.deferred().len() + bench.metrics().len();
        let answer = runtime.block_on(async {
            let _ = invoke(&handler, payload.clone()).await;
            invoke(&handler, sqs([payload.to_string()])).await
        });
        prop_assert_eq!(answer.unwrap(), json!({"batchItemFailures": []}));
        let after = bench.exceptions().len() + bench.deferred().len() + bench.metrics().len();
        prop_assert!(after > before, "every invocation leaves a trace");
    });
}
