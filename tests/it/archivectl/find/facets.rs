//! Each facet finds its calls, in the catalog that the function fills and in one that is made again.

use std::collections::{BTreeMap, BTreeSet};

use recording_archiver::aws::Clients;
use recording_archiver::catalog::Catalog;
use recording_archiver::config::Config;
use recording_archiver::sim::CATALOG_TABLE;
use recording_archiver::sim::wire::{Fault, Service};
use serde_json::{Value, json};

use super::calls::{Call, agent, archive, caller, queue};
use super::{catalog, command, end, find, found, those};
use crate::calls::DESCRIBING;
use crate::support::{Bench, invoke};
use crate::work::Work;

/// Calls that the function settles by itself in every run of the tests.
const SETTLED: usize = 120;
/// Calls of a catalog that is searched.
const MANY: usize = 5_000;

/// Holds every facet, and pairs of them, against the calls.
async fn assert_each_facet_finds_its_calls(bench: &Bench, table: &str, calls: &[Call]) {
    assert_eq!(found(bench, table, &[]).await, those(calls, |_| true));
    for n in 0..16 {
        let name = format!("agent {n:02}");
        let expected = those(calls, |call| call.agents.contains(&n));
        assert_eq!(found(bench, table, &["--agent", &name]).await, expected, "{name}");
    }
    for n in 0..7 {
        let id = queue(n);
        let expected = those(calls, |call| call.queues.contains(&n));
        assert_eq!(
            found(bench, table, &["--queue", &id]).await,
            expected,
            "queue {n}"
        );
        let name = format!("Code {n:02}");
        let expected = those(calls, |call| call.wrapup == n);
        assert_eq!(
            found(bench, table, &["--wrapup", &name]).await,
            expected,
            "{name}"
        );
    }
    for n in 0..13 {
        let expected = those(calls, |call| call.caller == n);
        let number = caller(n);
        let searched = found(bench, table, &["--number", &number]).await;
        assert_eq!(searched, expected, "caller {n}");
    }
    for n in 0..2 {
        let division = format!("division {n:02}");
        let arguments = ["--division", &division, "--queue", "Queue 03"];
        let expected = those(calls, |call| call.division == n && call.queues.contains(&3));
        assert_eq!(found(bench, table, &arguments).await, expected, "{division}");
    }
    let arguments = [
        "--agent",
        "Agent 15",
        "--agent",
        "Agent 12",
        "--number",
        "030 123006",
        "--country",
        "DE",
    ];
    let expected = those(calls, |call| {
        call.agents.is_superset(&[12, 15].into()) && call.caller == 6
    });
    assert_eq!(found(bench, table, &arguments).await, expected);
}

/// Switches services off.
fn without(bench: &Bench, gone: &'static [Service]) {
    bench.world.wire.forget();
    bench.world.wire.calm();
    bench
        .world
        .wire
        .disturb(move |exchange| gone.contains(&exchange.service).then_some(Fault::Reset));
}

fn assert_unasked(bench: &Bench, gone: &[Service]) {
    let asked = bench.world.wire.exchanges();
    assert!(asked.iter().all(|exchange| !gone.contains(&exchange.service)));
}

