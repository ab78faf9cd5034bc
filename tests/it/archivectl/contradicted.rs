//! What somebody wrote into the ledger behind the audit's back: `reconcile` and `backfill` go by the audit.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use recording_archiver::sim::AUDIT_TABLE;
use recording_archiver::sim::genesys::{Conversation, Recording};
use recording_archiver::sim::wire::Service;
use serde_json::json;

use super::tampering::acts::{self, Act};
use super::{Folder, Ran, archivectl, items, put};
use crate::support::{Bench, CONVERSATION, RECORDING, SETTLING, call, invoke};
use crate::work::Work;

/// Returns an archived call of three days ago that is settled, and its day.
async fn settled() -> (Bench, String) {
    let start: Timestamp = Timestamp::now() - SignedDuration::from_hours(72);
    let mut conversation = Conversation::new(CONVERSATION).lasting(start, SignedDuration::from_mins(5));
    conversation.marked = Some(true);
    let bench = Bench::with(conversation.recording(Recording::audio(RECORDING, [call()]))).await;
    bench.world.genesys.set_job_looks(0);
    let handler = bench.handler(&[SETTLING]);
    invoke(&handler, json!({"conversationId": CONVERSATION}))
        .await
        .unwrap();
    Work::of(&bench).run_dry(&handler).await;
    assert_eq!(
        bench.record(CONVERSATION, "-").await.unwrap().state.as_str(),
        "settled"
    );
    (bench, start.strftime("%Y-%m-%d").to_string())
}

async fn run(bench: &Bench, command: &[&str], day: &str) -> Ran {
    let settles = super::command(
        bench,
        &[command, &["--json", "--from", day, "--to", day]].concat(),
    )
    .env(SETTLING.0, SETTLING.1)
    .spawn();
    super::end(settles.unwrap()).await
}

/// A tampering, and what it is called.
type Named = (&'static str, fn() -> Act);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_ledger_hides_is_found_and_not_sent() {
    let acts: [Named; 4] = [
        ("T1", || acts::gone(None)),
        ("T2", || acts::gone(Some("expired"))),
        ("T2c", || acts::gone(Some("skipped"))),
        ("T3", acts::failed_and_replaced),
    ];
    for (name, act) in acts {
        let (bench, day) = settled().await;
        let sent = bench.deferred().len();
        let ran = run(&bench, &["reconcile"], &day).await;
        assert_eq!(ran.code(), Some(0), "clean before {name}: {ran:?}");
        act()(&bench).await;

        let ran = run(&bench, &["reconcile", "--enqueue", "--rate", "1000000"], &day).await;
        assert_eq!(ran.code(), Some(1), "{name}: {ran:?}");
        let items = ran.items();
        assert_eq!(items[0]["reason"], "contradicted", "{name}: {items:?}");
        let cause = &items[0]["recordings"][0];
        assert_eq!(cause["recordingId"], RECORDING, "{name}: {items:?}");
        assert_eq!(cause["state"], "notified", "by the audit, {name}: {items:?}");
        assert!(
            cause["error"].as_str().unwrap().contains("ledger"),
            "{name}: {items:?}"
        );
        assert_eq!(ran.summary()["sent"], 0, "{name}");

        let folder = Folder::new();
        let checkpoint = folder.file("checkpoint");
        let ran = run(&bench, &["backfill", "--checkpoint", &checkpoint], &day).await;
        assert_eq!(ran.code(), Some(1), "{name}: {ran:?}");
        let summary = ran.summary();
        let counted = ["archived", "sent", "contradicted"].map(|figure| summary[figure].clone());
        assert_eq!(counted, [json!(0), json!(0), json!(1)], "{name}: {summary}");
        assert_eq!(ran.items()[0]["recordingId"], RECORDING, "{name}: {ran:?}");
        assert_eq!(
            bench.deferred().len(),
            sent,
            "{name}: what was sent would go by the ledger"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_names_another_recording_is_not_held_up() {
    let (bench, _) = settled().await;
    acts::gone(Some("skipped"))(&bench).await;
    let folder = Folder::new();
    let list = folder.file("list.csv");
    let other = "e0000000-0000-4000-8000-000000000199";
    std::fs::write(
        &list,
        format!("{CONVERSATION},{other}\n{CONVERSATION},{RECORDING}\n"),
    )
    .unwrap();
    let sent = bench.deferred().len();
    let ran = archivectl(&bench, &["backfill", "--json", "--ids", &list]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let jobs = bench.deferred();
    assert_eq!(jobs.len(), sent + 1, "{ran:?}");
    assert_eq!(jobs[sent].0["recordingId"], other);
    assert_eq!(ran.summary()["contradicted"], 1, "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_with_a_missing_event_is_a_contradiction() {
    let (bench, day) = settled().await;
    let mut events = items(&bench, AUDIT_TABLE).await;
    events.retain(|event| event["recordingId"].as_s().unwrap() == RECORDING);
    super::remove(&bench, &events[1]).await;
    let ran = run(&bench, &["reconcile"], &day).await;
    assert_eq!(ran.items()[0]["reason"], "contradicted", "{ran:?}");
    // Nor does an item that is no event pass.
    let mut event = events.swap_remove(1);
    event.insert("seq".to_owned(), AttributeValue::Bool(true));
    event.insert("action".to_owned(), AttributeValue::B(b"binary".to_vec().into()));
    put(&bench, AUDIT_TABLE, event).await;
    let ran = run(&bench, &["reconcile"], &day).await;
    assert_eq!(ran.items()[0]["reason"], "contradicted", "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_both_tables_agree_each_is_asked_once() {
    let (bench, day) = settled().await;
    let folder = Folder::new();
    // Of two weeks before the day, reconcile looks for an event in the index of days, and this archive has none.
    let index = 14 * 16;
    for (command, more) in [
        (&["reconcile"][..], index),
        (&["backfill", "--checkpoint", &folder.file("checkpoint")], 0),
    ] {
        bench.world.wire.forget();
        let ran = run(&bench, command, &day).await;
        assert_eq!(ran.code(), Some(0), "{ran:?}");
        let queries = bench.world.wire.count(Service::DynamoDb, "Query");
        assert_eq!(queries, 2 + more, "ledger and audit once each: {command:?}");
    }
}
