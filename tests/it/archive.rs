//! The promises of docs/interface.md, where all goes well or ends as foreseen.

mod batch;
mod outcomes;
mod source;

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use recording_archiver::domain::record::State;
use recording_archiver::sim::genesys::{Conversation, Media, Recording};
use recording_archiver::sim::wire::Service;
use serde_json::{Value, json};

use crate::support::{
    Bench, CONVERSATION, KEY, PART, RECORDING, call, call_bytes, invoke, job, outcomes, project, sha256,
};

const SECOND: &str = "e0000000-0000-4000-8000-000000000102";

/// Returns a bench whose conversation has two short recordings.
async fn two_recordings() -> Bench {
    let recordings = [RECORDING, SECOND].map(|id| Recording::audio(id, [call()]));
    let conversation = recordings
        .into_iter()
        .fold(Conversation::new(CONVERSATION), Conversation::recording);
    Bench::with(conversation).await
}

#[tokio::test]
async fn a_short_recording_is_one_put_that_s3_checks_by_sha256() {
    let bench = Bench::with_a_call().await;
    let summary = bench.invoke(job()).await.unwrap();
    let hash = sha256(&call_bytes());
    let archive_key = format!("s3://calls/{KEY}");
    assert_eq!(
        summary,
        json!({"results": [{"interactionId": CONVERSATION, "recordingId": RECORDING, "outcome": "archived",
            "files": [{"archiveKey": archive_key, "sha256": hash, "sizeBytes": 144_044}]}]})
    );
    let object = bench.object(KEY).await.unwrap();
    assert_eq!(object.bytes, call_bytes());
    assert_eq!(object.head.content_type(), Some("audio/wav"));
    assert!(object.head.checksum_sha256().is_some());
    let metadata = object.head.metadata().unwrap();
    assert_eq!(metadata["interaction-id"], CONVERSATION);
    assert_eq!(metadata["recording-id"], RECORDING);
    assert_eq!(
        (metadata["sha256"].as_str(), metadata["size-bytes"].as_str()),
        (hash.as_str(), "144044")
    );
    assert!(metadata["archived-at"].parse::<jiff::Timestamp>().is_ok());
    assert_eq!(metadata["attempt-id"].len(), 36);
    let mut tags = object.tags;
    tags.sort();
    assert_eq!(
        tags,
        [("compliance".into(), "archive".into()), ("sha256".into(), hash)]
    );
    let puts: Vec<_> = bench
        .world
        .wire
        .exchanges()
        .into_iter()
        .filter(|e| e.service == Service::S3)
        .collect();
    let sent = puts.iter().find(|e| e.operation == "PutObject").unwrap();
    assert_eq!(sent.headers["if-none-match"], "*");
    assert_eq!(
        sent.headers["x-amz-content-sha256"], "UNSIGNED-PAYLOAD",
        "not hashed a second time"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_recording_is_a_multipart_upload_that_s3_checks_by_crc64nvme() {
    let media = Media::generated_wav(2 * PART + 1000, 1);
    let bench = Bench::with_media(media.clone()).await;
    let result = &bench.archive().await[0];
    let hash = media.sha256().unwrap();
    assert_eq!(result["files"][0]["sha256"], hash);
    let object = bench.object(KEY).await.unwrap();
    assert_eq!(sha256(&object.bytes), hash);
    assert!(object.head.checksum_crc64_nvme().is_some());
    assert_eq!(object.head.checksum_type().unwrap().as_str(), "FULL_OBJECT");
    assert_eq!(object.head.content_type(), Some("audio/wav"));
    assert_eq!(object.head.metadata().unwrap()["recording-id"], RECORDING);
    assert!(
        object.tags.contains(&("sha256".into(), hash))
            && object.tags.contains(&("compliance".into(), "archive".into()))
    );
    let wire = &bench.world.wire;
    assert_eq!(wire.count(Service::S3, "UploadPart"), 3);
    for exchange in wire.exchanges() {
        match exchange.operation.as_str() {
            "UploadPart" => assert!(exchange.headers.contains_key("x-amz-checksum-crc64nvme")),
            "CompleteMultipartUpload" => {
                assert_eq!(exchange.headers["if-none-match"], "*");
                assert!(exchange.headers.contains_key("x-amz-checksum-crc64nvme"));
            }
            _ => {}
        }
    }
    assert!(bench.uploads_in_progress().await.is_empty());
}

#[tokio::test]
async fn exactly_one_part_is_still_a_single_put() {
    for (size, parts) in [(PART, 0), (PART + 4, 2)] {
        let bench = Bench::with_media(Media::generated_wav(size, 2)).await;
        bench.archive().await;
        assert_eq!(bench.world.wire.count(Service::S3, "UploadPart"), parts, "{size}");
        assert_eq!(bench.object(KEY).await.unwrap().bytes.len() as u64, size);
    }
}

#[tokio::test]
async fn every_step_is_audited_with_who_asked_and_chained_to_the_one_before() {
    let bench = Bench::with_a_call().await;
    bench
        .invoke(json!({"conversationId": CONVERSATION, "requestedBy": "anna@example.com"}))
        .await
        .unwrap();
    let events = bench.audit(CONVERSATION, RECORDING).await;
    let of = |name: &str| {
        events
            .iter()
            .map(|event| event.get(name).cloned().unwrap_or_default())
            .collect::<Vec<_>>()
    };
    let archive_key = Value::from(format!("s3://calls/{KEY}"));
    assert_eq!(
        of("action"),
        [
            "download.initiated",
            "download.completed",
            "archive.stored",
            "webhook.delivered"
        ]
    );
    assert_eq!(of("status"), ["claimed", "storing", "archived", "notified"]);
    assert_eq!(
        of("archiveKey"),
        [Value::Null, archive_key.clone(), archive_key, Value::Null]
    );
    assert!(of("hash")[1..3].iter().all(|hash| *hash == sha256(&call_bytes())));
    assert!(of("sizeBytes")[1..3].iter().all(|size| *size == 144_044));
    assert!(of("latencyMs")[1..].iter().all(Value::is_u64));
    let actor = json!({"source": "direct", "requestId": "request-1", "functionVersion": "7", "requestedBy": "anna@example.com"});
    assert!(of("actor").iter().all(|who| *who == actor));
    assert_eq!(events[0]["prevEventHash"], "0".repeat(64));
    assert_eq!(
        events[0]["genesys"]["region"], "eu-central-1",
        "what Genesys says of it is noted"
    );
    let sort_keys = of("eventId");
    assert!(
        sort_keys
            .windows(2)
            .all(|pair| pair[0].as_str() < pair[1].as_str()),
        "sorted by time"
    );
    let lines = bench.lines.lock().unwrap().clone();
    let logged: Vec<_> = lines
        .iter()
        .filter(|line| line["audit"] == true)
        .map(|line| line["eventHash"].clone())
        .collect();
    assert_eq!(logged, of("eventHash"), "each is a log line, too");
    let record = bench.record(CONVERSATION, RECORDING).await.unwrap();
    assert_eq!(
        (record.state, record.attempts, record.lease_expires_at),
        (State::Notified, 1, 0)
    );
    assert_eq!(
        record.files[0].archive_key.to_string(),
        format!("s3://calls/{KEY}")
    );
}

#[tokio::test]
async fn the_webhook_is_signed_and_names_the_real_location() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let deliveries = bench.world.webhook.deliveries();
    assert_eq!(deliveries.len(), 1);
    assert!(deliveries[0].verified);
    let mut body = deliveries[0].body.clone();
    let timestamp = body.as_object_mut().unwrap().remove("timestamp").unwrap();
    assert!(timestamp.as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    let (archive_key, hash) = (format!("s3://calls/{KEY}"), sha256(&call_bytes()));
    assert_eq!(
        body,
        json!({"event": "recording.download.complete", "interactionId": CONVERSATION, "recordingId": RECORDING,
            "archiveKey": archive_key, "hash": hash, "sizeBytes": 144_044, "format": "wav",
            "files": [{"archiveKey": archive_key, "hash": hash, "sizeBytes": 144_044}]})
    );
}

#[tokio::test]
async fn without_a_webhook_secret_the_news_is_sent_unsigned() {
    let bench = Bench::with_a_call().await;
    let (id, secret) = bench.world.genesys.credentials();
    let keys = json!({"GENESYS_CLOUD_CLIENT_ID": id, "GENESYS_CLOUD_CLIENT_SECRET": secret}).to_string();
    bench
        .world
        .aws
        .put_secret("never/had/a/key", &keys)
        .await
        .unwrap();
    let handler = bench.handler(&[("GENESYS_SECRET_ID", "never/had/a/key")]);
    assert_eq!(outcomes(&invoke(&handler, job()).await.unwrap()), ["archived"]);
    let deliveries = bench.world.webhook.deliveries();
    assert!(!deliveries[0].headers.contains_key("webhook-signature") && !deliveries[0].id.is_empty());
}

#[tokio::test]
async fn without_a_webhook_archived_is_the_end() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[("WEBHOOK_URL", "")]);
    assert_eq!(outcomes(&invoke(&handler, job()).await.unwrap()), ["archived"]);
    assert_eq!(
        bench.record(CONVERSATION, RECORDING).await.unwrap().state,
        State::Archived
    );
    assert_eq!(
        outcomes(&invoke(&handler, job()).await.unwrap()),
        ["already_archived"]
    );
}

