//! S3 misbehaves. "Short": a single `PutObject`; "long": a multipart upload.

use aws_sdk_s3::primitives::ByteStream;
use recording_archiver::sim::BUCKET;

use super::*;

const PUT: &str = "PutObject";
const CREATE: &str = "CreateMultipartUpload";
const PART_UP: &str = "UploadPart";
const COMPLETE: &str = "CompleteMultipartUpload";
const TAG: &str = "PutObjectTagging";
const ABORT: &str = "AbortMultipartUpload";

/// Returns a bench whose recording takes this operation to store, and the recording's SHA-256.
async fn bench_for(operation: &str) -> (Bench, String) {
    let media = if operation == PUT {
        call()
    } else {
        Media::generated_wav(PART + 1_000, 7)
    };
    let sha256 = media.sha256().unwrap();
    (Bench::with_media(media).await, sha256)
}

fn abort_failures(bench: &Bench) -> Value {
    bench.metrics().last().unwrap()["AbortFailures"].clone()
}

#[tokio::test]
async fn a_passing_failure_of_any_operation_is_tried_again_and_leaves_no_trace() {
    for operation in [PUT, CREATE, PART_UP, COMPLETE, TAG] {
        for fault in [
            s3_error(500, "InternalError"),
            s3_error(503, "SlowDown"),
            Fault::Reset,
        ] {
            let (bench, sha256) = bench_for(operation).await;
            bench.world.wire.disturb_next(Service::S3, operation, 2, fault);
            bench.assert_archived(bench.invoke(job()).await, &sha256).await;
            assert_eq!(
                bench.asked(Service::Media, "media"),
                1,
                "{operation}: one download is enough"
            );
        }
    }
}

#[tokio::test]
async fn a_failure_that_stays_leaves_nothing_behind_and_the_job_to_the_trigger() {
    for operation in [PUT, CREATE, PART_UP, COMPLETE] {
        for (status, code) in [
            (500, "InternalError"),
            (503, "SlowDown"),
            (403, "AccessDenied"),
            (404, "NoSuchBucket"),
        ] {
            let (bench, sha256) = bench_for(operation).await;
            let fault = s3_error(status, code);
            bench
                .world
                .wire
                .disturb(move |e| (e.operation == operation).then(|| fault.clone()));
            let answer = bench.invoke(job()).await;
            assert!(
                answer.as_ref().unwrap_err().to_string().contains(code),
                "{answer:?}"
            );
            bench.assert_ended(answer, Ending::Retry, About::Recording).await;
            bench.assert_next_run_archives(&sha256).await;
        }
    }
}

#[tokio::test]
async fn s3_away_altogether_in_mid_upload_leaves_nothing_behind() {
    let (bench, sha256) = bench_for(COMPLETE).await;
    let mut away = false;
    bench.world.wire.disturb(move |e| {
        away |= e.operation == COMPLETE;
        (away && e.service == Service::S3 && e.operation != ABORT).then(|| s3_error(503, "SlowDown"))
    });
    let answer = bench.invoke(job()).await;
    bench.world.wire.calm();
    bench.assert_ended(answer, Ending::Retry, About::Recording).await;
    bench.assert_next_run_archives(&sha256).await;
}

/// Asserts that a run which loses so many answers of this operation archives, with one download.
async fn assert_recognised(operation: &'static str, lost: usize) {
    let (bench, sha256) = bench_for(operation).await;
    bench
        .world
        .wire
        .disturb_next(Service::S3, operation, lost, Fault::ApplyThenReset);
    bench.assert_archived(bench.invoke(job()).await, &sha256).await;
    let downloads = bench.asked(Service::Media, "media");
    assert_eq!(downloads, 1, "{operation}: one download is enough");
}

#[tokio::test]
async fn an_answer_lost_after_the_deed_is_recognised_as_ours() {
    for operation in [PUT, PART_UP, COMPLETE, TAG] {
        assert_recognised(operation, 1).await;
    }
}

#[tokio::test]
async fn an_answer_lost_every_time_is_recognised_as_ours() {
    for operation in [PUT, COMPLETE] {
        assert_recognised(operation, 3).await;
    }
}

#[tokio::test]
async fn our_own_object_that_could_not_be_seen_at_once_is_adopted_by_the_next_try() {
    for operation in [PUT, COMPLETE] {
        let (bench, sha256) = bench_for(operation).await;
        bench
            .world
            .wire
            .disturb_next(Service::S3, operation, 3, Fault::ApplyThenReset);
        bench
            .world
            .wire
            .disturb_next(Service::S3, "HeadObject", 3, Fault::status(503));
        bench.assert_archived(bench.invoke(job()).await, &sha256).await;
    }
}

#[tokio::test]
async fn somebody_elses_object_is_kept_and_reported() {
    for operation in [PUT, COMPLETE] {
        let (bench, _) = bench_for(operation).await;
        let theirs = ByteStream::from_static(b"theirs");
        bench
            .world
            .aws
            .s3()
            .put_object()
            .bucket(BUCKET)
            .key(KEY)
            .body(theirs)
            .send()
            .await
            .unwrap();
        let summary = bench.invoke(job()).await.unwrap();
        assert_eq!(outcomes(&summary), ["failed"]);
        assert_eq!(bench.object(KEY).await.unwrap().bytes, b"theirs");
        assert_eq!(bench.uploads_in_progress().await, Vec::<String>::new());
        assert_eq!(bench.exceptions()[0]["code"], "foreign_object");
        assert_eq!(bench.state(RECORDING).await, Some(State::Failed));
        assert_eq!(
            bench.actions(CONVERSATION, RECORDING).await.last().unwrap(),
            "download.failed"
        );
        assert!(bench.world.webhook.deliveries().is_empty() && bench.deferred().is_empty());
        assert_eq!(bench.asked(Service::Media, "media"), 1);
        leaks::assert_none(&bench, &Ok(summary)).await;
    }
}

