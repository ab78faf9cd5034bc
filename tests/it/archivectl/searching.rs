//! Searches by nothing but time, bad input, and what one finds today.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use recording_archiver::aws::Clients;
use recording_archiver::catalog::Catalog;
use recording_archiver::clock::{Deadline, Stop};
use recording_archiver::config::Config;
use recording_archiver::domain::call::{CallRecord, Extent};
use recording_archiver::domain::recording::ConversationId;
use recording_archiver::sim::wire::{Fault, Gate, Service};
use serde_json::json;

use super::archivectl;
use crate::support::Bench;

/// Puts a call of one recording that began then into the catalog, and returns its conversation.
async fn put(bench: &Bench, number: usize, start: &str) -> String {
    let environment = bench.world.environment();
    let config = Config::from_lookup(|name| environment.get(name).cloned()).unwrap();
    let clients = Clients::new(&bench.world.aws.sdk_config(), &config);
    let catalog = Catalog::connect(&clients, &config).unwrap();
    let id = format!("c0000000-0000-4000-8000-{number:012}");
    let details =
        json!({"conversationStart": start.parse::<Timestamp>().unwrap().to_string(), "participants": []});
    let conversation = ConversationId::parse(&id).unwrap();
    let mut call =
        CallRecord::new(conversation, "details").with_details(&details.to_string(), Extent::Standard);
    let recording = json!({"recordingId": format!("e{number}"), "state": "archived", "files": []});
    call.recordings.push(serde_json::from_value(recording).unwrap());
    let stop = Stop::default();
    let deadline = Deadline::new(Duration::from_secs(60), &stop);
    catalog.put(&call, &[], &deadline).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hours_are_read_side_by_side_and_shown_in_their_order() {
    let bench = Bench::new().await;
    let mut calls = Vec::new();
    for (number, start) in [
        "2026-01-01T00:00:00Z",
        "2026-01-02T07:59:59Z",
        "2026-01-02T08:00:00Z",
        "2026-01-30T23:59:59Z",
    ]
    .into_iter()
    .enumerate()
    {
        calls.push(put(&bench, number, start).await);
    }
    let wire = &bench.world.wire;
    wire.forget();
    // Held back until the first pages of 32 hours were asked for, which one after another never comes.
    let (gate, mut asked) = (Gate::default(), 0);
    let held = gate.clone();
    wire.disturb(move |exchange| {
        asked += usize::from(exchange.operation == "Query");
        (32..64)
            .contains(&asked)
            .then(|| Fault::ApplyThenHold(held.clone()))
    });
    let searching = async {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        loop {
            let mut arguments = vec![
                "find",
                "--json",
                "--from",
                "2026-01-01",
                "--to",
                "2026-01-31",
                "--limit",
                "3",
            ];
            if let Some(mark) = &after {
                arguments.extend(["--after", mark]);
            }
            let ran = archivectl(&bench, &arguments).await;
            assert_eq!(ran.code(), Some(0), "{ran:?}");
            found.extend(
                ran.items()
                    .iter()
                    .map(|item| item["interactionId"].as_str().unwrap().to_owned()),
            );
            match ran.summary()["after"].as_str() {
                Some(mark) => after = Some(mark.to_owned()),
                None => return found,
            }
        }
    };
    let side_by_side = async {
        wire.wait_until(|exchanges| exchanges.iter().filter(|one| one.operation == "Query").count() >= 63)
            .await;
        gate.open();
    };
    let (found, ()) = tokio::join!(searching, side_by_side);
    assert_eq!(found, calls);
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_is_searched_by_a_name_and_not_hour_by_hour() {
    let bench = Bench::new().await;
    let year = ["find", "--from", "2025-01-01", "--to", "2025-12-31"];
    let ran = archivectl(&bench, &year).await;
    assert_eq!((ran.code(), ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
    for told in ["a search of 365 days", "--queue NAME", "31 days at most"] {
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
    }
    assert_eq!(bench.world.wire.count(Service::DynamoDb, "Query"), 0);
    let queue = "b0000000-0000-4000-8000-000000000001";
    let ran = archivectl(&bench, &[&year[..], &["--queue", queue]].concat()).await;
    assert_eq!(ran.code(), Some(3), "{ran:?}");
    assert_eq!(bench.world.wire.count(Service::DynamoDb, "Query"), 13);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_no_call_can_have_are_refused_with_what_is_accepted() {
    let bench = Bench::new().await;
    for (arguments, told) in [
        (&["--media", "bogus"][..], "accepted: voice, callback"),
        (&["--media", ""], "screen"),
        (
            &["--min-duration", "5m", "--max-duration", "1m"],
            "no call is both",
        ),
        (&["--agent", ""], "accepted: a name in any case"),
        (&["--queue", " "], "or an id"),
        (&["--to", ""], "accepted: a day such as"),
    ] {
        let ran = archivectl(&bench, &[&["find", "--from", "7d"], arguments].concat()).await;
        assert_eq!((ran.code(), ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
    }
    let ran = archivectl(&bench, &["find", "--from", "today"]).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    for told in ["without --to the last day is yesterday", "for today: --to today"] {
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
    }
    let ran = archivectl(
        &bench,
        &["find", "--from", "today", "--to", "today", "--media", "Voice"],
    )
    .await;
    assert_eq!(ran.code(), Some(3), "{ran:?}");
    assert_eq!(bench.world.wire.count(Service::Genesys, "token"), 0);
}