#[tokio::test]
async fn a_second_run_downloads_nothing_and_tells_nobody() {
    let media = call();
    let bench = Bench::with_media(media.clone()).await;
    bench.archive().await;
    let second = &bench.archive().await[0];
    assert_eq!(second["outcome"], "already_archived");
    assert_eq!(second["files"][0]["sha256"], sha256(&call_bytes()));
    assert_eq!((media.requests(), bench.world.webhook.deliveries().len()), (1, 1));
    assert_eq!(
        bench.actions(CONVERSATION, RECORDING).await.len(),
        4,
        "and nothing happened that needs an event"
    );
}

#[tokio::test]
async fn a_recording_named_by_a_job_needs_no_word_of_genesys_once_it_is_archived() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    bench.world.wire.forget();
    let summary = bench
        .invoke(json!({"interactionId": CONVERSATION, "recordingId": RECORDING}))
        .await
        .unwrap();
    assert_eq!(outcomes(&summary), ["already_archived"]);
    assert!(
        bench
            .world
            .wire
            .exchanges()
            .iter()
            .all(|exchange| exchange.service == Service::DynamoDb)
    );
}

#[tokio::test]
async fn all_recordings_of_a_conversation_are_archived_or_only_the_named_one() {
    let bench = two_recordings().await;
    let summary = bench
        .invoke(json!({"conversationId": CONVERSATION, "recordingId": SECOND}))
        .await
        .unwrap();
    assert_eq!(
        (outcomes(&summary), summary["results"][0]["recordingId"].as_str()),
        (vec!["archived"], Some(SECOND))
    );
    assert_eq!(
        outcomes(&bench.invoke(job()).await.unwrap()),
        ["archived", "already_archived"]
    );
    assert_eq!(bench.keys().await.len(), 2);
}

