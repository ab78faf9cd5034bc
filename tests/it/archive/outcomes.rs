//! The outcome of each state that a recording can be in at Genesys, and of what a job asks for.

use recording_archiver::sim::genesys::{Conversation, FileState, Kind, Media, Recording, TranscodingBody};
use recording_archiver::sim::wire::Service;
use serde_json::json;

use super::{SECOND, two_recordings};
use crate::support::{
    Bench, CONVERSATION, KEY, RECORDING, call, call_bytes, invoke, job, outcomes, project, sha256, sqs,
};

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
        let recording = Recording::audio(RECORDING, [call()]).state(state);
        let bench = Bench::with_recording(recording).await;
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
        let recording = Recording::audio(RECORDING, [call()]).transcoding(answers, TranscodingBody::Empty);
        let bench = Bench::with_recording(recording).await;
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
    let recording = Recording::audio(RECORDING, [call()]).transcoding(2, TranscodingBody::Empty);
    let bench = Bench::with_recording(recording).await;
    let impatient = bench.handler(&[("TRANSCODE_WAIT_SECONDS", "0")]);
    let first_seen = jiff::Timestamp::now().to_string();
    let job = json!({"conversationId": CONVERSATION, "firstSeen": first_seen, "requestedBy": "anna"});
    assert_eq!(outcomes(&invoke(&impatient, job).await.unwrap()), ["deferred"]);
    let (again, delay) = bench.deferred().remove(0);
    let expected = json!({"conversationId": CONVERSATION, "recordingId": RECORDING, "requestedBy": "anna",
        "deferrals": 1, "firstSeen": first_seen, "origin": {"source": "direct", "requestId": "request-1"}});
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
    let bench = Bench::with(Conversation::new(CONVERSATION)).await;
    let handler = bench.handler(&[("WORK_QUEUE_URL", "")]);
    let error = invoke(&handler, job()).await.unwrap_err();
    assert!(error.to_string().contains("WORK_QUEUE_URL"), "{error}");
    let answer = invoke(&handler, sqs([job().to_string()])).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "m-0"}]}));
}

#[tokio::test]
async fn not_ready_is_believed_until_the_readiness_deadline() {
    let bench = Bench::with(Conversation::new(CONVERSATION)).await;
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
    let recording = Recording::audio(RECORDING, [call()]);
    let bench = Bench::with(Conversation::new(CONVERSATION).recording(recording).denied()).await;
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
    let bench = two_recordings().await;
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
    let chat = Recording::text(SECOND, Kind::Chat, Media::bytes(zip.clone()));
    let conversation = Conversation::new(CONVERSATION)
        .recording(Recording::audio(RECORDING, [call()]))
        .recording(chat);
    let bench = Bench::with(conversation).await;
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
