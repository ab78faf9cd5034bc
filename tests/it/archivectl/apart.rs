//! Chains of events that are not about archiving: every command knows them for what they are, and what somebody does to
//! one is found like anything else.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use recording_archiver::aws::ledger::from_item;
use recording_archiver::sim::{AUDIT_TABLE, LEDGER_TABLE};
use serde_json::{Map, Value, json};

use super::contradicted::{run, settled};
use super::tampering::acts::{Act, HOUR, rewrite};
use super::{Folder, Item, archivectl, put, remove};
use crate::apart::{ACCESSES, STATEMENT, chain};
use crate::support::{Bench, CONVERSATION, RECORDING};

/// A recording that neither Genesys nor the archive knows.
const UNKNOWN: &str = "e0000000-0000-4000-8000-0000000000ee";

/// Returns the archive of a call with three accesses to it, and two events of a statement, all sealed.
async fn archive() -> Bench {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    bench.apart(chain(CONVERSATION, ACCESSES), 3).await;
    bench.apart(chain(STATEMENT, "-"), 2).await;
    bench.seal_all().await;
    bench
}

/// Returns the items of a chain, in order.
pub(super) async fn items_of(bench: &Bench, [subject, recording]: [&str; 2]) -> Vec<Item> {
    let query = bench.world.aws.dynamodb().query().table_name(AUDIT_TABLE);
    let query = query
        .key_condition_expression("interactionId = :id")
        .expression_attribute_values(":id", AttributeValue::S(subject.to_owned()));
    let items = query.send().await.unwrap().items.unwrap().into_iter();
    let mut items: Vec<_> = items
        .filter(|item| item["recordingId"].as_s().unwrap() == recording)
        .collect();
    items.sort_by_key(|item| item["seq"].as_n().unwrap().parse::<u64>().unwrap());
    items
}

const ACCESS: [&str; 2] = [CONVERSATION, ACCESSES];
const OF_DAY: [&str; 2] = [STATEMENT, "-"];

/// Makes an act of an async block over a bench.
macro_rules! act {
    (|$bench:ident| $body:expr) => {
        || -> Act { Box::new(move |$bench: &Bench| Box::pin(async move { $body })) }
    };
}

/// One tampering; the findings that it has over all of the archive, and those over the conversation alone.
struct Tampering {
    name: &'static str,
    act: fn() -> Act,
    found: &'static [&'static str],
    of_conversation: &'static [&'static str],
}

const fn tampering(
    name: &'static str,
    act: fn() -> Act,
    found: &'static [&'static str],
    of_conversation: &'static [&'static str],
) -> Tampering {
    Tampering {
        name,
        act,
        found,
        of_conversation,
    }
}

/// Changes an event and keeps its hash.
async fn change(bench: &Bench, of: [&str; 2], place: usize) {
    let mut event = items_of(bench, of).await.swap_remove(place);
    event.insert("reason".to_owned(), AttributeValue::S("none".to_owned()));
    put(bench, AUDIT_TABLE, event).await;
}

/// Gives the events of the call's own chain the name of another, all hashes right, and removes its record.
async fn moved(bench: &Bench) {
    rewrite(
        bench,
        [CONVERSATION, RECORDING],
        |event: &mut Map<String, Value>| {
            event.insert("recordingId".to_owned(), format!("{UNKNOWN}!access").into());
        },
    )
    .await;
    let delete = bench.world.aws.dynamodb().delete_item().table_name(LEDGER_TABLE);
    let delete = delete.key("interactionId", AttributeValue::S(CONVERSATION.to_owned()));
    let delete = delete.key("recordingId", AttributeValue::S(RECORDING.to_owned()));
    delete.send().await.unwrap();
}

/// Puts a record into the ledger, as if that knew the chain.
async fn counted(bench: &Bench, [subject, recording]: [&str; 2]) {
    let record = json!({
        "interactionId": subject, "recordingId": recording, "state": "archived", "leaseOwner": uuid::Uuid::nil(),
        "leaseExpiresAt": 0, "attempts": 1, "chainHead": "0".repeat(64), "seq": 3, "format": "wav",
        "updatedAt": bench.clock.now(),
    });
    let item = serde_dynamo::aws_sdk_dynamodb_1::to_item(record).unwrap();
    put(bench, LEDGER_TABLE, item).await;
}

