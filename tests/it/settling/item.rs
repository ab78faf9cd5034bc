//! The ledger's item of a conversation.

use std::time::Duration;

use jiff::SignedDuration;
use recording_archiver::archive::Run;
use recording_archiver::clock::{Deadline, Stop};
use recording_archiver::domain::audit::Actor;
use recording_archiver::domain::job::Job;
use recording_archiver::domain::record::State;
use recording_archiver::domain::recording::ConversationId;
use recording_archiver::genesys::Details;
use recording_archiver::sim::wire::{Exchange, Fault, Gate, Service};
use serde_json::json;

use super::{LATER, appears, change, first_look, refuse_messages, state};
use crate::support::{Bench, CONVERSATION, RECORDING, SETTLING, invoke, job, sqs};
use crate::work::Work;

/// Two runs take the same look; one sees one recording more. The other settles the conversation.
#[tokio::test]
async fn two_runs_of_one_look_that_list_different_things_do_not_settle_it() {
    let bench = Bench::with_a_call().await;
    let handler = first_look(&bench).await;
    Work::of(&bench).lose();
    bench.advance(Duration::from_secs(1000));
    let archiver = handler.archiver();
    let stop = Stop::default();
    let deadline = Deadline::new(Duration::from_secs(900), &stop);
    let mut look = Job::new(ConversationId::parse(CONVERSATION).unwrap());
    look.look = Some(2);
    look.first_seen = Some(bench.clock.now() - SignedDuration::from_secs(1000));
    let actor = Actor::default();
    let run = Run::new(&mut look, &actor, &deadline, bench.clock.now());
    let first = archiver.look(run).await;
    appears(&bench, LATER);
    let second = archiver.look(run).await;
    let details = Details::default();
    handler.conclude(run, first.taken.unwrap(), &details).await;
    handler.conclude(run, second.taken.unwrap(), &details).await;
    assert_eq!(state(&bench, "-").await, Some(State::Settling), "more was seen");
    Work::of(&bench).run_dry(&handler).await;
    let whole = bench.record(CONVERSATION, "-").await.unwrap();
    assert_eq!(state(&bench, LATER).await, Some(State::Notified));
    assert_eq!(
        whole.recordings,
        [RECORDING, LATER],
        "settled: the ids of all recordings seen"
    );
}

/// The one who settles loses the race against an event that is refused: it stays settled.
#[tokio::test]
async fn a_note_does_not_undo_what_is_settled() {
    let bench = Bench::with_a_call().await;
    let handler = first_look(&bench).await;
    let mut work = Work::of(&bench);
    // The event's run reads the ledger while the conversation is settling; its request to Genesys comes late.
    let gate = Gate::default();
    bench.world.wire.disturb_next(
        Service::Genesys,
        "recordingmetadata",
        1,
        Fault::Hold(gate.clone()),
    );
    let settle = async {
        let asked = |all: &[Exchange]| {
            all.iter()
                .filter(|one| one.operation == "recordingmetadata")
                .count()
        };
        bench.world.wire.wait_until(|all| asked(all) > 1).await;
        work.run_dry(&handler).await;
        assert_eq!(state(&bench, "-").await, Some(State::Settled));
        change(&bench, |conversation| {
            conversation.denied = Some("missing.any.permissions".to_owned());
        });
        gate.open();
    };
    let (_, ()) = tokio::join!(invoke(&handler, job()), settle);
    assert_eq!(state(&bench, "-").await, Some(State::Settled));
}

/// A look begins, and what follows cannot be sent: the ledger holds a state that no audit event tells of.
#[tokio::test]
async fn no_state_without_an_audit_event() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[SETTLING]);
    refuse_messages(&bench);
    let look = json!({"conversationId": CONVERSATION, "look": 2});
    invoke(&handler, sqs([look.to_string()])).await.unwrap();
    let record = bench.record(CONVERSATION, "-").await;
    let events = bench.audit_unverified(CONVERSATION, "-").await;
    assert_eq!(record.is_some(), !events.is_empty(), "{record:?}");
}

/// What a joining event archived and is gone by the next look is among "all recordings seen".
#[tokio::test]
async fn all_recordings_seen_holds_what_a_joining_event_saw() {
    let bench = Bench::with_a_call().await;
    let handler = first_look(&bench).await;
    bench.advance(Duration::from_secs(60));
    appears(&bench, LATER);
    invoke(&handler, job()).await.unwrap();
    assert_eq!(state(&bench, LATER).await, Some(State::Notified));
    change(&bench, |conversation| {
        conversation.recordings.pop();
    });
    Work::of(&bench).run_dry(&handler).await;
    let whole = bench.record(CONVERSATION, "-").await.unwrap();
    assert_eq!(whole.recordings, [RECORDING, LATER]);
}

/// The message of a look is lost among the dead letters. No event follows; what appeared meanwhile is never found.
#[tokio::test]
async fn the_exception_of_an_open_conversation_leaves_what_that_look_found_in_the_item() {
    let bench = Bench::with_a_call().await;
    change(&bench, |conversation| conversation.acw_open = true);
    let handler = first_look(&bench).await;
    let mut work = Work::of(&bench);
    while bench.record(CONVERSATION, "-").await.unwrap().looks < 8 {
        work.deliver(&handler).await;
    }
    appears(&bench, LATER);
    work.run_dry(&handler).await;
    assert_eq!(bench.exceptions().len(), 1);
    assert_eq!(state(&bench, LATER).await, Some(State::Notified));
    let whole = bench.record(CONVERSATION, "-").await.unwrap();
    assert_eq!(
        whole.recordings,
        [RECORDING, LATER],
        "all that were ever listed (README)"
    );
}
