//! The bulk lane: a batch download gives the recordings of many conversations, and the live lane whatever it does not.

mod again;
mod crash;
mod described;
mod faults;
mod limits;
mod named;

use recording_archiver::domain::record::State;
use recording_archiver::sim::genesys::{Conversation, InBatch, Kind, Media, Recording};
use recording_archiver::sim::wire::{Fault, Gate, Service};
use recording_archiver::trigger::handler::Handler;
use serde_json::{Value, json};

use crate::support::{Bench, PART, SETTLING, invoke, outcomes, sha256, sqs};
use crate::work::Work;

/// The configuration that batch downloads need.
pub(crate) const ORIGINAL: (&str, &str) = ("RECORDING_FORMAT", "original");

/// Delay of the first poll of two entries in seconds.
const FIRST_POLL: i64 = 32;

/// When every conversation here began and ended.
const START: &str = "2026-01-15T10:14:20Z";
const END: &str = "2026-01-15T10:21:00Z";

/// Returns the conversation `n`.
fn conversation(n: usize) -> String {
    format!("c0000000-0000-4000-8000-0000000{n:05}")
}

/// Returns the recording `k` of the conversation `n`.
fn recording(n: usize, k: usize) -> String {
    format!("e0000000-0000-4000-8000-00{n:05}{k:05}")
}

/// Returns a short call that no other recording equals.
fn wav(n: usize) -> Media {
    Media::generated_wav(1_000, n as u64)
}

/// Returns a bench whose Genesys has so many conversations, of one recording each.
async fn bench(count: usize) -> Bench {
    let bench = Bench::new().await;
    for n in 0..count {
        let call = Recording::audio(recording(n, 0), [wav(n)]);
        bench
            .world
            .genesys
            .add(Conversation::new(conversation(n)).recording(call));
    }
    bench
}

/// Returns an entry for all of a conversation.
fn entry(n: usize) -> Value {
    json!({"conversationId": conversation(n), "conversationStart": START, "conversationEnd": END})
}

/// Returns a bulk job for so many conversations.
fn bulk(count: usize) -> Value {
    json!({"bulk": (0..count).map(entry).collect::<Vec<_>>(), "requestedBy": "anna"})
}

/// Returns the function as it is configured for the bulk lane.
fn handler(bench: &Bench) -> Handler {
    bench.handler(&[ORIGINAL, SETTLING])
}

/// Works off a job and all that follows from it. Returns the number of invocations.
async fn work_off(bench: &Bench, handler: &Handler, job: &Value) -> usize {
    let mut work = Work::of(bench);
    work.send(job);
    work.run_dry(handler).await
}

async fn state(bench: &Bench, n: usize, recording: &str) -> Option<State> {
    let record = bench.record(&conversation(n), recording).await;
    record.map(|record| record.state)
}

/// Asserts that a recording is archived as it was recorded, once, and that its receiver heard of it once.
async fn assert_archived(bench: &Bench, n: usize, media: &Media) {
    let id = recording(n, 0);
    let record = bench.record(&conversation(n), &id).await.unwrap();
    assert_eq!(record.state, State::Notified, "{n}");
    assert_eq!(record.files.len(), 1, "{n}");
    let object = bench.object(&record.files[0].archive_key.key).await.unwrap();
    assert_eq!(sha256(&object.bytes), media.sha256().unwrap(), "{n}");
    let actions = bench.actions(&conversation(n), &id).await;
    let count = |wanted: &str| actions.iter().filter(|action| *action == wanted).count();
    assert_eq!(count("archive.stored"), 1, "{n}: {actions:?}");
    assert_eq!(count("webhook.delivered"), 1, "{n}: {actions:?}");
}

/// Returns the jobs of one conversation that were sent to the work queue.
fn live_jobs(bench: &Bench) -> Vec<Value> {
    let sent = bench.deferred().into_iter().map(|(job, _)| job);
    sent.filter(|job| job.get("bulk").is_none()).collect()
}

