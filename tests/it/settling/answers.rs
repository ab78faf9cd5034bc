//! Answers of Genesys' that say less than they should.

use std::time::Duration;

use jiff::SignedDuration;
use recording_archiver::domain::record::State;
use recording_archiver::sim::wire::{Fault, Service};
use serde_json::{Value, json};

use super::{change, first_look, first_looks, id, respond, several, state};
use crate::support::{Bench, CONVERSATION, RECORDING, SETTLING, invoke, job, sqs};
use crate::work::Work;

fn with_unreadable(readable: bool) -> Value {
    let good =
        json!({"id": RECORDING, "conversationId": CONVERSATION, "media": "audio", "fileState": "AVAILABLE"});
    let bad = json!({"id": "nonsense"});
    if readable {
        json!([good, bad])
    } else {
        json!([bad])
    }
}

/// An entry that cannot be read is one case, however often it is looked at.
#[tokio::test]
async fn an_unreadable_entry_is_one_case_however_many_looks() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[SETTLING]);
    change(&bench, |conversation| conversation.acw_open = true);
    bench.world.wire.disturb_next(
        Service::Genesys,
        "recordingmetadata",
        1000,
        respond(200, &with_unreadable(true)),
    );
    invoke(&handler, job()).await.unwrap();
    Work::of(&bench).run_dry(&handler).await;
    let codes = bench.codes();
    let rejected = codes.iter().filter(|code| **code == "rejected").count();
    assert_eq!(rejected, 1, "{codes:?}");
}

/// One answer of Genesys' is garbage; the recording is listed five minutes later.
#[tokio::test]
async fn a_list_of_nothing_readable_does_not_end_the_series() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[SETTLING]);
    bench.world.wire.disturb_next(
        Service::Genesys,
        "recordingmetadata",
        1,
        respond(200, &with_unreadable(false)),
    );
    invoke(&handler, job()).await.unwrap();
    Work::of(&bench).run_dry(&handler).await;
    assert_eq!(state(&bench, RECORDING).await, Some(State::Notified));
}

/// Genesys' details are down for hours: the next look is not lost with the message.
#[tokio::test]
async fn details_that_fail_do_not_end_the_series() {
    let bench = Bench::with_a_call().await;
    let handler = first_look(&bench).await;
    let mut work = Work::of(&bench);
    let look = work.waiting().remove(0);
    work.lose();
    bench.advance(Duration::from_secs(901));
    bench
        .world
        .wire
        .disturb_next(Service::Genesys, "details-one", 1000, Fault::status(503));
    // SQS gives it five times, then it is a dead letter.
    for _ in 0..5 {
        invoke(&handler, sqs([look.to_string()])).await.unwrap();
    }
    assert!(!work.waiting().is_empty(), "nobody looks again");
}

/// One id that Genesys does not know makes it answer 404 about a batch: the others are asked for alone.
#[tokio::test]
async fn a_404_about_a_batch_keeps_nobody_from_settling() {
    let bench = several(2).await;
    let handler = first_looks(&bench, 2).await;
    bench.world.wire.disturb_next(
        Service::Genesys,
        "details",
        1000,
        respond(404, &json!({"code": "not.found"})),
    );
    let begun = bench.clock.now();
    Work::of(&bench).run_dry(&handler).await;
    let took = bench.clock.now().duration_since(begun);
    assert!(took < SignedDuration::from_hours(2), "{took:?}");
}

/// ARCHITECTURE, Bounds: details past their bound, "details of a batch: each conversation is asked for alone".
#[tokio::test]
async fn details_of_a_batch_that_are_too_long_are_asked_for_alone() {
    let bench = several(2).await;
    let handler = first_looks(&bench, 2).await;
    let long = json!({"conversations": [{"participants": [{"purpose": "x".repeat(9 * 1024 * 1024)}]}]});
    bench
        .world
        .wire
        .disturb_next(Service::Genesys, "details", 1000, respond(200, &long));
    let mut work = Work::of(&bench);
    for _ in 0..5 {
        work.deliver(&handler).await;
    }
    for n in 0..2 {
        assert_eq!(bench.record(&id(n), "-").await.unwrap().state, State::Settled);
    }
}
