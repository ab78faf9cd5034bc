//! Calls are found by who, where, when and how, and by nothing else.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use recording_archiver::aws::Clients;
use recording_archiver::catalog::Catalog;
use recording_archiver::config::Config;
use recording_archiver::domain::call::{CallRecord, Extent};
use recording_archiver::domain::recording::ConversationId;
use recording_archiver::sim::CATALOG_TABLE;
use recording_archiver::sim::genesys::{Conversation, Media, Recording, Thing};
use recording_archiver::sim::wire::{Fault, Service};
use serde_json::{Value, json};

use super::{Ran, command, end};
use crate::calls::DESCRIBING;
use crate::support::{Bench, invoke, sqs};
use crate::work::Work;

/// Calls that the function settles by itself.
const SETTLED: usize = 120;

/// What one call is found by.
struct Call {
    number: usize,
    agents: BTreeSet<usize>,
    queues: BTreeSet<usize>,
    wrapup: usize,
    division: usize,
    caller: usize,
}

impl Call {
    /// Returns call `number`: every third is transferred to another queue, every fifth has a consulted agent.
    fn new(number: usize) -> Self {
        let mut call = Self {
            number,
            agents: [number % 11].into(),
            queues: [number % 5].into(),
            wrapup: number % 7,
            division: number % 2,
            caller: number % 13,
        };
        if number.is_multiple_of(3) {
            call.agents.insert(11 + number % 4);
            call.queues.insert(5 + number % 2);
        }
        if number.is_multiple_of(5) {
            call.agents.insert(15);
        }
        call
    }

    fn id(&self) -> String {
        format!("c0000000-0000-4000-8000-{:012}", self.number)
    }

    fn start(&self) -> Timestamp {
        let begin: Timestamp = "2026-01-31T20:00:00Z".parse().unwrap();
        begin + SignedDuration::from_mins(i64::try_from(self.number).unwrap() * 5)
    }

    fn end(&self) -> Timestamp {
        self.start() + SignedDuration::from_secs(60 + i64::try_from(self.number).unwrap())
    }

    fn recording(&self) -> String {
        format!("e0000000-0000-4000-8000-{:012}", self.number)
    }

    fn participants(&self) -> Value {
        let end = self.end().to_string();
        let session = |segments: Vec<Value>| {
            json!({"mediaType": "voice", "direction": "inbound", "recording": true,
                   "ani": format!("tel:{}", caller(self.caller)), "dnis": "tel:+15555550199", "segments": segments})
        };
        let segment = |extra: Value| {
            let mut segment = json!({"segmentType": "interact", "segmentEnd": end});
            segment
                .as_object_mut()
                .unwrap()
                .extend(extra.as_object().unwrap().clone());
            segment
        };
        let queues = self.queues.iter();
        let queues = queues.map(|queue_id| segment(json!({"queueId": queue(*queue_id)})));
        let mut participants = vec![json!({"purpose": "customer", "sessions": [session(queues.collect())]})];
        for id in &self.agents {
            let wrapup = segment(json!({"wrapUpCode": wrapup(self.wrapup)}));
            participants
                .push(json!({"purpose": "agent", "userId": agent(*id), "sessions": [session(vec![wrapup])]}));
        }
        participants.into()
    }

    /// Returns the call as Genesys has it.
    fn conversation(&self) -> Conversation {
        let length = self.end().duration_since(self.start());
        let mut conversation = Conversation::new(self.id()).lasting(self.start(), length);
        conversation.division = division(self.division);
        conversation.participants = Some(self.participants());
        conversation.recording(Recording::audio(
            self.recording(),
            [Media::generated_wav(2_000, 1)],
        ))
    }

    /// Returns its call record.
    fn record(&self) -> CallRecord {
        let details = json!({
            "conversationId": self.id(), "conversationStart": self.start().to_string(),
            "conversationEnd": self.end().to_string(), "originatingDirection": "inbound",
            "divisionIds": [division(self.division)], "participants": self.participants(),
        });
        let id = ConversationId::parse(&self.id()).unwrap();
        let mut call = CallRecord::new(id, "details").with_details(&details.to_string(), Extent::Standard);
        let names = |kind: fn(usize) -> String, name: &str, of: Vec<usize>| {
            let named = of.into_iter().map(|n| (kind(n), format!("{name} {n:02}")));
            named.collect::<BTreeMap<_, _>>()
        };
        call.names.users = names(agent, "Agent", self.agents.iter().copied().collect());
        call.names.queues = names(queue, "Queue", self.queues.iter().copied().collect());
        call.names.wrap_up_codes = names(wrapup, "Code", vec![self.wrapup]);
        call.names.divisions = names(division, "Division", vec![self.division]);
        let recording =
            json!({"recordingId": self.recording(), "state": "archived", "media": "audio", "files": []});
        call.recordings.push(serde_json::from_value(recording).unwrap());
        call
    }
}