const TABLE: [Tampering; 14] = [
    tampering(
        "an access removed",
        act!(|bench| remove(bench, &items_of(bench, ACCESS).await[1]).await),
        &["audit_broken"],
        &["audit_broken"],
    ),
    tampering(
        "the last access removed",
        act!(|bench| remove(bench, &items_of(bench, ACCESS).await[2]).await),
        &["sealed_event_missing"],
        // Nothing but the log knows how many there were.
        &[],
    ),
    tampering(
        "an access changed",
        act!(|bench| change(bench, ACCESS, 1).await),
        &["audit_broken"],
        &["audit_broken"],
    ),
    tampering(
        "accesses changed, all hashes right",
        act!(|bench| drop(
            rewrite(bench, ACCESS, |event| {
                event.insert("reason".to_owned(), "none".into());
            })
            .await
        )),
        &["sealed_event_missing"],
        &[],
    ),
    tampering(
        "an access inserted between others",
        act!(|bench| {
            let mut event = items_of(bench, ACCESS).await.swap_remove(1);
            event.insert("eventId".to_owned(), AttributeValue::S(format!("{ACCESSES}#1a")));
            put(bench, AUDIT_TABLE, event).await;
        }),
        &["audit_broken"],
        &["audit_broken"],
    ),
    tampering(
        "accesses of before, all hashes right",
        act!(|bench| drop(
            rewrite(bench, ACCESS, |event| {
                let at: jiff::Timestamp = event["timestamp"].as_str().unwrap().parse().unwrap();
                event.insert("timestamp".to_owned(), (at - HOUR * 2).to_string().into());
            })
            .await
        )),
        &["event_not_sealed", "sealed_event_missing"],
        &["event_not_sealed"],
    ),
    tampering(
        "accesses in the future",
        act!(|bench| drop(
            rewrite(bench, ACCESS, |event| {
                let at: jiff::Timestamp = event["timestamp"].as_str().unwrap().parse().unwrap();
                event.insert("timestamp".to_owned(), (at + HOUR * 2).to_string().into());
            })
            .await
        )),
        &["time_implausible"],
        &["time_implausible"],
    ),
    tampering(
        "accesses to a recording that is unknown",
        act!(|bench| drop(
            rewrite(bench, ACCESS, |event| {
                event.insert("recordingId".to_owned(), format!("{UNKNOWN}!access").into());
            })
            .await
        )),
        &["audit_missing"],
        &["audit_missing"],
    ),
    tampering(
        "an item that is no event",
        act!(|bench| {
            let mut event = items_of(bench, ACCESS).await.swap_remove(2);
            event.insert(
                "reason".to_owned(),
                AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new([1])),
            );
            put(bench, AUDIT_TABLE, event).await;
        }),
        &["audit_unreadable"],
        &["audit_unreadable"],
    ),
    tampering(
        "the call's own chain moved to where the ledger knows nothing",
        act!(|bench| moved(bench).await),
        &["audit_broken", "audit_missing", "object_unrecorded"],
        &["audit_broken", "audit_missing"],
    ),
    tampering(
        "a record of a chain that has none",
        act!(|bench| counted(bench, ACCESS).await),
        &["audit_missing"],
        &["audit_missing"],
    ),
    tampering(
        "an event of a statement removed",
        act!(|bench| remove(bench, &items_of(bench, OF_DAY).await[0]).await),
        &["audit_broken"],
        &[],
    ),
    tampering(
        "an event of a statement changed",
        act!(|bench| change(bench, OF_DAY, 1).await),
        &["audit_broken"],
        &[],
    ),
    tampering(
        "a record of a statement",
        act!(|bench| counted(bench, OF_DAY).await),
        &["audit_missing"],
        &[],
    ),
];

