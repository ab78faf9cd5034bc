//! The catalog made again: of some days, for another country, and what it leaves out.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use recording_archiver::domain::record::State;
use recording_archiver::sim::genesys::{Conversation, Media, Recording};
use recording_archiver::sim::wire::{Exchange, Fault, Gate};
use recording_archiver::sim::{CATALOG_TABLE, LEDGER_TABLE};
use serde_json::{Value, json};
use tokio::process::Child;

use super::described::SOON;
use super::{Folder, Ran, archivectl, command, end};
use crate::calls::{CALL, DESCRIBING};
use crate::support::{Bench, CONVERSATION, RECORDING, invoke};
use crate::work::Work;

/// Returns the archive of a settled call of 2026-01-15 from a number in national form.
async fn archive() -> Bench {
    let recording = Recording::audio(RECORDING, [Media::generated_wav(2_000, 1)]);
    let mut call = Conversation::new(CONVERSATION).recording(recording);
    let session = json!({"mediaType": "voice", "direction": "inbound", "recording": true, "ani": "tel:030123456",
                         "segments": [{"segmentType": "interact", "segmentEnd": "2026-01-15T10:20:30Z"}]});
    call.participants = Some(json!([{"purpose": "customer", "sessions": [session]}]));
    let bench = Bench::with(call).await;
    let handler = bench.handler(&SOON);
    invoke(&handler, json!({"conversationId": CONVERSATION}))
        .await
        .unwrap();
    Work::of(&bench).run_dry(&handler).await;
    bench
}

/// Runs a command for a stack in a country.
async fn run_in(bench: &Bench, country: &str, arguments: &[&str]) -> Ran {
    let mut command = command(bench, &[arguments, &["--json"]].concat());
    command.env("NUMBER_COUNTRY", country);
    end(command.spawn().unwrap()).await
}