#[tokio::test]
async fn an_object_of_an_earlier_attempt_is_adopted_without_another_download() {
    for operation in [PUT, COMPLETE] {
        let (bench, sha256) = bench_for(operation).await;
        // The first run makes it visible, and cannot write that down any more.
        let mut stored = false;
        bench.world.wire.disturb(move |e| {
            stored |= is_publication(e);
            (stored && e.service == Service::DynamoDb).then_some(Fault::status(500))
        });
        let answer = bench.invoke(job()).await;
        assert!(answer.is_err(), "{answer:?}");
        bench.assert_stored(&sha256).await;
        assert!(bench.world.webhook.deliveries().is_empty());
        bench.let_the_lease_run_out();
        bench.world.wire.calm();
        let summary = bench.invoke(job()).await.unwrap();
        assert_eq!(outcomes(&summary), ["archived"]);
        bench.assert_stored(&sha256).await;
        assert_eq!(bench.state(RECORDING).await, Some(State::Notified));
        let actions = bench.actions(CONVERSATION, RECORDING).await;
        assert_eq!(
            actions[actions.len() - 3..],
            ["download.initiated", "archive.stored", "webhook.delivered"]
        );
        assert_eq!(bench.asked(Service::Media, "media"), 1, "{operation}");
    }
}

#[tokio::test]
async fn a_conflict_an_upload_that_is_gone_and_a_bad_digest_cost_another_download() {
    for (operation, status, code) in [
        (PUT, 409, "ConditionalRequestConflict"),
        (PUT, 400, "BadDigest"),
        (PART_UP, 400, "BadDigest"),
        (PART_UP, 404, "NoSuchUpload"),
        (COMPLETE, 409, "ConditionalRequestConflict"),
        (COMPLETE, 404, "NoSuchUpload"),
        (COMPLETE, 400, "BadDigest"),
        (COMPLETE, 400, "InvalidPart"),
    ] {
        let (bench, sha256) = bench_for(operation).await;
        bench
            .world
            .wire
            .disturb_next(Service::S3, operation, 1, s3_error(status, code));
        bench.assert_archived(bench.invoke(job()).await, &sha256).await;
        assert_eq!(bench.asked(Service::Media, "media"), 2, "{operation} {code}");
        assert_eq!(abort_failures(&bench), 0);
    }
}

#[tokio::test]
async fn a_completion_that_answers_200_with_an_error_is_none() {
    let (bench, sha256) = bench_for(COMPLETE).await;
    bench
        .world
        .wire
        .disturb_next(Service::S3, COMPLETE, 1, s3_error(200, "InternalError"));
    bench.assert_archived(bench.invoke(job()).await, &sha256).await;
    let (bench, sha256) = bench_for(COMPLETE).await;
    bench
        .world
        .wire
        .disturb(|e| (e.operation == COMPLETE).then(|| s3_error(200, "InternalError")));
    let answer = bench.invoke(job()).await;
    bench.assert_ended(answer, Ending::Retry, About::Recording).await;
    bench.assert_next_run_archives(&sha256).await;
}

#[tokio::test]
async fn an_abort_that_fails_is_counted_and_changes_nothing_else() {
    let (bench, _) = bench_for(COMPLETE).await;
    bench.world.wire.disturb(|e| match e.operation.as_str() {
        PART_UP => Some(s3_error(403, "AccessDenied")),
        ABORT => Some(s3_error(503, "SlowDown")),
        _ => None,
    });
    let answer = bench.invoke(job()).await;
    let text = answer.as_ref().unwrap_err().to_string();
    assert!(
        text.contains("sending part") && text.contains("AccessDenied"),
        "{text}"
    );
    assert_eq!(abort_failures(&bench), 3, "one for each try");
    assert_eq!(
        bench.uploads_in_progress().await.len(),
        3,
        "left to the lifecycle rule"
    );
    assert_eq!(
        (bench.keys().await.len(), bench.state(RECORDING).await),
        (0, Some(State::Claimed))
    );
    assert_eq!(
        bench.actions(CONVERSATION, RECORDING).await,
        ["download.initiated", "download.failed"]
    );
    leaks::assert_none(&bench, &answer).await;
}

#[tokio::test]
async fn an_object_that_cannot_be_tagged_is_not_archived_yet_but_never_downloaded_again() {
    let (bench, sha256) = bench_for(TAG).await;
    bench
        .world
        .wire
        .disturb(|e| (e.operation == TAG).then(|| s3_error(403, "AccessDenied")));
    let answer = bench.invoke(job()).await;
    assert!(
        answer.as_ref().unwrap_err().to_string().contains("tagging"),
        "{answer:?}"
    );
    assert_eq!(bench.state(RECORDING).await, Some(State::Storing));
    assert!(bench.world.webhook.deliveries().is_empty());
    assert_eq!(bench.uploads_in_progress().await, Vec::<String>::new());
    leaks::assert_none(&bench, &answer).await;
    bench.world.wire.calm();
    assert_eq!(outcomes(&bench.invoke(job()).await.unwrap()), ["archived"]);
    bench.assert_stored(&sha256).await;
    bench.assert_told_once(&sha256);
    assert_eq!(bench.asked(Service::Media, "media"), 1);
}
