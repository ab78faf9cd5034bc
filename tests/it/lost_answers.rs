//! A request is carried out and its answer is lost: the same run, or the next one, finds out and goes on from there.

use std::time::Duration;

use recording_archiver::domain::record::State;
use recording_archiver::sim::genesys::Media;
use recording_archiver::sim::wire::{Exchange, Fault, Service};
use serde_json::json;

use crate::settled::assert_settled;
use crate::support::{Bench, CONVERSATION, PART, RECORDING, call, invoke, invoke_for, job, outcomes, sha256};

const LEASE: Duration = Duration::from_secs(60);

fn long() -> Media {
    Media::generated_wav(PART + 100_000, 1)
}

/// Returns the effects of a clean run over a recording in two parts.
async fn effects() -> Vec<Exchange> {
    let bench = Bench::with_media(long()).await;
    bench.world.wire.forget();
    invoke_for(&bench.handler(&[]), job(), LEASE).await.unwrap();
    bench.world.wire.exchanges()
}

/// Returns a bench on which the `effect`-th exchange and further ones of its kind, `times` in all, lose their answers.
async fn losing(effect: &Exchange, times: usize, media: &Media) -> Bench {
    let bench = Bench::with_media(media.clone()).await;
    bench.world.wire.forget();
    let (from, service, operation) = (effect.seq, effect.service, effect.operation.clone());
    let mut left = times;
    bench.world.wire.disturb(move |exchange| {
        let same = exchange.service == service && exchange.operation == operation;
        let hit = left > 0 && exchange.seq >= from && same;
        left -= usize::from(hit);
        hit.then_some(Fault::ApplyThenReset)
    });
    bench
}

/// Asserts that no upload is left, but for one whose id was lost: the lifecycle rule removes that.
async fn assert_no_upload_left(bench: &Bench, effect: &Exchange, story: &str) {
    if effect.operation != "CreateMultipartUpload" {
        assert_eq!(bench.uploads_in_progress().await, [""; 0], "{story}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_lost_answer_costs_nothing_but_a_second_request() {
    for effect in effects().await {
        let story = format!("the answer to {} {} is lost", effect.operation, effect.seq);
        let media = long();
        let bench = losing(&effect, 1, &media).await;
        let summary = invoke_for(&bench.handler(&[]), job(), LEASE).await.expect(&story);
        assert_eq!(outcomes(&summary), ["archived"], "{story}");
        let requests = 1 + usize::from(effect.service == Service::Media);
        assert_eq!(media.requests(), requests, "{story}");
        assert_no_upload_left(&bench, &effect, &story).await;
        assert_settled(&bench, &[vec![media.sha256().unwrap()]], &story).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_lost_at_every_try_of_a_step_are_made_up_for_in_the_end() {
    for effect in effects().await {
        let story = format!("no answer to {} {} arrives", effect.operation, effect.seq);
        let media = long();
        let bench = losing(&effect, 3, &media).await;
        let first = invoke_for(&bench.handler(&[]), job(), LEASE).await;
        assert_no_upload_left(&bench, &effect, &story).await;
        bench.world.wire.calm();
        if let Err(error) = first {
            assert_eq!(error.kind().code(), "transient", "{story}: {error}");
        }
        // A step whose outcome nobody could learn may have left its lease behind.
        bench.clock.advance(LEASE + Duration::from_secs(1));
        let summary = invoke_for(&bench.handler(&[]), job(), LEASE).await.expect(&story);
        assert!(
            matches!(outcomes(&summary).as_slice(), ["archived" | "already_archived"]),
            "{story}: {summary}"
        );
        assert_settled(&bench, &[vec![media.sha256().unwrap()]], &story).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_is_aborted_though_nobody_can_tell_whether_it_was_completed() {
    let bench = Bench::with_media(long()).await;
    let wire = &bench.world.wire;
    wire.disturb_next(Service::S3, "CompleteMultipartUpload", 3, Fault::Reset);
    wire.disturb_next(Service::S3, "HeadObject", 9, Fault::Reset);
    invoke(&bench.handler(&[("MAX_ATTEMPTS", "1")]), job())
        .await
        .unwrap_err();
    assert_eq!(bench.uploads_in_progress().await, [""; 0]);
    assert_eq!(bench.keys().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_cannot_be_set_does_not_make_the_recording_come_again() {
    let media = long();
    let bench = Bench::with_media(media.clone()).await;
    bench
        .world
        .wire
        .disturb_next(Service::S3, "PutObjectTagging", 9, Fault::status(503));
    bench.invoke(job()).await.unwrap_err();
    bench.world.wire.calm();
    assert_eq!(bench.archive().await[0]["outcome"], "archived");
    assert_eq!(media.requests(), 1, "it was there already, and adopted");
    assert_settled(&bench, &[vec![media.sha256().unwrap()]], "tagged later").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_that_cannot_be_signed_is_put_off_and_is_no_failed_download() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[]);
    // The secret was read for the token; for the signature a broken one is read.
    bench
        .world
        .wire
        .disturb_next(Service::Webhook, "deliver", 9, Fault::Reset);
    assert_eq!(outcomes(&invoke(&handler, job()).await.unwrap()), ["deferred"]);
    bench.world.wire.calm();
    bench
        .world
        .wire
        .disturb_next(Service::SecretsManager, "GetSecretValue", 9, Fault::status(500));
    let named = json!({"conversationId": CONVERSATION, "recordingId": RECORDING});
    assert_eq!(
        outcomes(&bench.invoke(named.clone()).await.unwrap()),
        ["deferred"],
        "a new container has no secret yet"
    );
    assert!(
        bench
            .actions(CONVERSATION, RECORDING)
            .await
            .ends_with(&["webhook.failed".into(), "webhook.failed".into()])
    );
    bench.world.wire.calm();
    assert_eq!(
        outcomes(&bench.invoke(named).await.unwrap()),
        ["already_archived"]
    );
    assert_settled(&bench, &[vec![call().sha256().unwrap()]], "signed later").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_run_left_is_held_against_the_hash_that_the_next_job_expects() {
    let bench = Bench::with_a_call().await;
    // It dies between making the object visible and writing that down.
    let mut stored = false;
    bench.world.wire.disturb(move |exchange| {
        stored |= exchange.operation == "PutObject";
        (stored && exchange.service == Service::DynamoDb).then_some(Fault::Reset)
    });
    invoke_for(&bench.handler(&[]), job(), LEASE).await.unwrap_err();
    bench.world.wire.calm();
    bench.clock.advance(LEASE + Duration::from_secs(1));
    let expecting = json!({"conversationId": CONVERSATION, "expectedSha256": sha256(b"something else")});
    let summary = bench.invoke(expecting).await.unwrap();
    assert_eq!(outcomes(&summary), ["failed"], "{summary}");
    assert_eq!(
        bench.record(CONVERSATION, RECORDING).await.unwrap().state,
        State::Notified
    );
    assert_eq!(bench.exceptions()[0]["code"], "hash_mismatch");
}