/// Returns the codes that `verify` finds with these arguments.
async fn found(bench: &Bench, arguments: &[&str]) -> BTreeSet<String> {
    let ran = archivectl(bench, &[&["verify", "--json"], arguments].concat()).await;
    let items = ran.items();
    let codes = items.iter().filter_map(|item| item["code"].as_str());
    let codes: BTreeSet<_> = codes.map(str::to_owned).collect();
    assert!(ran.code() == Some(1) || codes.is_empty(), "{ran:?}");
    codes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_to_a_chain_apart_is_found() {
    let clean = archive().await;
    let today = clean.clock.now().strftime("%Y-%m-%d").to_string();
    let day = ["--from", &today, "--to", &today];
    for arguments in [&[][..], &day, &[CONVERSATION]] {
        assert_eq!(found(&clean, arguments).await, BTreeSet::new(), "{arguments:?}");
    }
    let mut missed = Vec::new();
    for Tampering {
        name,
        act,
        found: all,
        of_conversation,
    } in TABLE
    {
        let bench = archive().await;
        act()(&bench).await;
        for (arguments, expected) in [(&[][..], all), (&[CONVERSATION], of_conversation)] {
            let codes = found(&bench, arguments).await;
            if !expected.iter().all(|code| codes.contains(*code)) || codes.is_empty() != expected.is_empty() {
                missed.push(format!(
                    "{name} {arguments:?}: {expected:?} expected, {codes:?} found"
                ));
            }
        }
    }
    assert_eq!(missed, Vec::<String>::new(), "{missed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_counts_sealed_events_of_chains_apart_and_no_further_recording() {
    let bench = archive().await;
    let audited =
        bench.audit(CONVERSATION, RECORDING).await.len() + bench.audit(CONVERSATION, "-").await.len();
    let today = bench.clock.now().strftime("%Y-%m-%d").to_string();
    for (arguments, events) in [
        (&[][..], audited + 5),
        (&["--from", &today, "--to", &today], audited + 5),
        (&[CONVERSATION], audited + 3),
    ] {
        let summary = archivectl(&bench, &[&["verify", "--json"], arguments].concat())
            .await
            .summary();
        for (name, figure) in [
            ("conversations", 1),
            ("recordings", 1),
            ("unarchived", 0),
            ("proven", 1),
            ("events", events),
        ] {
            assert_eq!(summary[name], figure, "{name} with {arguments:?}: {summary}");
        }
        assert_eq!(summary["log"]["sealed"], events, "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_span_of_days_has_the_accesses_of_its_days_though_the_call_is_of_others() {
    let bench = archive().await;
    let now = bench.clock.now();
    let day = |ago: i64| {
        (now - HOUR * 24 * i32::try_from(ago).unwrap())
            .strftime("%Y-%m-%d")
            .to_string()
    };
    // Accessed three days ago, in what only the day of the access leads to.
    rewrite(&bench, ACCESS, |event| {
        let at: jiff::Timestamp = event["timestamp"].as_str().unwrap().parse().unwrap();
        let at = (at - HOUR * 72).strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        event.insert(
            "day".to_owned(),
            event["day"].as_str().unwrap().replace(&day(0), &day(3)).into(),
        );
        event.insert("timestamp".to_owned(), at.into());
    })
    .await;
    change(&bench, ACCESS, 1).await;
    let (ago, today) = (day(3), day(0));
    for days in [&ago, &today] {
        let codes = found(&bench, &["--from", days, "--to", days]).await;
        assert!(codes.contains("audit_broken"), "{days}: {codes:?}");
    }
    let other = day(8);
    let codes = found(&bench, &["--from", &other, "--to", &other]).await;
    assert!(!codes.contains("audit_broken"), "{codes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_shows_who_accessed_what_and_why_below_the_chain_of_custody() {
    let bench = archive().await;
    let ran = archivectl(&bench, &["audit", CONVERSATION]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let (stored, accesses) = (ran.stdout.find("archive.stored"), ran.stdout.find("accesses to"));
    assert!(stored.is_some() && stored < accesses, "{}", ran.stdout);
    for text in ["recording.accessed", "case 0", "case 2"] {
        assert!(ran.stdout.contains(text), "{text}: {}", ran.stdout);
    }
    let ran = archivectl(&bench, &["audit", CONVERSATION, "--json"]).await;
    let accessed = ran
        .items()
        .into_iter()
        .filter(|item| item["action"] == "recording.accessed");
    assert_eq!(accessed.count(), 3);
    let summary = ran.summary();
    assert_eq!(
        summary["accesses"],
        json!([{"recordingId": ACCESSES, "events": 3, "whole": true}])
    );
    assert_eq!(summary["recordings"].as_array().unwrap().len(), 1, "{summary}");
    let hash = ran.items().last().unwrap()["eventHash"].clone();
    assert!(
        summary["sealed"]["leaves"][hash.as_str().unwrap()].is_u64(),
        "{summary}"
    );
    let folder = Folder::new();
    let page = folder.file("page.html");
    archivectl(&bench, &["audit", CONVERSATION, "--html", &page]).await;
    let page = std::fs::read_to_string(page).unwrap();
    assert!(
        page.contains("Accesses to recording") && page.contains("case 1"),
        "{page}"
    );

    remove(&bench, &items_of(&bench, ACCESS).await[0]).await;
    let ran = archivectl(&bench, &["audit", CONVERSATION, "--json"]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert_eq!(ran.summary()["accesses"][0]["whole"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_access_and_a_statement_are_proven_by_the_log() {
    let bench = archive().await;
    for of in [ACCESS, OF_DAY] {
        let event: Value = from_item(items_of(&bench, of).await.swap_remove(1)).unwrap();
        let [hash, subject, recording] =
            ["eventHash", "interactionId", "recordingId"].map(|name| event[name].as_str().unwrap());
        for named in [&[hash][..], &[subject, recording, "2"]] {
            let ran = archivectl(&bench, &[&["log", "prove"], named, &["--json"]].concat()).await;
            assert_eq!(ran.code(), Some(0), "{named:?}: {ran:?}");
            assert_eq!(ran.summary()["eventHash"], hash, "{named:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_decides_about_archiving_pays_no_heed_to_chains_apart_whole_or_broken() {
    let (bench, day) = settled().await;
    bench.apart(chain(CONVERSATION, ACCESSES), 2).await;
    bench.apart(chain(STATEMENT, "-"), 2).await;
    let reported = |broken: u64| {
        let bench = &bench;
        async move {
            let today = bench.clock.now().strftime("%Y-%m-%d").to_string();
            let ran = run(bench, &["report"], &today).await;
            let summary = ran.summary();
            assert_eq!(summary["recordings"], 1, "{summary}");
            assert_eq!(summary["outcomes"]["archived"], 1, "{summary}");
            assert_eq!(
                (&summary["chains"], &summary["brokenChains"]),
                (&json!(4), &json!(broken)),
                "{summary}"
            );
        }
    };
    let decided = || async {
        let ran = run(&bench, &["reconcile"], &day).await;
        assert_eq!(ran.code(), Some(0), "{ran:?}");
        assert_eq!(ran.summary()["reasons"], json!({"archived": 1}));
        let folder = Folder::new();
        let checkpoint = folder.file("checkpoint");
        let ran = run(&bench, &["backfill", "--checkpoint", &checkpoint], &day).await;
        assert_eq!(ran.code(), Some(0), "{ran:?}");
        assert_eq!(ran.summary()["archived"], 1, "{ran:?}");
    };
    decided().await;
    reported(0).await;
    for of in [ACCESS, OF_DAY] {
        remove(&bench, &items_of(&bench, of).await[0]).await;
    }
    decided().await;
    reported(2).await;
    let erased = archivectl(
        &bench,
        &["erase", CONVERSATION, "--reason", "case 1", "--yes", "--json"],
    )
    .await;
    assert_eq!(erased.code(), Some(0), "{erased:?}");
    assert_eq!(
        items_of(&bench, ACCESS).await.len(),
        1,
        "who accessed it stays on record"
    );
}
