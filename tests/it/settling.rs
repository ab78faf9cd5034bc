//! A conversation is looked at until nothing more can come.

mod answers;
mod crash;
mod events;
mod item;
mod open;
mod patience;

use std::time::Duration;

use recording_archiver::domain::record::State;
use recording_archiver::sim::genesys::{Conversation, Recording, TranscodingBody};
use recording_archiver::sim::wire::{Fault, Service};
use recording_archiver::trigger::handler::Handler;
use serde_json::{Value, json};

use crate::support::{Bench, CONVERSATION, RECORDING, SETTLING, call, invoke, job, outcomes, results, sqs};
use crate::work::Work;

/// A recording that appears later.
pub(crate) const LATER: &str = "e0000000-0000-4000-8000-000000000102";
/// Another one.
const LAST: &str = "e0000000-0000-4000-8000-000000000103";

/// Adds a recording to the list of Genesys.
pub(crate) fn appears(bench: &Bench, id: &str) {
    let recording = Recording::audio(id, [call()]);
    let added = bench.world.genesys.conversation(CONVERSATION, |conversation| {
        conversation.recordings.push(recording);
    });
    added.unwrap();
}

/// Changes the conversation at Genesys.
fn change(bench: &Bench, with: impl FnOnce(&mut Conversation)) {
    bench.world.genesys.conversation(CONVERSATION, with).unwrap();
}

/// Returns an answer in JSON.
fn respond(status: u16, body: &Value) -> Fault {
    Fault::Respond {
        status,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.to_string().into_bytes(),
    }
}

async fn state(bench: &Bench, recording: &str) -> Option<State> {
    bench
        .record(CONVERSATION, recording)
        .await
        .map(|record| record.state)
}

fn look(number: u32) -> Value {
    json!({"conversationId": CONVERSATION, "look": number})
}

/// Takes the first look at the conversation, with a function for which conversations settle.
async fn first_look(bench: &Bench) -> Handler {
    let handler = bench.handler(&[SETTLING]);
    invoke(&handler, job()).await.unwrap();
    handler
}

/// Takes the first look, and works off all that follows from it.
async fn settle(bench: &Bench) -> Handler {
    let handler = first_look(bench).await;
    Work::of(bench).run_dry(&handler).await;
    handler
}

/// Returns the conversation `n` of several.
fn id(n: u32) -> String {
    format!("c0000000-0000-4000-8000-0000000001{n:02}")
}

/// Returns a bench with so many conversations, each of one recording.
async fn several(count: u32) -> Bench {
    let bench = Bench::new().await;
    for n in 0..count {
        let recording = Recording::audio(format!("e0000000-0000-4000-8000-0000000001{n:02}"), [call()]);
        let conversation = Conversation::new(id(n)).recording(recording);
        bench.world.genesys.add(conversation);
    }
    bench
}

/// Takes the first look at each of them, all in one batch.
async fn first_looks(bench: &Bench, count: u32) -> Handler {
    let handler = bench.handler(&[SETTLING]);
    let bodies = (0..count).map(|n| json!({"conversationId": id(n)}).to_string());
    invoke(&handler, sqs(bodies)).await.unwrap();
    handler
}

#[tokio::test]
async fn a_recording_that_appears_two_minutes_later_is_archived_without_anybodys_help() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[SETTLING]);
    let summary = invoke(&handler, job()).await.unwrap();
    assert_eq!(
        outcomes(&summary),
        ["archived"],
        "what follows is not told beside it"
    );
    let mut work = Work::of(&bench);
    let waiting = work.waiting();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0]["look"], 2, "{waiting:?}");
    bench.advance(Duration::from_secs(120));
    appears(&bench, LATER);
    work.run_dry(&handler).await;
    assert_eq!(state(&bench, RECORDING).await, Some(State::Notified));
    assert_eq!(state(&bench, LATER).await, Some(State::Notified));
    let whole = bench.record(CONVERSATION, "-").await.unwrap();
    assert_eq!(whole.state, State::Settled);
    // The second look found one more, so there was a third.
    assert_eq!((whole.looks, whole.settled_by.as_deref()), (3, Some("details")));
    assert_eq!(whole.recordings, [RECORDING, LATER]);
    let events = bench.audit(CONVERSATION, "-").await;
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            (
                event["action"].clone(),
                event["look"].clone(),
                event.get("recordings").cloned(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (json!("conversation.listed"), json!(1), Some(json!([RECORDING]))),
            (json!("conversation.listed"), json!(2), Some(json!([LATER]))),
            (
                json!("conversation.settled"),
                json!(3),
                Some(json!([RECORDING, LATER]))
            ),
        ]
    );
    assert_eq!(events[2]["settledBy"], "details");
    assert!(bench.exceptions().is_empty());
}

