//! AWS takes the request and never answers: the try ends by its own timer, and the next one finds its way.

use recording_archiver::sim::genesys::{Conversation, FileState, Recording};

use super::*;

/// Returns a bench with little patience, whose recording has this media.
async fn impatient(media: Media) -> Bench {
    Bench {
        aws_patience: Duration::from_secs(2),
        ..Bench::with_media(media).await
    }
}

#[tokio::test]
async fn a_call_that_is_never_answered_is_tried_again() {
    let operations = [
        (Service::SecretsManager, "GetSecretValue"),
        (Service::DynamoDb, "TransactWriteItems"),
        (Service::S3, "CreateMultipartUpload"),
        (Service::S3, "UploadPart"),
        (Service::S3, "CompleteMultipartUpload"),
        (Service::S3, "PutObjectTagging"),
    ];
    for (service, operation) in operations {
        let media = Media::generated_wav(PART + 1_000, 7);
        let bench = impatient(media.clone()).await;
        bench.world.wire.disturb_next(service, operation, 1, Fault::Hang);
        let sha256 = media.sha256().unwrap();
        bench.assert_archived(bench.invoke(job()).await, &sha256).await;
    }
    let bench = impatient(call()).await;
    bench
        .world
        .wire
        .disturb_next(Service::S3, "PutObject", 1, Fault::Hang);
    bench
        .assert_archived(bench.invoke(job()).await, &call_sha256())
        .await;
}

#[tokio::test]
async fn what_was_done_though_the_answer_never_came_is_found_and_not_done_twice() {
    for (service, operation) in [
        (Service::S3, "PutObject"),
        (Service::DynamoDb, "TransactWriteItems"),
    ] {
        let bench = impatient(call()).await;
        bench
            .world
            .wire
            .disturb_next(service, operation, 1, Fault::ApplyThenHang);
        bench
            .assert_archived(bench.invoke(job()).await, &call_sha256())
            .await;
        assert_eq!(bench.asked(Service::Media, "media"), 1, "{operation}");
    }
}

#[tokio::test]
async fn a_send_to_the_work_queue_that_is_never_answered_is_tried_again() {
    let recording = Recording::audio(RECORDING, [call()]).state(FileState::Uploading);
    let bench = Bench {
        aws_patience: Duration::from_secs(2),
        ..Bench::new().await
    };
    bench
        .world
        .genesys
        .add(Conversation::new(CONVERSATION).recording(recording));
    bench
        .world
        .wire
        .disturb_next(Service::Sqs, "SendMessage", 1, Fault::Hang);
    bench
        .assert_ended(bench.invoke(job()).await, Ending::Deferred, About::Recording)
        .await;
}

#[tokio::test]
async fn calls_that_are_never_answered_at_all_fail_the_run_and_not_the_recording() {
    for (service, operation) in [
        (Service::SecretsManager, "GetSecretValue"),
        (Service::S3, "PutObject"),
    ] {
        let bench = impatient(call()).await;
        bench
            .world
            .wire
            .disturb(move |e| (e.service == service && e.operation == operation).then_some(Fault::Hang));
        let answer = bench.invoke(job()).await;
        let about = match service {
            Service::S3 => About::Recording,
            _ => About::Conversation,
        };
        bench.assert_ended(answer, Ending::Retry, about).await;
        bench.assert_next_run_archives(&call_sha256()).await;
    }
}
