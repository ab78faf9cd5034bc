//! Further jobs for a conversation that is settling, or settled.

use std::time::Duration;

use recording_archiver::domain::record::State;
use recording_archiver::sim::genesys::{Conversation, FileState, Recording, TranscodingBody};
use serde_json::json;

use super::{LAST, LATER, appears, change, first_look, settle, state};
use crate::support::{Bench, CONVERSATION, RECORDING, SETTLING, call, invoke, job, outcomes};
use crate::work::Work;

/// Further events while a recording is not ready start no further chains of jobs.
#[tokio::test]
async fn end_events_do_not_multiply_the_jobs_of_a_deferred_recording() {
    let recording = Recording::audio(RECORDING, [call()]).transcoding(60, TranscodingBody::Empty);
    let bench = Bench::with_recording(recording).await;
    let handler = bench.handler(&[SETTLING, ("TRANSCODE_WAIT_SECONDS", "0")]);
    for _ in 0..5 {
        invoke(&handler, job()).await.unwrap();
        bench.advance(Duration::from_secs(1));
    }
    let waiting = Work::of(&bench).waiting();
    let chains = waiting
        .iter()
        .filter(|job| job["recordingId"] == RECORDING)
        .count();
    assert_eq!(chains, 1, "{waiting:?}");
}

/// A recording was started, and every end event begins a chain of its own, two requests each time, for a day.
#[tokio::test]
async fn end_events_of_a_conversation_that_lists_nothing_share_one_chain() {
    let mut conversation = Conversation::new(CONVERSATION);
    conversation.marked = Some(true);
    let bench = Bench::with(conversation).await;
    let handler = bench.handler(&[SETTLING]);
    for _ in 0..3 {
        invoke(&handler, job()).await.unwrap();
        bench.advance(Duration::from_secs(1));
    }
    let mut work = Work::of(&bench);
    let chains = work.waiting().len();
    work.run_dry(&handler).await;
    let codes = bench.codes();
    assert_eq!(
        (chains, codes.len()),
        (1, 1),
        "{codes:?}, {} requests",
        bench.genesys_requests()
    );
}

/// README: of a settled conversation "further events cost no request to Genesys"; and a case is handed over once.
#[tokio::test]
async fn further_events_hand_no_case_over_again() {
    let bench = Bench::with_a_call().await;
    bench
        .world
        .genesys
        .recording(RECORDING, |recording| recording.state = FileState::Archived)
        .unwrap();
    let handler = settle(&bench).await;
    assert_eq!(state(&bench, "-").await, Some(State::Settled));
    bench.world.wire.forget();
    for _ in 0..3 {
        invoke(&handler, job()).await.unwrap();
    }
    assert_eq!((bench.genesys_requests(), bench.exceptions().len()), (0, 1));
}

/// Without the permission a list that stays the same settles; then the conversation's real end event comes.
#[tokio::test]
async fn an_end_event_after_settling_by_listing_is_looked_at() {
    let bench = Bench::with_a_call().await;
    bench.world.genesys.deny_analytics(true);
    let handler = first_look(&bench).await;
    let mut work = Work::of(&bench);
    work.run_dry(&handler).await;
    assert_eq!(state(&bench, "-").await, Some(State::Settled));
    bench.advance(Duration::from_secs(3600));
    appears(&bench, LATER);
    let now = bench.clock.now();
    let event = json!({"id": "6f0c0000-0000-4000-8000-000000000001", "source": "aws.partner/genesys.com/cloud/o/s",
        "detail-type": "v2.detail.events.conversation.{id}.customer.end", "time": now.to_string(),
        "detail": {"topicName": format!("v2.detail.events.conversation.{CONVERSATION}.customer.end"),
            "eventBody": {"conversationId": CONVERSATION, "mediaType": "VOICE", "eventTime": now.as_millisecond()}}});
    invoke(&handler, event).await.unwrap();
    work.run_dry(&handler).await;
    assert_eq!(state(&bench, LATER).await, Some(State::Notified));
}