#[tokio::test]
async fn a_recording_that_appears_after_the_second_look_is_archived_by_the_third() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[SETTLING]);
    change(&bench, |conversation| conversation.details_open_for = 1);
    invoke(&handler, job()).await.unwrap();
    let mut work = Work::of(&bench);
    assert_eq!(work.deliver(&handler).await, 1);
    assert_eq!(
        state(&bench, "-").await,
        Some(State::Settling),
        "Genesys knows no end yet"
    );
    appears(&bench, LATER);
    work.run_dry(&handler).await;
    let whole = bench.record(CONVERSATION, "-").await.unwrap();
    assert_eq!((whole.state, whole.looks), (State::Settled, 4));
    assert_eq!(state(&bench, LATER).await, Some(State::Notified));
}

#[tokio::test]
async fn several_end_events_share_one_settling() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[SETTLING]);
    let bodies = (0..3).map(|_| job().to_string());
    invoke(&handler, sqs(bodies)).await.unwrap();
    bench.advance(Duration::from_secs(60));
    bench.world.wire.forget();
    let summary = invoke(&handler, job()).await.unwrap();
    assert_eq!(outcomes(&summary), ["already_archived"]);
    assert_eq!(bench.genesys_requests(), 1, "the list");
    assert_eq!(bench.deferred().len(), 1, "one second look");
    Work::of(&bench).run_dry(&handler).await;
    let actions = bench.actions(CONVERSATION, "-").await;
    assert_eq!(actions, ["conversation.listed", "conversation.settled"]);
}

#[tokio::test]
async fn a_settled_conversations_further_events_cost_no_request_to_genesys() {
    let bench = Bench::with_a_call().await;
    let handler = first_look(&bench).await;
    bench.world.wire.forget();
    Work::of(&bench).run_dry(&handler).await;
    assert_eq!(bench.genesys_requests(), 2, "list and details");
    bench.world.wire.forget();
    let again = results(invoke(&handler, job()).await.unwrap());
    assert_eq!(again.len(), 1);
    assert_eq!(again[0]["outcome"], "already_archived");
    assert_eq!(again[0]["recordingId"], RECORDING);
    assert!(again[0]["files"][0]["sha256"].is_string());
    let exchanges = bench.world.wire.exchanges();
    let asked: Vec<_> = exchanges.iter().map(|call| call.operation.as_str()).collect();
    assert_eq!(asked, ["Query"], "neither a request to Genesys nor a write");
}

#[tokio::test]
async fn a_look_that_was_taken_before_is_acknowledged_without_a_request() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[SETTLING]);
    change(&bench, |conversation| conversation.acw_open = true);
    invoke(&handler, job()).await.unwrap();
    let mut work = Work::of(&bench);
    work.deliver(&handler).await;
    for (settled, number) in [(false, 2), (true, 2), (true, 3), (true, 9)] {
        if settled && state(&bench, "-").await != Some(State::Settled) {
            change(&bench, |conversation| conversation.acw_open = false);
            work.run_dry(&handler).await;
        }
        let events = bench.actions(CONVERSATION, "-").await;
        bench.world.wire.forget();
        let answer = invoke(&handler, sqs([look(number).to_string()])).await.unwrap();
        assert_eq!(answer, json!({"batchItemFailures": []}));
        let exchanges = bench.world.wire.exchanges();
        let asked: Vec<_> = exchanges.iter().map(|call| call.operation.as_str()).collect();
        assert_eq!(asked, ["Query"], "settled {settled}, look {number}");
        assert_eq!(bench.actions(CONVERSATION, "-").await, events);
    }
    let ignored = bench.metrics().pop().unwrap();
    assert_eq!(ignored["EventsIgnored"], 1, "{ignored}");
}

