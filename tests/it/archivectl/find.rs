//! Calls are found by who, where, when and how, and by nothing else.

mod calls;
mod facets;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use recording_archiver::sim::CATALOG_TABLE;

use self::calls::{Call, archive, queue};
use super::{Item, Ran, archivectl, command, end};
use crate::support::Bench;

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

/// Returns the items of a catalog, by their keys.
async fn catalog(bench: &Bench, table: &str) -> BTreeMap<(String, String), Vec<(String, String)>> {
    let scan = bench.world.aws.dynamodb().scan().table_name(table);
    let items: Vec<_> = scan.into_paginator().items().send().try_collect().await.unwrap();
    let key = |item: &Item, name: &str| item[name].as_s().unwrap().clone();
    let rest = |item: &Item| {
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
async fn a_mark_that_no_search_ended_with_is_refused_before_anything_is_written() {
    let bench = Bench::new().await;
    let bare = "2026-01-15T10:14:20Z";
    for mark in ["zzz", "0", bare] {
        let ran = find(&bench, CATALOG_TABLE, &["--csv", "--after", mark]).await;
        assert_eq!((ran.code(), ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
        assert!(ran.stderr.contains(&format!("'{mark}'")), "{ran:?}");
    }
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
