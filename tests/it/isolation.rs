//! Records of one batch are independent: nothing that befalls one takes another down.

use std::sync::Arc;

use recording_archiver::error::Error;
use recording_archiver::sim::genesys::{Conversation, Recording};
use recording_archiver::sim::wire::{Exchange, Fault, Gate, Service};
use recording_archiver::telemetry::Lines;
use serde_json::{Value, json};

use crate::support::{Bench, call, invoke, project, sqs};

fn conversation(n: usize) -> String {
    format!("c0000000-0000-4000-8000-00000000010{n}")
}

fn recording(n: usize) -> String {
    format!("e0000000-0000-4000-8000-00000000010{n}")
}

fn body(n: usize) -> String {
    json!({"conversationId": conversation(n)}).to_string()
}

/// Returns a bench with conversations 0 to `count`, with one short recording each.
async fn bench_with(count: usize) -> Bench {
    let bench = Bench::new().await;
    for n in 0..count {
        let recording = Recording::audio(recording(n), [call()]);
        bench
            .world
            .genesys
            .add(Conversation::new(conversation(n)).recording(recording));
    }
    bench
}

async fn is_archived(bench: &Bench, n: usize) -> bool {
    let record = bench.record(&conversation(n), &recording(n)).await;
    record.is_some_and(|record| record.is_archived())
}

