//! What docs/interface.md promises, where all goes well or ends as foreseen.

use std::time::Duration;

use recording_archiver::domain::record::State;
use recording_archiver::sim::genesys::{
    Conversation, FileState, Interaction, Kind, Media, Recording, Retention, Status, TranscodingBody,
};
use recording_archiver::sim::wire::Service;
use serde_json::{Value, json};

use crate::support::{
    Bench, CONVERSATION, KEY, PART, RECORDING, call, call_bytes, invoke, job, outcomes, project, results,
    sha256, sqs,
};

const SECOND: &str = "e0000000-0000-4000-8000-000000000102";

/// Section 4, up to one part.
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

/// Section 4, larger.
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

/// Section 5.
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

/// Section 6.
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

/// Section 1.
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
    let bench = Bench::new().await;
    let recordings = [RECORDING, SECOND].map(|id| Recording::audio(id, [call()]));
    let conversation = recordings
        .into_iter()
        .fold(Conversation::new(CONVERSATION), Conversation::recording);
    bench.world.genesys.add(conversation);
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
    let bench = Bench::new().await;
    let channels = ["call-01-0.wav", "call-01-1.wav"];
    let channels = channels.map(|name| std::fs::read(project().join("src/sim/media").join(name)).unwrap());
    let recording = Recording::audio(RECORDING, channels.clone().map(Media::bytes)).merged(call());
    bench
        .world
        .genesys
        .add(Conversation::new(CONVERSATION).recording(recording));
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
        let days = (head.object_lock_retain_until_date().unwrap().secs()
            - jiff::Timestamp::now().as_second())
            / 86_400;
        assert!((29..=30).contains(&days), "{days}");
    }
}

/// Section 3, the order of the public API.
#[tokio::test]
async fn metadata_comes_first_then_the_recording_then_the_signed_url_without_the_token() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let exchanges = bench.world.wire.exchanges();
    let asked: Vec<_> = exchanges
        .iter()
        .filter(|e| matches!(e.service, Service::Login | Service::Genesys | Service::Media))
        .map(|e| e.operation.as_str())
        .collect();
    assert_eq!(
        asked,
        ["token", "recordingmetadata", "recording", "recording", "media"],
        "the first request for a recording starts the transcoding"
    );
    let of = |operation: &str| exchanges.iter().find(|e| e.operation == operation).unwrap();
    assert!(
        of("recording").target.ends_with("?formatId=WAV&download=true"),
        "{}",
        of("recording").target
    );
    assert!(of("recording").headers["authorization"].starts_with("Bearer "));
    assert!(!of("media").headers.contains_key("authorization"));
    assert!(of("media").target.contains("%3A"), "byte for byte as signed");
}

#[tokio::test]
async fn one_token_serves_the_whole_container() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[]);
    for _ in 0..3 {
        invoke(&handler, job()).await.unwrap();
    }
    assert_eq!(bench.world.genesys.tokens_issued(), 1);
    assert_eq!(
        bench.world.wire.count(Service::SecretsManager, "GetSecretValue"),
        1
    );
}

#[tokio::test]
async fn a_job_may_ask_for_another_format() {
    let bench = Bench::with_a_call().await;
    let summary = bench
        .invoke(json!({"conversationId": CONVERSATION, "format": "MP3"}))
        .await
        .unwrap();
    assert_eq!(
        summary["results"][0]["files"][0]["archiveKey"],
        format!("s3://calls/{}", KEY.replace("wav", "mp3"))
    );
    assert_eq!(bench.audit(CONVERSATION, RECORDING).await[0]["format"], "mp3");
    assert_eq!(
        bench
            .object(&KEY.replace("wav", "mp3"))
            .await
            .unwrap()
            .head
            .content_type(),
        Some("audio/mpeg")
    );
}

