//! The time for which a conversation is waited for.

use std::time::Duration;

use jiff::SignedDuration;
use recording_archiver::domain::record::State;
use recording_archiver::sim::genesys::{Conversation, Kind, Recording, TranscodingBody};
use recording_archiver::sim::wire::Service;
use serde_json::json;

use super::{LATER, appears, change, first_look, respond, settle, state};
use crate::support::{Bench, CONVERSATION, RECORDING, SETTLING, call, invoke, job, sqs};
use crate::work::Work;

/// Returns a conversation with a screen recording that was started, of which only the audio is listed.
async fn screen_started() -> Bench {
    let bench = Bench::with_a_call().await;
    change(&bench, |conversation| conversation.screen_marked = Some(true));
    bench
}

#[tokio::test]
async fn a_started_screen_recording_that_is_not_listed_yet_is_waited_for() {
    let bench = screen_started().await;
    let handler = bench.handler(&[SETTLING, ("RECORDING_MEDIA", "audio,screen")]);
    invoke(&handler, job()).await.unwrap();
    let mut work = Work::of(&bench);
    let looks = async || bench.record(CONVERSATION, "-").await.unwrap().looks;
    while looks().await < 3 {
        work.deliver(&handler).await;
    }
    assert_eq!(state(&bench, "-").await, Some(State::Settling));
    // The agent's desktop uploads it an hour after the call.
    let mut screen = Recording::audio(LATER, [call()]);
    screen.kind = Kind::Screen;
    change(&bench, |conversation| conversation.recordings.push(screen));
    work.run_dry(&handler).await;
    assert_eq!(state(&bench, LATER).await, Some(State::Notified));
    assert_eq!(state(&bench, "-").await, Some(State::Settled));
    assert!(bench.exceptions().is_empty());
}

#[tokio::test]
async fn a_started_screen_recording_that_never_comes_is_a_case_that_names_the_kind() {
    let bench = screen_started().await;
    let handler = bench.handler(&[SETTLING, ("RECORDING_MEDIA", "audio,screen")]);
    invoke(&handler, job()).await.unwrap();
    Work::of(&bench).run_dry(&handler).await;
    let cases = bench.exceptions();
    assert_eq!(cases.len(), 1, "{cases:?}");
    assert_eq!(cases[0]["code"], "never_ready");
    let error = cases[0]["error"].as_str().unwrap();
    assert!(error.contains("no screen recording"), "{error}");
}

#[tokio::test]
async fn a_started_screen_recording_that_nobody_wants_is_not_waited_for() {
    let bench = screen_started().await;
    let handler = bench.handler(&[SETTLING, ("RECORDING_MEDIA", "audio")]);
    invoke(&handler, job()).await.unwrap();
    Work::of(&bench).run_dry(&handler).await;
    let whole = bench.record(CONVERSATION, "-").await.unwrap();
    assert_eq!((whole.state, whole.looks), (State::Settled, 2));
}

/// The real end comes just before the first event's readiness deadline; analytics lag.
#[tokio::test]
async fn a_later_end_event_that_joins_extends_patience() {
    let bench = Bench::with_a_call().await;
    change(&bench, |conversation| conversation.acw_open = true);
    let handler = bench.handler(&[SETTLING]);
    let begun = bench.clock.now();
    invoke(&handler, job()).await.unwrap();
    let mut work = Work::of(&bench);
    // Hops of 15 minutes, until ten minutes before the look on the first event's deadline.
    while bench.clock.now().duration_since(begun) < SignedDuration::from_secs(24 * 3600 - 1500) {
        work.deliver(&handler).await;
    }
    // The last participant leaves; that event comes, and joins. Analytics learn of the end half an hour later.
    let end = bench.clock.now();
    invoke(
        &handler,
        json!({"conversationId": CONVERSATION, "firstSeen": end.to_string()}),
    )
    .await
    .unwrap();
    while bench.clock.now().duration_since(end) < SignedDuration::from_secs(1500) {
        if work.deliver(&handler).await == 0 {
            break;
        }
    }
    bench.advance(Duration::from_secs(900));
    change(&bench, |conversation| conversation.acw_open = false);
    appears(&bench, LATER);
    work.run_dry(&handler).await;
    assert_eq!(state(&bench, LATER).await, Some(State::Notified));
    assert!(bench.exceptions().is_empty());
}