#[tokio::test]
async fn a_recheck_looks_at_a_settled_conversation_again() {
    let bench = Bench::with_a_call().await;
    let handler = first_look(&bench).await;
    let mut work = Work::of(&bench);
    work.run_dry(&handler).await;
    let recheck = json!({"conversationId": CONVERSATION, "recheck": true, "requestedBy": "anna"});
    let summary = invoke(&handler, recheck.clone()).await.unwrap();
    assert_eq!(
        outcomes(&summary),
        ["already_archived", "settled"],
        "the same list once more"
    );
    assert_eq!(bench.deferred().len(), 1);

    appears(&bench, LATER);
    let summary = invoke(&handler, recheck).await.unwrap();
    assert_eq!(outcomes(&summary), ["already_archived", "archived"]);
    assert_eq!(state(&bench, "-").await, Some(State::Settling));
    work.run_dry(&handler).await;
    let whole = bench.record(CONVERSATION, "-").await.unwrap();
    assert_eq!((whole.state, whole.looks), (State::Settled, 5));
    assert_eq!(whole.recordings, [RECORDING, LATER]);
    let events = bench.audit(CONVERSATION, "-").await;
    let last = events.last().unwrap();
    assert_eq!(last["actor"]["requestedBy"], "anna", "it travels along");
}

#[tokio::test]
async fn looks_of_ten_conversations_in_a_batch_share_one_request_for_details() {
    let bench = several(10).await;
    let handler = first_looks(&bench, 10).await;
    assert_eq!(
        bench.genesys_requests(),
        30,
        "until archived: list, 202, recording"
    );
    bench.world.wire.forget();
    let mut work = Work::of(&bench);
    assert_eq!(work.deliver(&handler).await, 10);
    assert_eq!(
        bench.genesys_requests(),
        11,
        "until settled: ten lists, and the details of all"
    );
    assert_eq!(bench.world.wire.count(Service::Genesys, "details"), 1);
    for n in 0..10 {
        assert_eq!(bench.record(&id(n), "-").await.unwrap().state, State::Settled);
    }
    assert_eq!(work.deliver(&handler).await, 0);
}

#[tokio::test]
async fn where_genesys_takes_no_list_of_ids_each_is_asked_for_alone() {
    let bench = several(3).await;
    bench.world.genesys.set_most_detail_ids(1);
    let handler = first_looks(&bench, 3).await;
    Work::of(&bench).run_dry(&handler).await;
    assert_eq!(bench.world.wire.count(Service::Genesys, "details"), 1, "refused");
    assert_eq!(bench.world.wire.count(Service::Genesys, "details-one"), 3);
    for n in 0..3 {
        assert_eq!(bench.record(&id(n), "-").await.unwrap().state, State::Settled);
    }
}

#[tokio::test]
async fn an_answer_about_a_batch_that_cannot_be_read_keeps_no_conversation_from_settling() {
    let bench = several(2).await;
    let handler = first_looks(&bench, 2).await;
    let many = json!({"conversations": [{"participants": vec![json!({}); 1_001]}]});
    let fault = Fault::Respond {
        status: 200,
        headers: Vec::new(),
        body: many.to_string().into_bytes(),
    };
    bench
        .world
        .wire
        .disturb_next(Service::Genesys, "details", 1, fault);
    Work::of(&bench).run_dry(&handler).await;
    assert_eq!(bench.world.wire.count(Service::Genesys, "details-one"), 2);
    for n in 0..2 {
        assert_eq!(bench.record(&id(n), "-").await.unwrap().state, State::Settled);
    }
}

#[tokio::test]
async fn settle_seconds_of_zero_looks_once() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[("SETTLE_SECONDS", "0")]);
    assert_eq!(outcomes(&invoke(&handler, job()).await.unwrap()), ["archived"]);
    assert!(bench.deferred().is_empty());
    assert!(bench.record(CONVERSATION, "-").await.is_none());
    // A look that is on its way from before archives what is listed.
    appears(&bench, LATER);
    let summary = invoke(&handler, look(2)).await.unwrap();
    assert_eq!(outcomes(&summary), ["already_archived", "archived"]);
}

#[tokio::test]
async fn a_job_that_names_a_recording_is_no_look() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[SETTLING]);
    let job = json!({"conversationId": CONVERSATION, "recordingId": RECORDING});
    assert_eq!(outcomes(&invoke(&handler, job).await.unwrap()), ["archived"]);
    assert!(bench.deferred().is_empty());
    assert!(bench.record(CONVERSATION, "-").await.is_none());
}

