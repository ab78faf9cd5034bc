//! The API of the tutorial.

use std::time::Duration;

use recording_archiver::sim::genesys::{Interaction, Media, Retention, Status};
use recording_archiver::sim::wire::Service;
use serde_json::{Value, json};

use super::{Answer, CONVERSATION, Cloud, RECORDING};
use crate::openapi::assert_is;

async fn with(interaction: Interaction) -> Cloud {
    let cloud = Cloud::start().await;
    cloud.genesys.add_interaction(interaction);
    cloud
}

async fn look(cloud: &Cloud) -> Answer {
    cloud
        .get(&format!("/api/v2/recordings/interactions/{CONVERSATION}"))
        .await
}

async fn download(cloud: &Cloud, query: &str, accept: &str) -> Answer {
    let path = format!("/api/v2/recordings/interactions/{CONVERSATION}/download{query}");
    Answer::of(cloud.request(&path).header("accept", accept)).await
}

#[tokio::test]
async fn an_interaction_is_processed_and_then_ready() {
    let media = Media::generated_call(Duration::from_secs(90), 1);
    let interaction = Interaction::new(CONVERSATION, media)
        .processing(1)
        .recording_id(RECORDING);
    let cloud = with(interaction).await;
    assert_eq!(look(&cloud).await.json()["status"], "processing");
    assert_eq!(download(&cloud, "?format=wav", "audio/wav").await.status, 409);
    let ready = look(&cloud).await.json();
    let policy = json!({ "id": "00000000-0000-4000-8000-00000000f00d", "name": "Keep for 90 days" });
    let expected = json!({
        "id": RECORDING, "status": "ready", "duration": 90, "format": "wav", "retentionPolicy": policy,
    });
    assert_eq!(ready, expected);
    assert_eq!(cloud.wire.count(Service::Genesys, "interaction"), 2);
}

#[tokio::test]
async fn the_other_states_of_an_interaction_have_their_names() {
    let cloud = with(Interaction::new(CONVERSATION, Media::bytes("")).without_retention_policy()).await;
    assert_eq!(
        look(&cloud).await.json().get("retentionPolicy"),
        Some(&Value::Null)
    );
    for (status, name) in [(Status::Failed, "failed"), (Status::NotFound, "not_found")] {
        cloud
            .genesys
            .interaction(CONVERSATION, |interaction| interaction.status = status);
        assert_eq!(look(&cloud).await.json()["status"], name);
        assert_eq!(download(&cloud, "", "audio/wav").await.status, 404);
    }
    let unknown = cloud
        .get(&format!("/api/v2/recordings/interactions/{RECORDING}"))
        .await;
    assert_eq!(unknown.status, 404);
    assert_is("ErrorBody", &unknown.json());
}

#[tokio::test]
async fn the_accept_header_has_to_name_the_format() {
    let cloud = with(Interaction::new(CONVERSATION, Media::bytes("ID3"))).await;
    for (format, accept) in [
        ("wav", "audio/wav"),
        ("mp3", "audio/mpeg"),
        ("flac", "audio/flac"),
    ] {
        let query = format!("?format={format}");
        let answer = download(&cloud, &query, accept).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some(accept))
        );
        assert_eq!(answer.body, b"ID3");
        let refused = download(&cloud, &query, "application/json").await;
        assert_eq!(refused.status, 406);
        assert_is("ErrorBody", &refused.json());
    }
}

#[tokio::test]
async fn a_recording_whose_retention_is_over_is_gone() {
    let interaction = Interaction::new(CONVERSATION, Media::bytes("")).retention(Retention::MetadataOnly);
    let cloud = with(interaction).await;
    assert_eq!(look(&cloud).await.status, 200);
    let gone = download(&cloud, "?format=wav", "audio/wav").await;
    assert_eq!(gone.status, 410);
    assert_is("ErrorBody", &gone.json());
    cloud.genesys.interaction(CONVERSATION, |interaction| {
        interaction.retention = Retention::Nothing;
    });
    assert_eq!(look(&cloud).await.status, 410);
}

#[tokio::test]
async fn a_segment_is_a_valid_wav_of_just_that_time() {
    let media = Media::generated_call(Duration::from_secs(3), 7);
    let cloud = with(Interaction::new(CONVERSATION, media)).await;
    let whole = download(&cloud, "", "audio/wav").await.body;
    let part = download(&cloud, "?format=wav&start=500&end=1750", "audio/wav").await;
    assert_eq!(part.status, 200);
    let sound = &whole[44 + 16_000..44 + 56_000]; // 32 bytes a millisecond
    assert_eq!(&part.body[44..], sound);
    assert_eq!(part.header("content-length"), Some("40044"));
    assert_eq!(part.body[..4], *b"RIFF");
    assert_eq!(part.body[4..8], 40_036_u32.to_le_bytes());
    assert_eq!(part.body[8..40], whole[8..40]);
    assert_eq!(part.body[40..44], 40_000_u32.to_le_bytes());
}

#[tokio::test]
async fn an_open_segment_reaches_to_the_end_and_an_impossible_one_is_refused() {
    let media = Media::generated_call(Duration::from_secs(2), 7);
    let cloud = with(Interaction::new(CONVERSATION, media)).await;
    let tail = download(&cloud, "?start=1000", "audio/wav").await;
    assert_eq!(tail.body.len(), 44 + 32_000);
    let beyond = download(&cloud, "?start=1000&end=99000", "audio/wav").await;
    assert_eq!(beyond.body, tail.body);
    for query in ["?start=1000&end=1000", "?start=5000", "?end=soon", "?start=-1"] {
        let refused = download(&cloud, query, "audio/wav").await;
        assert_eq!(refused.status, 400, "{query}");
        assert_is("ErrorBody", &refused.json());
    }
}
