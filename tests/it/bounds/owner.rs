//! Whose bucket it is, and where the media came from.

use recording_archiver::sim::genesys::{Conversation, Media, Recording};

use super::*;

#[tokio::test]
async fn every_call_of_s3_names_the_owner_of_the_bucket() {
    let bench = Bench::new().await;
    let conversation = Conversation::new(CONVERSATION).recording(Recording::audio(RECORDING, [call()]));
    let long = Media::generated_wav(2 * PART + 1_000, 7);
    let long = Recording::audio("e0000000-0000-4000-8000-000000000102", [long]);
    bench.world.genesys.add(conversation.recording(long));
    bench
        .world
        .wire
        .disturb_next(Service::S3, "PutObject", 1, Fault::ApplyThenReset);
    let archived = invoke(&bench.handler(&[("MAX_ATTEMPTS", "1")]), job())
        .await
        .unwrap();
    assert_eq!(outcomes(&archived), ["archived", "archived"]);
    let mut operations = std::collections::BTreeSet::new();
    for asked in bench.world.wire.exchanges() {
        if asked.service == Service::S3 {
            let owner = asked.headers.get("x-amz-expected-bucket-owner");
            assert_eq!(
                owner.map(String::as_str),
                Some("123456789012"),
                "{}",
                asked.operation
            );
            operations.insert(asked.operation);
        }
    }
    assert!(operations.len() >= 6, "{operations:?}");
}

#[tokio::test]
async fn a_bucket_of_somebody_else_gets_nothing() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[("S3_BUCKET_OWNER", "999999999999")]);
    let error = invoke(&handler, job()).await.unwrap_err();
    assert_eq!(error.kind().code(), "transient");
    assert!(error.to_string().contains("S3_BUCKET_OWNER"), "{error}");
    assert!(bench.keys().await.is_empty());
}

#[tokio::test]
async fn the_audit_says_which_host_the_media_came_from() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    for event in bench.audit(CONVERSATION, RECORDING).await {
        let stored = event["action"] == "archive.stored";
        assert!(!stored || event["mediaHost"] == "127.0.0.1", "{event:?}");
    }
    assert!(
        bench
            .actions(CONVERSATION, RECORDING)
            .await
            .contains(&"archive.stored".to_owned())
    );
}

#[tokio::test]
async fn an_adopted_file_keeps_its_host() {
    let bench = Bench::with_a_call().await;
    let mut writes = 0;
    bench.world.wire.disturb(move |asked| {
        writes += usize::from(asked.operation == "TransactWriteItems");
        // Claimed, storing, and then the run dies.
        (asked.operation == "TransactWriteItems" && writes >= 4).then_some(Fault::Reset)
    });
    bench.invoke(job()).await.unwrap_err();
    bench.world.wire.calm();
    bench.clock.advance(std::time::Duration::from_secs(901));
    bench.archive().await;
    let events = bench.audit(CONVERSATION, RECORDING).await;
    let stored = events
        .iter()
        .find(|event| event["action"] == "archive.stored")
        .unwrap();
    assert_eq!(stored["mediaHost"], "127.0.0.1");
    assert_eq!(bench.world.wire.count(Service::Media, "media"), 1);
}