fn failures(messages: &[usize]) -> Value {
    let items: Vec<_> = messages
        .iter()
        .map(|n| json!({"itemIdentifier": format!("m-{n}")}))
        .collect();
    json!({"batchItemFailures": items})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_one_record_is_that_records_own_failure() {
    for action in [
        "download.initiated",
        "download.completed",
        "archive.stored",
        "webhook.delivered",
    ] {
        let bench = bench_with(4).await;
        // Nothing that comes from outside is known to make the archiver panic, so its log is mined: the line sink is
        // the one piece of foreign code that every step of a run calls.
        let (action, trapped) = (format!("\"action\":\"{action}\""), conversation(2));
        let mined =
            Lines::new(move |line| assert!(!(line.contains(&action) && line.contains(&trapped)), "a mine"));
        let handler = bench.handler_with(&[], mined);
        let answer = invoke(&handler, sqs((0..4).map(body))).await.unwrap();
        assert_eq!(answer, failures(&[2]));
        for n in [0, 1, 3] {
            assert!(is_archived(&bench, n).await, "record {n}");
        }
    }
}

#[test]
fn what_lambda_runs_unwinds_so_that_a_panic_can_be_caught_there_as_well() {
    let manifest = std::fs::read_to_string(project().join("Cargo.toml")).unwrap();
    let release = manifest
        .split("[profile.")
        .find(|section| section.starts_with("release]"));
    assert!(release.unwrap().lines().any(|line| line == r#"panic = "unwind""#));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_outside_a_batch_is_an_error_and_not_the_end_of_the_container() {
    let bench = bench_with(1).await;
    let mined = Lines::new(|line| assert!(!line.contains("download.initiated"), "a mine"));
    let handler = bench.handler_with(&[], mined);
    let error = invoke(&handler, serde_json::from_str(&body(0)).unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind().code(), "panic", "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_nobody_can_read_go_to_people_and_the_rest_is_archived() {
    let poison = [
        "",
        "not JSON",
        "null",
        "[]",
        "{}",
        r#"{"conversationId":"../x"}"#,
        r#"{"conversationId":7}"#,
    ];
    let bodies = || {
        (0..2)
            .map(body)
            .take(1)
            .chain(poison.map(str::to_owned))
            .chain([body(1)])
    };
    let bench = bench_with(2).await;
    assert_eq!(bench.invoke(sqs(bodies())).await.unwrap(), failures(&[]));
    assert_eq!(bench.exceptions().len(), poison.len());
    assert!(is_archived(&bench, 0).await && is_archived(&bench, 1).await);

    let bench = bench_with(2).await;
    let nobody = bench.handler(&[("EXCEPTION_QUEUE_URL", "")]);
    let left = invoke(&nobody, sqs(bodies())).await.unwrap();
    assert_eq!(
        left,
        failures(&[1, 2, 3, 4, 5, 6, 7]),
        "with nobody to hand them to, they stay with SQS"
    );
    assert!(is_archived(&bench, 0).await && is_archived(&bench, 1).await);
}

/// Works off five messages in one batch, two recordings at a time.
async fn five_two_at_a_time(bench: Arc<Bench>) -> Result<Value, Error> {
    let handler = bench.handler(&[("RECORD_CONCURRENCY", "2")]);
    invoke(&handler, sqs((0..5).map(body))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_neighbour_takes_one_place_and_no_more() {
    let bench = Arc::new(bench_with(5).await);
    let gate = Gate::default();
    let slow = gate.clone();
    bench.world.wire.disturb(move |exchange| {
        let first = exchange.service == Service::Genesys && exchange.target.contains(&conversation(0));
        first.then(|| Fault::Hold(slow.clone()))
    });
    let batch = tokio::spawn(five_two_at_a_time(bench.clone()));
    let told = |exchange: &&Exchange| exchange.service == Service::Webhook;
    bench
        .world
        .wire
        .wait_until(|exchanges| exchanges.iter().filter(told).count() == 4)
        .await;
    assert!(!is_archived(&bench, 0).await);
    gate.open();
    assert_eq!(batch.await.unwrap().unwrap(), failures(&[]));
    assert!(is_archived(&bench, 0).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_records_than_configured_are_worked_on_at_a_time() {
    let bench = Arc::new(bench_with(5).await);
    // Whoever waits for a transcoding holds no place, and would be counted here.
    bench.world.genesys.set_transcoding(0);
    let gate = Gate::default();
    bench
        .world
        .wire
        .disturb_next(Service::Media, "media", 9, Fault::Hold(gate.clone()));
    let batch = tokio::spawn(five_two_at_a_time(bench.clone()));
    let wire = &bench.world.wire;
    let media = |exchange: &&Exchange| exchange.service == Service::Media;
    wire.wait_until(|exchanges| exchanges.iter().filter(media).count() >= 2)
        .await;
    assert_eq!(wire.count(Service::Genesys, "recording"), 2);
    gate.open();
    assert_eq!(batch.await.unwrap().unwrap(), failures(&[]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_is_being_transcoded_holds_up_no_other() {
    let bench = Arc::new(bench_with(2).await);
    for n in [0, 1] {
        bench.world.genesys.recording(&recording(n), |recording| {
            recording.transcoding = Some(usize::MAX);
        });
    }
    // The first to ask is held until the other one is claimed as well, and so waits for its place.
    let gate = Gate::default();
    bench
        .world
        .wire
        .disturb_next(Service::Genesys, "recording", 1, Fault::Hold(gate.clone()));
    let batch = tokio::spawn({
        let bench = bench.clone();
        async move {
            let one_at_a_time =
                bench.handler(&[("RECORD_CONCURRENCY", "1"), ("TRANSCODE_WAIT_SECONDS", "300")]);
            invoke(&one_at_a_time, sqs((0..2).map(body))).await
        }
    });
    let wire = &bench.world.wire;
    let claimed =
        |exchange: &&Exchange| exchange.operation == "TransactWriteItems" && exchange.status == Some(200);
    let asked = |exchange: &&Exchange| exchange.operation == "recording";
    wire.wait_until(|exchanges| {
        exchanges.iter().filter(claimed).count() == 2 && exchanges.iter().any(|exchange| asked(&exchange))
    })
    .await;
    gate.open();
    assert_eq!(batch.await.unwrap().unwrap(), failures(&[]));
    let asked_for: Vec<_> = wire
        .exchanges()
        .into_iter()
        .filter(|exchange| asked(&exchange))
        .collect();
    let first = |exchange: &Exchange| exchange.target == asked_for[0].target;
    let last_of_the_first = asked_for.iter().rposition(first).unwrap();
    let first_of_the_other = asked_for.iter().position(|exchange| !first(exchange)).unwrap();
    assert!(
        first_of_the_other < last_of_the_first,
        "the second got its turn while the first waited"
    );
    assert_eq!(bench.deferred().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_fails_as_a_whole_shows_in_the_metrics() {
    let bench = bench_with(5).await;
    bench
        .world
        .wire
        .disturb(|exchange| (exchange.service == Service::Genesys).then(|| Fault::status(503)));
    let answer = bench.invoke(sqs((0..5).map(body))).await.unwrap();
    assert_eq!(answer, failures(&[0, 1, 2, 3, 4]));
    let [line] = &bench.metrics()[..] else {
        panic!("{:?}", bench.metrics())
    };
    assert_eq!(
        (&line["BatchItemFailures"], &line["Outcome"], &line["Recordings"]),
        (&json!(5), &json!("retry"), &json!(5))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_and_results_stand_in_the_order_of_what_was_asked() {
    let bench = bench_with(6).await;
    // The first to come are the last to be answered.
    bench.world.wire.disturb(|exchange| {
        let odd = [1, 3, 5]
            .into_iter()
            .find(|n| exchange.target.contains(&conversation(*n)))?;
        (exchange.service == Service::Genesys && odd != 3).then(|| Fault::status(503))
    });
    let answer = bench
        .invoke(sqs([5, 0, 1, 2, 3, 4, 5, 1].map(body)))
        .await
        .unwrap();
    assert_eq!(answer, failures(&[0, 2, 6, 7]));

    let bench = Bench::new().await;
    let mut several = Conversation::new(conversation(0));
    for n in [3, 1, 2] {
        several = several.recording(Recording::audio(recording(n), [call()]));
    }
    bench.world.genesys.add(several);
    let summary = bench
        .invoke(serde_json::from_str(&body(0)).unwrap())
        .await
        .unwrap();
    let ids: Vec<_> = summary["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["recordingId"].clone())
        .collect();
    assert_eq!(ids, [3, 1, 2].map(|n| json!(recording(n))));
}