#[tokio::test]
async fn split_channels_become_one_file_each() {
    let channels = ["call-01-0.wav", "call-01-1.wav"];
    let channels = channels.map(|name| std::fs::read(project().join("src/sim/media").join(name)).unwrap());
    let recording = Recording::audio(RECORDING, channels.clone().map(Media::bytes)).merged(call());
    let bench = Bench::with_recording(recording).await;
    let summary = invoke(&bench.handler(&[("RECORDING_CHANNELS", "split")]), job())
        .await
        .unwrap();
    assert_eq!(summary["results"][0]["files"].as_array().unwrap().len(), 2);
    for (channel, bytes) in channels.iter().enumerate() {
        let object = bench
            .object(&KEY.replace(".wav", &format!("-{channel}.wav")))
            .await
            .unwrap();
        assert_eq!(object.bytes, *bytes);
    }
    let actions = bench.actions(CONVERSATION, RECORDING).await;
    assert_eq!(
        actions
            .iter()
            .filter(|action| *action == "archive.stored")
            .count(),
        2,
        "{actions:?}"
    );
    let told = &bench.world.webhook.deliveries()[0].body;
    assert_eq!(told["files"].as_array().unwrap().len(), 2);
    assert_eq!(told["archiveKey"], told["files"][0]["archiveKey"]);
}

