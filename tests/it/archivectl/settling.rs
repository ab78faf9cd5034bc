//! Settled conversations, and others, in the operators' command line.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use recording_archiver::domain::record::State;
use recording_archiver::sim::LEDGER_TABLE;
use recording_archiver::sim::genesys::{Conversation, Recording};
use recording_archiver::sim::wire::{Fault, Service};
use serde_json::{Value, json};

use super::{Folder, Ran, command, end};
use crate::support::{Bench, SETTLING, call, invoke};
use crate::work::Work;

const SETTLED: usize = 1;
const ARCHIVED: usize = 2;
const UNRECORDED: usize = 3;

fn conversation(number: usize) -> String {
    format!("c0000000-0000-4000-8000-{number:012x}")
}

fn recording(number: usize) -> String {
    format!("e0000000-0000-4000-8000-{number:012x}")
}

fn call_at(number: usize, start: Timestamp) -> Conversation {
    let mut conversation =
        Conversation::new(conversation(number)).lasting(start, SignedDuration::from_mins(5));
    conversation.marked = Some(true);
    conversation.recording(Recording::audio(recording(number), [call()]))
}

/// Returns a settled conversation, one that was archived without settling, and one that ended without a recording.
async fn one_of_each(start: Timestamp) -> Bench {
    let bench = Bench::new().await;
    let genesys = &bench.world.genesys;
    genesys.set_job_looks(0);
    genesys.add(call_at(SETTLED, start));
    genesys.add(call_at(ARCHIVED, start));
    let mut unrecorded = call_at(UNRECORDED, start);
    unrecorded.recordings.clear();
    unrecorded.marked = Some(false);
    genesys.add(unrecorded);
    let handler = bench.handler(&[SETTLING]);
    for number in [SETTLED, UNRECORDED] {
        invoke(&handler, json!({"conversationId": conversation(number)}))
            .await
            .unwrap();
    }
    Work::of(&bench).run_dry(&handler).await;
    bench
        .invoke(json!({"conversationId": conversation(ARCHIVED)}))
        .await
        .unwrap();
    let state = |record: recording_archiver::domain::record::Record| record.state;
    assert_eq!(
        bench.record(&conversation(SETTLED), "-").await.map(state),
        Some(State::Settled)
    );
    assert_eq!(
        bench.record(&conversation(UNRECORDED), "-").await.map(state),
        Some(State::Unrecorded)
    );
    bench
}

async fn run(bench: &Bench, arguments: &[&str]) -> Ran {
    let mut command = command(bench, arguments);
    // As the function of these tests is configured.
    command.env(SETTLING.0, SETTLING.1).env("CALL_RECORD", "off");
    end(command.spawn().unwrap()).await
}

