//! The requests to Genesys, those of the tutorial's API among them.

use recording_archiver::sim::genesys::{Interaction, Media, Retention, Status};
use recording_archiver::sim::wire::Service;
use serde_json::json;

use crate::support::{Bench, CONVERSATION, KEY, RECORDING, call, call_bytes, invoke, job, outcomes, project};

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