#[tokio::test]
async fn what_an_object_gets_besides_is_sent_on_both_paths() {
    for size in [1000, PART + 1000] {
        let bench = Bench::with_media(Media::generated_wav(size, 3)).await;
        let handler = bench.handler(&[
            ("S3_SSE_KMS_KEY_ID", "key-1"),
            ("S3_STORAGE_CLASS", "STANDARD_IA"),
            ("S3_OBJECT_LOCK_MODE", "COMPLIANCE"),
            ("S3_OBJECT_LOCK_DAYS", "30"),
            (
                "S3_KEY_TEMPLATE",
                "{region}/{year}-{month}-{day}/{recordingId}.{ext}",
            ),
        ]);
        let summary = invoke(&handler, job()).await.unwrap();
        let key = summary["results"][0]["files"][0]["archiveKey"]
            .as_str()
            .unwrap()
            .strip_prefix("s3://calls/")
            .unwrap();
        assert_eq!(key, format!("eu-central-1/2026-01-15/{RECORDING}.wav"));
        let head = bench.object(key).await.unwrap().head;
        assert_eq!(head.ssekms_key_id(), Some("key-1"));
        assert_eq!(head.storage_class().unwrap().as_str(), "STANDARD_IA");
        assert_eq!(head.object_lock_mode().unwrap().as_str(), "COMPLIANCE");
        // 30 days from the start are over, and S3 locks nothing in the past: a day from this run on.
        let archived = instant(&head.metadata().unwrap()["archived-at"]);
        assert_eq!(until(&head), archived + 86_400);
    }
}

#[tokio::test]
async fn a_lock_counts_from_the_start_of_the_recording() {
    for (start, counts_from_start) in [
        ("2026-01-15T10:14:20Z", true),
        // An API that reports a start in the future must not lock for longer than was asked for.
        ("2199-01-15T10:14:20Z", false),
    ] {
        let mut recording = Recording::audio(RECORDING, [call()]);
        recording.start = start.parse().unwrap();
        let bench = Bench::with_recording(recording).await;
        let lock = [
            ("S3_OBJECT_LOCK_MODE", "GOVERNANCE"),
            ("S3_OBJECT_LOCK_DAYS", "36500"),
        ];
        invoke(&bench.handler(&lock), job()).await.unwrap();
        let head = bench.object(KEY).await.unwrap().head;
        let archived = instant(&head.metadata().unwrap()["archived-at"]);
        let from = if counts_from_start {
            instant(start)
        } else {
            archived
        };
        assert_eq!(until(&head), from + 36_500 * 86_400);
        let events = bench.audit(CONVERSATION, RECORDING).await;
        let stored = events
            .iter()
            .find(|event| event["action"] == "archive.stored")
            .unwrap();
        assert_eq!(instant(stored["retainUntil"].as_str().unwrap()), until(&head));
    }
}

/// Returns the second of an instant.
fn instant(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_second()
}

/// Returns the second in which the lock of an object ends.
fn until(head: &HeadObjectOutput) -> i64 {
    head.object_lock_retain_until_date().unwrap().secs()
}
