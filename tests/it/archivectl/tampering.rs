//! What somebody with every right on bucket and tables does to an archive, over plain SDK calls, and what `verify`
//! finds.
//!
//! T7, a call's whole history rewritten consistently, and T10, a conversation removed everywhere, are found by the
//! transparency log alone; `log::rewritten` has more of both. A legal hold that somebody sets and lifts is found by
//! nothing: the archiver sets none, so the audit knows of none.

pub(super) mod acts;

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use recording_archiver::sim::genesys::{Conversation, Recording};
use recording_archiver::sim::wire::{Fault, Service};
use serde_json::json;

use super::archivectl;
use super::log::rewritten;
use crate::sealer::{deliver, sign};
use crate::support::{Bench, CONVERSATION, call, invoke};
use acts::Act;

/// A call with a file for each of two channels.
const SPLIT: &str = "c0000000-0000-4000-8000-000000000002";
const SPLIT_RECORDING: &str = "e0000000-0000-4000-8000-000000000201";

/// One tampering, and the findings that it has to have at least.
struct Tampering {
    name: &'static str,
    act: fn() -> Act,
    found: &'static [&'static str],
}

const fn tampering(name: &'static str, act: fn() -> Act, found: &'static [&'static str]) -> Tampering {
    Tampering { name, act, found }
}

const TABLE: [Tampering; 26] = [
    tampering(
        "T1 ledger item and object deleted",
        || acts::gone(None),
        &["ledger_differs", "object_missing"],
    ),
    tampering(
        "T2 state expired, object deleted",
        || acts::gone(Some("expired")),
        &["ledger_differs", "object_missing"],
    ),
    tampering(
        "T2c state skipped, object deleted",
        || acts::gone(Some("skipped")),
        &["ledger_differs", "object_missing"],
    ),
    tampering(
        "T3 state failed, bytes replaced",
        acts::failed_and_replaced,
        &["ledger_differs", "object_changed"],
    ),
    tampering(
        "T4 days moved, bytes replaced",
        acts::moved_and_replaced,
        &["ledger_differs", "object_changed"],
    ),
    tampering("T5 metadata changed", acts::metadata, &["object_foreign"]),
    tampering("T5 metadata added", acts::more_metadata, &["object_foreign"]),
    tampering(
        "T5 content type changed",
        acts::content_type,
        &["object_attributes"],
    ),
    tampering(
        "T5 compliance tag changed",
        acts::compliance_tag,
        &["tag_differs"],
    ),
    tampering("T5 tag added", acts::more_tags, &["tag_differs"]),
    tampering(
        "T6 planted, in formerFiles",
        acts::planted,
        &["ledger_differs", "object_unrecorded"],
    ),
    tampering(
        "T7 history rewritten consistently",
        || Box::new(|bench| Box::pin(rewritten::rewrite(bench, 7))),
        &["sealed_event_missing"],
    ),
    tampering(
        "T10 a conversation removed everywhere",
        || Box::new(|bench| Box::pin(rewritten::remove(bench))),
        &["sealed_event_missing"],
    ),
    tampering(
        "T8 times go backwards",
        || acts::retimed(|at, seq| at - acts::HOUR * seq),
        &["time_implausible"],
    ),
    tampering(
        "T8 times in the future",
        || acts::retimed(|at, _| at + acts::HOUR * 48),
        &["time_implausible"],
    ),
    tampering(
        "T8 ledger in the future",
        acts::ledger_in_the_future,
        &["ledger_differs"],
    ),
    tampering("T9 lock shortened", || acts::lock(Some(1)), &["lock_shortened"]),
    tampering("T9 lock lifted", || acts::lock(None), &["lock_shortened"]),
    tampering(
        "T9 storage class changed",
        acts::storage_class,
        &["object_replaced", "object_attributes"],
    ),
    tampering(
        "T9 encryption key changed",
        acts::encryption,
        &["object_replaced", "object_attributes"],
    ),
    tampering(
        "T9 object moved to another key",
        acts::moved,
        &["object_missing", "object_unrecorded"],
    ),
    tampering(
        "T9 version above",
        acts::version_above,
        &["object_replaced", "object_changed"],
    ),
    tampering("T9 versions below", acts::versions_below, &["object_replaced"]),
    tampering("T9 delete marker", acts::delete_marker, &["object_missing"]),
    tampering(
        "T9 delete marker and new object",
        acts::deleted_and_put,
        &["object_replaced"],
    ),
    tampering(
        "T11 a channel dropped",
        acts::channel_dropped,
        &["ledger_differs", "object_missing"],
    ),
];

/// Returns an archive of two calls under a lock, in a bucket that keeps versions.
async fn archive() -> Bench {
    let bench = unsealed().await;
    bench.seal_all().await;
    bench
}

async fn unsealed() -> Bench {
    let bench = Bench::with_a_call().await;
    acts::keep_versions(&bench).await;
    let split = Recording::audio(SPLIT_RECORDING, [call(), call()]);
    bench.world.genesys.add(Conversation::new(SPLIT).recording(split));
    let handler = bench.handler(&[
        ("RECORDING_CHANNELS", "split"),
        ("S3_OBJECT_LOCK_MODE", "GOVERNANCE"),
        // From the recording's start on, which is in the past.
        ("S3_OBJECT_LOCK_DAYS", "36500"),
    ]);
    for conversation in [CONVERSATION, SPLIT] {
        let summary = invoke(&handler, json!({"conversationId": conversation})).await;
        assert_eq!(summary.unwrap()["results"][0]["outcome"], "archived");
    }
    bench
}

/// Returns the same archive, and in it a call of an earlier day, so that its days are read by the audit's index.
async fn indexed_archive() -> Bench {
    let bench = unsealed().await;
    let at = bench.clock.now() - acts::HOUR * 72;
    acts::older_call(&bench, "c0000000-0000-4000-8000-000000000003", at).await;
    // As if it had been written then: its events of before it was moved are sealed nowhere.
    let (mut records, hashes) = (bench.streamed().await, bench.event_hashes().await);
    records.retain(|record| {
        let hash = record["dynamodb"]["NewImage"]["eventHash"]["S"].as_str();
        hash.is_some_and(|hash| hashes.contains(&hash.parse().unwrap()))
    });
    let sealer = bench.sealer(&[]);
    deliver(&sealer, &records).await.unwrap();
    sign(&sealer).await.unwrap();
    bench
}

/// Returns the codes that `verify` finds with these arguments.
async fn found(bench: &Bench, arguments: &[&str]) -> BTreeSet<String> {
    let ran = archivectl(bench, &[&["verify", "--json"], arguments].concat()).await;
    let items = ran.items();
    let codes = items.iter().filter_map(|item| item["code"].as_str());
    let codes: BTreeSet<_> = codes.map(str::to_owned).collect();
    assert_eq!(ran.code(), Some(if codes.is_empty() { 0 } else { 1 }), "{ran:?}");
    codes
}

/// Returns the arguments of the proof of the days of archiving.
fn the_day(bench: &Bench) -> [String; 4] {
    let today = bench.clock.now().strftime("%Y-%m-%d").to_string();
    ["--from".to_owned(), today.clone(), "--to".to_owned(), today]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tampering_is_found_over_all_of_the_archive_and_over_its_day() {
    let clean = indexed_archive().await;
    assert_eq!(found(&clean, &[]).await, BTreeSet::new());
    let mut missed = Vec::new();
    for Tampering {
        name,
        act,
        found: expected,
    } in TABLE
    {
        let bench = indexed_archive().await;
        act()(&bench).await;
        let day = the_day(&bench);
        let day: Vec<_> = day.iter().map(String::as_str).collect();
        for (arguments, by_index) in [(&[][..], false), (&day, true), (&day, false)] {
            if !by_index {
                // Whoever may not describe the table reads all of it.
                let refused = Fault::status(400);
                bench
                    .world
                    .wire
                    .disturb_next(Service::DynamoDb, "DescribeTable", 1, refused);
            }
            let codes = found(&bench, arguments).await;
            bench.world.wire.calm();
            if !expected.iter().all(|code| codes.contains(*code)) {
                missed.push(format!(
                    "{name} {arguments:?}, by index: {by_index}: {expected:?} expected, {codes:?} found"
                ));
            }
        }
    }
    assert_eq!(missed, Vec::<String>::new(), "{missed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_longer_lock_a_legal_hold_and_a_lifecycle_transition_are_no_findings() {
    for act in [acts::longer_lock, acts::legal_hold, acts::lifecycle_transition] {
        let bench = archive().await;
        act()(&bench).await;
        assert_eq!(found(&bench, &[]).await, BTreeSet::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tamperings_do_not_hide_each_other() {
    let pairs = (0..TABLE.len()).flat_map(|one| (0..one).map(move |other| (other, one)));
    // Each with a third of the others: all pairs take minutes.
    let pairs = pairs.filter(|(other, one)| (one + other) % 3 == 0);
    let hidden = stream::iter(pairs)
        .map(|(first, second)| async move {
            let bench = archive().await;
            for at in [first, second] {
                (TABLE[at].act)()(&bench).await;
            }
            let codes = found(&bench, &[]).await;
            codes.is_empty().then(|| (TABLE[first].name, TABLE[second].name))
        })
        .buffer_unordered(4)
        .filter_map(|pair| async move { pair })
        .collect::<Vec<_>>()
        .await;
    assert_eq!(hidden, [], "pairs without a finding");
}
