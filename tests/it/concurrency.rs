//! Several runs at one recording: one of them archives it, and only the holder of the lease can write.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use recording_archiver::domain::record::State;
use recording_archiver::error::ErrorKind;
use recording_archiver::sim::genesys::{Media, Topic, event};
use recording_archiver::sim::wire::{Exchange, Fault, Gate, Service};
use serde_json::{Value, json};

use crate::settled::assert_settled;
use crate::support::{
    Bench, CONVERSATION, PART, RECORDING, call, invoke, invoke_for, job, outcomes, results, sqs,
};

/// Time of an invocation, and so of its lease.
const LEASE: Duration = Duration::from_secs(60);

fn end_event() -> Value {
    event(Topic::CustomerEnd, CONVERSATION, jiff::Timestamp::now())
}

fn named() -> Value {
    json!({"conversationId": CONVERSATION, "recordingId": RECORDING})
}

/// Returns a world whose media counts its requests, over a network that takes its time.
async fn bench_and_media() -> (Bench, Media) {
    let media = call();
    let bench = Bench::with_media(media.clone()).await;
    bench.world.wire.set_latency(Duration::from_millis(2));
    (bench, media)
}

/// Redelivers what was deferred, after the delay that was asked for; all of it is done by now.
async fn redeliver(bench: &Bench) {
    for (job, _) in bench.deferred() {
        let summary = bench.invoke(job).await.unwrap();
        assert_eq!(outcomes(&summary), ["already_archived"]);
    }
}

async fn assert_archived_once(bench: &Bench, media: &Media, story: &str) {
    assert_eq!(media.requests(), 1, "{story}: downloaded once");
    assert_settled(bench, &[vec![media.sha256().unwrap()]], story).await;
}

