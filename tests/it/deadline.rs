//! The end of an invocation: nothing is begun that cannot end, what was begun is undone, and the answer gets out.

use std::sync::Arc;
use std::time::Duration;

use recording_archiver::domain::record::State;
use recording_archiver::error::{Error, ErrorKind};
use recording_archiver::sim::genesys::{Media, Mishap};
use recording_archiver::sim::wire::{Exchange, Fault, Service};
use serde_json::{Value, json};

use crate::settled::assert_settled;
use crate::support::{Bench, CONVERSATION, PART, RECORDING, call, invoke_for, job, outcomes, sqs};

/// All the time there is, where it is to run out: enough to get to what hangs, and no more.
const SHORT: Duration = Duration::from_secs(2);
const AMPLE: Duration = Duration::from_secs(60);

fn left_to_sqs() -> Value {
    json!({"batchItemFailures": [{"itemIdentifier": "m-0"}]})
}

fn long() -> Media {
    Media::generated_wav(3 * PART, 1)
}

/// Returns media of which every download stops for ever when its first parts are on their way.
fn stalling() -> Media {
    let media = long();
    media.always(Mishap::StallAt(2 * PART + 100_000, None));
    media
}

/// Asserts that the last run left nothing behind, so that the next one, without a fault, archives at once.
async fn assert_undone_and_archived_next(bench: &Bench, media: &Media, story: &str) {
    assert_eq!(
        bench.uploads_in_progress().await,
        [""; 0],
        "{story}: the upload was aborted"
    );
    assert_eq!(bench.keys().await, [""; 0], "{story}: nothing is visible");
    let record = bench.record(CONVERSATION, RECORDING).await.expect(story);
    assert_eq!(record.lease_expires_at, 0, "{story}: the lease was released");
    assert_eq!(
        bench.actions(CONVERSATION, RECORDING).await.last().unwrap(),
        "download.failed",
        "{story}"
    );
    bench.world.wire.calm();
    media.always(Mishap::Nothing);
    assert_eq!(
        outcomes(&invoke_for(&bench.handler(&[]), job(), AMPLE).await.unwrap()),
        ["archived"],
        "{story}"
    );
    assert_settled(bench, &[vec![media.sha256().unwrap()]], story).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_too_little_time_left_nothing_is_begun() {
    let bench = Bench::with_a_call().await;
    bench.world.wire.forget();
    let handler = bench.handler(&[]);
    let batch = sqs([job().to_string()]);
    assert_eq!(
        invoke_for(&handler, batch, Duration::ZERO).await.unwrap(),
        left_to_sqs()
    );
    let error = invoke_for(&handler, job(), Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineNear);
    assert!(
        bench.world.wire.exchanges().is_empty(),
        "nobody was asked for anything"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_stalls_is_undone_before_the_invocation_ends() {
    for payload in [job(), sqs([job().to_string()])] {
        let media = stalling();
        let bench = Bench::with_media(media.clone()).await;
        let answer = invoke_for(&bench.handler(&[]), payload, SHORT).await;
        assert_ended_by_the_deadline(answer);
        let begun = bench.world.wire.count(Service::S3, "CreateMultipartUpload");
        assert!(begun > 0, "it got that far");
        assert_eq!(bench.world.wire.count(Service::S3, "AbortMultipartUpload"), begun);
        assert_undone_and_archived_next(&bench, &media, "a stall").await;
    }
}

fn assert_ended_by_the_deadline(answer: Result<Value, Error>) {
    match answer {
        Ok(answer) => assert_eq!(answer, left_to_sqs()),
        Err(error) => assert_eq!(error.kind(), ErrorKind::DeadlineNear, "{error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_too_slow_is_undone_before_the_invocation_ends() {
    let media = long();
    let bench = Bench::with_media(media.clone()).await;
    bench
        .world
        .wire
        .disturb_next(Service::S3, "UploadPart", 9, Fault::Delay(AMPLE));
    assert_ended_by_the_deadline(invoke_for(&bench.handler(&[]), job(), SHORT).await);
    assert_undone_and_archived_next(&bench, &media, "slow parts").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_the_work_as_the_deadline_does() {
    let media = stalling();
    let bench = Arc::new(Bench::with_media(media.clone()).await);
    let handler = bench.handler(&[]);
    let stop = handler.stop().clone();
    let run = tokio::spawn(async move { invoke_for(&handler, sqs([job().to_string()]), AMPLE).await });
    let part = |exchange: &Exchange| exchange.operation == "UploadPart";
    bench
        .world
        .wire
        .wait_until(|exchanges| exchanges.iter().any(part))
        .await;
    stop.pull();
    assert_eq!(run.await.unwrap().unwrap(), left_to_sqs());
    assert_undone_and_archived_next(&bench, &media, "SIGTERM").await;
}

/// Whatever is asked never answers: at each effect of a run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_hangs_the_answer_gets_out() {
    let bench = Bench::with_a_call().await;
    bench.world.wire.forget();
    invoke_for(&bench.handler(&[]), job(), AMPLE).await.unwrap();
    let run = bench.world.wire.exchanges();
    let each = run.into_iter().map(|hanging| async move {
        let story = format!("{:?} {} never answers", hanging.service, hanging.operation);
        let media = call();
        let bench = Bench::with_media(media.clone()).await;
        bench.world.wire.forget();
        let (service, operation, first) = (hanging.service, hanging.operation, hanging.seq);
        bench.world.wire.disturb(move |exchange| {
            let hangs =
                exchange.seq >= first && exchange.service == service && exchange.operation == operation;
            hangs.then_some(Fault::Hang)
        });
        let handler = bench.handler(&[]);
        let answer = invoke_for(&handler, sqs([job().to_string()]), SHORT);
        let answer = tokio::time::timeout(AMPLE, answer).await.expect(&story).unwrap();
        let deferred = json!({"batchItemFailures": []});
        assert!(
            answer == left_to_sqs() || (service == Service::Webhook && answer == deferred),
            "{story}"
        );
        bench.world.wire.calm();
        // What hung may be the release of the lease itself.
        bench.clock.advance(SHORT);
        let summary = invoke_for(&bench.handler(&[]), job(), AMPLE).await.expect(&story);
        assert!(
            matches!(outcomes(&summary).as_slice(), ["archived" | "already_archived"]),
            "{story}: {summary}"
        );
        assert_settled(&bench, &[vec![media.sha256().unwrap()]], &story).await;
    });
    futures_util::future::join_all(each).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_when_the_work_has_to_end_is_told_later() {
    let media = call();
    let bench = Bench::with_media(media.clone()).await;
    bench
        .world
        .wire
        .disturb_next(Service::Webhook, "deliver", 99, Fault::Hang);
    // As patient with the receiver as can be: only the end of the work ends the waiting.
    let handler = bench.handler(&[("MAX_ATTEMPTS", "10")]);
    let stop = handler.stop().clone();
    let run = tokio::spawn(async move { invoke_for(&handler, job(), AMPLE).await });
    let told = |exchange: &Exchange| exchange.service == Service::Webhook;
    bench
        .world
        .wire
        .wait_until(|exchanges| exchanges.iter().any(told))
        .await;
    stop.pull();
    let summary = run.await.unwrap().unwrap();
    assert_eq!(outcomes(&summary), ["deferred"]);
    assert_eq!(
        bench.world.wire.count(Service::Webhook, "deliver"),
        1,
        "it was not tried again"
    );
    let archived = &summary["results"][0]["files"][0];
    assert_eq!(
        archived["sha256"],
        media.sha256().unwrap(),
        "archived all the same"
    );
    let record = bench.record(CONVERSATION, RECORDING).await.unwrap();
    assert_eq!((record.state, record.lease_expires_at), (State::Archived, 0));
    let actions = bench.actions(CONVERSATION, RECORDING).await;
    assert_eq!(actions[actions.len() - 2..], ["archive.stored", "webhook.failed"]);
    bench.world.wire.calm();
    let (again, _) = bench.deferred().remove(0);
    assert_eq!(
        outcomes(&bench.invoke(again).await.unwrap()),
        ["already_archived"]
    );
    assert_eq!(media.requests(), 1);
    assert_settled(&bench, &[vec![media.sha256().unwrap()]], "told later").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_cannot_be_aborted_is_counted() {
    for fault in [Fault::status(403), Fault::Hang] {
        let media = stalling();
        let bench = Bench::with_media(media.clone()).await;
        bench
            .world
            .wire
            .disturb_next(Service::S3, "AbortMultipartUpload", 99, fault);
        assert_ended_by_the_deadline(invoke_for(&bench.handler(&[]), job(), SHORT).await);
        let begun = bench.world.wire.count(Service::S3, "CreateMultipartUpload");
        assert!(begun > 0, "it got that far");
        assert_eq!(bench.metrics()[0]["AbortFailures"], begun);
        assert_eq!(
            bench.uploads_in_progress().await.len(),
            begun,
            "left to the lifecycle rule"
        );
    }
}