/// An event that is worked off a day late (an outage, a redriven dead letter): the first 202 is the end of patience.
#[tokio::test]
async fn the_first_transcoding_of_a_late_event_is_waited_for() {
    let recording = Recording::audio(RECORDING, [call()]).transcoding(4, TranscodingBody::Empty);
    let bench = Bench::with_recording(recording).await;
    let handler = bench.handler(&[SETTLING, ("TRANSCODE_WAIT_SECONDS", "0")]);
    let late = (bench.clock.now() - SignedDuration::from_hours(25)).to_string();
    let job = json!({"conversationId": CONVERSATION, "firstSeen": late});
    invoke(&handler, job).await.unwrap();
    Work::of(&bench).run_dry(&handler).await;
    assert!(bench.exceptions().is_empty(), "{:?}", bench.exceptions());
    assert_eq!(state(&bench, RECORDING).await, Some(State::Notified));
}

/// README: "one more look `UNRECORDED_AFTER_MINUTES` after the end". Of a call that ended 50 minutes after its first
/// event.
#[tokio::test]
async fn unrecorded_is_believed_so_long_after_the_end() {
    let bench = Bench::with(Conversation::new(CONVERSATION).ongoing()).await;
    let handler = first_look(&bench).await;
    let begun = bench.clock.now();
    let mut work = Work::of(&bench);
    while bench.clock.now().duration_since(begun) < SignedDuration::from_mins(44) {
        work.deliver(&handler).await;
    }
    bench.advance(Duration::from_secs(300));
    let end = bench.clock.now();
    change(&bench, |conversation| conversation.end = Some(end));
    // Its own end event comes, too.
    invoke(
        &handler,
        json!({"conversationId": CONVERSATION, "firstSeen": end.to_string()}),
    )
    .await
    .unwrap();
    work.run_dry(&handler).await;
    let waited = bench.clock.now().duration_since(end);
    assert!(waited >= SignedDuration::from_mins(60), "{waited:?}");
}

/// A chat without a recording: no session says that one was started (audio, screen, snippet).
#[tokio::test]
async fn a_chat_that_was_not_recorded_is_unrecorded() {
    let mut chat = Conversation::new(CONVERSATION);
    chat.media_type = "chat";
    let bench = Bench::with(chat).await;
    let handler = bench.handler(&[SETTLING, ("RECORDING_MEDIA", "audio,chat")]);
    invoke(&handler, job()).await.unwrap();
    Work::of(&bench).run_dry(&handler).await;
    let codes = bench.codes();
    assert_eq!(
        state(&bench, "-").await,
        Some(State::Unrecorded),
        "{codes:?}, {} requests",
        bench.genesys_requests()
    );
}

/// Genesys answers 404 instead of `[]`, which it does too; the call was never recorded.
#[tokio::test]
async fn a_never_recorded_call_whose_list_is_a_404_ends_unrecorded() {
    let bench = Bench::with(Conversation::new(CONVERSATION)).await;
    bench.world.wire.disturb_next(
        Service::Genesys,
        "recordingmetadata",
        1000,
        respond(404, &json!({"code": "not.found"})),
    );
    settle(&bench).await;
    let codes = bench.codes();
    assert_eq!(
        (
            state(&bench, "-").await,
            codes.len(),
            bench.genesys_requests() <= 6
        ),
        (Some(State::Unrecorded), 0, true),
        "{codes:?}, {} requests",
        bench.genesys_requests()
    );
}

/// The longest readiness deadline that the configuration takes is 30 days; the looks end before.
#[tokio::test]
async fn looks_last_until_the_longest_readiness_deadline() {
    let bench = Bench::with_a_call().await;
    change(&bench, |conversation| conversation.acw_open = true);
    let handler = bench.handler(&[SETTLING, ("READINESS_DEADLINE_MINUTES", "43200")]);
    let begun = bench.clock.now();
    invoke(&handler, job()).await.unwrap();
    while bench.exceptions().is_empty() {
        let (look, _) = bench.deferred().pop().unwrap();
        let due: jiff::Timestamp = look["notBefore"].as_str().unwrap().parse().unwrap();
        bench.advance(
            due.duration_since(bench.clock.now())
                .try_into()
                .unwrap_or_default(),
        );
        invoke(&handler, sqs([look.to_string()])).await.unwrap();
    }
    let waited = bench.clock.now().duration_since(begun);
    let case = bench.exceptions().remove(0);
    assert_eq!(
        (
            case["code"].clone(),
            waited >= SignedDuration::from_hours(30 * 24)
        ),
        (json!("after_call_work_open"), true),
        "{waited:?} {case}"
    );
}
