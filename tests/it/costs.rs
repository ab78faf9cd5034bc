//! The requests that docs/deploy.md multiplies by its prices are counted: for one conversation with one recording of
//! one part, a webhook, and two end events.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use recording_archiver::sim::genesys::{Conversation, Media, Recording, Topic, event};
use recording_archiver::sim::wire::Service;
use recording_archiver::sim::{AUDIT_TABLE, CATALOG_TABLE, LEDGER_TABLE};
use recording_archiver::trigger::handler::Handler;
use serde_json::json;

use crate::calls::DESCRIBING;
use crate::support::{Bench, CONVERSATION, SETTLING, invoke, project, sqs};
use crate::work::Work;

/// Five minutes of mono telephone WAV.
const CALL: u64 = 4_800_000;
/// DynamoDB counts a write in units of this many bytes.
const UNIT: usize = 1024;

/// The rows of the table, in its order.
#[derive(Debug, PartialEq, Eq)]
struct Counted {
    objects: usize,
    puts: usize,
    reads: usize,
    messages: usize,
    genesys: usize,
    kilobytes: usize,
}

impl Counted {
    fn rows(&self) -> [usize; 6] {
        [
            self.objects,
            self.puts,
            self.reads,
            self.messages,
            self.genesys,
            self.kilobytes,
        ]
    }
}

async fn end_event(bench: &Bench, handler: &Handler) {
    let event = event(Topic::CustomerEnd, CONVERSATION, bench.clock.now());
    let mut message = sqs([event.to_string()]);
    // As long as names that CloudFormation makes.
    message["Records"][0]["eventSourceARN"] =
        "arn:aws:sqs:eu-central-1:123456789012:recording-archiver-WorkQueue-4f0Q1x2Yz3Ab".into();
    invoke(handler, message).await.unwrap();
}

/// Archives the call, and counts.
async fn counted(configuration: &[(&str, &str)]) -> Counted {
    let bench = Bench::with_media(Media::generated_wav(CALL, 1)).await;
    let handler = bench.handler(configuration);
    end_event(&bench, &handler).await;
    bench.advance(Duration::from_secs(5));
    end_event(&bench, &handler).await;
    Work::of(&bench).run_dry(&handler).await;
    let count = |service, operation| bench.world.wire.count(service, operation);
    let exchanges = bench.world.wire.exchanges();
    let transactions = exchanges
        .iter()
        .filter(|exchange| exchange.operation == "TransactWriteItems");
    let (done, cancelled): (Vec<_>, Vec<_>) = transactions.partition(|exchange| exchange.status == Some(200));
    let size = |line: &serde_json::Value| line.to_string().len() + 1;
    let bytes: usize = bench.lines.lock().unwrap().iter().map(size).sum();
    Counted {
        objects: count(Service::S3, "PutObject"),
        // A transaction puts the record and its audit event, if it has one. One that is refused, because another run's
        // record is there, costs as much.
        puts: done.len() + units_of_events(&bench).await + 2 * cancelled.len(),
        reads: count(Service::DynamoDb, "Query") + count(Service::DynamoDb, "GetItem"),
        messages: count(Service::Sqs, "SendMessage"),
        genesys: bench.genesys_requests(),
        kilobytes: bytes.div_ceil(1000),
    }
}

/// Returns how many units the audit events take. No item of the ledger takes a second one.
async fn units_of_events(bench: &Bench) -> usize {
    let mut units = 0;
    for table in [AUDIT_TABLE, LEDGER_TABLE] {
        let scan = bench.world.aws.dynamodb().scan().table_name(table);
        for item in scan.send().await.unwrap().items() {
            let size: usize = item.iter().map(|(name, value)| name.len() + size(value)).sum();
            match table {
                AUDIT_TABLE => units += size.div_ceil(UNIT),
                _ => assert!(size <= UNIT, "{size} bytes: {item:?}"),
            }
        }
    }
    units
}

/// Returns the size of a value in an item:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
fn size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number.len().div_ceil(2) + 1,
        AttributeValue::M(map) => {
            let entries = map.iter().map(|(name, value)| name.len() + size(value) + 1);
            3 + entries.sum::<usize>()
        }
        AttributeValue::L(list) => 3 + list.iter().map(|value| size(value) + 1).sum::<usize>(),
        _ => 1,
    }
}