fn agent(n: usize) -> String {
    format!("a0000000-0000-4000-8000-{n:012}")
}

fn queue(n: usize) -> String {
    format!("b0000000-0000-4000-8000-{n:012}")
}

fn wrapup(n: usize) -> String {
    format!("f0000000-0000-4000-8000-{n:012}")
}

fn division(n: usize) -> String {
    format!("d0000000-0000-4000-8000-{n:012}")
}

fn caller(n: usize) -> String {
    format!("+4930123{n:03}")
}

/// Returns an archive of so many settled calls.
async fn archive(count: usize) -> (Bench, Vec<Call>) {
    let bench = Bench::new().await;
    let genesys = &bench.world.genesys;
    genesys.set_transcoding(0);
    for n in 0..16 {
        genesys.name(Thing::User, &agent(n), &format!("Agent {n:02}"), "active");
        genesys.name(Thing::Queue, &queue(n), &format!("Queue {n:02}"), "active");
        genesys.name(Thing::WrapUpCode, &wrapup(n), &format!("Code {n:02}"), "active");
        genesys.name(
            Thing::Division,
            &division(n),
            &format!("Division {n:02}"),
            "active",
        );
    }
    let calls: Vec<_> = (0..count).map(Call::new).collect();
    let handler = bench.handler(&DESCRIBING);
    for batch in calls.chunks(10) {
        for call in batch {
            genesys.add(call.conversation());
        }
        let bodies = batch
            .iter()
            .map(|call| json!({"conversationId": call.id()}).to_string());
        invoke(&handler, sqs(bodies)).await.unwrap();
    }
    Work::of(&bench).run_dry(&handler).await;
    (bench, calls)
}

/// Searches a month that holds all of the calls.
async fn find(bench: &Bench, table: &str, arguments: &[&str]) -> Ran {
    let days = ["find", "--from", "2026-01-30", "--to", "2026-02-28"];
    let mut command = command(bench, &[&days, arguments].concat());
    command.env("CATALOG_TABLE_NAME", table);
    end(command.spawn().unwrap()).await
}