fn told<const N: usize>(ran: &Ran, names: [&str; N]) -> [Value; N] {
    names.map(|name| ran.summary()[name].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_for_another_country_leaves_no_item_of_the_former_one() {
    let bench = archive().await;
    let names = ["described", "items", "removed", "national"];
    let rebuild = ["catalog", "rebuild"];
    let text = archivectl(&bench, &rebuild).await;
    assert_eq!(text.code(), Some(0), "{text:?}");
    assert!(
        text.stdout
            .contains("1 number in national form left out: set NUMBER_COUNTRY"),
        "{text:?}"
    );
    let german = run_in(&bench, "DE", &rebuild).await;
    let items = german.summary()["items"].as_u64().unwrap();
    // The item that counted the call among those with a number that is left out.
    assert_eq!(told(&german, names), [json!(1), json!(items), json!(1), json!(0)]);
    let austrian = run_in(&bench, "AT", &rebuild).await;
    assert_eq!(
        told(&austrian, names),
        [json!(1), json!(items), json!(1), json!(0)]
    );
    for (number, code) in [("+4930123456", 3), ("+4330123456", 0)] {
        let find = [
            "find",
            "--from",
            "2026-01-15",
            "--to",
            "2026-01-15",
            "--number",
            number,
        ];
        let ran = archivectl(&bench, &find).await;
        assert_eq!(ran.code(), Some(code), "{number}: {ran:?}");
    }
    // To do it again changes nothing.
    let again = run_in(&bench, "AT", &rebuild).await;
    assert_eq!(told(&again, names), [json!(1), json!(items), json!(0), json!(0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_of_calls_are_rebuilt_alone_and_a_call_without_a_record_is_no_success() {
    let bench = archive().await;
    for (from, to, described, code) in [
        ("2026-01-14", "2026-01-16", 1, 0),
        ("2026-01-10", "2026-01-11", 0, 3),
    ] {
        let ran = archivectl(
            &bench,
            &["catalog", "rebuild", "--json", "--from", from, "--to", to],
        )
        .await;
        assert_eq!(ran.code(), Some(code), "{ran:?}");
        assert_eq!(ran.summary()["described"], described);
    }
    let undescribed = Bench::with_a_call().await;
    undescribed.archive().await;
    let ran = archivectl(&undescribed, &["catalog", "rebuild", "--json"]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert_eq!(
        told(
            &ran,
            ["described", "undescribed", "settling", "undescribedConversations"]
        ),
        [json!(0), json!(1), json!(0), json!([CONVERSATION])]
    );
    let text = archivectl(&undescribed, &["catalog", "rebuild"]).await.stdout;
    assert!(
        text.contains("reconcile --enqueue") && text.contains(CONVERSATION),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_on_this_machine_describes_what_it_archives() {
    for (ended, state, looks) in [
        ("2026-01-15T10:20:30Z", State::Settled, 2),
        ("today", State::Settling, 1),
    ] {
        let bench = Bench::with_a_call().await;
        if ended == "today" {
            let start = bench.clock.now() - SignedDuration::from_hours(1);
            bench.world.genesys.conversation(CONVERSATION, |conversation| {
                let mut recording = Recording::audio(RECORDING, [Media::generated_wav(2_000, 1)]);
                recording.start = start;
                let moved = Conversation::new(CONVERSATION).lasting(start, SignedDuration::from_mins(5));
                *conversation = moved.recording(recording);
            });
        }
        let folder = Folder::new();
        let list = folder.file("list.csv");
        std::fs::write(&list, CONVERSATION).unwrap();
        let mut backfill = command(&bench, &["backfill", "--local", "--ids", &list, "--json"]);
        backfill.envs([("SETTLE_SECONDS", "900"), ("CALL_RECORD", "standard")]);
        let ran = end(backfill.spawn().unwrap()).await;
        assert_eq!(ran.code(), Some(0), "{ran:?}");
        let whole = bench.record(CONVERSATION, "-").await.unwrap();
        assert_eq!((whole.state, whole.looks), (state, looks), "{ended}");
        assert_eq!(bench.object(CALL).await.is_some(), state == State::Settled);
        // The function takes the look that is left, and drops the one that was taken.
        Work::of(&bench).run_dry(&bench.handler(&DESCRIBING)).await;
        let whole = bench.record(CONVERSATION, "-").await.unwrap();
        assert_eq!((whole.state, whole.files.len()), (State::Settled, 1), "{ended}");
        let day = whole_day(&bench).await;
        let ran = archivectl(&bench, &["find", "--from", &day, "--to", &day, "--json"]).await;
        assert_eq!(ran.summary()["found"], 1, "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_on_this_machine_whose_look_cannot_read_the_ledger_is_no_success() {
    let bench = Bench::with_a_call().await;
    let folder = Folder::new();
    let list = folder.file("list.csv");
    std::fs::write(&list, CONVERSATION).unwrap();
    let mut queries = 0;
    bench.world.wire.disturb(move |exchange| {
        queries += usize::from(exchange.operation == "Query");
        // Two each before the archiving and before the look.
        (exchange.operation == "Query" && queries == 5).then(|| Fault::status(403))
    });
    let mut backfill = command(&bench, &["backfill", "--local", "--ids", &list, "--json"]);
    backfill.envs([("SETTLE_SECONDS", "900"), ("CALL_RECORD", "standard")]);
    let ran = end(backfill.spawn().unwrap()).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert_eq!(ran.summary()["refused"], 1, "{ran:?}");
    let items = ran.items();
    let looked = items.iter().find(|item| item["recordingId"] == "-").unwrap();
    assert_eq!(looked["outcome"], "retry");
}

/// Changes attributes of the ledger's record of the conversation as a whole.
async fn set(bench: &Bench, change: &str, values: &[(&str, AttributeValue)]) {
    let update = bench.world.aws.dynamodb().update_item().table_name(LEDGER_TABLE);
    let mut update = update
        .key("interactionId", text(CONVERSATION))
        .key("recordingId", text("-"))
        .update_expression(change);
    for (name, value) in values {
        update = update.expression_attribute_values(*name, value.clone());
    }
    update.send().await.unwrap();
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_looks_go_on_is_settling_and_one_whose_looks_were_lost_is_undescribed() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[("SETTLE_SECONDS", "900"), ("CALL_RECORD", "standard")]);
    invoke(&handler, json!({"conversationId": CONVERSATION}))
        .await
        .unwrap();
    let rebuild = ["catalog", "rebuild", "--json"];
    let names = ["described", "undescribed", "settling", "items"];
    let ran = archivectl(&bench, &rebuild).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert_eq!(told(&ran, names), [json!(0), json!(0), json!(1), json!(0)]);
    for (change, values) in [
        (
            "SET nextLookAt = :at",
            &[(":at", text("2026-01-16T08:00:00Z"))][..],
        ),
        ("REMOVE nextLookAt", &[]),
    ] {
        set(&bench, change, values).await;
        let ran = archivectl(&bench, &rebuild).await;
        assert_eq!(ran.code(), Some(1), "{change}: {ran:?}");
        assert_eq!(told(&ran, names), [json!(0), json!(1), json!(0), json!(0)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_came_after_the_last_call_record_is_undescribed() {
    let bench = archive().await;
    let later = "e0000000-0000-4000-8000-0000000000ff";
    bench.world.genesys.conversation(CONVERSATION, |conversation| {
        let recording = Recording::audio(later, [Media::generated_wav(2_000, 1)]);
        *conversation = conversation.clone().recording(recording);
    });
    let job = json!({"conversationId": CONVERSATION, "recordingId": later});
    invoke(&bench.handler(&SOON), job).await.unwrap();
    let ran = archivectl(&bench, &["catalog", "rebuild", "--json"]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let names = ["described", "undescribed", "settling", "undescribedConversations"];
    assert_eq!(
        told(&ran, names),
        [json!(0), json!(1), json!(0), json!([CONVERSATION])]
    );
    assert!(
        ran.summary()["items"].as_u64().unwrap() > 0,
        "what is described is found"
    );
}

/// A write to the catalog.
const WRITE: &str = "BatchWriteItem";

/// Begins a rebuild whose first request of this operation waits at the gate.
async fn held_rebuild(bench: &Bench, operation: &'static str, gate: &Gate) -> Child {
    let (held, mut requests) = (gate.clone(), 0);
    let wire = &bench.world.wire;
    wire.forget();
    wire.disturb(move |exchange| {
        requests += usize::from(exchange.operation == operation);
        (exchange.operation == operation && requests == 1).then(|| Fault::Hold(held.clone()))
    });
    let rebuilding = command(bench, &["catalog", "rebuild", "--json"]).spawn().unwrap();
    let asked = |exchange: &Exchange| exchange.operation == operation;
    wire.wait_until(|exchanges| exchanges.iter().any(asked)).await;
    rebuilding
}

/// Returns the keys of the catalog's items of calls.
async fn items_of_calls(bench: &Bench) -> BTreeSet<(String, String)> {
    let scan = bench.world.aws.dynamodb().scan().table_name(CATALOG_TABLE);
    let items = scan.send().await.unwrap().items.unwrap_or_default();
    let text = |item: &super::Item, name: &str| item[name].as_s().unwrap().clone();
    let of_calls = items.iter().filter(|item| item.contains_key("interactionId"));
    of_calls
        .map(|item| (text(item, "facet"), text(item, "at")))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_erased_while_a_rebuild_puts_it_does_not_come_back() {
    let bench = archive().await;
    let gate = Gate::default();
    let rebuilding = held_rebuild(&bench, WRITE, &gate).await;
    let erase = ["erase", CONVERSATION, "--reason", "request 4711", "--yes"];
    let erased = archivectl(&bench, &erase).await;
    assert_eq!(erased.code(), Some(0), "{erased:?}");
    gate.open();
    let ran = end(rebuilding).await;
    assert_eq!(
        (ran.code(), &ran.summary()["items"]),
        (Some(0), &json!(0)),
        "{ran:?}"
    );
    assert_eq!(items_of_calls(&bench).await, BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_described_anew_while_a_rebuild_puts_it_stays_as_it_was_described() {
    let bench = Bench::with_a_call().await;
    // By its details the call began before its recording.
    bench.world.genesys.conversation(CONVERSATION, |conversation| {
        conversation.start -= SignedDuration::from_mins(3);
    });
    bench.world.genesys.deny_analytics(true);
    let settle = async |job: Value| {
        let handler = bench.handler(&DESCRIBING);
        invoke(&handler, job).await.unwrap();
        Work::of(&bench).run_dry(&handler).await;
    };
    settle(json!({"conversationId": CONVERSATION})).await;
    let by_listing = items_of_calls(&bench).await;
    let gate = Gate::default();
    let rebuilding = held_rebuild(&bench, WRITE, &gate).await;
    bench.world.genesys.deny_analytics(false);
    settle(json!({"conversationId": CONVERSATION, "recheck": true})).await;
    let by_details = items_of_calls(&bench).await;
    assert!(by_details.is_disjoint(&by_listing), "{by_details:?}");
    gate.open();
    let ran = end(rebuilding).await;
    assert_eq!(
        (ran.code(), &ran.summary()["described"]),
        (Some(0), &json!(1)),
        "{ran:?}"
    );
    assert_eq!(items_of_calls(&bench).await, by_details);
}

/// Returns the file of a call record that no run has made visible.
fn unseen() -> AttributeValue {
    let file = [
        ("archiveKey", "s3://calls/call-2.json"),
        ("sha256", ""),
        ("format", "json"),
        ("attemptId", "a0000000-0000-4000-8000-000000000001"),
    ];
    let size = ("sizeBytes".to_owned(), AttributeValue::N("2".to_owned()));
    let file = file.map(|(name, value)| (name.to_owned(), text(value)));
    AttributeValue::M(file.into_iter().chain([size]).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_describes_a_call_is_noticed_however_long_ago_the_rebuild_began() {
    let bench = archive().await;
    let gate = Gate::default();
    let rebuilding = held_rebuild(&bench, WRITE, &gate).await;
    // The clocks of a run and of a rebuild may be 15 minutes apart. To one that began before this line, the run is
    // further ahead; to one that looks at its clock after it, no more than that.
    let written = Timestamp::now() + SignedDuration::from_mins(15);
    let values = [
        (":at", text(&written.to_string())),
        (":files", AttributeValue::L(vec![unseen()])),
    ];
    set(&bench, "SET updatedAt = :at, describing = :files", &values).await;
    gate.open();
    let ran = end(rebuilding).await;
    let names = ["described", "undescribed", "settling"];
    assert_eq!(told(&ran, names), [json!(0), json!(0), json!(1)], "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_became_overdue_while_a_rebuild_ran_is_lost() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&DESCRIBING);
    let job = json!({"conversationId": CONVERSATION});
    invoke(&handler, job).await.unwrap();
    let gate = Gate::default();
    let rebuilding = held_rebuild(&bench, "Scan", &gate).await;
    // A look counts as lost an hour after it was due.
    let due = Timestamp::now() - SignedDuration::from_hours(1);
    let values = [(":at", text(&due.to_string()))];
    set(&bench, "SET nextLookAt = :at", &values).await;
    gate.open();
    let ran = end(rebuilding).await;
    let names = ["described", "undescribed", "settling"];
    assert_eq!(told(&ran, names), [json!(0), json!(1), json!(0)], "{ran:?}");
}

/// Returns the UTC day on which the call of [`CONVERSATION`] began.
async fn whole_day(bench: &Bench) -> String {
    let call = bench.object(CALL).await.unwrap().bytes;
    let call: Value = serde_json::from_slice(&call).unwrap();
    call["details"]["conversationStart"].as_str().unwrap()[..10].to_owned()
}