/// Archives so many short calls by one batch download, and counts.
async fn counted_in_bulk(calls: usize) -> [usize; 6] {
    let bench = Bench::new().await;
    let id = |kind: char, n: usize| format!("{kind}0000000-0000-4000-8000-{n:012}");
    for n in 0..calls {
        let call = Recording::audio(id('e', n), [Media::generated_wav(1_000, n as u64)]);
        bench
            .world
            .genesys
            .add(Conversation::new(id('c', n)).recording(call));
    }
    let (start, end) = ("2026-01-15T10:14:20Z", "2026-01-15T10:21:00Z");
    let entry = |n| json!({"conversationId": id('c', n), "conversationStart": start, "conversationEnd": end});
    let handler = bench.handler(&[("RECORDING_FORMAT", "original"), SETTLING]);
    let mut work = Work::of(&bench);
    work.send(&json!({"bulk": (0..calls).map(entry).collect::<Vec<_>>()}));
    work.run_dry(&handler).await;
    let count = |service, operation| bench.world.wire.count(service, operation);
    let size = |line: &serde_json::Value| line.to_string().len() + 1;
    let bytes: usize = bench.lines.lock().unwrap().iter().map(size).sum();
    [
        count(Service::S3, "PutObject"),
        count(Service::DynamoDb, "TransactWriteItems") + units_of_events(&bench).await,
        count(Service::DynamoDb, "Query") + count(Service::DynamoDb, "GetItem"),
        count(Service::Sqs, "SendMessage"),
        bench.genesys_requests(),
        bytes / 1000,
    ]
}

#[tokio::test]
async fn the_bulk_lane_costs_the_requests_that_the_page_multiplies() {
    let (one, five) = (counted_in_bulk(1).await, counted_in_bulk(5).await);
    let each: Vec<_> = one.iter().zip(five).map(|(one, five)| (five - one) / 4).collect();
    // Lines of the log grow with ids and times; the rest is exact.
    let batch: Vec<_> = one
        .iter()
        .zip(&each)
        .map(|(one, each)| one.saturating_sub(*each))
        .collect();
    let (recording, besides) = columns("| counted by batch download |");
    assert_eq!((each, batch), (recording, besides));
}

/// Returns the columns of numbers in the table of docs/deploy.md that begins with `| counted |`.
fn on_the_page() -> (Vec<usize>, Vec<usize>) {
    columns("| counted |")
}

/// Returns the two columns of numbers in a table of docs/deploy.md.
fn columns(heading: &str) -> (Vec<usize>, Vec<usize>) {
    let page = std::fs::read_to_string(project().join("docs/deploy.md")).unwrap();
    let table = page.split("\n\n").find(|block| block.starts_with(heading));
    let rows = table.expect("a table of what is counted").lines().skip(2);
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        (
            cells[2].parse::<usize>().unwrap(),
            cells[3].parse::<usize>().unwrap(),
        )
    })
    .unzip()
}

#[tokio::test]
async fn the_costs_are_those_of_the_requests_that_are_made() {
    let (archiving, settling) = on_the_page();
    let alone = counted(&[]).await.rows();
    let all = counted(&[SETTLING]).await.rows();
    assert_eq!(alone, archiving[..]);
    let besides = all.iter().zip(alone).map(|(all, alone)| all - alone);
    assert_eq!(besides.collect::<Vec<_>>(), settling);
}

/// What makes items longer in a stack of the template.
const STACK: [(&str, &str); 3] = [
    (
        "S3_SSE_KMS_KEY_ID",
        "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-4333-8444-555555555555",
    ),
    ("S3_OBJECT_LOCK_MODE", "GOVERNANCE"),
    ("S3_OBJECT_LOCK_DAYS", "2557"),
];

/// A call that is settled, in the rows of the table that begins with `| counted besides |`.
async fn described(configuration: &[(&str, &str)]) -> [usize; 5] {
    let bench = Bench::with_a_call().await;
    let handler = bench.handler(&[configuration, &STACK].concat());
    end_event(&bench, &handler).await;
    Work::of(&bench).run_dry(&handler).await;
    let of = |service, operation| bench.world.wire.count(service, operation);
    let whole = bench.record(CONVERSATION, "-").await.unwrap();
    // The record is put twice for the call record and once more when the conversation settles, after it has grown.
    let grown = match whole.files.is_empty() {
        true => 0,
        false => units(&bench, LEDGER_TABLE).await.into_iter().max().unwrap() - 1,
    };
    let length = |line: &serde_json::Value| line.to_string().len() + 1;
    let bytes: usize = bench.lines.lock().unwrap().iter().map(length).sum();
    let transactions = of(Service::DynamoDb, "TransactWriteItems");
    let events: usize = units(&bench, AUDIT_TABLE).await.into_iter().sum();
    [
        of(Service::S3, "PutObject") + of(Service::S3, "GetObject") + of(Service::S3, "HeadObject"),
        transactions + 3 * grown + events,
        of(Service::DynamoDb, "Query"),
        units(&bench, CATALOG_TABLE).await.into_iter().sum(),
        bytes,
    ]
}