#[tokio::test]
async fn a_message_that_comes_too_early_is_sent_on_and_asks_for_nothing() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[SETTLING]);
    let now = bench.clock.now();
    let later = (now + jiff::SignedDuration::from_hours(6)).to_string();
    let mut early = json!({"conversationId": CONVERSATION, "look": 4, "notBefore": later, "deferrals": 3,
        "firstSeen": "2026-01-15T10:20:30Z", "format": "mp3", "requestedBy": "anna"});
    let answer = invoke(&handler, sqs([early.to_string()])).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    early["origin"] = json!({"source": "sqs", "messageId": "m-0", "senderId": "AIDASIMULATED"});
    assert_eq!(bench.deferred(), [(early, 900)], "as it was, and who asked");
    let exchanges = bench.world.wire.exchanges();
    let asked: Vec<_> = exchanges.iter().map(|call| call.operation.as_str()).collect();
    assert_eq!(asked, ["SendMessage"]);

    let soon = (now + jiff::SignedDuration::from_mins(5)).to_string();
    let summary = invoke(
        &handler,
        json!({"conversationId": CONVERSATION, "notBefore": soon}),
    )
    .await
    .unwrap();
    assert_eq!(outcomes(&summary), ["settling"]);
    let (_, delay) = bench.deferred().pop().unwrap();
    assert!((200..=300).contains(&delay), "{delay}");

    let at_once = json!({"conversationId": CONVERSATION, "notBefore": (bench.clock.now() + jiff::SignedDuration::from_millis(900)).to_string()});
    assert_eq!(outcomes(&invoke(&handler, at_once).await.unwrap()), ["settling"]);
    assert_eq!(bench.deferred().pop().unwrap().1, 1, "never a delay of nothing");
}

#[tokio::test]
async fn a_message_that_would_wait_for_ever_is_a_case_for_people() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[SETTLING]);
    let body = json!({"conversationId": CONVERSATION, "notBefore": "9999-01-01T00:00:00Z"});
    invoke(&handler, sqs([body.to_string()])).await.unwrap();
    let case = bench.exceptions().pop().unwrap();
    assert_eq!(case["code"], "malformed_job");
    for part in ["notBefore", "9999-01-01", "24 hours"] {
        assert!(case["error"].as_str().unwrap().contains(part), "{case}");
    }
    assert!(bench.deferred().is_empty());
    let error = invoke(&handler, body).await.unwrap_err();
    assert_eq!(error.kind().code(), "malformed_job");
}

#[tokio::test]
async fn a_deferred_recording_is_left_to_the_job_of_its_own() {
    let recording = Recording::audio(RECORDING, [call()]).transcoding(12, TranscodingBody::Empty);
    let bench = Bench::with_recording(recording).await;
    let handler = bench.handler(&[SETTLING, ("TRANSCODE_WAIT_SECONDS", "0")]);
    assert_eq!(outcomes(&invoke(&handler, job()).await.unwrap()), ["deferred"]);
    let mut work = Work::of(&bench);
    assert_eq!(work.waiting().len(), 2, "its job, and the second look");
    work.run_dry(&handler).await;
    assert_eq!(state(&bench, RECORDING).await, Some(State::Notified));
    assert_eq!(state(&bench, "-").await, Some(State::Settled));
    let sent = bench.deferred();
    let of_the_recording = sent
        .iter()
        .filter(|(job, _)| job["recordingId"] == RECORDING)
        .count();
    assert_eq!(
        of_the_recording, 12,
        "one for each 202: one chain of jobs, whatever the looks found"
    );
    assert!(
        sent.iter()
            .all(|(job, _)| job["recordingId"].is_null() || job["look"].is_null())
    );
}

#[tokio::test]
async fn a_look_that_never_comes_is_made_up_for_by_the_next_event() {
    let bench = Bench::with_a_call().await;
    let handler = first_look(&bench).await;
    let mut work = Work::of(&bench);
    work.lose();
    bench.advance(Duration::from_secs(1800));
    invoke(&handler, job()).await.unwrap();
    assert_eq!(work.waiting().len(), 0, "it may be late only");
    bench.advance(Duration::from_secs(3600));
    let summary = invoke(&handler, job()).await.unwrap();
    assert_eq!(outcomes(&summary), ["already_archived", "settled"]);
    assert_eq!(bench.record(CONVERSATION, "-").await.unwrap().looks, 2);
}

/// Lets the queues take no message until they are calm again.
fn refuse_messages(bench: &Bench) {
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Sqs, "SendMessage", 20, Fault::status(500));
}

#[tokio::test]
async fn a_look_that_cannot_be_sent_is_not_written_down_and_the_message_comes_again() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[SETTLING]);
    refuse_messages(&bench);
    let answer = invoke(&handler, sqs([job().to_string()])).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "m-0"}]}));
    assert!(bench.record(CONVERSATION, "-").await.is_none());
    bench.world.wire.calm();
    let mut work = Work::of(&bench);
    work.send(&job());
    work.run_dry(&handler).await;
    assert_eq!(
        bench.actions(CONVERSATION, "-").await,
        ["conversation.listed", "conversation.settled"]
    );
}
