//! Call records and their items in the catalog, in the hands of those who verify, erase and reconcile.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::types::{Tag, Tagging};
use recording_archiver::domain::record::State;
use recording_archiver::sim::genesys::{Conversation, FileState, Recording};
use recording_archiver::sim::wire::{Fault, Service};
use recording_archiver::sim::{BUCKET, CATALOG_TABLE, LEDGER_TABLE};
use recording_archiver::trigger::handler::Handler;
use serde_json::{Value, json};

use super::reconcile::{DAYS, call_in, conversation, first};
use super::tampering::acts::keep_versions;
use super::{Item, Ran, archivectl, command, end, put};
use crate::calls::CALL;
use crate::support::{Bench, CONVERSATION, call, invoke, outcomes};
use crate::work::Work;

const OTHER: &str = "c0000000-0000-4000-8000-000000000002";
const PLANTED: &str = "recordings/c0000000-0000-4000-8000-000000000001/call-2.json";

/// Settles within the few minutes that the clocks of function and operator may be apart.
pub(super) const SOON: [(&str, &str); 2] = [("SETTLE_SECONDS", "10"), ("CALL_RECORD", "standard")];

const LOCKED: [(&str, &str); 4] = [
    ("S3_OBJECT_LOCK_MODE", "GOVERNANCE"),
    ("S3_OBJECT_LOCK_DAYS", "30"),
    SOON[0],
    SOON[1],
];

/// Archives conversations and works off all that follows.
async fn settle(bench: &Bench, handler: &Handler, ids: &[&str]) {
    for id in ids {
        invoke(handler, json!({"conversationId": id})).await.unwrap();
    }
    Work::of(bench).run_dry(handler).await;
}

/// Returns an archive of two settled calls, locked, in a bucket that keeps versions.
async fn locked() -> (Bench, Handler) {
    let bench = Bench::with_a_call().await;
    keep_versions(&bench).await;
    let other = Recording::audio("e0000000-0000-4000-8000-000000000201", [call()]);
    bench.world.genesys.add(Conversation::new(OTHER).recording(other));
    let handler = bench.handler(&LOCKED);
    settle(&bench, &handler, &[CONVERSATION, OTHER]).await;
    (bench, handler)
}

fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// Returns the items of the catalog, but for names.
async fn items(bench: &Bench) -> Vec<Item> {
    let scan = bench.world.aws.dynamodb().scan().table_name(CATALOG_TABLE);
    let items: Vec<Item> = scan.into_paginator().items().send().try_collect().await.unwrap();
    let by_value = |item: &Item| text(item, "interactionId").is_some();
    items.into_iter().filter(by_value).collect()
}

/// Returns the conversations that the catalog has items of, and how many.
async fn catalogued(bench: &Bench) -> (BTreeSet<String>, usize) {
    let items = items(bench).await;
    let ids = items.iter().filter_map(|item| text(item, "interactionId"));
    (ids.map(str::to_owned).collect(), items.len())
}

/// Returns the keys of a conversation's objects, all versions and markers.
async fn versions(bench: &Bench, id: &str) -> usize {
    let list = bench.world.aws.s3().list_object_versions().bucket(BUCKET);
    let list = list.prefix(format!("recordings/{id}/")).send().await.unwrap();
    list.versions().len() + list.delete_markers().len()
}

async fn erase(bench: &Bench) -> Ran {
    let arguments = [
        "erase",
        CONVERSATION,
        "--reason",
        "request 4711",
        "--json",
        "--yes",
    ];
    archivectl(bench, &arguments).await
}