/// Section 1: every outcome of the source's states.
#[tokio::test]
async fn each_state_of_the_file_comes_to_its_outcome() {
    for (state, outcome, action, exceptions) in [
        (FileState::Available, "archived", "webhook.delivered", 0),
        (FileState::Restored, "archived", "webhook.delivered", 0),
        (FileState::Uploading, "deferred", "download.deferred", 0),
        (FileState::Restoring, "deferred", "download.deferred", 0),
        (FileState::Deleted, "expired", "download.expired", 1),
        (FileState::Archived, "failed", "download.failed", 1),
        (FileState::Error, "failed", "download.failed", 1),
    ] {
        let bench = Bench::new().await;
        let recording = Recording::audio(RECORDING, [call()]).state(state);
        bench
            .world
            .genesys
            .add(Conversation::new(CONVERSATION).recording(recording));
        let result = &bench.archive().await[0];
        assert_eq!(result["outcome"], outcome, "{state:?}");
        assert_eq!(
            bench.actions(CONVERSATION, RECORDING).await.last().unwrap(),
            action,
            "{state:?}"
        );
        assert_eq!(bench.exceptions().len(), exceptions, "{state:?}");
        assert_eq!(
            bench.keys().await.len(),
            usize::from(outcome == "archived"),
            "{state:?}"
        );
        assert_eq!(result["reason"].is_string(), outcome != "archived", "{state:?}");
    }
}

#[tokio::test]
async fn a_recording_that_is_being_transcoded_is_asked_for_again_within_the_run() {
    let outcome_after = async |answers: usize, wait: &'static str| {
        let bench = Bench::new().await;
        let recording = Recording::audio(RECORDING, [call()]).transcoding(answers, TranscodingBody::Empty);
        bench
            .world
            .genesys
            .add(Conversation::new(CONVERSATION).recording(recording));
        let handler = bench.handler(&[("TRANSCODE_WAIT_SECONDS", wait)]);
        let summary = invoke(&handler, job()).await.unwrap();
        let asked = bench.world.wire.count(Service::Genesys, "recording");
        (outcomes(&summary)[0].to_owned(), asked, bench.deferred().len())
    };
    // After 3 s, 6 s, and the 6 s that are left: as many thousandths here.
    assert_eq!(outcome_after(1, "15").await, ("archived".to_owned(), 2, 0));
    assert_eq!(outcome_after(3, "15").await, ("archived".to_owned(), 4, 0));
    assert_eq!(outcome_after(4, "15").await, ("deferred".to_owned(), 4, 1));
    assert_eq!(outcome_after(1, "0").await, ("deferred".to_owned(), 1, 1));
}

#[tokio::test]
async fn a_deferred_job_comes_again_with_a_growing_delay_and_the_time_of_its_first_try() {
    let bench = Bench::new().await;
    let recording = Recording::audio(RECORDING, [call()]).transcoding(2, TranscodingBody::Empty);
    bench
        .world
        .genesys
        .add(Conversation::new(CONVERSATION).recording(recording));
    let impatient = bench.handler(&[("TRANSCODE_WAIT_SECONDS", "0")]);
    let first_seen = jiff::Timestamp::now().to_string();
    let job = json!({"conversationId": CONVERSATION, "firstSeen": first_seen, "requestedBy": "anna"});
    assert_eq!(outcomes(&invoke(&impatient, job).await.unwrap()), ["deferred"]);
    let (again, delay) = bench.deferred().remove(0);
    let expected = json!({"conversationId": CONVERSATION, "recordingId": RECORDING, "requestedBy": "anna",
        "deferrals": 1, "firstSeen": first_seen});
    assert_eq!((&again, delay), (&expected, 30));
    assert_eq!(outcomes(&invoke(&impatient, again).await.unwrap()), ["deferred"]);
    let (again, delay) = bench.deferred().remove(1);
    assert_eq!(
        (again["deferrals"].as_u64(), again["firstSeen"].as_str(), delay),
        (Some(2), Some(first_seen.as_str()), 60)
    );
    assert_eq!(outcomes(&invoke(&impatient, again).await.unwrap()), ["archived"]);
    let actions = bench.actions(CONVERSATION, RECORDING).await;
    assert_eq!(
        actions
            .iter()
            .filter(|action| *action == "download.deferred")
            .count(),
        2
    );
    assert_eq!(bench.metrics()[0]["Deferrals"], 1);
}

#[tokio::test]
async fn without_a_work_queue_not_ready_is_left_to_the_trigger() {
    let bench = Bench::new().await;
    bench.world.genesys.add(Conversation::new(CONVERSATION));
    let handler = bench.handler(&[("WORK_QUEUE_URL", "")]);
    let error = invoke(&handler, job()).await.unwrap_err();
    assert!(error.to_string().contains("WORK_QUEUE_URL"), "{error}");
    let answer = invoke(&handler, sqs([job().to_string()])).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "m-0"}]}));
}