fn long_ago() -> Timestamp {
    "2026-10-05T08:00:00Z".parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_sends_what_is_archived_and_not_settled_once_more() {
    let bench = one_of_each(long_ago()).await;
    let before = bench.deferred().len();
    let folder = Folder::new();
    let list = folder.file("ids.csv");
    let ids = [SETTLED, ARCHIVED, UNRECORDED].map(conversation).join("\n");
    std::fs::write(&list, format!("conversationId\n{ids}\n")).unwrap();
    let ran = run(&bench, &["backfill", "--json", "--ids", &list, "--rate", "6000"]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let summary = ran.summary();
    assert_eq!(
        (&summary["archived"], &summary["sent"]),
        (&json!(1), &json!(2)),
        "nobody asked analytics about the one without a recording: {summary}"
    );
    let (empty, _) = bench.deferred().remove(before + 1);
    assert_eq!(
        (&empty["conversationId"], &empty["recheck"]),
        (&json!(conversation(UNRECORDED)), &json!(true))
    );
    let (job, _) = bench.deferred().remove(before);
    assert_eq!(
        (&job["conversationId"], &job["recheck"]),
        (&json!(conversation(ARCHIVED)), &Value::Null)
    );
    bench.world.wire.forget();
    let handler = bench.handler(&[SETTLING]);
    let summary = invoke(&handler, job).await.unwrap();
    assert_eq!(summary["results"][0]["outcome"], "already_archived");
    assert_eq!(bench.genesys_requests(), 1, "it is cheap");
}

/// Returns the reason of each finding, by its conversation.
fn reasons(ran: &Ran) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = ran.items().into_iter();
    items
        .map(|item| (text(&item["interactionId"]), text(&item["reason"])))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconcile_finds_what_is_not_settled_and_sends_it_to_be_looked_at_again() {
    let bench = one_of_each(long_ago()).await;
    // Analytics say that a recording was started, and the function settled it without one.
    let mut marked = call_at(UNRECORDED, long_ago());
    marked.recordings.clear();
    bench.world.genesys.add(marked);
    let days = [
        "--json",
        "--from",
        "2026-10-05",
        "--to",
        "2026-10-05",
        "--rate",
        "1000000",
    ];
    let ran = run(&bench, &[&["reconcile", "--enqueue"], &days[..]].concat()).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert_eq!(
        reasons(&ran),
        [
            (conversation(ARCHIVED), "unsettled".to_owned()),
            (conversation(UNRECORDED), "nothing_found".to_owned())
        ]
        .into()
    );
    assert_eq!(
        ran.summary()["reasons"],
        json!({"archived": 1, "unsettled": 1, "nothing_found": 1})
    );
    let items = ran.items();
    let unsettled = items.iter().find(|item| item["reason"] == "unsettled").unwrap();
    let cause = &unsettled["recordings"][0];
    assert_eq!(
        (&cause["recordingId"], &cause["state"]),
        (&json!("-"), &json!("never_listed"))
    );
    let why = cause["error"].as_str().unwrap();
    assert!(
        why.starts_with("it was archived by a job for one recording"),
        "{why}"
    );
    let sent: Vec<_> = bench
        .deferred()
        .into_iter()
        .rev()
        .take(2)
        .map(|(job, _)| job)
        .collect();
    assert!(sent.iter().all(|job| job["recheck"] == true), "{sent:?}");

    let ran = run(&bench, &[&["reconcile", "--recordings"], &days[..]].concat()).await;
    assert_eq!(
        ran.summary()["reasons"],
        json!({"archived": 2, "nothing_found": 1}),
        "the recordings of one are all there, and of the other none is listed"
    );

    let mut work = Work::of(&bench);
    work.lose();
    sent.iter().for_each(|job| work.send(job));
    work.run_dry(&bench.handler(&[SETTLING])).await;
    let ran = run(&bench, &[&["reconcile"], &days[..]].concat()).await;
    assert_eq!(
        ran.summary()["reasons"],
        json!({"archived": 2, "failed": 1}),
        "it was never ready, and that is a case for people"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_still_settle_is_no_finding() {
    let bench = Bench::new().await;
    let now = bench.clock.now();
    bench.world.genesys.set_job_looks(0);
    bench
        .world
        .genesys
        .add(call_at(SETTLED, now - SignedDuration::from_mins(10)));
    let handler = bench.handler(&[SETTLING]);
    invoke(&handler, json!({"conversationId": conversation(SETTLED)}))
        .await
        .unwrap();
    let [from, to] =
        [now - SignedDuration::from_mins(10), now].map(|time| time.strftime("%Y-%m-%d").to_string());
    let ran = run(&bench, &["reconcile", "--json", "--from", &from, "--to", &to]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert_eq!(ran.summary()["reasons"], json!({"settling": 1}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_is_to_come_settles_and_one_that_was_lost_does_not() {
    let bench = Bench::new().await;
    bench.world.genesys.set_job_looks(0);
    bench.world.genesys.add(call_at(SETTLED, long_ago()));
    let handler = bench.handler(&[SETTLING]);
    invoke(&handler, json!({"conversationId": conversation(SETTLED)}))
        .await
        .unwrap();
    let days = on_that_day(&["reconcile"]);
    let ran = run(&bench, &days).await;
    assert_eq!(ran.code(), Some(0), "the next look waits in the queue: {ran:?}");
    assert_eq!(ran.summary()["reasons"], json!({"settling": 1}));
    let lost = bench.world.aws.dynamodb().update_item().table_name(LEDGER_TABLE);
    let text = |value: &str| AttributeValue::S(value.to_owned());
    lost.key("interactionId", text(&conversation(SETTLED)))
        .key("recordingId", text("-"))
        .update_expression("SET nextLookAt = :at")
        .expression_attribute_values(":at", text("2026-10-06T08:00:00Z"))
        .send()
        .await
        .unwrap();
    let ran = run(&bench, &days).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let why = ran.items()[0]["recordings"][0]["error"].clone();
    assert_eq!(
        why,
        "look 2 was due at 2026-10-06T08:00:00Z and was not taken: its message is lost, or lies in a dead-letter queue"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_cannot_be_read_is_told_while_its_looks_go_on() {
    let bench = Bench::new().await;
    bench.world.genesys.set_job_looks(0);
    bench.world.genesys.add(call_at(SETTLED, long_ago()));
    let garbled = json!([{"id": "nonsense"}]).to_string();
    let answer = Fault::Respond {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: garbled.into(),
    };
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Genesys, "recordingmetadata", 1, answer);
    invoke(
        &bench.handler(&[SETTLING]),
        json!({"conversationId": conversation(SETTLED)}),
    )
    .await
    .unwrap();
    let ran = run(&bench, &on_that_day(&["reconcile"])).await;
    assert_eq!(ran.code(), Some(0), "looks go on: {ran:?}");
    let item = &ran.items()[0];
    assert_eq!(item["reason"], "settling");
    let why = item["recordings"][0]["error"].as_str().unwrap();
    for expected in [
        "1 entry unreadable",
        "READINESS_DEADLINE_MINUTES",
        "look 2 is due at",
    ] {
        assert!(why.contains(expected), "{expected}: {why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_of_open_after_call_work_is_sent_to_be_looked_at_again() {
    let mut conversation = call_at(SETTLED, long_ago());
    conversation.acw_open = true;
    let bench = Bench::with(conversation).await;
    let handler = bench.handler(&[SETTLING]);
    invoke(&handler, json!({"conversationId": self::conversation(SETTLED)}))
        .await
        .unwrap();
    let mut work = Work::of(&bench);
    work.run_dry(&handler).await;
    assert_eq!(bench.exceptions()[0]["code"], "after_call_work_open");
    let ran = run(&bench, &["redrive", "--json", "--code", "after_call_work_open"]).await;
    assert_eq!(
        (ran.code(), &ran.summary()["sent"]),
        (Some(0), &json!(1)),
        "{ran:?}"
    );
    let again = work.waiting();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0]["recheck"], true);
    let ended = |conversation: &mut Conversation| conversation.acw_open = false;
    bench
        .world
        .genesys
        .conversation(&self::conversation(SETTLED), ended)
        .unwrap();
    work.run_dry(&handler).await;
    let whole = bench.record(&self::conversation(SETTLED), "-").await.unwrap();
    assert_eq!(whole.state, State::Settled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chain_of_custody_tells_each_look_and_what_settled_the_conversation() {
    let bench = one_of_each(long_ago()).await;
    let ran = run(&bench, &["audit", &conversation(SETTLED)]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    for expected in [
        "conversation.listed",
        "conversation.settled",
        "next look",
        "settled by",
        "details",
        &recording(SETTLED),
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
}

/// Returns the arguments of a command about the day of `long_ago`.
fn on_that_day<'a>(command: &[&'a str]) -> Vec<&'a str> {
    let days = [
        "--json",
        "--rate",
        "6000",
        "--from",
        "2026-10-05",
        "--to",
        "2026-10-05",
    ];
    [command, &days].concat()
}

/// Asserts that a recording is found and archived which Genesys has now, after its conversation settled without one.
async fn finds_and_archives(bench: &Bench, number: usize) {
    let only = [conversation(number)];
    let found = |ran: &Ran, reason: &str| {
        let reason = reason.to_owned();
        assert_eq!(reasons(ran).get(&only[0]), Some(&reason), "{ran:?}");
    };
    let ran = run(bench, &on_that_day(&["reconcile"])).await;
    found(&ran, "nothing_found");
    let ran = run(bench, &on_that_day(&["reconcile", "--recordings"])).await;
    found(&ran, "never_seen");

    let mut work = Work::of(bench);
    let folder = Folder::new();
    let checkpoint = folder.file("checkpoint");
    for command in [
        &["reconcile", "--enqueue"][..],
        &["backfill", "--checkpoint", &checkpoint],
    ] {
        work.lose();
        let ran = run(bench, &on_that_day(command)).await;
        let jobs = work.waiting();
        let job = jobs.iter().find(|job| job["conversationId"] == only[0].as_str());
        assert_eq!(job.expect("it is sent")["recheck"], true, "{ran:?}");
    }
    work.run_dry(&bench.handler(&[SETTLING])).await;
    assert_eq!(
        bench.record(&only[0], &recording(number)).await.unwrap().state,
        State::Notified
    );
    let ran = run(bench, &on_that_day(&["reconcile"])).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_unrecorded_and_analytics_now_call_recorded_is_found_and_archived() {
    let bench = one_of_each(long_ago()).await;
    bench.world.genesys.add(call_at(UNRECORDED, long_ago()));
    finds_and_archives(&bench, UNRECORDED).await;
}

/// Without the permission an empty list settles after a day; the permission comes, and the recording.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_empty_list_settled_is_not_archived() {
    let bench = Bench::new().await;
    bench.world.genesys.set_job_looks(0);
    let mut empty = call_at(SETTLED, long_ago());
    empty.recordings.clear();
    bench.world.genesys.add(empty);
    bench.world.genesys.deny_analytics(true);
    let handler = bench.handler(&[SETTLING]);
    invoke(&handler, json!({"conversationId": conversation(SETTLED)}))
        .await
        .unwrap();
    Work::of(&bench).run_dry(&handler).await;
    let whole = bench.record(&conversation(SETTLED), "-").await.unwrap();
    assert_eq!(whole.settled_by.as_deref(), Some("listing"));
    bench.world.genesys.deny_analytics(false);
    bench.world.genesys.add(call_at(SETTLED, long_ago()));
    finds_and_archives(&bench, SETTLED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_analytics_call_unrecorded_is_neither_found_nor_sent() {
    let bench = one_of_each(long_ago()).await;
    let ran = run(&bench, &on_that_day(&["reconcile"])).await;
    assert_eq!(ran.summary()["reasons"], json!({"archived": 1, "unsettled": 1}));
    let ran = run(&bench, &on_that_day(&["backfill", "--dry-run"])).await;
    let summary = ran.summary();
    assert_eq!(
        (&summary["unrecorded"], &summary["archived"], &summary["sent"]),
        (&json!(1), &json!(1), &json!(1))
    );
}