/// Checks that nothing is left of the call, and all of the other one.
async fn assert_erased(bench: &Bench) {
    assert_eq!(versions(bench, CONVERSATION).await, 0);
    let (ids, left) = catalogued(bench).await;
    assert_eq!((ids, left), (BTreeSet::from([OTHER.to_owned()]), 5));
    let verified = archivectl(bench, &["verify", "--json"]).await;
    assert_eq!(verified.code(), Some(0), "{verified:?}");
    let summary = verified.summary();
    assert_eq!((&summary["erased"], &summary["files"]), (&json!(1), &json!(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_call_leaves_neither_its_record_nor_its_items_behind() {
    let (bench, handler) = locked().await;
    assert_eq!(catalogued(&bench).await.1, 10);
    let ran = erase(&bench).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let summary = ran.summary();
    let told = ["recordings", "objects", "versions", "items"].map(|name| summary[name].clone());
    assert_eq!(told, [json!(1), json!(2), json!(2), json!(5)]);
    let events = bench.audit(CONVERSATION, "-").await;
    let (last, stored) = (events.last().unwrap(), &events[1]);
    assert_eq!(last["action"], "object.erased");
    assert_eq!(
        (&last["archiveKey"], &last["hash"]),
        (&stored["archiveKey"], &stored["hash"])
    );
    assert_erased(&bench).await;
    // Neither the next job nor the next rebuild brings it back.
    let again = json!({"conversationId": CONVERSATION, "recheck": true});
    assert_eq!(outcomes(&invoke(&handler, again).await.unwrap()), ["erased"]);
    let rebuilt = archivectl(&bench, &["catalog", "rebuild", "--json"]).await;
    assert_eq!(rebuilt.code(), Some(0), "{rebuilt:?}");
    assert_eq!(rebuilt.summary()["described"], 1);
    assert_erased(&bench).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_was_cut_off_at_the_catalog_is_finished_by_the_next_one() {
    let (bench, _) = locked().await;
    bench.world.wire.disturb(|exchange| {
        let cut = exchange.operation == "BatchWriteItem";
        cut.then(|| Fault::status(403))
    });
    let ran = erase(&bench).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    assert_eq!(versions(&bench, CONVERSATION).await, 2, "objects go last");
    bench.world.wire.calm();
    let ran = erase(&bench).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert_eq!(ran.summary()["items"], 5);
    assert_erased(&bench).await;
    bench.world.wire.forget();
    let again = erase(&bench).await;
    assert_eq!((again.code(), &again.summary()["items"]), (Some(0), &json!(0)));
    assert_eq!(bench.world.wire.count(Service::DynamoDb, "Scan"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_items_of_a_call_whose_record_cannot_be_read_are_searched_for() {
    let (bench, _) = locked().await;
    let hide = bench.world.aws.s3().delete_object().bucket(BUCKET).key(CALL);
    hide.send().await.unwrap();
    let ran = erase(&bench).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert_eq!(ran.summary()["items"], 5);
    assert_erased(&bench).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_record_that_no_event_names_yet_is_erased_too() {
    let (bench, handler) = locked().await;
    let third = "c0000000-0000-4000-8000-000000000003";
    let recording = Recording::audio("e0000000-0000-4000-8000-000000000301", [call()]);
    bench
        .world
        .genesys
        .add(Conversation::new(third).recording(recording));
    // The object appears, and the run gets no further.
    bench.world.wire.disturb(|exchange| {
        let cut = exchange.operation == "BatchWriteItem";
        cut.then(|| Fault::status(403))
    });
    invoke(&handler, json!({"conversationId": third})).await.unwrap();
    Work::of(&bench).deliver(&handler).await;
    bench.world.wire.calm();
    let whole = bench.record(third, "-").await.unwrap();
    assert_eq!((whole.state, whole.describing.len()), (State::Settling, 1));
    assert_eq!(versions(&bench, third).await, 2);
    let verified = archivectl(&bench, &["verify", "--json"]).await;
    assert_eq!(verified.code(), Some(0), "the next look adopts it: {verified:?}");
    let erase = ["erase", third, "--reason", "request 4711", "--json", "--yes"];
    let ran = archivectl(&bench, &erase).await;
    assert_eq!(ran.code(), Some(2), "the run may still live: {ran:?}");
    assert!(ran.stderr.contains("a run works on"), "{ran:?}");
    let written = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(16);
    let update = bench.world.aws.dynamodb().update_item().table_name(LEDGER_TABLE);
    update
        .key("interactionId", AttributeValue::S(third.to_owned()))
        .key("recordingId", AttributeValue::S("-".to_owned()))
        .update_expression("SET updatedAt = :at")
        .expression_attribute_values(":at", AttributeValue::S(written.to_string()))
        .send()
        .await
        .unwrap();
    let ran = archivectl(&bench, &erase).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert_eq!(versions(&bench, third).await, 0);
    let verified = archivectl(&bench, &["verify", "--json"]).await;
    assert_eq!(verified.code(), Some(0), "{verified:?}");
}

/// Does something to the call record behind the archive's back.
async fn tamper(bench: &Bench, act: &str) {
    let s3 = bench.world.aws.s3();
    match act {
        "deleted" => {
            let list = s3.list_object_versions().bucket(BUCKET).prefix(CALL);
            for version in list.send().await.unwrap().versions() {
                let delete = s3.delete_object().bucket(BUCKET).key(CALL);
                let delete = delete.set_version_id(version.version_id().map(str::to_owned));
                let delete = delete.bypass_governance_retention(true);
                delete.send().await.unwrap();
            }
        }
        "hidden" => {
            s3.delete_object().bucket(BUCKET).key(CALL).send().await.unwrap();
        }
        "made a recording, which moves to Glacier" => {
            let head = bench.object(CALL).await.unwrap();
            let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build().unwrap();
            let tags = Tagging::builder()
                .tag_set(tag("compliance", "archive"))
                .tag_set(tag("sha256", &head.tags[1].1));
            let put = s3.put_object_tagging().bucket(BUCKET).key(CALL);
            put.tagging(tags.build().unwrap()).send().await.unwrap();
        }
        "written again" => {
            let bytes = bench.object(CALL).await.unwrap().bytes;
            let put = s3.put_object().bucket(BUCKET).key(CALL).body(bytes.into());
            put.send().await.unwrap();
        }
        "planted" => {
            let put = s3.put_object().bucket(BUCKET).key(PLANTED);
            put.body(b"{}".to_vec().into()).send().await.unwrap();
        }
        other => panic!("nobody knows how to do {other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_to_a_call_record_is_found() {
    for (act, codes) in [
        ("nothing", &[][..]),
        ("deleted", &["object_missing"]),
        ("hidden", &["object_missing", "object_replaced"]),
        ("made a recording, which moves to Glacier", &["tag_differs"]),
        ("written again", &["object_foreign", "object_replaced"]),
        ("planted", &["object_unrecorded"]),
    ] {
        let (bench, _) = locked().await;
        if act != "nothing" {
            tamper(&bench, act).await;
        }
        let ran = archivectl(&bench, &["verify", "--json"]).await;
        let found: BTreeSet<_> = ran
            .items()
            .iter()
            .filter_map(|item| Some(item["code"].as_str()?.to_owned()))
            .collect();
        assert_eq!(ran.code(), Some(i32::from(!codes.is_empty())), "{act}: {ran:?}");
        for code in codes {
            assert!(found.contains(*code), "{act}: {found:?}");
        }
        assert_eq!(found.is_empty(), codes.is_empty(), "{act}: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_bytes_of_a_call_record_are_found_also_before_an_event_names_it() {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&SOON);
    invoke(&handler, json!({"conversationId": CONVERSATION}))
        .await
        .unwrap();
    bench.world.wire.disturb(|exchange| {
        let cut = exchange.operation == "BatchWriteItem";
        cut.then(|| Fault::status(403))
    });
    Work::of(&bench).deliver(&handler).await;
    bench.world.wire.calm();
    let change = || {
        let path = bench.world.aws.object_path(BUCKET, CALL);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, text.replacen("inbound", "inbouND", 1)).unwrap();
    };
    let codes = async || {
        let ran = archivectl(&bench, &["verify", "--json"]).await;
        let items = ran.items();
        let codes = items
            .iter()
            .filter_map(|item| item["code"].as_str().map(str::to_owned));
        codes.collect::<Vec<_>>()
    };
    assert_eq!(codes().await, Vec::<String>::new());
    change();
    assert_eq!(codes().await, ["object_unrecorded"]);
}

/// Compares two days, as the function settles.
async fn reconcile(bench: &Bench, more: &[&str]) -> Ran {
    let arguments = [&["reconcile", "--json"][..], &*DAYS, more].concat();
    let mut command = command(bench, &arguments);
    command.env("SETTLE_SECONDS", "900");
    end(command.spawn().unwrap()).await
}

/// Returns the reason for each conversation that is reported.
fn reasons(ran: &Ran) -> Vec<(String, String)> {
    let told = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
    let items = ran.items();
    let mut reasons: Vec<_> = items
        .iter()
        .map(|item| (told(item, "interactionId"), told(item, "reason")))
        .collect();
    reasons.sort();
    reasons
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_find_does_not_know_and_what_only_find_knows_is_reported() {
    let bench = Bench::new().await;
    let genesys = &bench.world.genesys;
    genesys.set_data_availability(first() + jiff::SignedDuration::from_hours(3 * 24));
    genesys.set_job_looks(0);
    let ids: Vec<_> = (1..=4).map(conversation).collect();
    for number in 1..=3 {
        let mut call = call_in(number, FileState::Available);
        call.recordings[0].start = call.start;
        genesys.add(call);
    }
    let handler = bench.handler(&SOON);
    settle(&bench, &handler, &[&ids[0], &ids[2]]).await;
    let silent = bench.handler(&[SOON[0], ("CALL_RECORD", "off")]);
    settle(&bench, &silent, &[&ids[1]]).await;
    let ran = reconcile(&bench, &[]).await;
    assert_eq!(
        reasons(&ran),
        [(ids[1].clone(), "undescribed".to_owned())],
        "{ran:?}"
    );
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    // Somebody moves the items of the third to a fourth that does not exist.
    let table = bench.world.aws.dynamodb();
    for mut item in items(&bench).await {
        if text(&item, "interactionId") != Some(ids[2].as_str()) {
            continue;
        }
        let delete = table.delete_item().table_name(CATALOG_TABLE);
        let delete = delete.key("facet", item["facet"].clone());
        delete.key("at", item["at"].clone()).send().await.unwrap();
        let moved = |value: &str| AttributeValue::S(value.replace(&ids[2], &ids[3]));
        for name in ["at", "interactionId"] {
            let value = moved(text(&item, name).unwrap());
            item.insert(name.to_owned(), value);
        }
        put(&bench, CATALOG_TABLE, item).await;
    }
    let ran = reconcile(&bench, &["--enqueue"]).await;
    let expected = [
        (&ids[1], "undescribed"),
        (&ids[2], "uncatalogued"),
        (&ids[3], "only_catalogued"),
    ];
    let expected = expected.map(|(id, reason)| (id.clone(), reason.to_owned()));
    assert_eq!(reasons(&ran), expected, "{ran:?}");
    let summary = ran.summary();
    assert_eq!(
        (&summary["sent"], &summary["onlyCatalogued"]),
        (&json!(1), &json!(1))
    );
    // The job and a rebuild put it right.
    Work::of(&bench).run_dry(&handler).await;
    let rebuilt = archivectl(&bench, &["catalog", "rebuild", "--json"]).await;
    assert_eq!(rebuilt.code(), Some(0), "{rebuilt:?}");
    let ran = reconcile(&bench, &[]).await;
    assert_eq!(
        reasons(&ran),
        [(ids[3].clone(), "only_catalogued".to_owned())],
        "{ran:?}"
    );
    // Genesys lists them no more: the catalog is held against the audit all the same.
    for id in &ids[..3] {
        let elsewhere = |conversation: &mut Conversation| {
            conversation.start = first() - jiff::SignedDuration::from_hours(30 * 24);
        };
        genesys.conversation(id, elsewhere).unwrap();
    }
    let ran = reconcile(&bench, &[]).await;
    let told = reasons(&ran);
    assert!(
        told.contains(&(ids[3].clone(), "only_catalogued".to_owned())),
        "{told:?}"
    );
    assert_eq!(
        told.iter().filter(|(_, reason)| reason == "not_listed").count(),
        3,
        "{told:?}"
    );
    assert_eq!(told.len(), 4, "{told:?}");
}