/// Settles so many calls by the function, and holds its catalog, and the one that a rebuild makes, against them.
async fn assert_settled_calls_are_found(count: usize) {
    let (bench, calls) = archive(count).await;
    let gone = &[Service::Genesys, Service::Login, Service::S3];
    without(&bench, gone);
    assert_each_facet_finds_its_calls(&bench, CATALOG_TABLE, &calls).await;
    assert_unasked(&bench, gone);
    // From call records and audit alone.
    let gone = &[Service::Genesys, Service::Login];
    without(&bench, gone);
    bench.world.aws.create_catalog("rebuilt").await.unwrap();
    let mut rebuild = command(&bench, &["catalog", "rebuild", "--json"]);
    rebuild.env("CATALOG_TABLE_NAME", "rebuilt");
    let ran = end(rebuild.spawn().unwrap()).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert_eq!(ran.summary()["described"], count);
    assert_unasked(&bench, gone);
    let filled = catalog(&bench, CATALOG_TABLE).await;
    assert!(filled.len() > 6 * count, "{}", filled.len());
    assert_eq!(filled, catalog(&bench, "rebuilt").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_settled_call_is_found_by_its_facets_also_in_a_catalog_made_of_call_records() {
    assert_settled_calls_are_found(SETTLED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn each_of_five_thousand_settled_calls_is_found_by_its_facets_also_in_such_a_catalog() {
    assert_settled_calls_are_found(MANY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_five_thousand_calls_is_found_by_its_facets_and_by_no_other() {
    let bench = Bench::new().await;
    let environment = bench.world.environment();
    let config = Config::from_lookup(|name| environment.get(name).cloned()).unwrap();
    let clients = Clients::new(&bench.world.aws.sdk_config(), &config);
    let catalog = Catalog::connect(&clients, &config).unwrap();
    let calls: Vec<_> = (0..MANY).map(Call::new).collect();
    let (mut items, mut names) = (Vec::new(), BTreeMap::new());
    for call in &calls {
        // As `Catalog::put` writes them.
        let (entries, named) = catalog.made(&call.record()).await.unwrap();
        items.extend(entries.iter().map(|entry| serde_json::to_value(entry).unwrap()));
        names.extend(named.into_iter().map(|named| (named.at.clone(), named)));
    }
    items.extend(names.values().map(|named| serde_json::to_value(named).unwrap()));
    bench.world.aws.load(CATALOG_TABLE, items).unwrap();
    without(&bench, &[Service::Genesys, Service::Login, Service::S3]);
    assert_each_facet_finds_its_calls(&bench, CATALOG_TABLE, &calls).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conference_of_500_participants_is_kept_whole_and_found_by_each() {
    let bench = Bench::new().await;
    let mut conversation = Call::new(0).conversation();
    let end = conversation.end.unwrap().to_string();
    let segments: Vec<_> = (0..20)
        .map(|n| json!({"segmentType": "interact", "segmentEnd": end, "queueId": queue(n)}))
        .collect();
    let participant = |n: usize| {
        let session = json!({"mediaType": "voice", "direction": "inbound", "recording": true,
                             "ani": format!("tel:{}", caller(n)), "segments": segments});
        json!({"purpose": "agent", "userId": agent(n), "sessions": [session]})
    };
    conversation.participants = Some((0..500).map(participant).collect());
    bench.world.genesys.add(conversation);
    let handler = bench.handler(&DESCRIBING);
    let id = Call::new(0).id();
    invoke(&handler, json!({"conversationId": id})).await.unwrap();
    Work::of(&bench).run_dry(&handler).await;
    let object = bench.object(&format!("recordings/{id}/call.json")).await.unwrap();
    let call: Value = serde_json::from_slice(&object.bytes).unwrap();
    let participants = call["details"]["participants"].as_array().unwrap();
    let segments = |one: &Value| one["sessions"][0]["segments"].as_array().unwrap().len();
    assert_eq!(participants.len(), 500);
    assert_eq!(participants.iter().map(segments).sum::<usize>(), 10_000);
    let entries = catalog(&bench, CATALOG_TABLE).await;
    // The hour, 500 agents, 500 callers, 20 queues and a division.
    let of_call = entries.keys().filter(|(facet, _)| !facet.starts_with("names#"));
    assert_eq!(of_call.count(), 1_022);
    // Most of the values stand in no item but their own.
    for (one, other) in [(0, 499), (498, 499)] {
        let arguments = ["--agent", &agent(one), "--number", &caller(other)];
        assert_eq!(
            found(&bench, CATALOG_TABLE, &arguments).await,
            BTreeSet::from([id.clone()])
        );
    }
    let arguments = ["--agent", &agent(499), "--agent", &agent(500)];
    assert_eq!(found(&bench, CATALOG_TABLE, &arguments).await, BTreeSet::new());
    // Of 500 agents 40 are shown, which is said.
    let item = &find(&bench, CATALOG_TABLE, &["--json", "--agent", &agent(0)])
        .await
        .items()[0];
    assert_eq!(item["agents"].as_array().unwrap().len(), 40);
    assert_eq!(item["cut"], true);
    let csv = find(&bench, CATALOG_TABLE, &["--csv", "--agent", &agent(0)])
        .await
        .stdout;
    assert_eq!(csv.matches("; …,").count(), 1, "of the agents alone: {csv}");
}