/// Returns the conversations that a search finds.
async fn found(bench: &Bench, table: &str, arguments: &[&str]) -> BTreeSet<String> {
    let ran = find(
        bench,
        table,
        &[arguments, &["--json", "--limit", "100000"]].concat(),
    )
    .await;
    assert!(matches!(ran.code(), Some(0 | 3)), "{ran:?}");
    let items = ran.items();
    let ids: BTreeSet<_> = items
        .iter()
        .map(|item| item["interactionId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), items.len(), "each is found once");
    ids
}

fn those(calls: &[Call], fits: impl Fn(&Call) -> bool) -> BTreeSet<String> {
    let fitting = calls.iter().filter(|call| fits(call));
    fitting.map(Call::id).collect()
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_settled_call_is_found_by_its_facets_also_in_a_catalog_made_of_call_records() {
    let (bench, calls) = archive(SETTLED).await;
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
    assert_eq!(ran.summary()["described"], SETTLED);
    assert_unasked(&bench, gone);
    let filled = catalog(&bench, CATALOG_TABLE).await;
    assert!(filled.len() > 6 * SETTLED, "{}", filled.len());
    assert_eq!(filled, catalog(&bench, "rebuilt").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_five_thousand_calls_is_found_by_its_facets_and_by_no_other() {
    let bench = Bench::new().await;
    let environment = bench.world.environment();
    let config = Config::from_lookup(|name| environment.get(name).cloned()).unwrap();
    let clients = Clients::new(&bench.world.aws.sdk_config(), &config);
    let catalog = Catalog::connect(&clients, &config).unwrap();
    let calls: Vec<_> = (0..5_000).map(Call::new).collect();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_that_no_search_ended_with_is_refused_before_anything_is_written() {
    let bench = Bench::new().await;
    let bare = "2026-01-15T10:14:20Z";
    for mark in ["zzz", "0", bare] {
        let ran = find(&bench, CATALOG_TABLE, &["--csv", "--after", mark]).await;
        assert_eq!((ran.code(), ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
        assert!(ran.stderr.contains(&format!("'{mark}'")), "{ran:?}");
    }
}

/// Returns the items of a catalog, by their keys.
async fn catalog(bench: &Bench, table: &str) -> BTreeMap<(String, String), Vec<(String, String)>> {
    let scan = bench.world.aws.dynamodb().scan().table_name(table);
    let items: Vec<_> = scan.into_paginator().items().send().try_collect().await.unwrap();
    let key = |item: &super::Item, name: &str| item[name].as_s().unwrap().clone();
    let rest = |item: &super::Item| {
        let mut rest: Vec<_> = item
            .iter()
            .map(|(name, value)| (name.clone(), format!("{value:?}")))
            .collect();
        rest.sort();
        rest
    };
    items
        .iter()
        .map(|item| ((key(item, "facet"), key(item, "at")), rest(item)))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_pages_and_tables_are_of_the_same_calls() {
    let (bench, calls) = archive(12).await;
    let all = found(
        &bench,
        CATALOG_TABLE,
        &["--direction", "inbound", "--media", "voice"],
    )
    .await;
    assert_eq!(all.len(), 12);
    let none = found(&bench, CATALOG_TABLE, &["--direction", "outbound"]).await;
    assert!(none.is_empty());
    let long = found(
        &bench,
        CATALOG_TABLE,
        &["--min-duration", "65s", "--max-duration", "67s"],
    )
    .await;
    assert_eq!(long, those(&calls, |call| (5..=7).contains(&call.number)));
    // Page by page, the same in the same order.
    let (mut pages, mut after) = (Vec::new(), String::new());
    loop {
        let mut arguments = vec!["--json", "--limit", "5", "--division", "Division 01"];
        if !after.is_empty() {
            arguments.extend(["--after", &after]);
        }
        let ran = find(&bench, CATALOG_TABLE, &arguments).await;
        let items = ran.items();
        pages.extend(items.iter().map(|item| item["interactionId"].clone()));
        match ran.summary()["after"].as_str() {
            Some(mark) => after = mark.to_owned(),
            None => break,
        }
    }
    let expected: Vec<_> = calls
        .iter()
        .filter(|call| call.division == 1)
        .map(Call::id)
        .collect();
    assert_eq!(pages, expected);
    let table = find(&bench, CATALOG_TABLE, &["--agent", "Agent 05"]).await;
    let columns = "Agent 05, Agent 15                Queue 00";
    assert!(table.stdout.contains(columns), "{table:?}");
    let csv = find(&bench, CATALOG_TABLE, &["--agent", "Agent 05", "--csv"]).await;
    assert_eq!(csv.stdout.lines().count(), 2, "{csv:?}");
    assert!(
        csv.stdout
            .contains(",inbound,voice; audio,Agent 05; Agent 15,Queue 00,Code 05,Division 01,c000")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_unknown_or_of_several_and_a_number_without_a_country_are_refused() {
    let (bench, _) = archive(3).await;
    let refused = async |arguments: &[&str]| {
        let ran = find(&bench, CATALOG_TABLE, arguments).await;
        assert_eq!(ran.code(), Some(2), "{ran:?}");
        ran.stderr
    };
    let unknown = refused(&["--agent", "Nobody"]).await;
    assert!(
        unknown.contains(r#"the catalog knows no agent named "Nobody""#),
        "{unknown}"
    );
    let several = refused(&["--queue", "queue 0"]).await;
    assert!(
        several.contains(&format!(r#""Queue 00" ({})"#, queue(0))),
        "{several}"
    );
    assert!(several.contains("--queue ID"), "{several}");
    let national = refused(&["--number", "030 1234567"]).await;
    assert!(national.contains("--country DE"), "{national}");
    assert!(!national.contains("1234567"), "{national}");
    let country = refused(&["--number", "030 1234567", "--country", "XX"]).await;
    assert!(country.contains("DE, DK"), "{country}");
    let mut without = command(&bench, &["find", "--from", "2026-01-30"]);
    without.env_remove("CATALOG_TABLE_NAME");
    let ran = end(without.spawn().unwrap()).await;
    assert!(ran.stderr.contains("CATALOG_TABLE_NAME is not set"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_record_that_was_changed_is_not_taken_into_the_catalog() {
    let (bench, calls) = archive(2).await;
    let key = format!("recordings/{}/call.json", calls[1].id());
    let path = bench.world.aws.object_path(recording_archiver::sim::BUCKET, &key);
    std::fs::write(path, b"{}").unwrap();
    let ran = end(command(&bench, &["catalog", "rebuild", "--json"])
        .spawn()
        .unwrap())
    .await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert_eq!(ran.items()[0]["archiveKey"], format!("s3://calls/{key}"));
    assert_eq!(ran.summary()["described"], 1);
}
