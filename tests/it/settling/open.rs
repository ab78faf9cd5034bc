//! Conversations without recordings, without an end, and without the permission to ask.

use std::time::Duration;

use recording_archiver::domain::record::State;
use recording_archiver::sim::genesys::{Conversation, Orphan};
use recording_archiver::sim::wire::Service;
use serde_json::json;

use super::{LATER, appears, change, first_look, settle, state};
use crate::support::{Bench, CONVERSATION, RECORDING, SETTLING, invoke, job, outcomes, sqs};
use crate::work::Work;

const ORPHAN: &str = "a0000000-0000-4000-8000-000000000001";

/// Returns a conversation in which no recording was started; nobody would say so by an event.
fn never_recorded() -> Conversation {
    Conversation::new(CONVERSATION)
}

/// Returns a conversation in which a recording was started that is not listed.
fn started() -> Conversation {
    let mut conversation = never_recorded();
    conversation.marked = Some(true);
    conversation
}

#[tokio::test]
async fn a_conversation_that_was_never_recorded_ends_so_within_six_requests_and_no_exception() {
    // Analytics know it at once; late; or know its end late.
    for (absent, open_for, requests) in [(0, 0, 4), (1, 0, 6), (0, 1, 4)] {
        let mut conversation = never_recorded();
        (conversation.details_absent_for, conversation.details_open_for) = (absent, open_for);
        let bench = Bench::with(conversation).await;
        let handler = bench.handler(&[SETTLING]);
        let summary = invoke(&handler, job()).await.unwrap();
        assert_eq!(outcomes(&summary), ["settling"]);
        Work::of(&bench).run_dry(&handler).await;
        let whole = bench.record(CONVERSATION, "-").await.unwrap();
        assert_eq!(
            whole.state,
            State::Unrecorded,
            "absent for {absent}, open for {open_for}"
        );
        assert_eq!(
            bench.genesys_requests(),
            requests,
            "absent for {absent}, open for {open_for}"
        );
        let actions = bench.actions(CONVERSATION, "-").await;
        assert_eq!(actions.last().unwrap(), "conversation.unrecorded");
        assert!(
            actions
                .iter()
                .rev()
                .skip(1)
                .all(|action| action == "conversation.listed")
        );
        assert!(bench.exceptions().is_empty());
        let again = invoke(&handler, job()).await.unwrap();
        assert_eq!(outcomes(&again), ["unrecorded"]);
        assert_eq!(bench.genesys_requests(), requests);
    }
}

#[tokio::test]
async fn a_recording_that_appears_in_what_looked_unrecorded_is_archived() {
    let bench = Bench::with(never_recorded()).await;
    let handler = first_look(&bench).await;
    appears(&bench, RECORDING);
    Work::of(&bench).run_dry(&handler).await;
    assert_eq!(state(&bench, RECORDING).await, Some(State::Notified));
    assert_eq!(state(&bench, "-").await, Some(State::Settled));
}

#[tokio::test]
async fn a_recording_that_was_started_and_is_not_listed_is_deferred_as_before() {
    let bench = Bench::with(started().empty_for(2)).await;
    appears(&bench, RECORDING);
    let handler = bench.handler(&[SETTLING]);
    let summary = invoke(&handler, job()).await.unwrap();
    assert_eq!(outcomes(&summary), ["deferred"]);
    let (again, delay) = bench.deferred().pop().unwrap();
    assert_eq!(
        (again["deferrals"].clone(), again["look"].clone(), delay),
        (json!(1), json!(null), 30)
    );
    Work::of(&bench).run_dry(&handler).await;
    assert_eq!(state(&bench, RECORDING).await, Some(State::Notified));
    assert_eq!(state(&bench, "-").await, Some(State::Settled));
}