#[tokio::test]
async fn not_ready_is_believed_until_the_readiness_deadline() {
    let bench = Bench::new().await;
    bench.world.genesys.add(Conversation::new(CONVERSATION));
    let now = jiff::Timestamp::now();
    let seen = |minutes: i64| {
        now.checked_sub(jiff::SignedDuration::from_mins(minutes))
            .unwrap()
            .to_string()
    };
    let handler = bench.handler(&[("READINESS_DEADLINE_MINUTES", "60")]);
    let job = |minutes| json!({"conversationId": CONVERSATION, "firstSeen": seen(minutes)});
    assert_eq!(outcomes(&invoke(&handler, job(59)).await.unwrap()), ["deferred"]);
    assert_eq!(outcomes(&invoke(&handler, job(61)).await.unwrap()), ["failed"]);
    let exception = &bench.exceptions()[0];
    assert_eq!(
        (exception["code"].as_str(), exception["interactionId"].as_str()),
        (Some("never_ready"), Some(CONVERSATION))
    );
    assert!(
        exception["error"]
            .as_str()
            .unwrap()
            .contains("READINESS_DEADLINE_MINUTES")
    );
    assert_eq!(exception["job"]["conversationId"], CONVERSATION);
    assert_eq!(
        bench.actions(CONVERSATION, "-").await,
        ["download.deferred", "download.failed"]
    );
}

#[tokio::test]
async fn a_403_names_the_permission_to_grant() {
    let bench = Bench::new().await;
    let recording = Recording::audio(RECORDING, [call()]);
    bench
        .world
        .genesys
        .add(Conversation::new(CONVERSATION).recording(recording).denied());
    let result = &bench.archive().await[0];
    assert_eq!(result["outcome"], "failed");
    assert!(
        result["reason"]
            .as_str()
            .unwrap()
            .contains("recording:recording:view"),
        "{result}"
    );
    assert_eq!(bench.exceptions()[0]["code"], "forbidden");
}

#[tokio::test]
async fn an_expected_hash_is_checked_before_anything_becomes_visible_and_after() {
    let bench = Bench::with_a_call().await;
    let expecting = |hash: &str| json!({"conversationId": CONVERSATION, "expectedSha256": hash});
    let wrong = bench.invoke(expecting(&"0".repeat(64))).await.unwrap();
    assert_eq!(outcomes(&wrong), ["failed"]);
    assert_eq!(
        bench.world.wire.count(Service::Media, "media"),
        3,
        "tried MAX_ATTEMPTS times"
    );
    assert!(bench.keys().await.is_empty());
    assert_eq!(bench.exceptions()[0]["code"], "hash_mismatch");
    let right = expecting(&sha256(&call_bytes()).to_uppercase());
    assert_eq!(
        outcomes(&bench.invoke(right.clone()).await.unwrap()),
        ["archived"]
    );
    assert_eq!(
        outcomes(&bench.invoke(right).await.unwrap()),
        ["already_archived"]
    );
    let late = bench.invoke(expecting(&"0".repeat(64))).await.unwrap();
    assert_eq!(
        outcomes(&late),
        ["failed"],
        "archived, but not what this job expects"
    );
    assert_eq!(
        bench.object(KEY).await.unwrap().bytes,
        call_bytes(),
        "the archive is left alone"
    );
}

#[tokio::test]
async fn an_expected_hash_needs_one_recording_to_hold_it_against() {
    let bench = Bench::new().await;
    let recordings = [RECORDING, SECOND].map(|id| Recording::audio(id, [call()]));
    let conversation = recordings
        .into_iter()
        .fold(Conversation::new(CONVERSATION), Conversation::recording);
    bench.world.genesys.add(conversation);
    let error = bench
        .invoke(json!({"conversationId": CONVERSATION, "expectedSha256": "0".repeat(64)}))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("name its recordingId"), "{error}");
    assert!(bench.keys().await.is_empty());
}

#[tokio::test]
async fn other_media_are_skipped_once_or_archived_as_what_they_are() {
    let zip = std::fs::read(project().join("src/sim/media/chat-01.zip")).unwrap();
    let bench = Bench::new().await;
    let chat = Recording::text(SECOND, Kind::Chat, Media::bytes(zip.clone()));
    let conversation = Conversation::new(CONVERSATION)
        .recording(Recording::audio(RECORDING, [call()]))
        .recording(chat);
    bench.world.genesys.add(conversation);
    for _ in 0..2 {
        let summary = bench.invoke(job()).await.unwrap();
        assert!(outcomes(&summary).contains(&"skipped"), "{summary}");
    }
    assert_eq!(
        bench.actions(CONVERSATION, SECOND).await,
        ["download.skipped"],
        "audited once"
    );
    let summary = invoke(&bench.handler(&[("RECORDING_MEDIA", "audio,chat")]), job())
        .await
        .unwrap();
    assert!(outcomes(&summary).contains(&"archived"), "{summary}");
    let object = bench.object(&KEY.replace("0101.wav", "0102.zip")).await.unwrap();
    assert_eq!(
        (object.bytes, object.head.content_type()),
        (zip, Some("application/zip"))
    );
}

