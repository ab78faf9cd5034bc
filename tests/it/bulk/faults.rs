//! Whatever a batch download does not give ends in the live lane or as a named case, and what comes twice counts once.

use std::sync::Arc;

use recording_archiver::domain::audit::Action;
use recording_archiver::domain::record::State;
use recording_archiver::sim::genesys::{Conversation, FileState, InBatch, Mishap, Recording};
use recording_archiver::sim::wire::Exchange;
use serde_json::{Value, json};

use super::*;
use crate::statement::made::{Entry, Made};

/// Takes the steps of a job up to its last poll. Returns the message of that.
pub(super) async fn last_poll(bench: &Bench, handler: &Handler, job: Value) -> Value {
    bench.world.genesys.set_batch_polls(0);
    invoke(handler, job).await.unwrap();
    bulk_jobs(bench).pop().unwrap().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_entry_ends_archived_or_as_a_named_case() {
    let bench = bench(50).await;
    let genesys = &bench.world.genesys;
    let text = "Internal error of anna@caller.example".to_owned();
    genesys.treat_in_batches(recording(1, 0), InBatch::Fails(text));
    genesys.treat_in_batches(recording(2, 0), InBatch::LeftOut);
    genesys.recording(&recording(3, 0), |call| call.state = FileState::Archived);
    genesys.add(Conversation::new(conversation(4)));
    let mut job = bulk(50);
    job["bulk"][5]["conversationId"] = json!(conversation(999));
    let handler = handler(&bench);
    work_off(&bench, &handler, &job).await;
    let named: Vec<_> = live_jobs(&bench)
        .iter()
        .filter(|job| job["look"].is_null() && job["deferrals"] == 1)
        .map(|job| job["conversationId"].clone())
        .collect();
    let expected = [1, 2, 3, 4, 999].map(|n| json!(conversation(n)));
    assert!(expected.iter().all(|id| named.contains(id)), "{named:?}");
    for n in [0, 1, 2, 6, 49] {
        assert_archived(&bench, n, &wav(n)).await;
        assert_eq!(state(&bench, n, "-").await, Some(State::Settled), "{n}");
    }
    let mut codes = bench.codes();
    codes.sort();
    assert_eq!(codes, ["archived_at_source", "unknown_conversation"]);
    assert_eq!(state(&bench, 4, "-").await, Some(State::Unrecorded));
    let settled = bench.record(&conversation(1), "-").await.unwrap();
    assert_eq!(settled.settled_by.as_deref(), Some("details"), "by looks");
    let told = format!(
        "{:?} {:?} {:?}",
        bench.deferred(),
        bench.exceptions(),
        bench.lines.lock()
    );
    assert!(!told.contains("Signature") && !told.contains("anna@caller"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_never_completes_is_left_to_the_live_lane_within_46_minutes() {
    let bench = bench(3).await;
    bench.world.genesys.stick_batches(1);
    let handler = handler(&bench);
    work_off(&bench, &handler, &bulk(3)).await;
    assert_eq!(bench.world.wire.count(Service::Genesys, "batch-submit"), 1);
    let waited: i64 = bulk_jobs(&bench).iter().map(|(_, delay)| *delay).sum();
    assert!((1_800..2_760).contains(&waited), "{waited} s");
    for n in 0..3 {
        assert_archived(&bench, n, &wav(n)).await;
        let record = bench.record(&conversation(n), "-").await.unwrap();
        assert_eq!(record.state, State::Settled);
        // What came of it says nothing about what did not.
        assert_eq!(record.settled_by.as_deref(), Some("details"), "{n}");
    }
    assert!(bench.exceptions().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_whose_url_has_expired_comes_by_a_second_batch_download() {
    let bench = bench(6).await;
    let handler = handler(&bench);
    let mut work = Work::of(&bench);
    work.send(&bulk(6));
    // Submitted, nothing found, and a part found.
    for _ in 0..3 {
        assert_eq!(work.deliver(&handler).await, 1);
    }
    bench.world.genesys.expire_urls();
    work.run_dry(&handler).await;
    for n in 0..6 {
        assert_archived(&bench, n, &wav(n)).await;
        let record = bench.record(&conversation(n), "-").await.unwrap();
        assert_eq!(record.settled_by.as_deref(), Some("bulk"));
    }
    assert_eq!(bench.world.wire.count(Service::Genesys, "batch-submit"), 2);
    assert!(live_jobs(&bench).is_empty() && bench.exceptions().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_comes_twice_archives_nothing_twice() {
    let bench = bench(3).await;
    let handler = handler(&bench);
    let poll = last_poll(&bench, &handler, bulk(3)).await;
    invoke(&handler, sqs([poll.to_string()])).await.unwrap();
    invoke(&handler, sqs([poll.to_string()])).await.unwrap();
    for n in 0..3 {
        assert_archived(&bench, n, &wav(n)).await;
        let actions = bench.actions(&conversation(n), "-").await;
        assert_eq!(actions, ["conversation.listed", "conversation.settled"]);
    }
    assert!(live_jobs(&bench).is_empty());
    assert_eq!(bench.world.webhook.deliveries().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_event_of_the_same_call_side_by_side_archives_it_once() {
    let bench = Arc::new(bench(2).await);
    let function = handler(&bench);
    let poll = last_poll(&bench, &function, bulk(2)).await;
    let (gate, wire) = (Gate::default(), &bench.world.wire);
    wire.disturb_next(Service::Media, "media", 1, Fault::ApplyThenHold(gate.clone()));
    let live = tokio::spawn({
        let bench = bench.clone();
        async move { invoke(&handler(&bench), json!({"conversationId": conversation(0)})).await }
    });
    let at_media = |exchange: &Exchange| exchange.service == Service::Media;
    wire.wait_until(|exchanges| exchanges.iter().any(at_media)).await;
    invoke(&function, poll).await.unwrap();
    assert_eq!(
        state(&bench, 1, "-").await,
        Some(State::Settled),
        "the other one is done"
    );
    assert_eq!(state(&bench, 0, &recording(0, 0)).await, Some(State::Claimed));
    gate.open();
    assert_eq!(outcomes(&live.await.unwrap().unwrap()), ["archived"]);
    Work::of(&bench).run_dry(&function).await;
    for n in 0..2 {
        assert_archived(&bench, n, &wav(n)).await;
        assert_eq!(state(&bench, n, "-").await, Some(State::Settled));
    }
    assert_eq!(bench.world.webhook.deliveries().len(), 2);
    assert!(bench.exceptions().is_empty());
}

/// Returns a recording whose download stops for ever.
fn stalling(n: usize) -> Media {
    let media = wav(n);
    media.always(Mishap::StallAt(500, None));
    media
}

/// Runs the function until the ledger was written so often, and ends its time then.
async fn run_until(bench: &Bench, job: Value, writes: usize) {
    let handler = handler(bench);
    let stop = handler.stop().clone();
    bench.world.wire.forget();
    let run = tokio::spawn(async move { invoke(&handler, job).await });
    let written =
        |exchange: &&Exchange| exchange.operation == "TransactWriteItems" && exchange.status.is_some();
    let media = |exchange: &Exchange| exchange.service == Service::Media;
    let reached = |exchanges: &[Exchange]| {
        exchanges.iter().filter(written).count() >= writes && exchanges.iter().any(media)
    };
    bench.world.wire.wait_until(reached).await;
    stop.pull();
    run.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_deadline_what_is_left_goes_on_in_a_message_of_its_own() {
    let bench = bench(5).await;
    let stalled = stalling(3);
    let call = Recording::audio(recording(3, 0), [stalled.clone()]);
    let known = Conversation::new(conversation(3)).recording(call);
    bench.world.genesys.add(known);
    let poll = last_poll(&bench, &handler(&bench), bulk(5)).await;
    // Each is claimed; four are storing, archived, notified, and their conversations begun and settled.
    run_until(&bench, poll, 5 + 4 * 5).await;
    let (next, delay) = bulk_jobs(&bench).pop().unwrap();
    assert_eq!(next["bulk"], json!([entry(3)]));
    assert_eq!((&next["batch"]["polls"], delay), (&json!(1), 0));
    assert!(live_jobs(&bench).is_empty());
    for n in [0, 1, 2, 4] {
        assert_eq!(state(&bench, n, "-").await, Some(State::Settled), "{n}");
    }
    stalled.always(Mishap::Nothing);
    invoke(&handler(&bench), next).await.unwrap();
    assert_archived(&bench, 3, &wav(3)).await;
    assert_eq!(state(&bench, 3, "-").await, Some(State::Settled));
    let submitted = bench.world.wire.count(Service::Genesys, "batch-submit");
    assert_eq!(submitted, 0, "the same batch download");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_never_worked_off_ends_in_the_live_lane() {
    let bench = bench(1).await;
    let stalled = stalling(0);
    let call = Recording::audio(recording(0, 0), [stalled.clone()]);
    let known = Conversation::new(conversation(0)).recording(call);
    bench.world.genesys.add(known);
    let mut poll = last_poll(&bench, &handler(&bench), bulk(1)).await;
    poll["batch"]["polls"] = json!(13);
    run_until(&bench, poll, 1).await;
    assert_eq!(live_jobs(&bench).len(), 1);
    stalled.always(Mishap::Nothing);
    Work::of(&bench).run_dry(&handler(&bench)).await;
    assert_archived(&bench, 0, &wav(0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_another_client_is_submitted_again_by_the_client_for_batches() {
    let bench = bench(2).await;
    bench.world.genesys.add_client("bulk-client", "its-secret");
    let secret = json!({"clientId": "bulk-client", "clientSecret": "its-secret"});
    bench
        .world
        .aws
        .put_secret("genesys/bulk", &secret.to_string())
        .await
        .unwrap();
    bench.world.genesys.set_batch_polls(0);
    invoke(&handler(&bench), bulk(2)).await.unwrap();
    let apart = ("GENESYS_BULK_SECRET_ID", "genesys/bulk");
    let apart = bench.handler(&[ORIGINAL, SETTLING, apart]);
    Work::of(&bench).run_dry(&apart).await;
    let asked: Vec<_> = bench.world.wire.exchanges();
    let statuses: Vec<_> = asked
        .iter()
        .filter(|asked| asked.operation == "batch-job")
        .map(|asked| asked.status)
        .collect();
    assert_eq!(statuses, [Some(403), Some(200)]);
    let tokens = |operation: &str| -> Vec<_> {
        let of = asked.iter().filter(|asked| asked.operation == operation);
        of.map(|asked| asked.headers["authorization"].clone()).collect()
    };
    let submitted = tokens("batch-submit");
    assert_eq!(submitted.len(), 2);
    assert_ne!(submitted[0], submitted[1], "each as the client that asks");
    assert_eq!(submitted[1], tokens("batch-job")[1]);
    for n in 0..2 {
        assert_archived(&bench, n, &wav(n)).await;
        assert_eq!(state(&bench, n, "-").await, Some(State::Settled));
    }
    assert!(live_jobs(&bench).is_empty());
}

#[tokio::test]
async fn a_batch_that_genesys_lost_twice_is_left_to_the_live_lane() {
    let bench = bench(1).await;
    let handler = handler(&bench);
    let lost = Fault::Respond {
        status: 404,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: br#"{"code":"not.found"}"#.to_vec(),
    };
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Genesys, "batch-job", 2, lost);
    work_off(&bench, &handler, &bulk(1)).await;
    assert_eq!(wire.count(Service::Genesys, "batch-submit"), 2);
    assert_archived(&bench, 0, &wav(0)).await;
    let record = bench.record(&conversation(0), "-").await.unwrap();
    assert_eq!(record.settled_by.as_deref(), Some("details"));
}

#[tokio::test]
async fn a_poll_that_fails_in_passing_is_repeated_by_a_message() {
    let bench = bench(1).await;
    let handler = handler(&bench);
    let wire = &bench.world.wire;
    let unavailable = recording_archiver::sim::genesys::failure(503, "service.unavailable");
    let poll = last_poll(&bench, &handler, bulk(1)).await;
    wire.disturb_next(Service::Genesys, "batch-job", 3, unavailable);
    let answer = invoke(&handler, sqs([poll.to_string()])).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    let (next, delay) = bulk_jobs(&bench).pop().unwrap();
    assert_eq!((&next["batch"]["polls"], delay), (&json!(1), 62));
    invoke(&handler, next).await.unwrap();
    assert_archived(&bench, 0, &wav(0)).await;
    assert!(live_jobs(&bench).is_empty());
}

#[tokio::test]
async fn a_kind_that_was_started_and_is_missing_is_looked_for_by_the_live_lane() {
    let bench = bench(1).await;
    let screen = Recording::screen(recording(0, 1), wav(1));
    let genesys = &bench.world.genesys;
    genesys.conversation(&conversation(0), |known| known.recordings.push(screen));
    genesys.treat_in_batches(recording(0, 1), InBatch::LeftOut);
    let mut job = bulk(1);
    job["bulk"][0]["kinds"] = json!(["audio", "screen"]);
    let media = ("RECORDING_MEDIA", "audio,screen");
    work_off(&bench, &bench.handler(&[ORIGINAL, SETTLING, media]), &job).await;
    assert_archived(&bench, 0, &wav(0)).await;
    assert_eq!(state(&bench, 0, &recording(0, 1)).await, Some(State::Notified));
    let whole = bench.record(&conversation(0), "-").await.unwrap();
    assert_eq!(whole.settled_by.as_deref(), Some("details"));
}

#[tokio::test]
async fn a_second_recording_of_a_kind_that_is_left_out_is_looked_for_by_the_live_lane() {
    let bench = bench(1).await;
    let consult = Recording::audio(recording(0, 1), [wav(1)]);
    let genesys = &bench.world.genesys;
    genesys.conversation(&conversation(0), |known| known.recordings.push(consult));
    genesys.treat_in_batches(recording(0, 1), InBatch::LeftOut);
    let mut job = bulk(1);
    job["bulk"][0]["kinds"] = json!(["audio", "audio"]);
    work_off(&bench, &handler(&bench), &job).await;
    assert_archived(&bench, 0, &wav(0)).await;
    assert_eq!(state(&bench, 0, &recording(0, 1)).await, Some(State::Notified));
    let whole = bench.record(&conversation(0), "-").await.unwrap();
    assert_eq!(whole.recordings, [recording(0, 0), recording(0, 1)]);
}

#[tokio::test]
async fn a_client_that_may_not_submit_leaves_all_to_the_live_lane() {
    let bench = bench(2).await;
    let refused = recording_archiver::sim::genesys::failure(403, "missing.permissions");
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Genesys, "batch-submit", 1, refused);
    work_off(&bench, &handler(&bench), &bulk(2)).await;
    for n in 0..2 {
        assert_archived(&bench, n, &wav(n)).await;
    }
}

#[tokio::test]
async fn a_submission_that_fails_in_passing_is_left_to_sqs() {
    let bench = bench(1).await;
    let handler = handler(&bench);
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Genesys, "batch-submit", 3, Fault::status(503));
    let answer = invoke(&handler, sqs([bulk(1).to_string()])).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "m-0"}]}));
    assert!(bench.deferred().is_empty());
    work_off(&bench, &handler, &bulk(1)).await;
    assert_archived(&bench, 0, &wav(0)).await;
}

#[tokio::test]
async fn a_recording_that_the_settled_conversation_lacks_is_looked_at_by_the_live_lane() {
    let bench = bench(1).await;
    let handler = handler(&bench);
    work_off(&bench, &handler, &bulk(1)).await;
    let late = Recording::audio(recording(0, 1), [wav(9)]);
    let genesys = &bench.world.genesys;
    genesys.conversation(&conversation(0), |known| known.recordings.push(late));
    work_off(&bench, &handler, &bulk(1)).await;
    assert_eq!(live_jobs(&bench)[0]["recheck"], true);
    let record = bench.record(&conversation(0), "-").await.unwrap();
    assert_eq!(record.recordings, [recording(0, 0), recording(0, 1)]);
    assert_eq!(
        (record.state, record.settled_by.as_deref()),
        (State::Settled, Some("details"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_that_was_erased_on_purpose_gets_no_recording_again() {
    let bench = bench(2).await;
    let handler = handler(&bench);
    let mut made = Made::default();
    let erased = Entry {
        number: 1,
        recording: None,
        action: Action::ObjectErased,
        state: State::Erased,
        at: bench.clock.now(),
    };
    made.entry(&erased, json!({}), json!({}));
    made.write(&bench).await;
    work_off(&bench, &handler, &bulk(2)).await;
    assert_archived(&bench, 0, &wav(0)).await;
    assert_eq!(state(&bench, 1, &recording(1, 0)).await, None);
    assert_eq!(state(&bench, 1, "-").await, Some(State::Erased));
    assert!(live_jobs(&bench).is_empty() && bench.exceptions().is_empty());
}