/// Invokes a new container with each payload, all at once. Exactly one archives; the others are deferred, or come when
/// it is done.
async fn all_at_once(payloads: Vec<Value>) {
    let (bench, media) = bench_and_media().await;
    let containers: Vec<_> = payloads.iter().map(|_| bench.handler(&[])).collect();
    let runs = containers
        .iter()
        .zip(payloads)
        .map(|(handler, payload)| invoke(handler, payload));
    let summaries: Vec<Value> = join_all(runs).await.into_iter().map(Result::unwrap).collect();
    let outcomes: Vec<&str> = summaries.iter().flat_map(outcomes).collect();
    assert_eq!(
        outcomes.iter().filter(|outcome| **outcome == "archived").count(),
        1,
        "{outcomes:?}"
    );
    assert!(
        outcomes
            .iter()
            .all(|outcome| ["archived", "already_archived", "deferred"].contains(outcome)),
        "{outcomes:?}"
    );
    redeliver(&bench).await;
    assert_archived_once(&bench, &media, "all at once").await;
    assert_eq!(bench.world.webhook.deliveries().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_event_delivered_to_ten_containers_at_once_is_archived_once() {
    let event = end_event();
    all_at_once(vec![event; 10]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_ends_of_one_conversation_are_archived_once() {
    let ends = (0..4).map(|_| end_event());
    let others =
        [Topic::UserEnd, Topic::AcdEnd].map(|topic| event(topic, CONVERSATION, jiff::Timestamp::now()));
    all_at_once(ends.chain(others).collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_for_a_conversation_and_for_its_recording_meet_at_the_recording() {
    all_at_once(vec![job(), named(), end_event(), named(), job(), end_event()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_event_ten_times_in_one_batch_is_archived_once() {
    let (bench, media) = bench_and_media().await;
    let answer = bench
        .invoke(sqs(vec![end_event().to_string(); 10]))
        .await
        .unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    assert!(
        bench.deferred().is_empty(),
        "messages of one conversation wait for each other"
    );
    let counts: Vec<_> = bench
        .metrics()
        .iter()
        .map(|line| (line["Outcome"].clone(), line["Recordings"].clone()))
        .collect();
    assert_eq!(
        counts,
        [
            (json!("archived"), json!(1)),
            (json!("already_archived"), json!(9))
        ]
    );
    assert_archived_once(&bench, &media, "ten in a batch").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_for_an_archived_recording_asks_genesys_for_nothing() {
    let (bench, media) = bench_and_media().await;
    assert_eq!(bench.archive().await[0]["outcome"], "archived");
    let events = bench.audit(CONVERSATION, RECORDING).await.len();
    for payload in [named(), job(), end_event(), named()] {
        bench.world.wire.forget();
        let summary = bench.invoke(payload.clone()).await.unwrap();
        assert_eq!(outcomes(&summary), ["already_archived"]);
        let asked = bench.world.wire.count(Service::Genesys, "recordingmetadata");
        assert_eq!(
            asked == 0,
            payload.get("recordingId").is_some(),
            "only a job that names no recording asks which"
        );
        assert_eq!(bench.world.wire.count(Service::Genesys, "recording"), 0);
    }
    assert_eq!(
        bench.audit(CONVERSATION, RECORDING).await.len(),
        events,
        "nothing happened, so nothing is told"
    );
    assert_archived_once(&bench, &media, "one after another").await;
    assert_eq!(bench.world.webhook.deliveries().len(), 1);
}

/// Starts a run and waits until it is held back at its first media request.
async fn held_at_media(bench: &Arc<Bench>) -> (Gate, tokio::task::JoinHandle<Value>) {
    let gate = Gate::default();
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Media, "media", 1, Fault::ApplyThenHold(gate.clone()));
    let run = tokio::spawn({
        let bench = bench.clone();
        async move { bench.invoke(job()).await.unwrap() }
    });
    let at_media = |exchange: &Exchange| exchange.service == Service::Media;
    wire.wait_until(|exchanges| exchanges.iter().any(at_media)).await;
    (gate, run)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_second_is_put_off_until_the_lease_of_the_first_ends() {
    let bench = Arc::new(Bench::with_a_call().await);
    let (gate, first) = held_at_media(&bench).await;
    for payload in [job(), named()] {
        let second = results(bench.invoke(payload).await.unwrap());
        assert_eq!(second[0]["outcome"], "deferred", "{second:?}");
    }
    gate.open();
    assert_eq!(outcomes(&first.await.unwrap()), ["archived"]);
    let deferred = bench.deferred();
    assert_eq!(deferred.len(), 2);
    for (job, delay) in deferred {
        assert!(delay >= 890, "not before the lease of 15 minutes ends: {delay} s");
        assert_eq!(
            (&job["recordingId"], &job["deferrals"]),
            (&json!(RECORDING), &json!(1))
        );
    }
    redeliver(&bench).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_work_queue_who_comes_second_is_left_to_the_trigger() {
    let bench = Arc::new(Bench::with_a_call().await);
    let (gate, first) = held_at_media(&bench).await;
    let second = bench.handler(&[("WORK_QUEUE_URL", "")]);
    let batch = sqs([named().to_string()]);
    let again = json!({"batchItemFailures": [{"itemIdentifier": "m-0"}]});
    assert_eq!(invoke(&second, batch.clone()).await.unwrap(), again);
    let error = invoke(&second, job()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Busy { .. }), "{error}");
    gate.open();
    assert_eq!(outcomes(&first.await.unwrap()), ["archived"]);
    assert_eq!(
        invoke(&second, batch).await.unwrap(),
        json!({"batchItemFailures": []})
    );
    assert_eq!(
        outcomes(&invoke(&second, job()).await.unwrap()),
        ["already_archived"]
    );
}

/// Holds a run back at each of its effects, before or after it is carried out, until its lease is over and another run
/// is done; then lets it go on.
async fn at_each_effect_the_lease_is_lost(media: fn(u64) -> Media) {
    let bench = Bench::with_media(media(1)).await;
    bench.world.wire.forget();
    invoke_for(&bench.handler(&[]), job(), LEASE).await.unwrap();
    let effects = bench.world.wire.exchanges().len();
    for (k, late_request) in (1..=effects).flat_map(|k| [(k, true), (k, false)]) {
        let story = format!("held at effect {k} of {effects}, its request late: {late_request}");
        let source = media(1);
        let bench = Arc::new(Bench::with_media(source.clone()).await);
        let (gate, wire) = (Gate::default(), bench.world.wire.clone());
        let held = gate.clone();
        wire.forget();
        wire.disturb(move |exchange| {
            let fault = if late_request {
                Fault::Hold
            } else {
                Fault::ApplyThenHold
            };
            (exchange.seq == k).then(|| fault(held.clone()))
        });
        let first = tokio::spawn({
            let bench = bench.clone();
            async move { invoke_for(&bench.handler(&[]), job(), LEASE).await }
        });
        wire.wait_until(|exchanges| {
            exchanges
                .get(k - 1)
                .is_some_and(|exchange| late_request || exchange.status.is_some())
        })
        .await;
        bench.clock.advance(LEASE + Duration::from_secs(1));
        source.replace_with(&media(2));
        let second = invoke_for(&bench.handler(&[]), job(), LEASE).await.expect(&story);
        assert!(
            matches!(outcomes(&second).as_slice(), ["archived" | "already_archived"]),
            "{story}: {second}"
        );
        let settled = bench.record(CONVERSATION, RECORDING).await;
        assert_eq!(
            settled.as_ref().map(|record| record.state),
            Some(State::Notified),
            "{story}"
        );
        gate.open();
        match first.await.unwrap() {
            // It began only after the second was done, or had written everything when it was held.
            Ok(summary) => {
                let done = k == effects && !late_request;
                let outcome = if done { "archived" } else { "already_archived" };
                assert_eq!(outcomes(&summary), [outcome], "{story}");
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::LeaseLost, "{story}: {error}"),
        }
        assert_eq!(
            bench.record(CONVERSATION, RECORDING).await,
            settled,
            "{story}: only the holder writes"
        );
        assert_eq!(bench.uploads_in_progress().await, [""; 0], "{story}");
        let served = [media(1), media(2)].map(|media| media.sha256().unwrap());
        assert_settled(&bench, &[served.to_vec()], &story).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_lost_its_lease_over_a_short_recording_changes_nothing() {
    at_each_effect_the_lease_is_lost(|seed| Media::generated_wav(50_000, seed)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_lost_its_lease_over_a_long_recording_changes_nothing() {
    at_each_effect_the_lease_is_lost(|seed| Media::generated_wav(PART + 100_000, seed)).await;
}