#[tokio::test]
async fn what_was_started_and_never_came_names_the_orphan_that_genesys_holds() {
    let bench = Bench::with(started()).await;
    bench.world.genesys.add_orphan(Orphan::of(CONVERSATION, ORPHAN));
    settle(&bench).await;
    let cases = bench.exceptions();
    assert_eq!(cases.len(), 1, "{cases:?}");
    assert_eq!(cases[0]["code"], "never_ready");
    let error = cases[0]["error"].as_str().unwrap();
    for part in ["READINESS_DEADLINE_MINUTES", ORPHAN, "CONVERSATION_NOT_COMPLETE"] {
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn the_orphan_is_named_without_settling_too() {
    let bench = Bench::with(never_recorded()).await;
    bench.world.genesys.add_orphan(Orphan::of(CONVERSATION, ORPHAN));
    let late = json!({"conversationId": CONVERSATION, "firstSeen": "2026-01-15T10:20:30Z"});
    let summary = bench.invoke(late).await.unwrap();
    assert_eq!(outcomes(&summary), ["failed"]);
    assert!(
        summary["results"][0]["reason"].as_str().unwrap().contains(ORPHAN),
        "{summary}"
    );
}

/// Settles a conversation whose after-call work stays open, and gives the case that comes of it.
async fn never_ended(bench: &Bench) -> serde_json::Value {
    let handler = first_look(bench).await;
    let begun = bench.clock.now();
    Work::of(bench).run_dry(&handler).await;
    let took = bench.clock.now().duration_since(begun);
    assert!(
        took.as_hours() == 24 && took.as_secs() < 24 * 3600 + 900,
        "on the deadline: {took:?}"
    );
    let mut cases = bench.exceptions();
    assert_eq!(cases.len(), 1, "{cases:?}");
    let case = cases.remove(0);
    assert_eq!(case["code"], "after_call_work_open");
    assert_eq!(
        case["job"],
        json!({"conversationId": CONVERSATION, "recheck": true})
    );
    case
}

#[tokio::test]
async fn after_call_work_that_stays_open_is_a_case_that_names_it_and_the_orphan() {
    let bench = Bench::with_a_call().await;
    change(&bench, |conversation| conversation.acw_open = true);
    bench
        .world
        .genesys
        .add_orphan(Orphan::unknown("a0000000-0000-4000-8000-000000000009"));
    bench.world.genesys.add_orphan(Orphan::of(CONVERSATION, ORPHAN));
    let case = never_ended(&bench).await;
    let error = case["error"].as_str().unwrap();
    for part in [
        "wrapup of agent since 2026-01-15T",
        ORPHAN,
        "READINESS_DEADLINE_MINUTES",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let looks = bench.record(CONVERSATION, "-").await.unwrap().looks;
    assert_eq!(
        looks, 8,
        "they grow rarer; the ninth was on the deadline, and is taken again"
    );
    let asked = |operation| bench.world.wire.count(Service::Genesys, operation);
    assert_eq!((asked("recordingmetadata"), asked("details-one")), (10, 8));

    // It is closed at last, and the case is sent again.
    change(&bench, |conversation| conversation.acw_open = false);
    appears(&bench, LATER);
    let handler = bench.handler(&[SETTLING]);
    let mut work = Work::of(&bench);
    work.lose();
    let answer = invoke(&handler, sqs([case["job"].to_string()])).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    work.run_dry(&handler).await;
    assert_eq!(state(&bench, LATER).await, Some(State::Notified));
    assert_eq!(state(&bench, "-").await, Some(State::Settled));
    assert_eq!(bench.exceptions().len(), 1, "no further case");
}

#[tokio::test]
async fn without_the_permission_for_orphans_the_case_says_which_one_would_tell() {
    let bench = Bench::with_a_call().await;
    change(&bench, |conversation| conversation.acw_open = true);
    bench.world.genesys.deny("recording:orphan:view", true);
    let case = never_ended(&bench).await;
    let error = case["error"].as_str().unwrap();
    assert!(error.contains("recording:orphan:view"), "{error}");
}

#[tokio::test]
async fn without_the_permission_for_details_a_conversation_settles_on_its_list() {
    let bench = Bench::with_a_call().await;
    bench.world.genesys.deny_analytics(true);
    let handler = first_look(&bench).await;
    let begun = bench.clock.now();
    Work::of(&bench).run_dry(&handler).await;
    let whole = bench.record(CONVERSATION, "-").await.unwrap();
    assert_eq!(
        (whole.state, whole.settled_by.as_deref()),
        (State::Settled, Some("listing"))
    );
    let took = bench.clock.now().duration_since(begun);
    assert!(
        (1..3).contains(&took.as_hours()),
        "two equal looks an hour apart: {took:?}"
    );
    assert!(bench.exceptions().is_empty());
}

#[tokio::test]
async fn without_the_permission_an_empty_list_is_believed_after_the_readiness_deadline_only() {
    let bench = Bench::with(never_recorded()).await;
    bench.world.genesys.deny_analytics(true);
    let handler = first_look(&bench).await;
    let begun = bench.clock.now();
    Work::of(&bench).run_dry(&handler).await;
    let took = bench.clock.now().duration_since(begun);
    assert!(took >= jiff::SignedDuration::from_hours(24), "{took:?}");
    let events = bench.audit(CONVERSATION, "-").await;
    let last = events.last().unwrap();
    assert_eq!(last["action"], "conversation.settled");
    assert_eq!(
        (&last["settledBy"], &last["recordings"]),
        (&json!("listing"), &json!([]))
    );
    assert!(bench.exceptions().is_empty());
}

#[tokio::test]
async fn a_list_that_fails_for_good_is_a_case_and_the_next_job_goes_on_where_it_was() {
    let bench = Bench::with_a_call().await;
    let handler = first_look(&bench).await;
    let deny = |denied: Option<&str>| {
        let denied = denied.map(str::to_owned);
        change(&bench, |conversation| conversation.denied = denied);
    };
    deny(Some("missing.any.permissions"));
    let mut work = Work::of(&bench);
    work.run_dry(&handler).await;
    let case = bench.exceptions().pop().unwrap();
    assert_eq!(case["code"], "forbidden");
    assert_eq!(case["job"], job(), "not a look: one that may be stale by then");
    deny(None);
    bench.advance(Duration::from_secs(3600));
    let summary = invoke(&handler, case["job"].clone()).await.unwrap();
    assert_eq!(outcomes(&summary), ["already_archived", "settled"]);
}