/// Section 3, the tutorial's API.
#[tokio::test]
async fn the_tutorials_api_is_asked_for_metadata_then_media_with_token_and_accept() {
    let flac = std::fs::read(project().join("src/sim/media/call-01.flac")).unwrap();
    let bench = Bench::new().await;
    bench
        .world
        .genesys
        .add_interaction(Interaction::new(CONVERSATION, Media::bytes(flac)).recording_id(RECORDING));
    let handler = bench.handler(&[
        ("GENESYS_RECORDING_API", "interactions"),
        ("RECORDING_FORMAT", "flac"),
    ]);
    let summary = invoke(&handler, json!({"interactionId": CONVERSATION}))
        .await
        .unwrap();
    assert_eq!(outcomes(&summary), ["archived"]);
    assert_eq!(
        summary["results"][0]["recordingId"], RECORDING,
        "the id in the metadata"
    );
    let exchanges = bench.world.wire.exchanges();
    let download = exchanges
        .iter()
        .find(|e| e.operation == "interaction-download")
        .unwrap();
    assert_eq!(download.headers["accept"], "audio/flac");
    assert!(download.headers["authorization"].starts_with("Bearer "));
    assert!(
        download.target.ends_with("/download?format=flac"),
        "{}",
        download.target
    );
    let noted = &bench.audit(CONVERSATION, RECORDING).await[0]["genesys"]["retentionPolicy"];
    assert!(noted["id"].is_string() && noted["name"].is_string(), "{noted}");
}

#[tokio::test]
async fn a_segment_is_archived_beside_the_whole_and_never_instead_of_it() {
    let bench = Bench::new().await;
    bench
        .world
        .genesys
        .add_interaction(Interaction::new(CONVERSATION, call()).recording_id(RECORDING));
    let handler = bench.handler(&[("GENESYS_RECORDING_API", "interactions")]);
    let segment = json!({"interactionId": CONVERSATION, "startTime": 1000, "endTime": 2000});
    assert_eq!(outcomes(&invoke(&handler, segment).await.unwrap()), ["archived"]);
    assert_eq!(outcomes(&invoke(&handler, job()).await.unwrap()), ["archived"]);
    let cut = bench
        .object(&KEY.replace(".wav", "-1000-2000.wav"))
        .await
        .unwrap();
    assert_eq!(
        cut.bytes.len(),
        44 + 32_000,
        "one second of 8 kHz, 16 bit, stereo"
    );
    assert_eq!(bench.object(KEY).await.unwrap().bytes, call_bytes());
}

#[tokio::test]
async fn each_status_of_the_tutorials_api_comes_to_its_outcome() {
    for (interaction, outcome) in [
        (Interaction::new(CONVERSATION, call()), "archived"),
        (Interaction::new(CONVERSATION, call()).processing(1), "deferred"),
        (
            Interaction::new(CONVERSATION, call()).status(Status::Failed),
            "failed",
        ),
        (
            Interaction::new(CONVERSATION, call()).status(Status::NotFound),
            "deferred",
        ),
        (
            Interaction::new(CONVERSATION, call()).retention(Retention::MetadataOnly),
            "expired",
        ),
        (
            Interaction::new(CONVERSATION, call()).retention(Retention::Nothing),
            "expired",
        ),
    ] {
        let what = format!("{interaction:?}");
        let bench = Bench::new().await;
        bench.world.genesys.add_interaction(interaction);
        let handler = bench.handler(&[("GENESYS_RECORDING_API", "interactions")]);
        assert_eq!(
            outcomes(&invoke(&handler, job()).await.unwrap()),
            [outcome],
            "{what}"
        );
        assert_eq!(
            bench.exceptions().len(),
            usize::from(matches!(outcome, "failed" | "expired")),
            "{what}"
        );
    }
}

/// Section 1, SQS.
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

/// Section 7.
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