/// A settled conversation is looked at again only by a job with `recheck`.
#[tokio::test]
async fn a_settled_conversation_is_asked_about_only_by_a_recheck() {
    let bench = Bench::with_a_call().await;
    let handler = settle(&bench).await;
    bench.world.wire.forget();
    change(&bench, |conversation| {
        conversation.denied = Some("missing.any.permissions".to_owned());
    });
    let expected = json!({"conversationId": CONVERSATION, "expectedSha256": "ab".repeat(32)});
    let summary = invoke(&handler, expected).await.unwrap();
    assert_eq!(outcomes(&summary), ["failed"], "another hash is archived");
    assert_eq!(bench.exceptions()[0]["code"], "hash_mismatch");
    let state = state(&bench, "-").await;
    assert_eq!((bench.genesys_requests(), state), (0, Some(State::Settled)));
}

/// It counts as the next one.
#[tokio::test]
async fn a_look_number_that_somebody_makes_up_does_not_end_the_series() {
    let bench = Bench::with_a_call().await;
    let handler = first_look(&bench).await;
    appears(&bench, LATER);
    let made_up = json!({"conversationId": CONVERSATION, "look": 100});
    let summary = invoke(&handler, made_up).await.unwrap();
    assert_eq!(outcomes(&summary), ["archived"]);
    Work::of(&bench).run_dry(&handler).await;
    assert!(bench.exceptions().is_empty());
    assert_eq!(state(&bench, "-").await, Some(State::Settled));
}

/// A conversation that was looked at 99 times over the years can still be rechecked.
#[tokio::test]
async fn a_recheck_has_looks_of_its_own() {
    let bench = Bench::with_a_call().await;
    let handler = first_look(&bench).await;
    let mut work = Work::of(&bench);
    work.run_dry(&handler).await;
    let recheck = json!({"conversationId": CONVERSATION, "recheck": true});
    for _ in 0..97 {
        invoke(&handler, recheck.clone()).await.unwrap();
    }
    work.run_dry(&handler).await;
    appears(&bench, LATER);
    let summary = invoke(&handler, recheck).await.unwrap();
    work.run_dry(&handler).await;
    assert!(bench.exceptions().is_empty(), "{summary}");
}

#[tokio::test]
async fn a_look_that_waits_for_its_time_counts_as_no_deferral() {
    let bench = Bench::with_a_call().await;
    change(&bench, |conversation| conversation.acw_open = true);
    settle(&bench).await;
    let deferrals: f64 = bench
        .metrics()
        .iter()
        .filter_map(|line| line["Deferrals"].as_f64())
        .sum();
    assert_eq!(deferrals, 0.0, "what only waits for its time is no deferral");
}

#[tokio::test]
async fn what_needs_a_person_does_not_keep_a_conversation_from_settling() {
    let bench = Bench::with_a_call().await;
    appears(&bench, LATER);
    appears(&bench, LAST);
    let set = |id: &str, state| {
        bench
            .world
            .genesys
            .recording(id, |recording| recording.state = state)
            .unwrap();
    };
    set(LATER, FileState::Archived);
    set(LAST, FileState::Deleted);
    let handler = settle(&bench).await;
    assert_eq!(state(&bench, "-").await, Some(State::Settled));
    let cases = bench.exceptions();
    assert_eq!(
        cases.len(),
        2,
        "each once: a look leaves what is final alone: {cases:?}"
    );
    // A further event is answered from the ledger.
    assert_eq!(
        outcomes(&invoke(&handler, job()).await.unwrap()),
        ["already_archived"]
    );
    assert_eq!(bench.exceptions().len(), 2);
    // Restored at Genesys, it is archived by the job of its case.
    set(LATER, FileState::Restored);
    let case = cases
        .iter()
        .find(|case| case["code"] == "archived_at_source")
        .unwrap();
    assert_eq!(
        case["job"],
        json!({"conversationId": CONVERSATION, "recordingId": LATER})
    );
    assert_eq!(
        outcomes(&invoke(&handler, case["job"].clone()).await.unwrap()),
        ["archived"]
    );
}