/// Returns how many units each item of a table takes.
async fn units(bench: &Bench, table: &str) -> Vec<usize> {
    let scan = bench.world.aws.dynamodb().scan().table_name(table);
    let items = scan.send().await.unwrap().items.unwrap_or_default();
    let bytes = |item: &std::collections::HashMap<String, AttributeValue>| {
        let bytes = item.iter().map(|(name, value)| name.len() + size(value));
        bytes.sum::<usize>()
    };
    items.iter().map(|item| bytes(item).div_ceil(UNIT)).collect()
}

#[tokio::test]
async fn a_call_record_costs_the_requests_that_the_page_multiplies() {
    let without = described(&[SETTLING]).await;
    let with = described(&DESCRIBING).await;
    let mut besides: Vec<_> = with
        .iter()
        .zip(without)
        .map(|(with, without)| with - without)
        .collect();
    // The hour, an agent, a wrap-up code, a division and a number; and three names, which are put once for all calls.
    assert_eq!(besides[3], 5 + 3);
    // A queue and a second number are usual, and not in this call.
    besides[3] = 7;
    besides[4] = besides[4].div_ceil(1000);
    let page = std::fs::read_to_string(project().join("docs/deploy.md")).unwrap();
    let table = page
        .split("\n\n")
        .find(|block| block.starts_with("| counted besides |"));
    let rows = table.expect("a table of what is counted").lines().skip(2);
    let told: Vec<usize> = rows
        .map(|row| row.split('|').nth(2).unwrap().trim().parse().unwrap())
        .collect();
    assert_eq!(besides, told);
}

#[test]
fn seven_years_of_storage_cost_bytes_times_prices() {
    const MONTHS: f64 = 7.0 * 12.0;
    const PRICES: [f64; 5] = [0.023, 0.0125, 0.004, 0.0036, 0.000_99];
    let page = std::fs::read_to_string(project().join("docs/deploy.md")).unwrap();
    let table = page
        .split("\n\n")
        .find(|block| block.starts_with("| kept for seven years |"));
    let rows: Vec<_> = table.unwrap().lines().skip(2).collect();
    assert_eq!(rows.len(), 5);
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let number = |cell: &str| cell.parse::<f64>().unwrap();
        let kilobits = number(cells[2]);
        // 100,000 recordings of 5 minutes.
        let gigabytes = kilobits * 1e3 / 8.0 * 300.0 * 1e5 / 1e9;
        assert_eq!(number(cells[3]), gigabytes, "{row}");
        for (cell, price) in cells[4..].iter().zip(PRICES) {
            assert_eq!(*cell, format!("{:.2}", gigabytes * price * MONTHS), "{row}");
        }
    }
}

#[test]
fn each_table_of_costs_adds_up() {
    let page = std::fs::read_to_string(project().join("docs/deploy.md")).unwrap();
    let tables: Vec<&str> = page
        .split("\n\n")
        .filter(|block| {
            block.starts_with('|') && block.lines().next().unwrap().ends_with("| arithmetic | USD |")
        })
        .collect();
    assert_eq!(tables.len(), 5);
    for table in tables {
        let cents = |row: &str| {
            let usd = row.trim_end_matches(" |").rsplit("| ").next().unwrap();
            let usd = usd.trim_matches('*').split_once('.').unwrap();
            usd.0.parse::<u64>().unwrap() * 100 + usd.1.parse::<u64>().unwrap()
        };
        let mut rows: Vec<&str> = table.lines().skip(2).collect();
        let together = rows.pop().unwrap();
        assert!(together.starts_with("| **together**"), "{together}");
        assert_eq!(
            rows.iter().map(|row| cents(row)).sum::<u64>(),
            cents(together),
            "{table}"
        );
    }
}