/// Returns the bulk jobs that were sent to the work queue, each with its delay.
fn bulk_jobs(bench: &Bench) -> Vec<(Value, i64)> {
    let sent = bench.deferred().into_iter();
    sent.filter(|(job, _)| job.get("bulk").is_some()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_calls_are_archived_and_settled_by_five_requests() {
    let bench = bench(100).await;
    let handler = handler(&bench);
    bench.world.wire.forget();
    let invocations = work_off(&bench, &handler, &bulk(100)).await;
    assert_eq!(invocations, 4, "submitted, found in progress twice, worked off");
    let requests = bench.genesys_requests();
    assert!(requests <= 5, "{requests} requests for 100 recordings");
    assert!(live_jobs(&bench).is_empty(), "nothing is left to the live lane");
    assert!(bench.exceptions().is_empty());
    for n in 0..100 {
        let record = bench.record(&conversation(n), "-").await.unwrap();
        assert_eq!(
            (record.state, record.settled_by.as_deref()),
            (State::Settled, Some("bulk"))
        );
        assert_eq!(record.recordings, [recording(n, 0)]);
    }
    for n in [0, 50, 99] {
        assert_archived(&bench, n, &wav(n)).await;
    }
    assert_eq!(bench.world.webhook.deliveries().len(), 100);
}

#[tokio::test]
async fn a_batch_is_polled_by_messages_whose_delays_double() {
    let bench = bench(2).await;
    bench.world.genesys.set_batch_polls(4);
    let handler = handler(&bench);
    work_off(&bench, &handler, &bulk(2)).await;
    let delays: Vec<i64> = bulk_jobs(&bench).iter().map(|(_, delay)| *delay).collect();
    assert_eq!(
        delays,
        [
            FIRST_POLL,
            2 * FIRST_POLL,
            4 * FIRST_POLL,
            8 * FIRST_POLL,
            16 * FIRST_POLL
        ]
    );
    let (job, _) = bulk_jobs(&bench).pop().unwrap();
    assert_eq!(
        (&job["batch"]["polls"], &job["requestedBy"]),
        (&json!(4), &json!("anna"))
    );
    assert_eq!(
        job["origin"]["source"], "sqs",
        "who asked first is known in the end"
    );
    assert_eq!(state(&bench, 1, "-").await, Some(State::Settled));
}

#[tokio::test]
async fn object_audit_and_call_record_say_by_which_lane_a_recording_came() {
    let bench = bench(1).await;
    let handler = bench.handler(&[
        ORIGINAL,
        SETTLING,
        ("CALL_RECORD", "standard"),
        (
            "S3_KEY_TEMPLATE",
            "{year}/{month}/{day}/{recordingId}{channel}.{ext}",
        ),
    ]);
    work_off(&bench, &handler, &bulk(1)).await;
    let record = bench.record(&conversation(0), &recording(0, 0)).await.unwrap();
    let key = &record.files[0].archive_key.key;
    assert!(
        key.starts_with("2026/01/15/"),
        "{key}: by the conversation's time"
    );
    let object = bench.object(key).await.unwrap();
    assert_eq!(object.head.metadata().unwrap()["lane"], "bulk");
    assert_eq!(record.annotations, None);
    let events = bench.audit(&conversation(0), &recording(0, 0)).await;
    let of = |action: &str| events.iter().find(|event| event["action"] == action).unwrap();
    assert_eq!(of("archive.stored")["lane"], "bulk");
    assert_eq!(of("archive.stored")["actor"]["requestedBy"], "anna");
    let told = &of("download.initiated")["genesys"];
    assert_eq!(
        (&told["lane"], &told["startTime"]),
        (&json!("bulk"), &json!(START))
    );
    let settled = bench.audit(&conversation(0), "-").await;
    let actions: Vec<_> = settled
        .iter()
        .map(|event| event["action"].as_str().unwrap())
        .collect();
    let expected = ["conversation.listed", "call.described", "conversation.settled"];
    assert_eq!(actions, expected);
    assert_eq!(settled[2]["settledBy"], "bulk");
    let call = settled[1]["archiveKey"].as_str().unwrap();
    let call = bench.object(call.rsplit_once("calls/").unwrap().1).await.unwrap();
    let call: Value = serde_json::from_slice(&call.bytes).unwrap();
    assert_eq!(call["settledBy"], "bulk");
    assert_eq!(call["details"]["conversationId"], call["interactionId"]);
    let told = &call["recordings"][0];
    assert_eq!(told["annotationsMissing"], "not_asked");
    assert_eq!((&told["start"], &told["end"]), (&json!(START), &json!(END)));
    let besides = "details, and names of a user, a wrap-up code and a division";
    assert_eq!(bench.genesys_requests(), 4 + 4, "{besides}");
}

#[tokio::test]
async fn several_files_of_a_recording_are_archived_by_the_live_lane() {
    let bench = Bench::new().await;
    let channels = [wav(1), wav(2)];
    let call = Recording::audio(recording(0, 0), channels.clone());
    bench
        .world
        .genesys
        .add(Conversation::new(conversation(0)).recording(call));
    bench
        .world
        .genesys
        .treat_in_batches(recording(0, 0), InBatch::PerChannel);
    work_off(&bench, &handler(&bench), &bulk(1)).await;
    let record = bench.record(&conversation(0), &recording(0, 0)).await.unwrap();
    // Merged into one, as the live lane asks for it.
    assert_eq!((record.files.len(), record.files[0].channel), (1, None));
    let whole = bench.record(&conversation(0), "-").await.unwrap();
    assert_eq!(whole.settled_by.as_deref(), Some("details"));
    assert_eq!(state(&bench, 0, "-").await, Some(State::Settled));
}

#[tokio::test]
async fn a_named_recording_is_archived_and_its_conversation_left_open() {
    let bench = bench(1).await;
    let other = Recording::audio(recording(0, 1), [wav(7)]);
    let genesys = &bench.world.genesys;
    genesys.conversation(&conversation(0), |known| known.recordings.push(other));
    let mut named = entry(0);
    named["recordingId"] = json!(recording(0, 0));
    work_off(&bench, &handler(&bench), &json!({ "bulk": [named] })).await;
    assert_archived(&bench, 0, &wav(0)).await;
    assert_eq!(state(&bench, 0, &recording(0, 1)).await, None);
    assert_eq!(state(&bench, 0, "-").await, None, "as a job that names one");
}

#[tokio::test]
async fn a_conversation_that_is_not_over_for_two_days_goes_to_the_live_lane() {
    let bench = bench(3).await;
    let handler = handler(&bench);
    let hour = 3600;
    let ended = |hours: i64| (bench.clock.now() - jiff::SignedDuration::from_secs(hours * hour)).to_string();
    let job = json!({"bulk": [
        {"conversationId": conversation(0), "conversationEnd": ended(49)},
        {"conversationId": conversation(1), "conversationEnd": ended(47)},
        {"conversationId": conversation(2)},
    ]});
    invoke(&handler, job).await.unwrap();
    let live: Vec<_> = live_jobs(&bench)
        .iter()
        .map(|job| job["conversationId"].clone())
        .collect();
    assert_eq!(live, [json!(conversation(1)), json!(conversation(2))]);
    assert!(live_jobs(&bench).iter().all(|job| job["format"] == "original"));
    let (next, _) = &bulk_jobs(&bench)[0];
    assert_eq!(next["bulk"].as_array().unwrap().len(), 1);
    Work::of(&bench).run_dry(&handler).await;
    for n in 0..3 {
        assert_archived(&bench, n, &wav(n)).await;
        assert_eq!(state(&bench, n, "-").await, Some(State::Settled));
    }
}

#[tokio::test]
async fn what_nobody_wants_is_skipped_and_transcripts_are_left_to_the_live_lane() {
    let bench = Bench::new().await;
    let genesys = &bench.world.genesys;
    let screen = Recording::screen(recording(0, 1), wav(1));
    let call = Recording::audio(recording(0, 0), [wav(0)]);
    genesys.add(
        Conversation::new(conversation(0))
            .recording(call)
            .recording(screen),
    );
    let chat = Recording::text(recording(1, 0), Kind::Chat, Media::bytes("PK\u{3}\u{4} a ZIP"));
    genesys.add(Conversation::new(conversation(1)).recording(chat));
    let media = ("RECORDING_MEDIA", "audio,chat");
    let handler = bench.handler(&[ORIGINAL, SETTLING, media]);
    work_off(&bench, &handler, &bulk(2)).await;
    assert_eq!(state(&bench, 0, &recording(0, 1)).await, Some(State::Skipped));
    assert_eq!(state(&bench, 0, "-").await, Some(State::Settled));
    let chat = bench.record(&conversation(1), &recording(1, 0)).await.unwrap();
    assert!(
        chat.files[0].archive_key.key.ends_with(".zip"),
        "{:?}",
        chat.files
    );
    assert_eq!(live_jobs(&bench)[0]["conversationId"], conversation(1));
}

#[tokio::test]
async fn a_configuration_that_transcodes_refuses_bulk_jobs_and_says_the_way_out() {
    let bench = bench(1).await;
    for (changes, way_out) in [
        (&[][..], "RECORDING_FORMAT=original"),
        (&[ORIGINAL, ("WORK_QUEUE_URL", "")], "WORK_QUEUE_URL"),
    ] {
        let error = invoke(&bench.handler(changes), bulk(1)).await.unwrap_err();
        assert!(error.to_string().contains(way_out), "{error}");
    }
    let answer = invoke(&bench.handler(&[]), sqs([bulk(1).to_string()]))
        .await
        .unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    let case = bench.exceptions().pop().unwrap();
    assert_eq!(
        (&case["code"], &case["dropped"]),
        (&json!("malformed_job"), &json!(0))
    );
    let kept: Value = serde_json::from_str(case["body"].as_str().unwrap()).unwrap();
    assert_eq!(kept, bulk(1), "it can be sent again");
    assert_eq!(bench.genesys_requests(), 0);
    let mut said = bulk(1);
    said["format"] = json!("original");
    work_off(&bench, &bench.handler(&[SETTLING]), &said).await;
    assert_archived(&bench, 0, &wav(0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_results_than_configured_are_transferred_at_a_time() {
    for (bytes, changes) in [
        (1_000, [("BULK_CONCURRENCY", "2"), ("RECORD_CONCURRENCY", "4")]),
        // Those of more than a part need more memory.
        (
            PART + 1_000,
            [("BULK_CONCURRENCY", "5"), ("RECORD_CONCURRENCY", "2")],
        ),
    ] {
        let bench = bench(5).await;
        for n in 0..5 {
            let call = Recording::audio(recording(n, 0), [Media::generated_wav(bytes, n as u64)]);
            let known = Conversation::new(conversation(n)).recording(call);
            bench.world.genesys.add(known);
        }
        let handler = bench.handler(&[&[ORIGINAL, SETTLING], &changes[..]].concat());
        let poll = faults::last_poll(&bench, &handler, bulk(5)).await;
        let (gate, wire) = (Gate::default(), bench.world.wire.clone());
        wire.forget();
        let (operation, short) = if bytes > PART {
            ("CreateMultipartUpload", false)
        } else {
            ("media", true)
        };
        let service = if short { Service::Media } else { Service::S3 };
        wire.disturb_next(service, operation, 9, Fault::Hold(gate.clone()));
        let run = tokio::spawn(async move { invoke(&handler, poll).await });
        wire.wait_until(|exchanges| exchanges.iter().filter(|e| e.operation == operation).count() >= 2)
            .await;
        let claims = wire.count(Service::DynamoDb, "TransactWriteItems");
        assert!(claims <= if short { 2 } else { 5 }, "{claims} claims");
        assert_eq!(wire.count(service, operation), 2);
        gate.open();
        run.await.unwrap().unwrap();
        for n in 0..5 {
            assert_eq!(state(&bench, n, "-").await, Some(State::Settled), "{n}");
        }
    }
}

#[tokio::test]
async fn a_job_for_what_is_settled_does_nothing_again() {
    let bench = bench(2).await;
    let handler = handler(&bench);
    work_off(&bench, &handler, &bulk(2)).await;
    let audited = bench.audit(&conversation(0), "-").await.len();
    work_off(&bench, &handler, &bulk(2)).await;
    for n in 0..2 {
        assert_archived(&bench, n, &wav(n)).await;
    }
    assert_eq!(bench.audit(&conversation(0), "-").await.len(), audited);
    assert_eq!(bench.world.webhook.deliveries().len(), 2);
    let answer = invoke(&handler, json!({"conversationId": conversation(0)})).await;
    assert_eq!(outcomes(&answer.unwrap()), ["already_archived"]);
    assert_eq!(bench.world.wire.count(Service::Genesys, "recordingmetadata"), 0);
}
